"""The detectors that Streamgauge is compared with are what their names say, and get the same share of false alarms."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.benchmarks.detector import NEVER, Run, rival_delays
from tests.simulator.recording import OFFICE
from tests.simulator.rivals import RIVALS, Days, Rival, arrivals_over_departures, by_day, mann_kendall, percentile, xmr
from tests.simulator.streams import WATCHED, ordinary
from tests.simulator.watching import case_of, simulated


def days(wip: list[int]) -> Days:
    return Days(wip, [2] * len(wip), [1] * len(wip), people=2)


def test_an_xmr_chart_counts_in_moving_ranges() -> None:
    """Mean 5, mean moving range 2: sigma is 2 / 1.128."""
    assert xmr(days([4, 6] * 10 + [5, 9]), 20) == pytest.approx([0.0, 4 * 1.128 / 2])


def test_a_percentile_is_of_the_days_before() -> None:
    assert percentile(days([*range(1, 101), 96, 192]), 100) == pytest.approx([1.0, 2.0], rel=0.02)


def test_a_rising_trend_scores_highest_and_a_falling_one_lowest() -> None:
    rising, falling = mann_kendall(days([*range(40)]), 30)[0], mann_kendall(days([*range(40, 0, -1)]), 30)[0]
    assert (rising, falling) == (190, -190)


def test_arrivals_are_compared_with_departures_over_two_weeks() -> None:
    assert arrivals_over_departures(days([1] * 30), 20) == pytest.approx([29 / 15] * 10)


@pytest.mark.parametrize("rival", RIVALS, ids=lambda rival: rival.name)
def test_every_rival_gives_one_score_a_working_day(rival: Rival) -> None:
    case = case_of(ordinary(3, week=OFFICE), 1)
    hours = simulated(case, 1)
    assert len(rival.scores(case, hours)) == pytest.approx(WATCHED, abs=2)
    assert {len(stage.wip) for stage in by_day(case, hours)} == {281}  # the last one has only its night


@pytest.mark.parametrize("cried", [0, 5, 10])
def test_the_threshold_lets_as_many_ordinary_streams_alarm_as_it_is_told(cried: int) -> None:
    case = case_of(ordinary(3), 1)
    runs = [Run(case, None, False, Counter(), 1.0, [[0.0, float(highest)]]) for highest in range(1, 21)]
    delays = rival_delays(0, runs, runs, cried)
    assert sum(delay < NEVER for delay in delays) == cried
    assert {delay for delay in delays if delay < NEVER} <= {2.0}
