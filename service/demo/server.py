"""What the demo runs on: `streamgauge up` as a process of ours, in a temporary folder, on a free port."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path
from types import FrameType
from typing import Final

from flow.errors import Reason, Rejected, Unavailable
from service.api_client import ApiClient
from service.child_process import tied_to_us

DEFAULT_PORT: Final = 8080

_PORTS: Final = 100
_READY_WITHIN: Final = 60.0
_STOPS_WITHIN: Final = 40.0
_POLL: Final = 0.05


class Server:
    """`streamgauge up` as a process of ours."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self._process = process
        self._log = log
        self.url = f"http://127.0.0.1:{port}"

    def check(self) -> None:
        """Raises Unavailable, with the end of its log, when it has ended."""
        code = self._process.poll()
        if code is not None:
            said = "\n".join(self._log.read_text(errors="replace").splitlines()[-15:])
            raise Unavailable(Reason.PROCESS_ENDED, f"`streamgauge up` ended with code {code}; it said:\n{said}")

    def wait_until_ready(self, client: ApiClient) -> None:
        """Raises Unavailable when it ends instead, or takes too long."""
        deadline = time.monotonic() + _READY_WITHIN
        while not client.is_ready():
            self.check()
            if time.monotonic() > deadline:
                raise Unavailable(Reason.PROCESS_ENDED, f"{self.url} is not ready after {_READY_WITHIN:g} seconds")
            time.sleep(_POLL)

    def stop(self) -> None:
        """Ask it to end, once: a second time would mean at once. What doesn't end in time is killed."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(_STOPS_WITHIN)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


def free_port(wanted: int | None) -> int:
    """The wanted port, or else the first free one from 8080 on. Raises Rejected(invalid_request) when it is taken."""
    candidates = range(DEFAULT_PORT, DEFAULT_PORT + _PORTS) if wanted is None else [wanted]
    for port in candidates:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    taken = f"ports {DEFAULT_PORT} to {DEFAULT_PORT + _PORTS - 1} are taken" if wanted is None else f"{wanted} is taken"
    raise Rejected(Reason.INVALID_REQUEST, f"--port: {taken}: name a free one, or end what listens there")


@contextmanager
def running(port: int, secret: str) -> Iterator[Server]:
    """`streamgauge up` with the demo's definitions, in a temporary folder that goes when it has ended."""
    folder = Path(tempfile.mkdtemp(prefix="streamgauge-demo-"))
    server = None
    try:
        with as_file(files("service") / "examples" / "demo.yaml") as streams:
            server = Server(_start(folder, streams, port, secret), port, folder / "up.log")
            yield server
    finally:
        with uninterrupted():
            if server is not None:
                server.stop()
            shutil.rmtree(folder, ignore_errors=True)


def _start(folder: Path, streams: Path, port: int, secret: str) -> subprocess.Popen[bytes]:
    arguments = ("--streams", streams, "--data", folder / "data", "--port", port)
    with (folder / "up.log").open("wb") as output:
        return subprocess.Popen(  # noqa: S603  (our own command)
            [sys.executable, "-m", "service.command_line", "up", *map(str, arguments)],
            env=environment(os.environ, secret),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=tied_to_us(signal.SIGTERM),  # noqa: PLW1509  (no other thread runs yet)
            start_new_session=True,  # Ctrl-C is for us alone
        )


def environment(environ: Mapping[str, str], secret: str) -> dict[str, str]:
    """Ours, without any setting of Streamgauge: a demo must never write into somebody's own Redis."""
    kept = {name: value for name, value in environ.items() if not name.startswith("STREAMGAUGE_")}
    return kept | {"STREAMGAUGE_SOURCES__GITHUB__SECRET": secret}


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP end us as Ctrl-C does: with everything cleaned up."""

    def end(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Another Ctrl-C must not stop the cleaning up."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
