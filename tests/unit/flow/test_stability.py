"""The conditions of Little's law, on streams that are made to hold or to break each of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flow import vector
from flow.definitions import Stage, Stream
from flow.instants import DAY, HOUR
from flow.stability import Passage, balance_of, stability, stage_passage, stream_passage
from flow.vector import Vector, stage_key, type_key

STAGES = (Stage("backlog", "queue"), Stage("develop", "active"), Stage("review", "active"), Stage("done", "done"))
STREAM = Stream("s", STAGES)


def passage(wip: Sequence[int], left: int, spent: int, removed: int = 0) -> Passage:
    return Passage([place * DAY for place in range(len(wip))], wip, left, removed, spent)


def test_an_even_flow_holds():
    told = stability(passage([5, 5, 5, 5], 15, 15 * DAY))
    assert (told["average_wip"], told["expected_wip"]) == (5, 5)
    assert (told["balance"], told["ages"], told["holds"], told["why"]) == ("balanced", "steady", True, [])


def test_wip_changes_evenly_between_two_edges():
    assert Passage([0, DAY, 4 * DAY], [0, 10, 4], 0, 0, 0).average_wip == (5 * 1 + 7 * 3) / 4


@pytest.mark.parametrize(
    ("wip", "left", "balance"),
    [
        ([10, 25], 5, "more_arrives"), ([10, 19], 6, "balanced"), ([25, 10], 20, "more_leaves"),
        ([10, 14], 0, "balanced"), ([10, 15], 0, "more_arrives"), ([0, 0], 9, "balanced"),
    ],
)  # fmt: skip
def test_arrivals_and_departures_differ_only_beyond_chance(wip, left, balance):
    assert balance_of(passage(wip, left, 0)) == balance


def test_what_stands_still_gets_older():
    told = stability(passage([5, 5, 5], 2, DAY))
    assert (told["ages"], told["holds"]) == ("rising", False)
    assert told["why"] == [
        "what is inside gets older: 5.0 items were inside on average, and what left accounts for 0.5"
    ]


def test_old_work_that_leaves_makes_the_rest_younger():
    assert stability(passage([5, 5, 5], 10, 30 * DAY))["ages"] == "falling"


def test_much_that_is_deleted_breaks_the_law():
    told = stability(passage([5, 5, 5], 10, 10 * DAY, removed=2))
    assert told["why"] == ["2 of the 10 that left were deleted: not all that starts is finished"]
    assert stability(passage([5, 5, 5], 10, 10 * DAY, removed=1))["holds"]


def test_nothing_is_said_of_nothing():
    told = stability(passage([0, 0], 0, 0))
    assert (told["holds"], told["average_wip"], told["balance"], told["why"]) == (None, None, None, [])


def moves(arrivals: int = 0, departures: int = 0, stage: int = 1, spent: int = 0, removed: int = 0) -> Vector:
    codes = (vector.ARRIVALS, vector.DEPARTURES, vector.STAGE_TIME, vector.REMOVED)
    return {
        stage_key(stage, code): count for code, count in zip(codes, (arrivals, departures, spent, removed), strict=True)
    }


def test_the_wip_of_a_stage_is_followed_back_from_its_end():
    found = stage_passage(1, [0, DAY, 2 * DAY], [moves(3, 1, spent=HOUR), moves(0, 2, spent=DAY, removed=1)], 4)
    assert found == Passage([0, DAY, 2 * DAY], [4, 6, 4], 3, 1, DAY + HOUR)
    assert found.arrived == 3


def test_a_stream_begins_at_its_commitment_and_ends_with_what_stays_in_done():
    finished = {type_key(0, vector.CYCLE_TIME): 5 * DAY, type_key(1, vector.CYCLE_TIME): DAY}
    counted = [moves(9, 4, stage=0) | moves(4, 3, stage=1, removed=1) | moves(2, 1, stage=2)]
    counted += [moves(5, 2, stage=3) | finished]
    found = stream_passage(STREAM, [0, DAY, 2 * DAY], counted, [5, 2, 3, None])
    assert found == Passage([0, DAY, 2 * DAY], [3, 5, 5], 4, 1, 6 * DAY)


def test_what_only_comes_back_from_done_is_told_without_a_mistake():
    told = stability(stream_passage(STREAM, [0, DAY], [moves(0, 2, stage=3) | moves(2, 0)], [0, 2, 0, None]))
    assert (told["left"], told["arrived"], told["removed"], told["balance"]) == (-2, 0, 0, "more_arrives")


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 40)), min_size=1, max_size=30))
def test_the_ages_inside_grow_by_what_the_law_is_off(visits):
    """Exact when WIP changes at edges only: (L - expected) x window is the growth of all ages together."""
    edges = [hour * HOUR for hour in range(82)]
    stays = [(start * HOUR, (start + length) * HOUR) for start, length in visits]
    now = 60 * HOUR
    inside_edges = [edge for edge in edges if edge <= now]
    # WIP just after each edge holds until the next: two edges a step keep it a staircase.
    doubled = [edge for edge in inside_edges for _ in (0, 1)][1:]
    level = [sum(start <= edge < end for start, end in stays) for edge in inside_edges]
    stairs = [level[0], *[count for before, after in pairwise(level) for count in (before, after)]]
    gone = [(start, end) for start, end in stays if end <= now]
    area = Passage(doubled, stairs, len(gone), 0, sum(end - start for start, end in gone))
    ages = sum(now - start for start, end in stays if start <= now < end)
    assert area.average_wip * area.length - area.spent == pytest.approx(ages, abs=1)
