"""What a stream refuses is in the dead letters exactly once, whoever folds it and however often."""

from __future__ import annotations

from typing import Any

import pytest
from redis.asyncio import Redis

import flow.timeline
from consumers.log import Batch
from consumers.measurements import Measurements
from consumers.partition import Partition, Work
from consumers.rebuild import Rebuild
from consumers.stream_state import Bounds
from flow import keys
from flow.errors import PositionConflict
from flow.facts import ItemFact, encode_facts
from tests.integration.monitored import NOW, Monitored, on

pytestmark = pytest.mark.needs_server("valkey")


@pytest.fixture(autouse=True)
def _two_facts_fill_an_item(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow.timeline, "MAX_FACTS", 2)


class OnePartition:
    """A log of these facts, some at a time."""

    def __init__(self, facts: list[ItemFact], at_once: int) -> None:
        self.facts, self.at_once = facts, at_once

    async def partitions(self) -> list[int]:
        return [0]

    async def read(self, partition: int, after: int, *, wait: bool = True) -> Batch | None:
        some = self.facts[after : after + self.at_once]
        if not some:
            return None
        return Batch(partition, encode_facts(some).rstrip(b"\n"), range(after + 1, after + 1 + len(some)), NOW)


async def fold(work: Work, log: OnePartition, batches: int, commit: bool = True) -> None:
    """A worker that begins afresh; without `commit` it is gone once it has written a letter, before its batch."""
    partition = Partition(0, work)
    await partition.load()
    for _ in range(batches):
        batch = await log.read(0, partition.position)
        if batch is None:
            return
        commits = await partition.fold(await partition.prepare(batch))
        before = await letters(work.redis)
        await partition.keep_left_out(commits)
        if not commit and await letters(work.redis) != before:
            return
        await partition.commit(commits)


async def letters(redis: Redis) -> list[int]:
    stored: Any = await redis.xrange(keys.LETTERS)
    return [int(fields[b"offset"]) for _, fields in stored]


@pytest.mark.parametrize("cut", [1, 2, 3, 6])
async def test_a_crash_before_the_commit_and_other_batches_write_no_letter_twice(redis: Redis, cut: int) -> None:
    world = Monitored(redis)
    facts = [world.item("CHK-1", on("10 00:00") + number, "To Do") for number in range(6)]
    work = Work(redis, world.definitions, Bounds(), 1000, lambda: NOW, Measurements(NOW))
    await fold(work, OnePartition(facts, 4), 1, commit=False)
    assert await letters(redis) == [3, 4]
    await fold(work, OnePartition(facts, cut), 9, commit=False)
    await fold(work, OnePartition(facts, cut), 9)
    assert await letters(redis) == [3, 4, 5, 6]
    assert await redis.hgetall(keys.LETTER_COUNTS) == {b"acme|timeline_full": b"4"}


async def test_a_rebuild_ahead_of_a_lagging_aggregator_writes_the_letters_that_nobody_will_fold_again(
    redis: Redis,
) -> None:
    world = Monitored(redis)
    facts = [world.item("CHK-1", on("10 00:00") + number, "To Do") for number in range(6)]
    work = Work(redis, world.definitions, Bounds(), 1000, lambda: NOW, Measurements(NOW))
    log = OnePartition(facts, 3)
    await fold(work, log, 1)
    assert await letters(redis) == [3]
    await Rebuild(redis, world.definitions.streams["checkout"], 1, Bounds(), lambda: NOW).from_log(log)
    await fold(work, log, 9)
    assert await letters(redis) == [3, 4, 5, 6]


async def test_a_worker_whose_state_was_rolled_back_writes_no_letter_of_what_it_can_not_commit(redis: Redis) -> None:
    """It would move on the position of the letters, and those that are refused anew before that would be lost."""
    world = Monitored(redis)
    facts = [world.item("CHK-1", on("10 00:00") + number, "To Do") for number in range(6)]
    work = Work(redis, world.definitions, Bounds(), 1000, lambda: NOW, Measurements(NOW))
    log = OnePartition(facts, 3)
    partition = Partition(0, work)
    await partition.load()
    first = await log.read(0, 0)
    assert first is not None
    await partition.commit_batch(await partition.fold(await partition.prepare(first)), first)
    await redis.flushall()
    following = await log.read(0, 3)
    assert following is not None
    commits = await partition.fold(await partition.prepare(following))
    with pytest.raises(PositionConflict):
        await partition.commit_batch(commits, following)
    await fold(work, log, 9)
    assert await letters(redis) == [3, 4, 5, 6]
