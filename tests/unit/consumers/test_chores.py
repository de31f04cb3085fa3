"""When a partition does what is to be done now and then: at once where it has nothing else to do, and else seldom."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from consumers.aggregator import Chores
from flow.instants import SECOND


class Idle:
    """A partition that has a commit of each kind, whenever it is asked."""

    number = 0

    async def expiry_commits(self, owns: object) -> list[str]:
        return ["expiry"]

    def idle_commits(self) -> list[str]:
        return ["idle"]


class Clock:
    """Stands still until it is set."""

    now = 0

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def chores(clock: Clock) -> Chores:
    partition: Any = Idle()
    work: Any = SimpleNamespace(clock=clock)
    return Chores(partition, work, 1)


async def test_without_facts_positions_move_up_every_two_seconds_and_items_expire_every_minute(
    chores: Chores, clock: Clock
) -> None:
    done: dict[int, list[Any]] = {}
    for clock.now in range(0, 61 * SECOND, SECOND):
        if chores.are_due(busy=False):
            done[clock.now // SECOND] = await chores.commits()
            chores.must_look()
    assert list(done) == list(range(0, 61, 2))
    assert [second for second, commits in done.items() if "expiry" in commits] == [0, 60]


async def test_while_there_is_more_to_fold_all_waits_until_it_is_time_to_look(chores: Chores, clock: Clock) -> None:
    done: dict[int, list[Any]] = {}
    for clock.now in range(0, 31 * SECOND, SECOND):
        if chores.are_due(busy=True):
            done[clock.now // SECOND] = await chores.commits()
            assert chores.must_look()
    assert done == {10: ["expiry", "idle"], 20: ["idle"], 30: ["idle"]}


def test_it_looks_every_ten_seconds(chores: Chores, clock: Clock) -> None:
    looked = [clock.now // SECOND for clock.now in range(0, 31 * SECOND, SECOND) if chores.must_look()]
    assert looked == [10, 20, 30]
