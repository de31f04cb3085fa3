"""A whole Streamgauge for tests: `streamgauge up` as a process, on a free port, in a folder of the test."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from service.api_client import ApiClient
from tests.integration.installation import free_port
from tests.integration.processes import ROOT

START_DEADLINE_SECONDS = 60.0
STOP_DEADLINE_SECONDS = 45.0


@dataclass(frozen=True)
class Gauge:
    """Where it is, and its data folder."""

    url: str
    data: Path
    process: subprocess.Popen[bytes]

    def client(self) -> ApiClient:
        return ApiClient(self.url)

    def settled(self, deadline: float = 60.0) -> None:
        """Return once everything in the log is in the state."""
        end = time.monotonic() + deadline
        with self.client() as client:
            while client.get("/readyz")["lag_facts"] != 0:
                assert time.monotonic() < end, "the aggregator does not catch up"
                time.sleep(0.05)


def child_environment(settings: Mapping[str, str]) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", **settings}


@contextlib.contextmanager
def running_gauge(streams: str, settings: Mapping[str, str] | None = None) -> Iterator[Gauge]:
    """Runs until the context ends; `streams` is the text of the definitions."""
    # Not pytest's own folder: its path can be too long for a unix socket.
    with tempfile.TemporaryDirectory(prefix="sg-") as folder:
        definitions, data, log = Path(folder, "streams.yaml"), Path(folder, "data"), Path(folder, "up.log")
        definitions.write_text(streams)
        port = free_port()
        command = [sys.executable, "-m", "service.command_line", "up", "--streams", str(definitions)]
        command += ["--data", str(data), "--port", str(port)]
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=child_environment(settings or {}),
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        gauge = Gauge(f"http://127.0.0.1:{port}", data, process)
        try:
            wait_until_ready(gauge, log)
            yield gauge
        finally:
            process.terminate()
            try:
                process.wait(STOP_DEADLINE_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def wait_until_ready(gauge: Gauge, log: Path) -> None:
    """Raises AssertionError, with what it logged, when it ends or does not answer before the deadline."""
    deadline = time.monotonic() + START_DEADLINE_SECONDS
    with gauge.client() as client:
        while not client.is_ready():
            said = log.read_text(errors="replace")
            assert gauge.process.poll() is None, f"`up` ended; it said:\n{said}"
            assert time.monotonic() < deadline, f"`up` is not ready; it said:\n{said}"
            time.sleep(0.05)
