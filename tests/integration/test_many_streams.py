"""A worker with many streams: round trips don't grow with them, and its memory is bounded over all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline

from consumers.log import Batch
from consumers.measurements import Measurements
from consumers.partition import Partition, Work
from consumers.stream_state import Bounds
from flow.definitions import Condition, Definitions, Match, Stage, Stream
from flow.facts import ItemFact, encode_facts
from flow.keys import StateKeys

pytestmark = pytest.mark.needs_server("valkey")

NOW = 4_000_000_000_000  # what the server would let expire by its own clock must be far ahead
STREAMS = 40
STAGES = (
    Stage("develop", "active", (Condition(status="Develop"),)),
    Stage("done", "done", (Condition(status="Done"),)),
)
NAMES = [f"s{number}" for number in range(STREAMS)]
DEFINITIONS = Definitions({name: Stream(name, STAGES, Match(project=(name,))) for name in NAMES})


def a_worker(redis: Redis, items_in_memory: int = 1000) -> Work:
    bounds = Bounds(items_in_memory=items_in_memory, cells_in_memory=1000)
    return Work(redis, DEFINITIONS, bounds, 1000, lambda: NOW, Measurements(NOW))


def facts_of(streams: Sequence[str], items: range, status: str = "Develop") -> list[ItemFact]:
    return [
        ItemFact(f"{name}-{number}-{status}", "acme", f"{name}-{number}", NOW, status=status, project=name)
        for number in items
        for name in streams
    ]


def batch_of(facts: Sequence[ItemFact], after: int, partition: int = 0) -> Batch:
    lines = encode_facts(facts).rstrip(b"\n")
    return Batch(partition, lines, range(after + 1, after + 1 + len(facts)), NOW)


async def take(partition: Partition, facts: Sequence[ItemFact]) -> None:
    found = await partition.prepare(batch_of(facts, partition.position, partition.number))
    await partition.commit(await partition.fold(found))


@pytest.fixture
def pipelines(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many commands each pipeline held that was sent."""
    sent: list[int] = []
    execute = Pipeline.execute

    async def counted(self: Pipeline, raise_on_error: bool = True) -> list[Any]:
        sent.append(len(self))
        return await execute(self, raise_on_error)

    monkeypatch.setattr(Pipeline, "execute", counted)
    return sent


async def test_a_batch_is_read_in_two_round_trips_however_many_streams_it_touches(
    redis: Redis, pipelines: list[int]
) -> None:
    partition = Partition(0, a_worker(redis))
    await partition.load()
    pipelines.clear()
    await take(partition, facts_of(NAMES, range(2)))
    assert pipelines == [STREAMS, 3 * STREAMS]  # items; a minute, an hour and a day
    pipelines.clear()
    await take(partition, facts_of(NAMES, range(2), "Done"))
    assert pipelines == []
    for name in NAMES:
        assert await redis.zcard(StateKeys(name, "1").stage("done")) == 2


async def test_a_partition_begins_and_looks_for_what_expires_in_a_few_round_trips(
    redis: Redis, pipelines: list[int]
) -> None:
    await Partition(0, a_worker(redis)).load()
    pipelines.clear()
    partition = Partition(0, a_worker(redis))
    await partition.load()
    await partition.expiry_commits(lambda _: True)
    assert len(pipelines) <= 5


async def test_cells_that_one_partition_did_not_touch_first_expire_as_well(redis: Redis) -> None:
    work = a_worker(redis)
    for number in range(2):
        partition = Partition(number, work)
        await partition.load()
        for status in ("Develop", "Done"):
            await take(partition, facts_of(NAMES[:1], range(number, number + 1), status))
    cells = [key async for key in redis.scan_iter(match="sg:v1:{s0}:1:cells:*")]
    assert len(cells) == 3
    assert all([await redis.pexpiretime(key) > NOW for key in cells])


async def test_positions_of_idle_streams_move_up_some_at_a_time_the_furthest_behind_first(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumers.partition._MOST_MOVED", 10)
    partition = Partition(0, a_worker(redis))
    await partition.load()
    await take(partition, facts_of(NAMES[:30], range(1)))
    await take(partition, facts_of(NAMES[39:], range(1)))
    moved: list[str] = []
    for _ in range(6):
        commits = partition.idle_commits()
        await partition.commit(commits)
        moved += [commit.stream for commit in commits if commit.stream in NAMES]
    assert set(moved[:9]) == set(NAMES[30:39])
    assert set(moved) == set(NAMES[:39])
    again = Partition(0, a_worker(redis))
    await again.load()
    assert again.position == partition.position


async def test_streams_that_are_told_of_one_after_the_other_share_the_room(redis: Redis) -> None:
    partition = Partition(0, a_worker(redis, items_in_memory=100))
    await partition.load()
    for name in NAMES:
        for start in range(0, 100, 50):
            await take(partition, facts_of([name], range(start, start + 50)))
            partition.shrink()
    partition.rest()
    partition.rest()
    partition.shrink()
    assert held(partition) <= 100


async def test_what_two_batches_in_hand_need_is_never_let_go(redis: Redis) -> None:
    partition = Partition(0, a_worker(redis, items_in_memory=100))
    await partition.load()
    await take(partition, facts_of(NAMES[:1], range(150)))
    following = await partition.prepare(batch_of(facts_of(NAMES[1:2], range(150)), partition.position))
    partition.shrink()
    assert held(partition) == 300
    await partition.commit(await partition.fold(following))
    assert await redis.hlen(StateKeys(NAMES[1], "1").timelines) == 150


async def test_a_partition_that_rests_makes_room_for_the_others(redis: Redis) -> None:
    work = a_worker(redis, items_in_memory=100)
    partitions = [Partition(number, work) for number in range(4)]
    for partition in partitions:
        await partition.load()
        await take(partition, facts_of(NAMES[:1], range(100 * partition.number, 100 * partition.number + 90)))
        partition.rest()
        partition.rest()
    for _ in range(2):
        for partition in partitions:
            partition.shrink()
    assert sum(map(held, partitions)) <= 100


def held(partition: Partition) -> int:
    return sum(state.held[0] for state in partition._states.values())
