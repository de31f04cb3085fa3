"""The rules of tests/conftest.py hold: each is tried on a small suite of its own, in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FORBIDDEN_SKIPS = {
    "call": "def test_s(): pytest.skip('no time')",
    "mark": "@pytest.mark.skipif(True, reason='no time')\ndef test_s(): pass",
    "module": "pytest.skip('no time', allow_module_level=True)",
    "server": "@pytest.mark.needs_server('apache-kafka')\ndef test_s(): pass",
    "fixture": "@pytest.fixture\ndef broker(): pytest.skip('no time')\ndef test_s(broker): pass",
}
NO_JAVA = {"PATH": ""}
ACCEPTED = {
    "environment": "import os\ndef test_s(): assert not [n for n in os.environ if n.startswith('STREAMGAUGE_')]",
    "shared": "def test_s(): pytest.skip('shared data not present')",
    "gap": "@pytest.mark.xfail(reason='a known gap')\ndef test_s(): assert False",
}


def run_suite(
    folder: Path, modules: Mapping[str, str], *options: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    (folder / "conftest.py").write_text((ROOT / "tests/conftest.py").read_text())
    for name, text in modules.items():
        (folder / f"test_{name}.py").write_text(f"import pytest\n{text}\n")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("STREAMGAUGE_", "PYTEST_"))}
    command = [sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(folder)]
    command += ["--continue-on-collection-errors", "-p", "no:cacheprovider", "-p", "no:schemathesis", *options]
    return subprocess.run(
        [*command, str(folder)],
        env=inherited | environment, cwd=folder, capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip


def test_skips_pass_where_no_server_is_required(tmp_path: Path) -> None:
    outcome = run_suite(tmp_path, FORBIDDEN_SKIPS | ACCEPTED, **NO_JAVA)
    assert outcome.returncode == 0, outcome.stdout
    assert "1 passed, 6 skipped, 1 xfailed" in outcome.stdout


def test_skips_fail_where_servers_are_required(tmp_path: Path) -> None:
    outcome = run_suite(tmp_path, FORBIDDEN_SKIPS, STREAMGAUGE_REQUIRE_SERVERS="1", **NO_JAVA)
    assert outcome.returncode != 0
    assert set(re.findall(r"^(?:FAILED|ERROR) \S*test_(\w+)\.py", outcome.stdout, re.MULTILINE)) == set(FORBIDDEN_SKIPS)


def test_missing_shared_data_and_expected_failures_pass_everywhere(tmp_path: Path) -> None:
    outcome = run_suite(tmp_path, ACCEPTED, STREAMGAUGE_REQUIRE_SERVERS="1")
    assert outcome.returncode == 0, outcome.stdout


def test_both_rules_hold_in_each_of_several_processes(tmp_path: Path) -> None:
    options = ("--numprocesses", "2", "--dist", "loadfile")
    outcome = run_suite(tmp_path, FORBIDDEN_SKIPS | ACCEPTED, *options, STREAMGAUGE_REQUIRE_SERVERS="1", **NO_JAVA)
    assert set(re.findall(r"^(?:FAILED|ERROR) \S*test_(\w+)\.py", outcome.stdout, re.MULTILINE)) == set(FORBIDDEN_SKIPS)
    assert "1 passed, 1 skipped, 1 xfailed" in outcome.stdout


def test_each_test_gets_an_empty_database_of_a_server_that_ends_with_the_session(tmp_path: Path) -> None:
    text = """
from pathlib import Path
async def test_writes(redis):
    await redis.set("left", "behind")
    assert await redis.get("left") == b"behind"
def test_finds_nothing(redis_url):
    import redis
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
        Path("server.pid").write_text(str(client.info("server")["process_id"]))
"""
    outcome = run_suite(tmp_path, {"server": text}, STREAMGAUGE_REQUIRE_SERVERS="1")
    assert outcome.returncode == 0, outcome.stdout
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "server.pid").read_text()), 0)
