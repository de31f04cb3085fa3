"""What the README tells newcomers to type does what it says."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.integration.gauges import child_environment, running_gauge
from tests.integration.processes import PATIENCE, ROOT

pytestmark = pytest.mark.needs_server("valkey")

README = (ROOT / "README.md").read_text()
SECRET = {"STREAMGAUGE_SOURCES__GITHUB__SECRET": "choose-a-long-random-one"}


def example(name, language="sh"):
    [found] = re.findall(rf"<!-- example: {name} -->\n```{language}\n(.*?)```", README, re.DOTALL)
    return found


@pytest.fixture(scope="module")
def gauge():
    with running_gauge(example(r"streams\.yaml", "yaml"), SECRET) as running:
        yield running


def typed(gauge, folder: Path, script: str) -> str:
    """What a shell prints, in which `streamgauge` is this project's command and the gauge is where the README says."""
    command = folder / "streamgauge"
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m service.command_line "$@"\n')
    command.chmod(0o755)
    words = {
        "http://127.0.0.1:8080": gauge.url,
        "status --once": f"status --once --url {gauge.url}",
        "sleep 1": f"until curl --silent {gauge.url}/readyz | grep --quiet '\"lag_facts\":0\\b'; do sleep 0.1; done",
    }
    for shown, here in words.items():
        script = script.replace(shown, here)
    environment = child_environment(SECRET)
    environment["PATH"] = f"{folder}:{environment['PATH']}"
    done = subprocess.run(
        ["sh", "-eu", "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def wip_of(gauge, stage):
    gauge.settled()
    with gauge.client() as client:
        return {entry["stage"]: entry["wip"] for entry in client.get("/v1/streams/checkout")["stages"]}[stage]


def test_the_first_fact_of_ones_own_is_seen(gauge, tmp_path):
    said = typed(gauge, tmp_path, example("a native fact"))
    assert '"accepted":1' in said.replace(" ", "")
    assert '"stream":"checkout"' in said.replace(" ", "")
    assert re.search(r"develop\s+active\s+1/6", said)
    assert wip_of(gauge, "develop") == 1


def test_the_signed_webhook_is_accepted(gauge, tmp_path):
    assert '"accepted":1' in typed(gauge, tmp_path, example("a signed webhook")).replace(" ", "")
    deadline = time.monotonic() + PATIENCE
    while wip_of(gauge, "backlog") != 1:
        assert time.monotonic() < deadline
        time.sleep(0.05)
