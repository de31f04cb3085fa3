"""The detector on simulated streams, a few of each family: `make bench-detector` measures many."""

from __future__ import annotations

import pytest

from flow.bottlenecks.stream_watch import Detector
from flow.bottlenecks.verdict import Live, verdicts
from tests.simulator.recording import OFFICE
from tests.simulator.streams import ONSET, definition, leave, ordinary, slowdown
from tests.simulator.watching import case_of, simulated, watch


@pytest.mark.parametrize("week", [{}, {"week": OFFICE}])
def test_a_slowdown_is_seen_at_its_stage_within_weeks(week) -> None:
    family = slowdown(ordinary(10, **week), 0.5)
    for seed in (1, 2, 3):
        case = case_of(family, seed)
        after = [said for said in watch(case, simulated(case, seed, 40.0)).said if said.day > ONSET]
        assert after
        assert after[0].day - ONSET < 25
        assert (after[0].stage, after[0].cause) == (case.stages[0], "slowdown")


def test_at_one_item_in_two_days_it_says_that_it_can_not_know() -> None:
    for seed in (1, 2, 3):
        case = case_of(leave(ordinary(0.5), 60), seed)
        hours = simulated(case, seed, 40.0)
        watched = watch(case, hours)
        assert watched.said == []
        assert watched.watch is not None
        detector = Detector(definition(case))
        found = verdicts(detector, watched.watch, [Live(stage.wip, None) for stage in hours[-1].stages], hours[-1].end)
        assert {verdict.state for verdict in found} == {"insufficient_data"}
