"""The log in a cluster: its partitions lie on several nodes, and one that fails takes only its own with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from consumers.redis_log import RedisLog
from flow import keys
from flow.errors import Unavailable
from flow.facts import ItemFact, decode_facts, partition_of, subject_key
from service.bounds import AppendBounds
from service.log import RedisLogWriter, open_log
from service.redis_client import connect
from tests.servers.valkey_cluster import Cluster

pytestmark = pytest.mark.needs_server("valkey")

PARTITIONS = 6
PATIENCE = 40


def facts_of_each_partition(times: int = 1) -> list[list[ItemFact]]:
    """By partition."""
    found: list[list[ItemFact]] = [[] for _ in range(PARTITIONS)]
    for number in range(1000):
        fact = ItemFact(id=f"evt-{number}", source="acme", item=f"CHK-{number}", at=number)
        mine = found[partition_of(subject_key(fact), PARTITIONS)]
        if len(mine) < times:
            mine.append(fact)
    return found


async def stored(redis: Redis, partition: int) -> list[str]:
    """The ids of the facts of one partition, in order."""
    batch = await RedisLog(redis, [partition], "test", keep_facts=1000).read(partition, 0, wait=False)
    return [] if batch is None else [fact.id for fact in decode_facts(batch.lines)]


@pytest.fixture(name="redis")
async def cluster_client(cluster: Cluster) -> AsyncIterator[Redis]:
    async with aclosing(connect(cluster.url)) as client:
        yield client


@pytest.fixture
async def writer(redis: Redis) -> AsyncIterator[RedisLogWriter]:
    await open_log(redis, PARTITIONS)
    async with RedisLogWriter(redis, PARTITIONS, lambda: 1000, AppendBounds(within=20_000)) as found:
        yield found


async def test_an_append_to_partitions_on_all_nodes_is_one_call(
    cluster: Cluster, redis: Redis, writer: RedisLogWriter
) -> None:
    assert len({cluster.master_of(keys.log_facts(number)).port for number in range(PARTITIONS)}) == 3
    facts = facts_of_each_partition(3)
    await writer.append([fact for each in facts for fact in each])
    assert [await stored(redis, number) for number in range(PARTITIONS)] == [[f.id for f in each] for each in facts]


async def test_an_append_follows_a_partition_that_moved(cluster: Cluster, redis: Redis, writer: RedisLogWriter) -> None:
    first, second = facts_of_each_partition(2)[0]
    await writer.append([first])
    cluster.move_slot(keys.log_facts(0))
    await writer.append([second])
    assert await stored(redis, 0) == [first.id, second.id]


async def test_a_node_that_died_fails_its_own_partitions_alone_until_its_replica_takes_over(
    cluster: Cluster, redis: Redis, writer: RedisLogWriter
) -> None:
    facts = [each[0] for each in facts_of_each_partition()]
    await writer.append(facts)
    dead = cluster.master_of(keys.log_facts(0))
    dead.hand_on()
    elsewhere = [n for n in range(PARTITIONS) if cluster.master_of(keys.log_facts(n)) is not dead]
    dead.kill()
    appends = [writer.append([fact]) for fact in facts]
    outcomes = await asyncio.gather(*appends, return_exceptions=True)
    assert [number for number, outcome in enumerate(outcomes) if outcome is None] == elsewhere
    assert all(isinstance(outcomes[n], Unavailable) for n in range(PARTITIONS) if n not in elsewhere)
    async with asyncio.timeout(PATIENCE):
        while len(await stored_or_nothing(redis)) < 2:
            with suppress(Unavailable):
                await writer.append([facts[0]])
            await asyncio.sleep(0.05)
    assert set(await stored(redis, 0)) == {facts[0].id}


async def stored_or_nothing(redis: Redis) -> list[str]:
    """Of partition 0, while it may be away."""
    with suppress(RedisError):
        return await stored(redis, 0)
    return []
