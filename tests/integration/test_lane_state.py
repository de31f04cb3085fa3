"""What is stored of deliveries: only the rows that a fact touches are written, and everything has a bound."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

import consumers.lane_state
import flow.deployed_service
from consumers.commit import Committer
from consumers.lane_state import LaneState
from consumers.measurements import Measurements
from consumers.partition import Partition, Work
from consumers.stream_state import Bounds
from flow import vector
from flow.deployed_service import DeployedService
from flow.errors import Reason
from flow.facts import ChangeFact, DeploymentFact, IncidentFact, LaneFact
from flow.instants import DAY
from flow.keys import DELIVERIES, StateKeys
from flow.lanes import SUCCEEDED, lane_name
from tests.integration.monitored import Monitored, delivery_facts
from tests.property.strategies import BASE, arrivals, deliveries

pytestmark = pytest.mark.needs_server("valkey")

KEYS = StateKeys(DELIVERIES, "1")


async def opened(redis: Redis) -> LaneState:
    await redis.set(KEYS.pointer, "1")
    state = LaneState(redis, KEYS, 0, Bounds())
    await state.load()
    return state


async def apply(state: LaneState, facts: Sequence[LaneFact], redis: Redis, now: int = BASE) -> list[Reason]:
    commit, refused = await state.apply(list(zip(facts, count())), (state.position or 0) + len(facts), now)
    await Committer(redis).execute([commit])
    return [each.reason for each in refused]


def deployed(number: int, at: int, environment: str = "live") -> DeploymentFact:
    return DeploymentFact(f"d{number}", "forge", "shop", environment, f"d-{number}", at, "succeeded")


async def rows_of(redis: Redis, key: str) -> dict[str, bytes]:
    stored: Any = await redis.hgetall(key)
    return {name.decode(): row for name, row in stored.items()}


async def totals_of(redis: Redis) -> dict[str, vector.Vector]:
    return {name: vector.unpack(row) for name, row in (await rows_of(redis, KEYS.totals)).items()}


@given(st.data(), st.lists(st.integers(1, 24), max_size=6))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
async def test_any_batching_of_the_same_sequence_gives_the_same_counters(redis_url: str, data, cuts: list[int]) -> None:
    arriving = data.draw(arrivals(data.draw(deliveries())))
    async with Redis.from_url(redis_url) as redis:
        found = []
        for edges in (range(len(arriving)), sorted({0, *cuts})):
            await redis.flushall()
            state = await opened(redis)
            for start, end in zip(edges, [*list(edges)[1:], len(arriving)], strict=True):
                if batch := arriving[start:end]:
                    await apply(state, batch, redis)
                    state = await opened(redis)
            found.append(await totals_of(redis))
        assert found[0] == found[1]


async def test_resolutions_in_one_batch_or_in_several_count_the_same(redis: Redis) -> None:
    facts: list[LaneFact] = [
        DeploymentFact("1", "forge", "shop", "live", "d1", BASE, "succeeded"),
        IncidentFact("2", "pager", "shop", "live", "P-1", BASE, "opened", deployment="d1"),
        IncidentFact("3", "pager", "shop", "live", "P-1", BASE + 5000, "resolved"),
        IncidentFact("4", "pager", "shop", "live", "P-1", BASE + 90_000, "resolved"),
    ]
    found = []
    for size in (1, 2, 4):
        await redis.flushall()
        state = await opened(redis)
        for start in range(0, len(facts), size):
            await apply(state, facts[start : start + size], redis)
        found.append(await totals_of(redis))
    assert found[0] == found[1] == found[2]


async def test_a_fact_writes_its_own_row_and_not_its_whole_service(redis: Redis) -> None:
    state = await opened(redis)
    await apply(state, [deployed(number, BASE + number) for number in range(1000)], redis)
    commit, _ = await state.apply([(deployed(1000, BASE + 1000), 0)], 2000, BASE)
    rows = [argument for argument in commit.arguments if isinstance(argument, bytes)]
    assert sum(map(len, rows)) < 1500
    assert await redis.hlen(KEYS.service("shop")) == 1000


async def test_a_full_service_lets_go_of_its_oldest_facts_and_goes_on(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (consumers.lane_state, flow.deployed_service):
        monkeypatch.setattr(module, "MAX_FACTS", 100)
    state = await opened(redis)
    facts = [deployed(0, BASE, "review-app"), *[deployed(number, BASE + number) for number in range(1, 1000)]]
    for start in range(0, 1000, 90):
        assert await apply(state, facts[start : start + 90], redis) == []
    assert await redis.hlen(KEYS.service("shop")) <= 101
    totals = await totals_of(redis)
    assert totals == {lane_name("shop", "live"): {SUCCEEDED: 999}}, "the lane that nothing is kept of is gone"
    assert await apply(state, [deployed(1, BASE + 1)], redis) == [Reason.TIMELINE_FULL]
    again = await opened(redis)
    assert await apply(again, [deployed(5, BASE + 5), deployed(999, BASE + 999)], redis) == [Reason.TIMELINE_FULL]
    assert await totals_of(redis) == totals


async def test_a_service_that_nothing_was_written_of_for_long_expires_with_its_lanes(redis: Redis) -> None:
    state = await opened(redis)
    await apply(state, [deployed(1, BASE), ChangeFact("c", "forge", "shop", "7", BASE, "opened")], redis)
    late = BASE + Bounds().finished_items
    await apply(state, [DeploymentFact("x", "forge", "till", "live", "x", BASE, "succeeded")], redis, late)
    assert await state.services_to_expire(late - 1, 10) == []
    assert await state.services_to_expire(late, 10) == ["shop"]
    await Committer(redis).execute([await state.expire(["shop"], state.position or 0)])
    assert await redis.exists(KEYS.service("shop")) == 0
    assert set(await totals_of(redis)) == {lane_name("till", "live")}
    assert await redis.zrange(KEYS.finished, 0, -1) == [b"till"]
    await apply(state, [deployed(2, BASE + DAY)], redis, late)
    stored = DeployedService.load(await rows_of(redis, KEYS.service("shop")))
    assert [fact.id for fact in stored.facts()] == ["d2"]


async def test_a_partition_expires_the_services_that_it_owns(redis: Redis) -> None:
    world = Monitored(redis)
    await world.post(*delivery_facts())
    world.now += Bounds().finished_items
    work = Work(redis, world.definitions, Bounds(), 1000, lambda: world.now, Measurements(world.now))
    partition = Partition(0, work)
    await partition.load()
    await partition.commit(await partition.expiry_commits(lambda service: service == "mail"))
    assert await world.reader().lane_names() == [lane_name("shop", "production")]
    await partition.commit(await partition.expiry_commits(lambda service: False))
    assert await world.reader().lane_names() == [lane_name("shop", "production")]
