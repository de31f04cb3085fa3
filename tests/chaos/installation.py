"""An installation that somebody looks after: what ends and should run is started again, as an orchestrator does."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import httpx

from service.bounds import AppendBounds
from service.child_process import tied_to_us
from service.command_line.composition import now
from service.kafka_connection import connection_options
from service.kafka_log import KafkaLogWriter, Topics
from service.kafka_producer import Producer
from tests.chaos.load import TEXT
from tests.chaos.senders import SECRET
from tests.integration.kafka_installation import ROOT, KafkaInstallation
from tests.integration.processes import is_settled
from tests.servers.kafka import KafkaCluster

PARTITIONS: Final = 6
SETTLED_WITHIN: Final = 120.0
_LOOK_EVERY: Final = 0.1
_START_AGAIN_AFTER: Final = 0.5
RECEIVER: Final = "serve"


class CaredFor(KafkaInstallation):
    """Say what should run; `ended` counts the processes that ended without being killed, by what they were."""

    def __init__(self, folder: Path, cluster: KafkaCluster, redis_url: str) -> None:
        super().__init__(
            folder, cluster, redis_url, TEXT,
            STREAMGAUGE_SOURCES__GITHUB__SECRET=SECRET, STREAMGAUGE_LOG__PARTITIONS=str(PARTITIONS),
            STREAMGAUGE_DEAD_LETTERS__KEEP="100000",
        )  # fmt: skip
        self.wanted: set[str] = set()
        self.ended: Counter[str] = Counter()
        self._killed: set[int] = set()
        self._paused: set[str] = set()

    async def care(self) -> None:
        """Start what should run and doesn't, until cancelled."""
        while True:
            for role in sorted(self.wanted):
                process = self._processes.get(role)
                if process is None or process.returncode is not None:
                    await self._again(role, process)
            await asyncio.sleep(_LOOK_EVERY)

    async def _again(self, role: str, before: Process | None) -> None:
        if before is not None:
            if before.pid not in self._killed:
                self.ended[f"{role.partition('-')[0]} with code {before.returncode}"] += 1
                await asyncio.sleep(_START_AGAIN_AFTER)
            del self._processes[role]
        await self._start(role, role.partition("-")[0])

    def kill(self, role: str) -> None:
        """SIGKILL, if it runs; it is started again."""
        self._paused.discard(role)
        process = self._processes.get(role)
        if process is not None and process.returncode is None:
            self._killed.add(process.pid)
            process.kill()

    def leave(self, role: str) -> None:
        """SIGTERM: it finishes what it has in hand, and is not started again."""
        self.wanted.discard(role)
        process = self._processes.get(role)
        if process is not None and process.returncode is None:
            self._killed.add(process.pid)
            process.terminate()

    def join(self, role: str) -> None:
        """It should run from now on."""
        self.wanted.add(role)

    def pause(self, role: str) -> None:
        """SIGSTOP."""
        self._signal(role, signal.SIGSTOP)

    def resume(self, role: str) -> None:
        """SIGCONT."""
        self._signal(role, signal.SIGCONT)

    def _signal(self, role: str, what: signal.Signals) -> None:
        process = self._processes.get(role)
        if process is not None and process.returncode is None:
            process.send_signal(what)

    async def is_up(self) -> None:
        """Return once the receiver says that it is ready."""
        async with asyncio.timeout(SETTLED_WITHIN):
            while not await self._readiness():
                await asyncio.sleep(_LOOK_EVERY)

    async def rests(self) -> None:
        """Return once nothing waits in the spool and nothing in the log is not in the state. Raises TimeoutError."""
        seen = 0
        async with asyncio.timeout(SETTLED_WITHIN):
            while seen < 3:
                seen = seen + 1 if is_settled(await self._readiness()) else 0
                await asyncio.sleep(_LOOK_EVERY)

    async def lag(self) -> float:
        """How long the oldest fact that is not in the state yet has waited, in seconds; 0 while nobody says so."""
        try:
            return max((await self.metric("streamgauge_log_lag_seconds")).values(), default=0.0)
        except httpx.HTTPError:
            return 0.0

    def rebalances(self, worker: str) -> int:
        """How often the group has told this worker which partitions are its own."""
        if not (self.folder / f"{worker}.log").exists():
            return 0
        return self.logged(worker).count(" partitions kept=")

    async def answer(self, path: str, **parameters: object) -> Any:
        """What the API says. Raises LookupError on anything but 200."""
        chosen = httpx.QueryParams({name: str(value) for name, value in parameters.items()})
        found = await self.client.get(path, params=chosen)
        if found.status_code != httpx.codes.OK:
            raise LookupError(f"{path}: {found.status_code} {found.text[:300]}")
        return found.json()

    @contextlib.asynccontextmanager
    async def writer(self) -> AsyncIterator[KafkaLogWriter]:
        """Writes into the log without a receiver."""
        kafka = self.kafka
        producer = Producer(connection_options(kafka), kafka.compression, idempotent=True)
        topics = Topics(kafka.facts_topic, kafka.dead_letters_topic, self.partitions)
        async with KafkaLogWriter(producer, topics, now, AppendBounds()) as found:
            yield found

    async def _start(self, role: str, command: str) -> None:
        """As it does, but it dies with us, however we end."""
        with (self.folder / f"{role}.log").open("ab") as log:
            self._processes[role] = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "service.command_line", command),
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env=os.environ | self.environment,
                start_new_session=True,
                preexec_fn=tied_to_us(signal.SIGKILL),
            )

    async def close(self) -> None:
        """Stop everything, and let go of the client."""
        self.wanted.clear()
        for role, process in list(self._processes.items()):
            if process.returncode is not None:
                del self._processes[role]
        await super().close()
