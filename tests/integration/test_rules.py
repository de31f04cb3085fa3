"""The rules by Prometheus' own tool: they are valid, and every alert fires when it should and only then."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.servers.prometheus import DEPLOY, PROMTOOL

pytestmark = [pytest.mark.needs_server("prometheus"), pytest.mark.timeout(500)]

FOLDER = DEPLOY / "prometheus"


def promtool(*arguments: str) -> str:
    done = subprocess.run([PROMTOOL, *arguments], capture_output=True, text=True, check=False, timeout=450)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_configuration_and_its_rules_are_valid() -> None:
    promtool("check", "config", "--syntax-only", str(FOLDER / "prometheus.yml"))
    promtool("check", "rules", "--lint=all", "--lint-fatal", *map(str, sorted(FOLDER.glob("rules/*.yml"))))


@pytest.mark.parametrize("path", sorted(FOLDER.glob("tests/*.yml")), ids=lambda path: str(path.stem))
def test_the_rules_do_what_their_tests_say(path: Path) -> None:
    assert "SUCCESS" in promtool("test", "rules", str(path))
