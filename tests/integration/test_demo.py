"""`streamgauge demo`, as a newcomer runs it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.integration.gauges import child_environment
from tests.integration.installation import free_port
from tests.integration.processes import ROOT, runs

pytestmark = [pytest.mark.needs_server("valkey"), pytest.mark.timeout(240)]

PATIENCE = 90.0


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


def test_it_shows_live_numbers_prints_a_curl_that_works_and_leaves_nothing_behind(tmp_path):
    port = free_port()
    with running_demo(tmp_path, "--port", str(port)) as demo:
        said = demo.wait_for("%C/A")
        assert f"http://127.0.0.1:{port}" in said
        [command] = re.findall(r"^curl -s '(http\S+)'$", said, re.MULTILINE)
        first = httpx.get(command).json()
        assert first["stream"] == "product"
        assert first["throughput"] > 100
        assert first["stages"][0]["stage"] == "request"
        row = next(line.split() for line in said.splitlines() if line.strip().startswith("review"))
        assert re.fullmatch(r"\d+/6", row[2])
        wait_until_more_is_done(command, first)
        metrics = httpx.get(f"http://127.0.0.1:{port}/metrics").text
        sources = set(re.findall(r'streamgauge_facts_total\{source="([^"]+)"\}', metrics))
        assert {"github", "other"} <= sources
        webhooks = re.search(r'streamgauge_webhook_requests_total\{source="github"\} (\S+)', metrics)
        assert webhooks
        assert float(webhooks[1]) > 0
        assert httpx.get(f"http://127.0.0.1:{port}/v1/dead-letters").json()["counts"] == []
        deliveries = httpx.get(f"http://127.0.0.1:{port}/v1/deliveries", params={"window": "1h"}).text
        assert "acme/shop" in deliveries
        family = demo.family()
        assert len(family) >= 4
        os.kill(demo.process.pid, signal.SIGINT)
        assert demo.process.wait(60) == 0
        assert "left nothing behind" in demo.said()
    assert left_behind(tmp_path, family) == []


def wait_until_more_is_done(command, first):
    """Live: signed webhooks and facts go on coming in."""
    deadline = time.monotonic() + PATIENCE

    def arrivals(status):
        return sum(entry["arrivals"] for entry in status["stages"])

    seen = {json.dumps([entry["wip"] for entry in first["stages"]])}
    while len(seen) < 4:
        assert time.monotonic() < deadline, "the figures stand still"
        time.sleep(0.2)
        status = httpx.get(command).json()
        assert arrivals(status) > 0
        seen.add(json.dumps([entry["wip"] for entry in status["stages"]]))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_a_demo_that_is_killed_takes_its_processes_along(tmp_path):
    with running_demo(tmp_path, "--port", str(free_port())) as demo:
        demo.wait_for("%C/A")
        family = demo.family()
        demo.process.kill()
        demo.process.wait()
        deadline = time.monotonic() + PATIENCE
        while remaining := list(filter(runs, family)):
            assert time.monotonic() < deadline, remaining
            time.sleep(0.05)


def test_it_ends_by_itself_after_the_time_that_it_was_given(tmp_path):
    with running_demo(tmp_path, "--port", str(free_port()), "--for", "2") as demo:
        assert demo.process.wait(PATIENCE) == 0
    assert (tmp_path / "tmp").exists()
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_port_that_was_named_and_is_taken_is_an_error(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with running_demo(tmp_path, "--port", str(port)) as demo:
            assert demo.process.wait(PATIENCE) == 1
        assert f"{port} is taken" in demo.said()
