"""What is usual for a stage: how fast items leave it at each WIP, how many arrive, how irregular both are.

The service rate is μ(w) = R · min(w, c): with the WIP up to c, beyond it as fast as c. R is the maximum-likelihood rate
for each c, departures over exposure ∫ min(WIP, c) dt (Chen & Zhou 2015, "CUSUM Statistical Monitoring of M/M/1 Queues
and Extensions", Technometrics 57), and μ the mean over the c's by the likelihood of the departures under each.
Time is what counts of it (`business_time`): a day is a working day of the calendar, or 24 hours of the usual rhythm.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import exp, log, sqrt
from statistics import median
from typing import Final

import msgspec

from flow.bottlenecks.gaps import Gaps
from flow.bottlenecks.history import Hour

CAPACITIES: Final = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64, 96, 128, 192, 256)
"""Values of c that are tried."""

HALF_LIFE: Final = 180.0
"""Days after which what was learned counts half."""

BLOCKS: Final = (4.0, 16.0)
"""Expected events of one block; irregularity is judged by blocks."""

_DOUBT: Final = 6.0
"""Squared standard errors at which irregularity counts half; nearly all of it does at twice as many errors."""

_LENT: Final = 60.0
"""At most so many blocks, as those of the stream's other stages are, are added to a stage's own."""

_TELLING: Final = 0.01
"""A larger c is tried only while it makes at least so much of a difference to the exposure."""


class Scale(msgspec.Struct, array_like=True):
    """How far counts lie from what is expected: (seen − expected)² / expected, over blocks of so many expected."""

    length: float
    expected: float = 0.0
    seen: float = 0.0
    blocks: float = 0.0
    total: float = 0.0

    def note(self, expected: float, seen: float) -> None:
        """Some more of both."""
        self.expected += expected
        self.seen += seen
        if self.expected >= self.length:
            self.total += (self.seen - self.expected) ** 2 / self.expected
            self.blocks += 1
            self.expected = self.seen = 0.0

    def dispersion(self, others: Sequence[Scale] = ()) -> float:
        """The mean over blocks, drawn towards 1 the more it may be so by chance.

        Some blocks are added that are as most of the others' are: their median, as one stage may well be unlike all.
        """
        usual = [other.total / other.blocks for other in others if other.blocks]
        lent = min(_LENT, sum(other.blocks for other in others))
        blocks = self.blocks + lent
        total = self.total + (lent * median(usual) if usual else 0.0)
        excess = total / blocks - 1 if blocks else 0.0
        if excess <= 0:
            return 1.0
        surprise = excess**2 * blocks / 2  # in standard errors, squared
        return 1 + excess * surprise**2 / (surprise**2 + _DOUBT**2)


class Blocks(msgspec.Struct, array_like=True):
    """How irregular a stage is, over short spans and over long ones: one item that takes for ever shows in those."""

    scales: list[Scale] = msgspec.field(default_factory=lambda: [Scale(length) for length in BLOCKS])

    def note(self, expected: float, seen: float) -> None:
        """Some more of both."""
        for scale in self.scales:
            scale.note(expected, seen)

    def dispersion(self, others: Sequence[Blocks] = ()) -> float:
        """1 for what comes one by one at random, more for what comes in batches or stops for long; at least 1.

        A stage's own blocks are few at first: those of the stream's other stages are asked too.
        """
        return max(
            scale.dispersion([other.scales[place] for other in others]) for place, scale in enumerate(self.scales)
        )


class Counted(msgspec.Struct, array_like=True):
    """What was counted of a stage over some time: enough for every estimate, and it adds up.

    `exposure` is the time (days that count) at each WIP, `met` the departures by twice the WIP just before
    them; WIP is rounded as `level` does.
    """

    days: float = 0.0
    arrivals: float = 0.0
    departures: float = 0.0
    log_time: float = 0.0
    log_square: float = 0.0
    exposure: dict[int, float] = msgspec.field(default_factory=dict)
    met: dict[int, float] = msgspec.field(default_factory=dict)

    def note(self, days: float, hour: Hour) -> None:
        """One hour more, of which so much (in days) counts. Half of it passes at its first WIP, half at its last."""
        arrivals, departures, after, log_time, log_square = hour
        before = after - arrivals + departures
        self.days += days
        self.arrivals += arrivals
        exposure = self.exposure
        first, last = level(before), level(after)
        exposure[first] = exposure.get(first, 0.0) + days / 2
        exposure[last] = exposure.get(last, 0.0) + days / 2
        if departures:
            self.departures += departures
            self.log_time += log_time
            self.log_square += log_square
            # The mean of both ends is half an item less than what was there just before a departure.
            just_before = max(2, level(before) + level(after) + 1)
            self.met[just_before] = self.met.get(just_before, 0.0) + departures

    def add(self, other: Counted, weight: float = 1.0) -> None:
        """self · weight + other."""
        for name in ("days", "arrivals", "departures", "log_time", "log_square"):
            setattr(self, name, getattr(self, name) * weight + getattr(other, name))
        for own, others in ((self.exposure, other.exposure), (self.met, other.met)):
            for key in own:
                own[key] *= weight
            for key, count in others.items():
                own[key] = own.get(key, 0.0) + count


def level(wip: int) -> int:
    """WIP as it is counted: exactly to 64, then in steps of 16, to 1024.

    >>> level(7), level(100), level(5000), level(-1)
    (7, 96, 1024, 0)
    """
    if wip <= 64:
        return max(wip, 0)
    return min(wip // 16 * 16, 1024)


class Baseline(msgspec.Struct, array_like=True):
    """What is usual for a stage. Rates are per day that counts; `service_rates[w]` is μ(w), the last for all above it.

    Where the figures leave open which c it is, μ is the mean over all that are likely, by their likelihood. More WIP
    than was seen does not make a stage faster than it was ever seen to be.
    """

    counted: Counted
    leaving: Blocks = msgspec.field(default_factory=Blocks)
    arriving: Blocks = msgspec.field(default_factory=Blocks)
    service_rates: list[float] = msgspec.field(default_factory=lambda: [0.0])
    arrival_rate: float = 0.0
    wip: float = 0.0
    wip_deviation: float = 0.0
    gaps: Gaps = msgspec.field(default_factory=Gaps)

    def estimate(self) -> None:
        """Work the estimates out from what was counted."""
        counted = self.counted
        if counted.departures > 0:
            self.service_rates = _service_rates(counted)
        if counted.days > 0:
            self.arrival_rate = counted.arrivals / counted.days
        time = sum(counted.exposure.values())
        if time > 0:
            self.wip = sum(wip * days for wip, days in counted.exposure.items()) / time
            square = sum(wip * wip * days for wip, days in counted.exposure.items()) / time
            self.wip_deviation = sqrt(max(0.0, square - self.wip**2))

    def expected(self, days: float, hour: Hour) -> float:
        """How many would usually have left in this hour, given its WIP."""
        after, rates = hour[2], self.service_rates
        before, last = after - hour[0] + hour[1], len(rates) - 1
        return (rates[max(0, min(before, last))] + rates[max(0, min(after, last))]) / 2 * days

    def caught_up(self, days: float, hour: Hour) -> float:
        """How many were to leave in this hour where there was a backlog; 0 where there was none."""
        before = hour[2] - hour[0] + hour[1]
        return self.expected(days, hour) if before > self.wip + self.wip_deviation else 0.0

    @property
    def most_a_day(self) -> float:
        """How many left in a day when the WIP was as high as it ever was."""
        return self.service_rates[-1]

    def judge(self, days: float, hour: Hour) -> None:
        """Note how irregular departures and arrivals are."""
        self.leaving.note(self.expected(days, hour) * self.gaps.pace, hour.departures)
        self.arriving.note(self.arrival_rate * days, hour.arrivals)


def _service_rates(counted: Counted) -> list[float]:
    """μ(w) for w = 0, 1, … up to the highest WIP that was seen often enough to tell."""
    tried: list[tuple[float, int, float]] = []
    before = 0.0
    for capacity in CAPACITIES:
        exposure = sum(min(wip, capacity) * days for wip, days in counted.exposure.items())
        if exposure <= 0 or (tried and exposure - before < _TELLING * exposure):
            break
        fit = sum(count * log(min(twice / 2, capacity)) for twice, count in counted.met.items())
        tried.append((fit - counted.departures * log(exposure), capacity, counted.departures / exposure))
        before = exposure
    if not tried:
        return [0.0]
    best = max(likelihood for likelihood, _, _ in tried)
    weighted = [(exp(likelihood - best), capacity, rate) for likelihood, capacity, rate in tried]
    total = sum(weight for weight, _, _ in weighted)
    return [
        sum(weight * rate * min(wip, capacity) for weight, capacity, rate in weighted) / total
        for wip in range(tried[-1][1] + 1)
    ]


def learn(hours: Iterable[tuple[float, Hour]]) -> Baseline:
    """The baseline of some hours, each with how much of it counts (days)."""
    known = list(hours)
    baseline = Baseline(Counted())
    for days, hour in known:
        baseline.counted.note(days, hour)
    baseline.estimate()
    for days, hour in known:
        baseline.gaps.note(baseline.expected(days, hour), hour.departures, usual=True)
    baseline.gaps.since = 0.0
    for days, hour in known:
        baseline.judge(days, hour)
        baseline.gaps.note(baseline.expected(days, hour), hour.departures, usual=False)
    return baseline
