"""What Redis lost is noticed though nothing new comes; what it did not lose is no reason to read again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from flow import keys
from flow.errors import PositionConflict
from flow.facts import DeploymentFact, ItemFact
from flow.instants import HOUR
from flow.keys import DELIVERIES, StateKeys
from service.command_line.composition import now
from tests.integration.processes import PATIENCE
from tests.integration.several_streams import item_facts
from tests.integration.test_exactness import PARTITIONS, START, World
from tests.integration.two_processes import running

pytestmark = pytest.mark.needs_server("valkey")


@pytest.fixture
async def world(redis_url: str, redis: Redis) -> AsyncIterator[World]:
    """A worker that has read everything there is: some items, and a delivery."""
    found = World(redis_url, 10_000)
    facts = [ItemFact(f"{n}", "acme", f"CHK-{n}", START - n, status="S1", project="CHK") for n in range(1, 9)]
    await found.arrive([*facts, DeploymentFact("d", "forge", "shop", "live", "d1", START, "succeeded")], 10)
    await found.settle(0, afresh=False)
    for hand in found.hands[0]:
        await hand.idle()
    yield found
    await found.redis.aclose()


async def notices(world: World) -> list[int]:
    """The partitions whose follower would read again."""
    found = []
    for hand in world.hands[0]:
        assert hand.partition is not None
        try:
            await hand.partition.check_stored()
        except PositionConflict:
            found.append(hand.number)
    return found


async def test_a_worker_whose_commits_are_all_there_goes_on(world: World) -> None:
    assert await notices(world) == []


async def test_a_redis_that_was_flushed_is_noticed_by_every_partition(world: World, redis: Redis) -> None:
    await redis.flushall()
    assert await notices(world) == list(range(PARTITIONS))


@pytest.mark.parametrize(
    "key",
    [
        StateKeys("checkout", "1").position(1),
        StateKeys("portfolio", "1").position(1),
        StateKeys(DELIVERIES, "1").position(1),
        keys.letters_position(1),
    ],
)
async def test_a_position_that_went_back_is_noticed_by_its_partition(world: World, redis: Redis, key: str) -> None:
    """As after a failover to a replica that lacks the last commits: of one node's streams only."""
    assert int(await redis.get(key) or 0) > 0
    await redis.set(key, 0)
    assert await notices(world) == [1]


async def test_a_lag_that_went_back_without_the_state_is_mended_though_nothing_new_comes(
    redis_url: str, redis: Redis, tmp_path: Path
) -> None:
    """How far the log was read lies on a node of its own: a failover can lose that, and none of the commits."""
    async with running(tmp_path, redis_url) as gauge:
        await gauge.post(item_facts(3, 500, now() - HOUR))
        await gauge.settled()
        end: Any = await redis.get(keys.log_end(0))
        assert int(end) > 1
        await redis.hset(keys.log_read(0), "aggregator", 1)
        async with asyncio.timeout(PATIENCE):
            while await redis.hget(keys.log_read(0), "aggregator") != end:
                await asyncio.sleep(0.05)
        await gauge.settled()
        assert "position_conflict" not in gauge.said("aggregate")
