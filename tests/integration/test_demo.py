"""`streamgauge demo`, as a newcomer runs it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.integration.gauges import child_environment
from tests.integration.installation import free_port
from tests.integration.processes import ROOT, runs

pytestmark = [pytest.mark.needs_server("valkey"), pytest.mark.timeout(400)]

PATIENCE = 90.0
HISTORY_IS_IN = 240.0


class Running:
    """The demo as a process of its own session, and what it has said so far."""

    def __init__(self, process: subprocess.Popen[str], output: Path) -> None:
        self.process = process
        self._output = output

    def said(self) -> str:
        return self._output.read_text()

    def wait_for(self, words: str) -> str:
        """What was said, once these words are in it."""
        deadline = time.monotonic() + PATIENCE
        while words not in self.said():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.05)
        return self.said()

    def family(self) -> set[int]:
        """All processes below this one, and itself."""
        parents = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                except OSError:
                    continue
        family = {self.process.pid}
        while found := {pid for pid, parent in parents.items() if parent in family} - family:
            family |= found
        return family


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not pytest's own, whose path can be too long for a unix socket below it."""
    with tempfile.TemporaryDirectory(prefix="sg-") as made:
        yield Path(made)


@contextmanager
def running_demo(folder: Path, *options: str) -> Iterator[Running]:
    output = folder / "said"
    temporary = folder / "tmp"
    temporary.mkdir()
    with output.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "service.command_line", "demo", *options],
            cwd=ROOT,
            env=child_environment({"TMPDIR": str(temporary), "COLUMNS": "100"}),
            stdout=file,
            stderr=file,
            text=True,
            start_new_session=True,
        )
    try:
        yield Running(process, output)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(60)


def left_behind(folder: Path, family: set[int]) -> list[object]:
    return [*(folder / "tmp").iterdir(), *filter(runs, family)]


def test_it_shows_a_bottleneck_that_the_detector_found_and_leaves_nothing_behind(folder):
    port = free_port()
    with (
        running_demo(folder, "--port", str(port)) as demo,
        httpx.Client(base_url=f"http://127.0.0.1:{port}") as asking,
    ):
        said = demo.wait_for("%C/A")
        assert f"http://127.0.0.1:{port}/" in said
        [command] = re.findall(r"^curl -s '(http\S+)'$", said, re.MULTILINE)
        assert asking.get(command).json()["stages"][0]["stage"] == "request"
        until(lambda: webhooks_of(asking.get("/metrics").text) > 0, demo)
        [found] = until(lambda: raised(asking.get("/v1/bottlenecks").json()), demo)
        assert (found["stream"], found["stage"], found["cause"]) == ("product", "review", "slowdown")
        assert found["constrains"]
        status = asking.get(command).json()
        assert status["throughput"] > 100
        assert {status["targets"][name]["met"] for name in ("wip", "cycle_time_p85", "value_per_week")} <= {True, False}
        assert asking.get("/v1/streams/product/forecast").json()["how_many"]["p95"] > 1000
        until(lambda: asking.get("/v1/streams/product/stages/release/wsjf").json()["ranked"] > 0, demo)
        sources = set(re.findall(r'streamgauge_facts_total\{source="([^"]+)"\}', asking.get("/metrics").text))
        assert {"github", "other"} <= sources
        assert asking.get("/v1/dead-letters").json()["counts"] == []
        lanes = asking.get("/v1/deliveries", params={"window": "7d"}).json()["lanes"]
        assert {lane["service"] for lane in lanes} == {"acme/shop", "acme/payments", "acme/search", "acme/platform"}
        assert re.search(r"review +active +\d+/40", demo.said())
        family = demo.family()
        assert len(family) >= 4
        os.kill(demo.process.pid, signal.SIGINT)
        assert demo.process.wait(60) == 0
        assert "left nothing behind" in demo.said()
    assert left_behind(folder, family) == []


def until(find, demo):
    """What it finds, once that is something."""
    deadline = time.monotonic() + HISTORY_IS_IN
    while not (found := find()):
        assert demo.process.poll() is None, demo.said()
        assert time.monotonic() < deadline, demo.said()
        time.sleep(0.5)
    return found


def webhooks_of(metrics):
    """Signed webhooks, which go on coming in once the history is posted."""
    found = re.search(r'streamgauge_webhook_requests_total\{source="github"\} (\S+)', metrics)
    return float(found[1]) if found else 0.0


def raised(answer):
    return [entry for entry in answer["bottlenecks"] if entry["raised"]]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_a_demo_that_is_killed_takes_its_processes_along(folder):
    with running_demo(folder, "--port", str(free_port())) as demo:
        demo.wait_for("%C/A")
        family = demo.family()
        demo.process.kill()
        demo.process.wait()
        deadline = time.monotonic() + PATIENCE
        while remaining := list(filter(runs, family)):
            assert time.monotonic() < deadline, remaining
            time.sleep(0.05)


def test_it_ends_by_itself_after_the_time_that_it_was_given(folder):
    with running_demo(folder, "--port", str(free_port()), "--for", "2") as demo:
        assert demo.process.wait(PATIENCE) == 0
    assert (folder / "tmp").exists()
    assert list((folder / "tmp").iterdir()) == []


def test_a_port_that_was_named_and_is_taken_is_an_error(folder):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with running_demo(folder, "--port", str(port)) as demo:
            assert demo.process.wait(PATIENCE) == 1
        assert f"{port} is taken" in demo.said()
