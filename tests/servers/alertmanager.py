"""A real Alertmanager for tests, and a receiver of what it sends.

Both end with the test: the server dies with the thread that started it, however that ends.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import Any, Final, NamedTuple

import yaml

from tests.integration.installation import free_port
from tests.servers.prometheus import DEPLOY, WebServer, running_web_server

CONFIG: Final = DEPLOY / "alertmanager" / "alertmanager.yml"
AMTOOL: Final = shutil.which("amtool") or ""

_PROGRAM: Final = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager") or ""


def has_alertmanager() -> bool:
    """Whether the server and its tool are installed."""
    return bool(_PROGRAM and AMTOOL)


@contextmanager
def running_alertmanager(folder: Path, config: Mapping[str, Any]) -> Iterator[WebServer]:
    """A server with this configuration, alone, its data in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "alertmanager.yml").write_text(yaml.safe_dump(dict(config), sort_keys=False), encoding="utf-8")
    port = free_port()
    words = [_PROGRAM, f"--config.file={folder / 'alertmanager.yml'}", f"--storage.path={folder / 'data'}"]
    words += [f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=", "--log.level=warn"]
    with running_web_server(words, folder, port) as server:
        yield server


def shipped_config() -> dict[str, Any]:
    """`deploy/alertmanager/alertmanager.yml`."""
    config: dict[str, Any] = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    return config


def quick_config(receiver: str) -> dict[str, Any]:
    """The shipped configuration, telling at once; each of its receivers is a path of the one at this URL."""
    config = shipped_config()
    for route in _routes(config["route"]):
        if "group_wait" in route:
            route["group_wait"] = "0s"
        if "group_interval" in route:
            route["group_interval"] = "1s"
        route.pop("active_time_intervals", None)
    config["receivers"] = [
        {"name": each["name"]}
        if len(each) == 1
        else {"name": each["name"], "webhook_configs": [{"url": f"{receiver}/{each['name']}", "send_resolved": True}]}
        for each in config["receivers"]
    ]
    return config


def _routes(route: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield route
    for child in route.get("routes", ()):
        yield from _routes(child)


class Notification(NamedTuple):
    """What came, for which receiver, and when (monotonic seconds)."""

    receiver: str
    body: dict[str, Any]
    at: float


class Receiver:
    """Takes what Alertmanager sends; the path is the receiver's name."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.came: Queue[Notification] = Queue()

    def next(self, alertname: str, status: str, within: float = 30.0) -> tuple[Notification, dict[str, Any]]:
        """The next notification with such an alert, and the alert. Raises AssertionError when none comes."""
        deadline = time.monotonic() + within
        others = []
        while True:
            try:
                found = self.came.get(timeout=max(0.01, deadline - time.monotonic()))
            except Empty:
                raise AssertionError(f"no {alertname} {status} came, but {others}") from None
            for alert in found.body["alerts"]:
                if alert["labels"]["alertname"] == alertname and alert["status"] == status:
                    return found, alert
                others.append((alert["labels"]["alertname"], alert["status"]))


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on a free port, until the context ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            receiver.came.put(Notification(self.path.strip("/"), body, time.monotonic()))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver = Receiver(f"http://127.0.0.1:{server.server_port}")
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()
