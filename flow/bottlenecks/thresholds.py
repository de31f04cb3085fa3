"""How much evidence is an alarm: exact for counts that are Poisson given the time that counts, in closed form.

In operational time (expected departures, or expected arrivals) the events of a stage that works as usual are a Poisson
process of rate 1, whatever its rate, its WIP and its limits are: a point process in the time of its own compensator is
one (Watanabe 1964; Brémaud 1981, *Point Processes and Queues*, theorem T16). So one table serves all stages.

The slowdown CUSUM climbs with slope d = 1 − q and falls by a = −ln q at a departure; the overload CUSUM is its mirror,
with slope d = r − 1 down and a = ln r up at an arrival. Both are reflected at 0. With the scale function W of the
process that drifts up by d and jumps down by a at rate ρ, `d W'(x) = ρ (W(x) − W(x − a))`, `W(0) = 1/d`, the mean time
to a first alarm at h is (Avram, Kyprianou & Pistorius 2004, Annals of Applied Probability 14):

    slowdown: ∫₀ʰ W(y) dy            overload: W(h)² / W'(h) − ∫₀ʰ W(y) dy

ρ is 1 only where the baseline is known exactly. After n events the true rate is ρ times the learned one, with ρ drawn
from a Gamma distribution of mean 1 and shape n: the threshold is the one whose chance of a false alarm, averaged over
ρ, is the one that was asked for. Few events in the baseline so ask for more evidence by themselves.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from functools import lru_cache
from math import exp, expm1, log
from typing import Final

HIGHEST: Final = 30.0
"""No threshold is higher: where even that is not enough, no threshold is."""

_STEPS_A_JUMP: Final = 12
_RATES: Final = tuple(0.3 + 0.025 * number for number in range(61))
"""Values of ρ that are averaged over: 0.3 to 1.8."""


@lru_cache(maxsize=512)
def mean_times_to_alarm(factor: float, rate: float) -> tuple[float, Sequence[float]]:
    """The mean operational time to an alarm, by threshold: the step between thresholds, and the times from 0 on.

    `factor` is q (< 1: departures at q times their usual rate are looked for) or r (> 1: arrivals at r times it).
    `rate` is ρ.
    """
    slope, jump = abs(1 - factor), abs(log(factor))
    step = jump / _STEPS_A_JUMP
    pace = rate * step / slope
    grow = exp(pace)
    # The integral of exp(pace · (1 − x)) times what is linear between the two ends, over a step.
    from_last = (grow - 1 - pace) / pace
    from_first = grow - 1 - from_last
    scale, area, times = [1 / slope], 0.0, [0.0]
    while (len(scale) - 1) * step < HIGHEST and times[-1] < 1e12:
        number = len(scale)
        lost = 0.0
        if number > _STEPS_A_JUMP:
            first, last = scale[number - 1 - _STEPS_A_JUMP], scale[number - _STEPS_A_JUMP]
            lost = first * from_first + last * from_last
        scale.append(scale[-1] * grow - lost)
        area += (scale[-1] + scale[-2]) / 2 * step
        if factor < 1:
            times.append(area)
        else:
            before = scale[number - _STEPS_A_JUMP] if number >= _STEPS_A_JUMP else 0.0
            steepness = rate / slope * (scale[-1] - before)
            times.append(max(times[-1], scale[-1] ** 2 / steepness - area))
    return step, times


def mean_time_to_alarm(factor: float, rate: float, threshold: float) -> float:
    """As `mean_times_to_alarm`, at one threshold."""
    step, times = mean_times_to_alarm(factor, rate)
    place = threshold / step
    number = int(place)
    if number + 1 >= len(times):
        return times[-1]
    return times[number] + (times[number + 1] - times[number]) * (place - number)


def chance_of_alarm(factor: float, threshold: float, learned: float, horizon: float) -> float:
    """The chance of a false alarm within `horizon` expected events, after a baseline of `learned` events."""
    total = chance = 0.0
    for rate in _RATES:
        weight = exp(min(learned, 2000.0) * (log(rate) + 1 - rate)) / rate
        if weight > 1e-9:
            total += weight
            chance -= weight * expm1(-horizon / max(mean_time_to_alarm(factor, rate, threshold), 1e-9))
    return chance / total


@lru_cache(maxsize=4096)
def threshold_for(factor: float, learned: float, horizon: float, chance: float) -> float:
    """The lowest threshold whose chance of a false alarm within the horizon is at most `chance`; HIGHEST at most."""
    grid = [number * HIGHEST / 1024 for number in range(1025)]
    found = bisect_left(grid, -chance, key=lambda h: -chance_of_alarm(factor, h, learned, horizon))
    return grid[min(found, 1024)]
