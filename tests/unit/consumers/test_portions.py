"""A batch that was too much for the state is taken again in smaller portions, whole and in its order."""

from __future__ import annotations

import pytest

from consumers.log import Batch
from consumers.portions import QUICK, Portions, parted
from consumers.routing import sort_batch
from flow.definition_file import read_definitions
from flow.facts import ItemFact, encode_facts
from flow.instants import DAY
from flow.matching import Router

NOW = 1_795_340_000_000
BLOCK = 10
STREAMS = """
streams:
  checkout:
    match: {project: CHK}
    stages: [{name: open, kind: active, when: [{status: Open}]}, {name: done, kind: done, when: [{status: Done}]}]
"""
ROUTER = Router(read_definitions(STREAMS))


def batch_of(first: int, last: int) -> Batch:
    """These offsets, in blocks of ten that the log took a second apart."""
    facts = [ItemFact(str(n), "acme", f"CHK-{n}", NOW, status="Done", project="CHK") for n in range(first, last + 1)]
    ends = [*range((first // BLOCK + 1) * BLOCK - 1, last, BLOCK), last]
    received = [(end, NOW + end // BLOCK * 1000) for end in ends]
    return Batch(3, encode_facts(facts).rstrip(), range(first, last + 1), received[-1][1], received)


class Log:
    """Holds so many facts, and gives all that are behind the offset at once."""

    def __init__(self, end: int) -> None:
        self.end = end
        self.asked: list[int] = []

    async def partitions(self):
        return [3]

    async def read(self, partition, after, *, wait=True):
        assert partition == 3
        self.asked.append(after)
        return batch_of(after + 1, self.end) if after < self.end else None


async def sizes(portions: Portions, after: int, count: int, spent: int = 0) -> list[int]:
    """How many facts each of the next batches has; each is committed in so many ms."""
    found = []
    for _ in range(count):
        batch = await portions.read(after, wait=False)
        if batch is None:
            return [*found, 0]
        assert batch.offsets[0] == after + 1
        after = batch.offsets[-1]
        found.append(len(batch.offsets))
        portions.committed(spent)
    return found


async def test_all_that_is_there_is_taken_as_long_as_nothing_fails():
    log = Log(1000)
    assert await sizes(Portions(log, 3), 0, 2) == [1000, 0]
    assert log.asked == [0, 1000]


async def test_after_each_failure_half_is_taken_and_a_quarter_more_after_each_quick_commit():
    log = Log(1000)
    portions = Portions(log, 3)
    for _ in range(3):
        await portions.read(0, wait=False)
        portions.again(less=True)
    assert await sizes(portions, 0, 9) == [125, 157, 197, 247, 274, 0]
    assert log.asked == [0, 0, 0, 0, 1000]


async def test_while_commits_are_slow_no_more_is_taken_than_before():
    portions = Portions(Log(1000), 3)
    await portions.read(0, wait=False)
    portions.again(less=True)
    assert await sizes(portions, 0, 3, spent=QUICK) == [500, 500, 0]


async def test_the_largest_batch_since_the_last_commit_is_halved_for_one_is_prepared_while_another_is_committed():
    log = Log(1000)
    portions = Portions(log, 3)
    await portions.read(0, wait=False)
    log.end = 1001
    await portions.read(1000, wait=False)
    portions.again(less=True)
    assert portions.most == 500


async def test_one_fact_is_taken_at_least():
    portions = Portions(Log(1000), 3)
    for _ in range(20):
        await portions.read(0, wait=False)
        portions.again(less=True)
    assert await sizes(portions, 0, 3) == [1, 2, 3]


@pytest.mark.parametrize("less", [True, False])
async def test_what_was_left_is_not_given_again_after_something_went_wrong(less):
    log = Log(1000)
    portions = Portions(log, 3)
    await portions.read(0, wait=False)
    portions.again(less=True)
    await portions.read(0, wait=False)
    portions.again(less=less)
    batch = await portions.read(700, wait=False)
    assert batch is not None
    assert batch.offsets[0] == 701


async def test_a_failure_with_nothing_in_hand_says_nothing_about_sizes():
    portions = Portions(Log(1000), 3)
    portions.again(less=True)
    assert await sizes(portions, 0, 1) == [1000]


@pytest.mark.parametrize("most", [1, 9, 10, 11, 55, 99])
def test_the_parts_of_a_batch_say_together_what_it_said(most):
    whole = batch_of(1, 100)
    parts = parted(whole, most)
    assert [offset for part in parts for offset in part.offsets] == list(whole.offsets)
    assert b"\n".join(part.lines for part in parts) == whole.lines
    times = [part.received_at_of(offset) for part in parts for offset in part.offsets]
    assert times == [whole.received_at_of(offset) for offset in whole.offsets]
    for part in parts:
        assert part.received_at == part.received_at_of(part.offsets[-1])
        assert part.earliest_received_at() == part.received_at_of(part.offsets[0])


def test_what_is_too_far_ahead_is_decided_the_same_however_a_batch_is_parted():
    """By when the log took each fact: the second half of a batch was taken later than the first."""
    whole = batch_of(1, 40)
    limits = {offset: whole.received_at_of(offset) + DAY for offset in whole.offsets}
    facts = [ItemFact(str(n), "acme", "CHK-1", limit + n % 2, project="CHK") for n, limit in limits.items()]
    whole = Batch(3, encode_facts(facts).rstrip(), whole.offsets, whole.received_at, whole.received)
    late = [letter.offset for letter in sort_batch(whole, ROUTER, {}).letters]
    assert late == list(range(1, 41, 2))
    for most in (1, 15, 39):
        assert [x.offset for part in parted(whole, most) for x in sort_batch(part, ROUTER, {}).letters] == late
