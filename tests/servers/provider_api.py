"""A local HTTP server that stands for a provider's API: what it answers is a function, and it can be made to fail.

It runs in a thread of the test process and dies with it.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked. Header names are in lower case; `body` is the JSON, or None."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What is answered. `cut`: the connection ends in the middle of the body. `hang`: nothing is answered at all."""

    content: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False
    half: bool = False
    hang: bool = False


@dataclass
class ProviderServer:
    """A running server: where it is, what it was asked, and the faults that come before its next answers.

    What hangs does so until `released` is set, or for 30 s.
    """

    url: str
    asked: list[Request] = field(default_factory=list)
    faults: deque[Reply | None] = field(default_factory=deque)
    released: threading.Event = field(default_factory=threading.Event)

    def paths(self) -> list[str]:
        """What was asked for, in order."""
        return [request.path for request in self.asked]


@contextmanager
def provider_server(answer: Callable[[Request, str], Reply]) -> Iterator[ProviderServer]:
    """Serve until the context ends. `answer` is given a request and our own address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 65_536  # an answer is one packet

        def do_GET(self) -> None:
            self._handle()

        def do_POST(self) -> None:
            self._handle()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

        def _handle(self) -> None:
            text = self.rfile.read(int(self.headers.get("content-length") or 0))
            target = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = json.loads(text) if text else None
            request = Request(self.command, target.path, dict(parse_qsl(target.query)), headers, body)
            server.asked.append(request)
            fault = server.faults.popleft() if server.faults else None
            self._reply(fault if fault is not None else answer(request, server.url))

        def _reply(self, reply: Reply) -> None:
            if reply.hang:
                server.released.wait(30)
                self.close_connection = True
                return
            body = b"" if reply.content is None else json.dumps(reply.content).encode()
            if reply.half:
                body = body[: len(body) // 2]
            self.send_response(reply.status)
            for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if reply.cut else body)
            self.close_connection = self.close_connection or reply.cut

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    server = ProviderServer(f"http://127.0.0.1:{httpd.server_port}")
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        httpd.shutdown()
        httpd.server_close()
        thread.join(10)


def linked(request: Request, url: str, entries: list[Json], *, totals: bool = False) -> Reply:
    """A page of a list that links to the next one, as GitHub and GitLab answer."""
    size, number = int(request.query.get("per_page", 30)), int(request.query.get("page", 1))
    last = max(1, -(-len(entries) // size))

    def link(page: int, name: str) -> str:
        query = "&".join(f"{key}={quote(value)}" for key, value in {**request.query, "page": str(page)}.items())
        return f'<{url}{request.path}?{query}>; rel="{name}"'

    links = [link(number + 1, "next"), link(last, "last")] if number < last else []
    headers = {"Link": ", ".join(links)} if links else {}
    if totals:
        headers["X-Total"] = str(len(entries))
    return Reply(entries[(number - 1) * size : number * size], headers=headers)
