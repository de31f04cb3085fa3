"""A whole installation on Kafka in real processes: receivers, and workers in one consumer group, on a Redis.

Tests post, add workers, kill and pause them, and compare what is stored with the oracle. What Kafka and Redis do
meanwhile is the business of whoever started them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
from asyncio.subprocess import Process
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import httpx

from service.kafka_settings import KafkaSettings
from service.kafka_topics import TopicPlan, create_topics
from tests.integration.installation import free_port
from tests.integration.processes import until_settled
from tests.servers.kafka import KafkaCluster

ROOT: Final = Path(__file__).parents[2]
PATIENCE: Final = 60.0


class KafkaInstallation:
    """Topics and a consumer group of its own, so that tests may share a cluster. Workers go by number, from 1."""

    def __init__(self, folder: Path, cluster: KafkaCluster, redis_url: str, definitions: str, **settings: str) -> None:
        self.folder = folder
        self.cluster = cluster
        self.partitions = int(settings.get("STREAMGAUGE_LOG__PARTITIONS", "4"))
        self.port = free_port()
        self.client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=20)
        name = uuid4().hex[:8]
        self.kafka = KafkaSettings(
            bootstrap_servers=cluster.bootstrap_servers,
            facts_topic=f"{name}.facts",
            dead_letters_topic=f"{name}.dead-letters",
            group=name,
        )
        streams = folder / "streams.yaml"
        streams.write_text(definitions, encoding="utf-8")
        self.environment = {
            "STREAMGAUGE_STREAMS": str(streams),
            "STREAMGAUGE_DATA": str(folder / "data"),
            "STREAMGAUGE_REDIS__URL": redis_url,
            "STREAMGAUGE_HTTP__PORT": str(self.port),
            "STREAMGAUGE_HTTP__OPEN_ACCESS": "true",
            "STREAMGAUGE_LOG__PARTITIONS": str(self.partitions),
            "STREAMGAUGE_KAFKA__BOOTSTRAP_SERVERS": cluster.bootstrap_servers,
            "STREAMGAUGE_KAFKA__FACTS_TOPIC": self.kafka.facts_topic,
            "STREAMGAUGE_KAFKA__DEAD_LETTERS_TOPIC": self.kafka.dead_letters_topic,
            "STREAMGAUGE_KAFKA__GROUP": name,
            "STREAMGAUGE_KAFKA__IDEMPOTENCE": str(cluster.is_whole).lower(),
            "STREAMGAUGE_KAFKA__SESSION_TIMEOUT": "2s",
            "PYTHONPATH": str(ROOT),
        } | settings
        self._processes: dict[str, Process] = {}

    async def create_topics(self) -> None:
        """Create the topics as deploy/create_topics.py does."""
        copies = max(1, min(self.cluster.size, 3))
        await create_topics(self.kafka, TopicPlan(self.partitions, copies, max(1, copies - 1)))

    async def serve(self) -> None:
        """Start the receivers and the API; ready when they say so."""
        await self._start("serve", "serve")
        async with asyncio.timeout(PATIENCE):
            while not await self._readiness():
                assert self._processes["serve"].returncode is None, self.logged("serve")[-3000:]
                await asyncio.sleep(0.05)

    async def start_worker(self, number: int) -> None:
        """Start a worker that doesn't run."""
        await self._start(f"aggregate-{number}", "aggregate")

    def send_signal(self, number: int, what: signal.Signals) -> None:
        """Send a signal to a worker: SIGSTOP and SIGCONT pause it."""
        self._processes[f"aggregate-{number}"].send_signal(what)

    async def kill_worker(self, number: int) -> None:
        """SIGKILL."""
        await self._end(f"aggregate-{number}", signal.SIGKILL)

    async def stop_worker(self, number: int) -> int:
        """SIGTERM. Returns the exit code."""
        return await self._end(f"aggregate-{number}", signal.SIGTERM)

    async def start_bridge(self, number: int) -> None:
        """Start a bridge that doesn't run; its topics are set as settings of the installation."""
        await self._start(f"bridge-{number}", "bridge")

    async def kill_bridge(self, number: int) -> None:
        """SIGKILL."""
        await self._end(f"bridge-{number}", signal.SIGKILL)

    async def stop_bridge(self, number: int) -> int:
        """SIGTERM. Returns the exit code."""
        return await self._end(f"bridge-{number}", signal.SIGTERM)

    async def kill_receiver(self) -> None:
        """SIGKILL the process that takes facts in."""
        await self._end("serve", signal.SIGKILL)

    async def settled(self) -> None:
        """Return once everything in the log is in the state, and nothing waits in the spool."""
        await until_settled(self._readiness, self.folder, PATIENCE)

    async def post(self, path: str, json: Any) -> None:
        """Post until it is acknowledged, as a sender does that tries again."""
        async with asyncio.timeout(PATIENCE):
            while True:
                with contextlib.suppress(httpx.HTTPError):
                    answer = await self.client.post(path, json=json)
                    assert answer.status_code in {202, 503}, answer.text
                    if answer.status_code == 202:
                        return
                await asyncio.sleep(0.05)

    async def metric(self, name: str) -> dict[str, float]:
        """The samples of a metric by their labels, as written."""
        text = (await self.client.get("/metrics")).text
        lines = [line.rpartition(" ") for line in text.splitlines() if line.startswith((f"{name}{{", f"{name} "))]
        return {what.removeprefix(name): float(value) for what, _, value in lines}

    def logged(self, role: str) -> str:
        """What a process has logged: `serve`, `aggregate-1`."""
        return (self.folder / f"{role}.log").read_text(encoding="utf-8")

    async def until_logged(self, role: str, pattern: str) -> None:
        """Return once a process has logged something that this regular expression finds."""
        async with asyncio.timeout(PATIENCE):
            while not re.search(pattern, self.logged(role)):
                await asyncio.sleep(0.05)

    async def run(self, *words: str, **settings: str) -> tuple[int, str]:
        """Run a command to its end. Returns the exit code and what it wrote."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "service.command_line", *words),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=ROOT,
            env=os.environ | self.environment | settings,
        )
        said, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
        return process.returncode or 0, said.decode()

    async def close(self) -> None:
        """Stop everything, and let go of the client."""
        for role in list(self._processes):
            with contextlib.suppress(ProcessLookupError):
                self._processes[role].send_signal(signal.SIGCONT)
            await self._end(role, signal.SIGKILL)
        await self.client.aclose()

    async def _start(self, role: str, command: str) -> None:
        with (self.folder / f"{role}.log").open("ab") as log:
            self._processes[role] = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "service.command_line", command),
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env=os.environ | self.environment,
                start_new_session=True,
            )

    async def _end(self, role: str, how: signal.Signals) -> int:
        process = self._processes.pop(role)
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(how)
        return await asyncio.wait_for(process.wait(), PATIENCE)

    async def _readiness(self) -> dict[str, Any]:
        try:
            answer = await self.client.get("/readyz")
            found: dict[str, Any] = answer.json() if answer.status_code == 200 else {}
        except (httpx.HTTPError, ValueError):
            return {}
        return found
