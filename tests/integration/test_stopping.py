"""Told to end while Kafka or Redis hangs or is gone, every process ends within seconds, without a complaint."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.integration.kafka_installation import KafkaInstallation
from tests.integration.test_crash import DEFINITIONS
from tests.servers.kafka import KafkaCluster, running_kafka
from tests.servers.redis_server import Server, run_server

pytestmark = [pytest.mark.needs_server("valkey"), pytest.mark.needs_server("apache-kafka"), pytest.mark.timeout(180)]

WITHIN: Final = 8.0
"""Seconds. Orchestrators wait for ten before they kill."""

HOW: Final = (signal.SIGTERM, signal.SIGINT)
TOPIC: Final = "theirs"
FACT: Final = {"subject": "item", "source": "acme", "project": "CHK", "at": "2026-11-20T09:00:00Z", "status": "To Do"}


@pytest.fixture(scope="module")
def broker() -> Iterator[KafkaCluster]:
    with running_kafka() as found:
        asyncio.run(found.create_topic(TOPIC, 2))
        yield found


@contextlib.asynccontextmanager
async def at_work(folder: Path, broker: KafkaCluster) -> AsyncIterator[tuple[KafkaInstallation, Server]]:
    """A receiver, a worker and a bridge that have something behind them, on a Redis of their own."""
    with run_server(folder / "valkey") as server:
        group = f"{folder.parent.name}-{folder.name}"
        settings = {"STREAMGAUGE_BRIDGE__TOPICS": f"{TOPIC}:facts", "STREAMGAUGE_BRIDGE__GROUP": group}
        found = KafkaInstallation(folder, broker, server.url, DEFINITIONS, **settings)
        try:
            await found.create_topics()
            await found.start_worker(1)
            await found.start_bridge(1)
            await found.serve()
            await found.until_logged("bridge-1", "partitions count=2 ")
            await found.until_logged("aggregate-1", "partitions kept=")
            await post(found, 100)
            await found.settled()
            yield found, server
        finally:
            await found.close()


@pytest.fixture
async def both(tmp_path: Path, broker: KafkaCluster) -> AsyncIterator[list[tuple[KafkaInstallation, Server]]]:
    """An installation for each of the signals."""
    async with contextlib.AsyncExitStack() as stack:
        async with asyncio.TaskGroup() as group:
            started = [
                group.create_task(stack.enter_async_context(at_work(tmp_path / how.name, broker))) for how in HOW
            ]
        yield [each.result() for each in started]


async def post(here: KafkaInstallation, count: int) -> None:
    await here.client.post("/v1/facts", json=[FACT | {"id": f"{n}", "item": f"CHK-{n}"} for n in range(count)])


async def seconds_to_end(here: KafkaInstallation, how: signal.Signals) -> dict[str, float]:
    """How long each process takes; all are told at once."""

    async def end(role: str) -> float:
        began = time.monotonic()
        await here._end(role, how)
        return time.monotonic() - began

    roles = list(here._processes)
    return dict(zip(roles, await asyncio.gather(*map(end, roles)), strict=True))


@pytest.mark.parametrize("trouble", ["nothing", "Kafka hangs", "Kafka is gone", "Redis hangs", "Redis is gone"])
async def test_every_process_ends_within_seconds(
    both: list[tuple[KafkaInstallation, Server]], broker: KafkaCluster, trouble: str
) -> None:
    """One installation is told by SIGTERM, the other by SIGINT."""
    gauges, servers = zip(*both, strict=True)
    troubles = {
        "nothing": [],
        "Kafka hangs": [broker.pause],
        "Kafka is gone": [broker.kill],
        "Redis hangs": [server.pause for server in servers],
        "Redis is gone": [server.kill for server in servers],
    }
    try:
        for begin in troubles[trouble]:
            begin()
        posting = [asyncio.create_task(post(gauge, 50)) for gauge in gauges]  # somebody waits for an answer meanwhile
        await asyncio.sleep(1)
        took = await asyncio.gather(*map(seconds_to_end, gauges, HOW))
        await asyncio.gather(*posting, return_exceptions=True)
    finally:
        if trouble == "Redis hangs":
            for server in servers:
                server.resume()
        if trouble == "Kafka hangs":
            broker.resume()
        if trouble == "Kafka is gone":
            broker.start()
            await broker.ready()
    for gauge, found, how in zip(gauges, took, HOW, strict=True):
        assert set(found) == {"serve", "aggregate-1", "bridge-1"}
        slow = {role: seconds for role, seconds in found.items() if seconds > WITHIN}
        assert not slow, {role: gauge.logged(role)[-1500:] for role in slow} | slow | {"told by": how.name}
        for role in found:
            assert "Traceback" not in gauge.logged(role), gauge.logged(role)[-3000:]
            assert "never retrieved" not in gauge.logged(role)
            assert "destroyed" not in gauge.logged(role)
