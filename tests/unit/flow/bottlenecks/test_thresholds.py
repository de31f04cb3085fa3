"""Thresholds keep the chance of a false alarm that was asked for: against brute force, and as they must move."""

from __future__ import annotations

from math import exp, log
from random import Random

import pytest

from flow.bottlenecks.thresholds import HIGHEST, chance_of_alarm, mean_time_to_alarm, threshold_for


def time_to_alarm(factor: float, rate: float, threshold: float, random: Random, until: float = 1e9) -> float:
    """One run of a CUSUM over a Poisson process, event by event, without any formula."""
    time = value = 0.0
    while time <= until:
        gap = random.expovariate(rate)
        if factor < 1:
            climb = (1 - factor) * gap
            if value + climb >= threshold:
                return time + (threshold - value) / (1 - factor)
            value = max(0.0, value + climb + log(factor))
        else:
            value = max(0.0, value - (factor - 1) * gap) + log(factor)
        time += gap
        if value >= threshold:
            return time
    return time


@pytest.mark.parametrize("factor", [0.35, 0.65, 1.4, 2.0])
@pytest.mark.parametrize("rate", [0.8, 1.0, 1.2])
def test_the_mean_time_to_an_alarm_is_that_of_a_simulation(factor: float, rate: float) -> None:
    random, runs = Random(7), 600
    found = sum(time_to_alarm(factor, rate, 2.0, random) for _ in range(runs)) / runs
    assert mean_time_to_alarm(factor, rate, 2.0) == pytest.approx(found, rel=0.15)


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_the_first_climb_is_known_by_hand(factor: float) -> None:
    """Up to a first jump: slowdown needs a gap of h/d without an event; overload needs one event when h ≤ ln r."""
    if factor < 1:
        gap = 0.2 / (1 - factor)
        assert mean_time_to_alarm(factor, 1.0, 0.2) == pytest.approx(exp(gap) - 1, rel=0.01)
    else:
        assert mean_time_to_alarm(factor, 1.0, 0.3) == pytest.approx(1.0, rel=0.05)


@pytest.mark.parametrize("factor", [0.35, 0.65, 1.4, 2.0])
def test_a_threshold_keeps_the_chance_that_was_asked_for(factor: float) -> None:
    """Streams whose rate was learned from 80 events: the share that alarms within 200 is 10%, by simulation."""
    random, runs, learned, horizon = Random(11), 1500, 80, 200.0
    threshold = threshold_for(factor, learned, horizon, 0.1)
    alarmed = 0
    for _ in range(runs):
        rate = random.gammavariate(learned, 1 / learned)
        alarmed += time_to_alarm(factor, rate, threshold, random, horizon) <= horizon
    assert alarmed / runs == pytest.approx(0.1, abs=0.03)


@pytest.mark.parametrize("factor", [0.35, 0.65, 1.4, 2.0])
def test_thresholds_move_as_they_must(factor: float) -> None:
    usual = threshold_for(factor, 300, 500, 0.02)
    assert threshold_for(factor, 300, 500, 0.002) > usual
    assert threshold_for(factor, 300, 5000, 0.02) > usual
    assert threshold_for(factor, 60, 500, 0.02) > usual
    assert threshold_for(factor, 3000, 500, 0.02) < usual


def test_chances_fall_with_the_threshold() -> None:
    chances = [chance_of_alarm(0.65, threshold, 200, 400) for threshold in (1, 2, 4, 8, 16)]
    assert chances == sorted(chances, reverse=True)
    assert chances[0] > 0.99


def test_where_too_little_is_known_no_threshold_is_enough() -> None:
    assert threshold_for(0.8, 10, 500, 0.001) == HIGHEST
