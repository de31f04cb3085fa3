"""Pace percentiles: out of the stories of finished items."""

from __future__ import annotations

from flow.cells import Retention
from flow.definitions import Condition, Stage, Stream
from flow.facts import ItemFact
from flow.fold import Fold, Item
from flow.instants import DAY
from flow.pace import ages_at_departure, pace, passed
from flow.timeline import Timeline
from tests.briefs import fold_in

STREAM = Stream(
    "s",
    tuple(
        Stage(name, kind, (Condition(status=name),))  # type: ignore[arg-type]
        for name, kind in (("todo", "queue"), ("build", "active"), ("test", "active"), ("done", "done"))
    ),
)


def timeline(*moves: tuple[int, str]) -> Timeline:
    fold = Fold(STREAM, Retention())
    items: dict[str, Item] = {}
    fold_in(fold, items, [ItemFact(f"{at}", "acme", "A-1", at * DAY, status=status) for at, status in moves])
    return items["A-1"].timeline


def test_ages_are_those_since_the_commitment_at_the_last_departure():
    straight = timeline((0, "todo"), (5, "build"), (7, "test"), (8, "done"))
    sent_back = timeline((1, "build"), (2, "test"), (4, "build"), (10, "test"), (12, "done"))
    assert ages_at_departure(STREAM, [straight, sent_back]) == {1: [2 * DAY, 9 * DAY], 2: [3 * DAY, 11 * DAY]}


def test_a_stage_that_was_passed_over_or_left_before_the_commitment_counts_nothing():
    assert ages_at_departure(STREAM, [timeline((0, "todo"), (3, "test"), (4, "done"))]) == {2: [DAY]}
    assert ages_at_departure(STREAM, [timeline((0, "todo"), (3, "done"))]) == {}


def test_what_is_not_done_counts_nothing():
    reopened = timeline((0, "build"), (3, "done"), (4, "build"))
    assert ages_at_departure(STREAM, [reopened, timeline((0, "build"))]) == {}


def test_percentiles_are_by_nearest_rank():
    ages = [day * DAY for day in range(1, 21)]
    assert pace(ages) == {name: days * DAY / 1000 for name, days in zip(pace(ages), (10, 14, 17, 19), strict=True)}
    assert pace([]) == dict.fromkeys(("p50", "p70", "p85", "p95"))


def test_an_age_has_passed_a_percentile_only_when_it_is_over_it():
    ages = [day * DAY for day in range(1, 21)]
    found = [passed(ages, day) for day in (10 * DAY, 10 * DAY + 1, 15 * DAY, 18 * DAY, 20 * DAY)]
    assert found == [None, "p50", "p70", "p85", "p95"]
    assert passed([], 5) is None
