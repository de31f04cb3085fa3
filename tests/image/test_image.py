"""The image, built as the Dockerfile says, and its processes, run as a container engine runs them."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.image.built_image import Image, built_image, missing_builder, run_beside, stop
from tests.integration.installation import free_port

WITHIN = 120.0
PYTHON = "/opt/streamgauge/bin/python"

pytestmark = [
    pytest.mark.image,
    pytest.mark.skipif(bool(missing_builder()), reason=missing_builder() or "a builder is there"),
]


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    with built_image() as built:
        yield built


@pytest.fixture
def data() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="sg-") as folder:
        yield Path(folder)


def ended(started: subprocess.Popen[str]) -> tuple[int, str]:
    said, _ = started.communicate(timeout=60)
    return started.returncode, said


def answer(image: Image, data: Path, code: str) -> Any:
    """What this Python code prints in a container of the image, as JSON."""
    returned, said = ended(image.start(data, PYTHON, "-c", f"import json\n{code}"))
    assert returned == 0, said
    return json.loads(said.splitlines()[-1])


def test_it_says_what_it_is_and_runs_as_nobody_special(image):
    assert image.config["User"] == "10001:10001"
    assert image.config["Entrypoint"] == ["streamgauge"]
    assert image.config["Healthcheck"]["Test"] == ["CMD", "python", "-m", "service.health_check"]
    assert "8080/tcp" in image.config["ExposedPorts"]


def test_it_holds_no_compiler_no_pip_and_no_build_tools(image):
    programs = {path.name for folder in ("usr/bin", "opt/streamgauge/bin") for path in (image.files / folder).iterdir()}
    assert {"setpriv", "streamgauge", "python"} <= programs
    assert programs & {"gcc", "cc", "pip", "pip3", "mypyc", "mypy"} == set()
    assert [path for path in ("build", "wheels", "compiled", "opt/build") if (image.files / path).exists()] == []


def test_what_every_fact_passes_through_is_compiled(image, data):
    names = "['cells', 'counters', 'fold', 'histogram', 'moves', 'tally', 'timeline', 'vector', 'walk']"
    code = (
        f"from importlib import import_module as get\nprint(json.dumps([get('flow.' + n).__file__ for n in {names}]))"
    )
    files = answer(image, data, code)
    assert len(files) == 9
    assert [file for file in files if not file.endswith(".so")] == []


def test_the_packages_are_the_pinned_ones(image, data):
    code = (
        "from importlib.metadata import distributions as all\n"
        "print(json.dumps({d.name.lower().replace('_', '-'): d.version for d in all()}))"
    )
    there = answer(image, data, code)
    pins = (Path(__file__).parents[2] / "requirements/runtime.txt").read_text().splitlines()
    pinned = dict(line.split()[0].split("==") for line in pins if "==" in line and not line.startswith((" ", "#")))
    assert there.pop("streamgauge")
    assert there == pinned


def test_only_the_data_and_tmp_can_be_written_and_no_capability_is_left(image, data):
    code = """
from pathlib import Path
def writes(folder):
    try:
        (Path(folder) / "x").write_text("x")
    except OSError:
        return False
    return True
folders = ["/", "/etc", "/opt/streamgauge", "/usr/lib", "/var/lib/streamgauge", "/tmp"]
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(json.dumps([[f for f in folders if writes(f)], status["CapEff"].strip(), status["NoNewPrivs"].strip()]))
"""
    assert answer(image, data, code) == [["/var/lib/streamgauge", "/tmp"], "0" * 16, "1"]


def test_check_tells_what_is_set_up(image, data):
    (data / "streams.yaml").write_text((image.files / demo_definitions(image)).read_text())
    returned, said = ended(image.start(data, "check", "--streams", "/var/lib/streamgauge/streams.yaml"))
    assert (returned, "product: 7 stages" in said, "STREAMGAUGE_DATA" in said) == (0, True, True), said
    returned, said = ended(image.start(data, "check", STREAMGAUGE_HTPP__PORT="1"))
    assert (returned, "did you mean STREAMGAUGE_HTTP__PORT?" in said) == (1, True), said


def demo_definitions(image: Image) -> Path:
    [found] = image.files.glob("opt/streamgauge/lib/python3*/site-packages/service/examples/demo.yaml")
    return found.relative_to(image.files)


def test_everything_runs_and_is_well_and_ends_when_it_is_told_to(image, data):
    (data / "streams.yaml").write_text((image.files / demo_definitions(image)).read_text())
    port = free_port()
    words = ("up", "--streams", "/var/lib/streamgauge/streams.yaml", "--port", str(port))
    started = image.start(data, *words, STREAMGAUGE_HTTP__PORT=str(port))
    check = image.config["Healthcheck"]["Test"][1:]
    health = [PYTHON, *check[1:]]
    try:
        deadline = time.monotonic() + WITHIN
        while (asked := run_beside(started, image, *health)).returncode:
            assert started.poll() is None, started.communicate()
            assert time.monotonic() < deadline, asked.stderr
            time.sleep(0.5)
        assert run_beside(started, image, PYTHON, "-c", FACT, str(port)).stdout.strip() == "202 1"
        worker = run_beside(started, image, *health, "serve")
        assert (worker.returncode, worker.stderr) == (0, "")
    finally:
        code, said = stop(started)
    assert code == 0, said
    assert "Traceback" not in said
    asked = image.start(data, *health, "serve", STREAMGAUGE_HTTP__PORT=str(port))
    code, said = ended(asked)
    assert (code, "does not answer" in said) == (1, True)


FACT = """
import sys, time, httpx
base = f"http://127.0.0.1:{sys.argv[1]}"
now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
fact = {"subject": "item", "id": "first", "source": "acme", "at": now, "status": "open"}
fact |= {"project": "acme/shop", "item": "acme/shop#1"}
answer = httpx.post(f"{base}/v1/facts", json=fact)
deadline = time.monotonic() + 60
while time.monotonic() < deadline:
    wip = httpx.get(f"{base}/v1/streams/product").json()["wip"]
    if wip:
        break
    time.sleep(0.2)
print(answer.status_code, wip)
"""


def test_the_topics_can_be_created_from_it(image, data):
    script = "/opt/streamgauge/deploy/create_topics.py"
    returned, said = ended(image.start(data, PYTHON, script))
    assert (returned, "STREAMGAUGE_KAFKA__BOOTSTRAP_SERVERS: say where Kafka is" in said) == (1, True), said
