"""Over Kafka as over Redis: whatever happens to workers and brokers, what is stored is what the oracle computes."""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any, Final

import pytest
from redis.asyncio import Redis

from flow import keys
from flow.definition_file import read_definitions
from flow.facts import ItemFact
from service.command_line.composition import now
from tests.integration.kafka_installation import PATIENCE, KafkaInstallation
from tests.integration.test_crash import DEFINITIONS, STATUSES, assert_equal_to_oracle, native
from tests.integration.walking_items import WalkingItems
from tests.servers.kafka import KafkaCluster

pytestmark = [pytest.mark.needs_server("valkey"), pytest.mark.needs_server("whole-kafka"), pytest.mark.timeout(180)]

ITEMS: Final = 400
IN_ONE_POST: Final = 100
KEEPS_TWO: Final = r"partitions kept=\[\d, \d\] new=\[\] gone=\[\d, \d\]"
HAS: Final = re.compile(r"partitions kept=\[(.*?)\] new=\[(.*?)\]")
STREAM: Final = read_definitions(DEFINITIONS).streams["checkout"]


@pytest.fixture
async def installation(tmp_path: Path, kafka_cluster: KafkaCluster, redis_url: str) -> AsyncIterator[KafkaInstallation]:
    found = KafkaInstallation(tmp_path, kafka_cluster, redis_url, DEFINITIONS)
    await found.create_topics()
    yield found
    await found.close()


class Load:
    """Posts, until it is told to stop, what items say that walk through the stages; `facts` is what it posted."""

    def __init__(self, installation: KafkaInstallation, seed: int) -> None:
        self._installation = installation
        self._items = WalkingItems(ITEMS, STATUSES, seed, now())
        self._stopping = asyncio.Event()

    @property
    def facts(self) -> list[ItemFact]:
        """All that was posted."""
        return self._items.facts

    async def run(self, pause: float = 0.05) -> None:
        while not self._stopping.is_set():
            await self.post(IN_ONE_POST)
            await asyncio.sleep(pause)

    def stop(self) -> None:
        self._stopping.set()

    async def post(self, count: int) -> None:
        """Post so many facts, and return when they are acknowledged."""
        facts = self._items.tell(count)
        await self._installation.post("/v1/facts", [native(fact) for fact in facts])


async def facts_read(redis: Redis) -> int:
    """How many facts the workers have committed."""
    offsets: list[Any] = [await redis.hget(keys.log_read(number), "aggregator") for number in range(4)]
    return sum(int(offset or 0) for offset in offsets)


async def until_more_is_read(redis: Redis, count: int) -> None:
    """Return once the workers have committed so many facts more."""
    wanted = await facts_read(redis) + count
    async with asyncio.timeout(60):
        while await facts_read(redis) < wanted:
            await asyncio.sleep(0.02)


async def test_what_was_posted_is_in_the_state_and_duplicates_count_once(
    installation: KafkaInstallation, redis: Redis
) -> None:
    await installation.start_worker(1)
    await installation.serve()
    load = Load(installation, 1)
    await load.post(3000)
    await installation.post("/v1/facts", [native(fact) for fact in load.facts[500:1500]])
    await installation.settled()
    assert await facts_read(redis) >= 4000  # a post that was answered 503 may be in the log twice
    await assert_equal_to_oracle(redis, STREAM, load.facts)
    lag = await until_metric(
        installation, "streamgauge_log_lag_facts", lambda values: len(list(values)) == 4 and not any(values)
    )
    assert set(lag) == {f'{{partition="{n}"}}' for n in range(4)}
    lag = await until_metric(
        installation, "streamgauge_log_lag_seconds", lambda values: len(list(values)) == 4 and not any(values)
    )
    assert set(lag) == {f'{{partition="{n}"}}' for n in range(4)}
    assert await installation.stop_worker(1) == 0
    await load.post(10)
    lag = await until_metric(installation, "streamgauge_log_lag_facts", lambda values: sum(values) >= 10)
    assert len(lag) == 4
    await until_metric(installation, "streamgauge_log_lag_seconds", lambda values: max(values) > 0)


async def until_metric(
    installation: KafkaInstallation, name: str, holds: Callable[[Iterable[float]], bool]
) -> dict[str, float]:
    async with asyncio.timeout(60):
        while not holds((found := await installation.metric(name)).values()):
            await asyncio.sleep(0.1)
    return found


async def until_it_has(installation: KafkaInstallation, role: str, count: int) -> None:
    """Return once a worker has so many partitions: the last of what it said of them counts, whatever came before."""
    async with asyncio.timeout(PATIENCE):
        while partitions_of(installation, role) != count:
            await asyncio.sleep(0.05)


def partitions_of(installation: KafkaInstallation, role: str) -> int:
    told = HAS.findall(installation.logged(role))
    return sum(len(re.findall(r"\d+", numbers)) for numbers in told[-1]) if told else 0


async def test_workers_share_the_partitions_and_take_over_from_each_other(
    installation: KafkaInstallation, redis: Redis
) -> None:
    # Nobody is to be taken for dead but the one that is killed: else partitions move that should stay.
    installation.environment["STREAMGAUGE_KAFKA__SESSION_TIMEOUT"] = "10s"
    await installation.start_worker(1)
    await installation.serve()
    load = Load(installation, 2)
    async with asyncio.TaskGroup() as group:
        group.create_task(load.run())
        await until_more_is_read(redis, 500)
        await installation.start_worker(2)
        await until_it_has(installation, "aggregate-2", 2)
        await installation.until_logged("aggregate-1", KEEPS_TWO)
        await until_more_is_read(redis, 500)
        assert await installation.stop_worker(1) == 0
        await until_it_has(installation, "aggregate-2", 4)
        await until_more_is_read(redis, 500)
        await installation.start_worker(3)
        await until_it_has(installation, "aggregate-3", 2)
        await installation.kill_worker(2)
        await until_it_has(installation, "aggregate-3", 4)
        await until_more_is_read(redis, 500)
        load.stop()
    await installation.settled()
    await assert_equal_to_oracle(redis, STREAM, load.facts)
    assert "position_conflict" not in installation.logged("aggregate-1") + installation.logged("aggregate-3")


async def test_a_paused_worker_that_wakes_up_after_its_partitions_moved_does_no_harm(
    installation: KafkaInstallation, redis: Redis
) -> None:
    await installation.start_worker(1)
    await installation.serve()
    load = Load(installation, 3)
    async with asyncio.TaskGroup() as group:
        group.create_task(load.run())
        await until_more_is_read(redis, 500)
        installation.send_signal(1, signal.SIGSTOP)
        await installation.start_worker(2)
        await until_it_has(installation, "aggregate-2", 4)
        await until_more_is_read(redis, 500)
        installation.send_signal(1, signal.SIGCONT)
        await until_it_has(installation, "aggregate-2", 2)
        await until_more_is_read(redis, 500)
        load.stop()
    await installation.settled()
    await assert_equal_to_oracle(redis, STREAM, load.facts)
    assert await installation.stop_worker(1) == 0
    assert await installation.stop_worker(2) == 0
