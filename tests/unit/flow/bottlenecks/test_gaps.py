"""Long times without a departure: how much less they tell, and that nothing is lost by it."""

from __future__ import annotations

from random import Random

import pytest

from flow.bottlenecks.gaps import LONG, Gaps

STEP = 0.1


def lived(gaps_between: list[float], *, usual: bool = True) -> tuple[Gaps, float]:
    """Departures after gaps of so much that was expected, in small steps; and what counted in all."""
    gaps, counted = Gaps(), 0.0
    for length in gaps_between:
        steps = max(1, round(length / STEP))
        for number in range(1, steps + 1):
            counted += STEP * gaps.pace
            gaps.note(STEP, 1 if number == steps else 0, usual=usual)
    return gaps, counted


def even(random: Random) -> float:
    return random.expovariate(1.0)


def uneven(random: Random) -> float:
    """Variation 1.5 and mean 1."""
    return random.lognormvariate(-0.589, 1.086)


def in_a_long_gap(gaps: Gaps) -> float:
    gaps.note(2 * LONG, 0, usual=False)
    return gaps.pace


@pytest.mark.parametrize(("length", "least", "most"), [(even, 0.85, 1.0), (uneven, 0.2, 0.5)])
def test_a_long_gap_counts_as_much_as_such_gaps_told_before(length, least: float, most: float) -> None:
    random = Random(5)
    gaps, _ = lived([length(random) for _ in range(2000)])
    assert least <= in_a_long_gap(gaps) <= most


def test_of_few_departures_little_is_learned() -> None:
    gaps, _ = lived([0.5] * 20 + [2 * LONG])
    assert in_a_long_gap(gaps) > 0.6


def test_what_long_gaps_count_less_all_other_time_counts_more() -> None:
    random = Random(7)
    lengths = [uneven(random) for _ in range(4000)]
    learned, _ = lived(lengths)
    counted = expected = 0.0
    for length in lengths:
        for _ in range(max(1, round(length / STEP))):
            counted += STEP * learned.pace
            expected += STEP
            learned.note(STEP, 0, usual=False)
        learned.since = 0.0
    assert counted == pytest.approx(expected, rel=0.02)


def test_of_time_that_is_not_usual_nothing_is_learned() -> None:
    gaps, counted = lived([0.5, 50.0, 50.0], usual=False)
    assert gaps == Gaps()
    assert counted == pytest.approx(100.5)


def test_a_gap_ends_with_a_departure() -> None:
    gaps = Gaps(apart=100.0, within=20.0, ended=2.0)
    assert gaps.pace > 1
    assert in_a_long_gap(gaps) < 1
    gaps.note(1.0, 1, usual=True)
    assert gaps.pace > 1
