"""What is usual: the service rate by WIP, its capacity, and how irregular the stage is."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest

from flow.bottlenecks.baseline import Baseline, Blocks, Counted, learn, level
from flow.bottlenecks.history import Hour

HOURS = 28 * 24


def simulated(
    people: int, rate: float, arrivals: float, seed: int, hours: int = 40 * HOURS
) -> list[tuple[float, Hour]]:
    """A stage with so many people, each done with an item `rate` times a day; in steps of a minute."""
    random, wip, found = Random(seed), 0, []
    for _ in range(hours):
        came = left = 0
        for _ in range(60):
            if random.random() < arrivals / 1440:
                wip, came = wip + 1, came + 1
            if random.random() < rate * min(wip, people) / 1440:
                wip, left = wip - 1, left + 1
        found.append((1 / 24, Hour(came, left, wip)))
    return found


@pytest.mark.parametrize(("people", "rate"), [(1, 14.0), (3, 5.0)])
def test_rate_and_capacity_of_a_stage_are_found(people: int, rate: float) -> None:
    baseline = learn(simulated(people, rate, 10.0, seed=3, hours=3 * HOURS))
    for wip in range(1, 7):
        assert baseline.service_rates[min(wip, len(baseline.service_rates) - 1)] == pytest.approx(
            rate * min(wip, people), rel=0.12
        )
    assert baseline.arrival_rate == pytest.approx(10, rel=0.06)
    assert baseline.leaving.dispersion() < 1.4
    assert baseline.arriving.dispersion() < 1.4


def test_more_wip_than_was_seen_makes_a_stage_no_faster() -> None:
    baseline = learn(simulated(4, 4.0, 4.0, seed=5, hours=HOURS))
    known = len(baseline.service_rates) - 1
    assert known < 10
    assert baseline.expected(1.0, Hour(0, 0, 500)) == baseline.expected(1.0, Hour(0, 0, known)) == baseline.most_a_day


def test_service_rates_never_fall_with_wip() -> None:
    rates = learn(simulated(2, 7.0, 9.0, seed=9, hours=HOURS)).service_rates
    assert rates[0] == 0
    assert all(one <= two + 1e-12 for one, two in pairwise(rates))


def test_over_its_own_baseline_as_many_are_expected_as_left() -> None:
    hours = simulated(3, 5.0, 10.0, seed=13, hours=2 * HOURS)
    baseline = learn(hours)
    expected = sum(baseline.expected(days, hour) for days, hour in hours)
    assert expected == pytest.approx(sum(hour.departures for _, hour in hours), rel=0.03)


def test_what_comes_in_batches_is_known_to_be_irregular() -> None:
    blocks = Blocks()
    for number in range(400):
        blocks.note(1.0, 5.0 if number % 5 == 0 and number % 3 else 0.0)
    assert blocks.dispersion() > 1.5
    even = Blocks()
    for _ in range(400):
        even.note(1.0, 1.0)
    assert even.dispersion() == 1.0


def test_what_stops_for_long_is_irregular_even_if_it_is_even_in_between() -> None:
    """Ten blocks of twenty in a row as expected, then one in which nothing comes, and one in which all does."""
    blocks = Blocks()
    for _ in range(20):
        for seen in (*[1.0] * 160, *[0.0] * 20, *[2.0] * 20):
            blocks.note(1.0, seen)
    short, long = (scale.dispersion() for scale in blocks.scales)
    assert long > 1.5 > short


def test_a_little_irregularity_over_few_blocks_is_chance() -> None:
    few, many = Blocks(), Blocks()
    for number in range(4000):
        seen = 1.0 + (0.75 if number // 4 % 2 else -0.75)
        many.note(1.0, seen)
        if number < 24:
            few.note(1.0, seen)
    assert 1 < few.dispersion() < many.dispersion()


def test_the_other_stages_blocks_are_asked_the_more_the_fewer_there_are_of_its_own() -> None:
    def lived(blocks: Blocks, times: int, *, even: bool) -> Blocks:
        for number in range(times):
            blocks.note(1.0, 1.0 if even else 4.0 * (number % 8 < 2))
        return blocks

    uneven = [lived(Blocks(), 2000, even=False)]
    new, old = lived(Blocks(), 40, even=True), lived(Blocks(), 20_000, even=True)
    assert new.dispersion() == old.dispersion() == 1.0
    assert new.dispersion(uneven) > 2
    assert old.dispersion(uneven) < 1.2
    assert new.dispersion([*uneven, old, old]) == 1.0, "one of three is unlike the others"


def test_counts_add_up_however_they_are_cut() -> None:
    hours = simulated(2, 7.0, 10.0, seed=17, hours=400)
    whole, first, second = Counted(), Counted(), Counted()
    for number, (days, hour) in enumerate(hours):
        whole.note(days, hour)
        (first if number < 150 else second).note(days, hour)
    first.add(second)
    assert (first.arrivals, first.departures) == (whole.arrivals, whole.departures)
    assert first.days == pytest.approx(whole.days)
    assert first.exposure == pytest.approx(whole.exposure)
    assert first.met == pytest.approx(whole.met)


def test_what_faded_counts_less_and_changes_no_rate() -> None:
    baseline = learn(simulated(2, 7.0, 10.0, seed=19, hours=HOURS))
    rate, events = baseline.most_a_day, baseline.counted.departures
    baseline.counted.add(Counted(), weight=0.25)
    baseline.estimate()
    assert baseline.most_a_day == pytest.approx(rate, rel=0.1)
    assert baseline.counted.departures == events / 4


@pytest.mark.parametrize("hours", [[], [(1 / 24, Hour(0, 0, 0))] * 50, [(0.0, Hour(1, 1, 3))] * 3])
def test_of_nothing_nothing_is_expected(hours: list[tuple[float, Hour]]) -> None:
    baseline = learn(hours)
    assert baseline.expected(1.0, Hour(0, 0, 5)) == 0
    assert isinstance(baseline, Baseline)


def test_the_number_of_levels_of_wip_has_a_bound() -> None:
    assert len({level(wip) for wip in range(100_000)}) < 130
