"""Which of the stages in alarm is named."""

from __future__ import annotations

import pytest

from flow.bottlenecks.walk import Constraint, Standing, constraint


def stage(
    raised: str = "", *, at: int = 5, wip: int = 2, limit: int | None = None, overload: float = 0.0, load: float = 0.5
) -> Standing:
    return Standing(raised, at, overload, wip, limit, load)


FREE, SLOW = stage(), stage("slowdown")
FULL = stage(wip=4, limit=4)


@pytest.mark.parametrize(
    ("stages", "found"),
    [
        ([], None),
        ([FREE, FREE], None),
        ([FREE, SLOW, FREE], 1),
        ([SLOW, FREE, SLOW], 2),
        ([SLOW, FULL, FREE], 1),
        ([SLOW, FULL, FULL], 2),
        ([SLOW, FREE, FULL], 0),
        ([SLOW, stage(wip=3, limit=4)], 0),
        ([FREE, SLOW], 1),
        ([stage("slowdown", at=3), stage("overload", at=9, load=0.9)], 0),
        ([stage("overload", at=3, load=0.9), stage("slowdown", at=9)], 0),
        ([stage(load=0.9), stage("overload", load=0.6), stage(load=0.8)], 2),
        ([stage(overload=0.5, load=0.9), stage("overload", load=0.6), stage(load=0.8)], 0),
        ([stage("overload", load=0.7), stage(load=0.7)], 0),
    ],
)  # fmt: skip
def test_the_most_downstream_is_named_unless_the_next_is_full(stages: list[Standing], found: int | None) -> None:
    answer = constraint(stages)
    assert (None if answer is None else answer.stage) == found


def test_the_alarm_that_the_verdict_rests_on_is_told_apart_from_the_stage_that_it_names() -> None:
    held = constraint([SLOW, FULL, FULL])
    surge = constraint([stage("overload"), stage(load=0.9)])
    assert held == Constraint(stage=2, alarm=0)
    assert surge == Constraint(stage=1, alarm=0)
