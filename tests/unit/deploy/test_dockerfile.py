"""The Dockerfile: what it promises, and that the builder is given what it copies. `make image-test` builds it."""

from __future__ import annotations

import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[3]
DOCKERFILE: Final = (ROOT / "Dockerfile").read_text()
STAGES: Final = DOCKERFILE.replace("\\\n", " ").split("\nFROM ")[1:]
HADOLINT: Final = Path(sys.executable).with_name("hadolint")


def test_it_is_as_the_linter_wants_it():
    done = subprocess.run([HADOLINT, "Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")
    bad = subprocess.run(
        [HADOLINT, "-"], input="FROM debian\nRUN cd /tmp\n", capture_output=True, text=True, timeout=60, check=False
    )
    assert bad.returncode == 1


def copied() -> list[str]:
    lines = re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE)
    return [source for line in lines for source in line.split()[:-1]]


@pytest.mark.parametrize("source", copied())
def test_what_is_copied_is_there_and_sent_to_the_builder(source):
    assert (ROOT / source).exists()
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    allowed = [line.removeprefix("!") for line in lines if line.startswith("!")]
    assert any(fnmatch(source, pattern) for pattern in allowed), source


def test_every_package_is_checked_by_its_hash():
    installs = re.findall(r"pip\b[^&]* install [^&]*", DOCKERFILE.replace("\\\n", " "))
    assert len(installs) == 3
    assert [line for line in installs if "--require-hashes" not in line and "--no-deps --no-index" not in line] == []


def test_the_compiler_is_the_one_that_the_tests_run():
    def pins(name: str) -> dict[str, str]:
        text = (ROOT / f"requirements/{name}.txt").read_text()
        assert "--hash=sha256:" in text
        return dict(re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE))

    assert pins("compiler").items() <= pins("development").items()


def test_the_second_stage_brings_nothing_of_the_first_but_the_program():
    first, second = STAGES
    assert "gcc" in first
    assert re.findall(r"^COPY --from=builder (.*)$", second, re.MULTILINE) == ["/opt/streamgauge /opt/streamgauge"]
    assert not re.search(r"\b(pip|apt-get|curl|wget)\b", second)


def test_it_runs_as_nobody_special_and_gets_signals_itself():
    last = STAGES[-1]
    assert re.search(r"^USER 10001:10001$", last, re.MULTILINE)
    for instruction in ("ENTRYPOINT", "CMD", r"HEALTHCHECK .* CMD"):
        assert re.search(rf"^{instruction} \[", last, re.MULTILINE), instruction
    assert not re.search(r"^(VOLUME|ADD|SHELL)\b", last, re.MULTILINE)
