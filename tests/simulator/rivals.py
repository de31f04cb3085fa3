"""Detectors that teams use, as scores a day: the higher, the more alarming. Each learns from the days before the onset.

At the end of every day after the onset the score of the stream is that of its most alarming stage.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import mean

from flow.bottlenecks.history import StreamHour
from tests.simulator.recording import MONDAY
from tests.simulator.streams import ONSET, Case

_RECENT = 14
_TREND = 20


@dataclass(frozen=True, slots=True)
class Days:
    """One stage by day: WIP at the end of each working day, arrivals and departures in it; `people` who work there."""

    wip: list[int]
    arrivals: list[int]
    departures: list[int]
    people: int


@dataclass(frozen=True, slots=True)
class Rival:
    """A detector: a function from the days of a stage, and the number of days to learn from, to scores after those."""

    name: str
    score: Callable[[Days, int], list[float]]

    def scores(self, case: Case, hours: Sequence[StreamHour]) -> list[float]:
        """The stream's score of each day after the onset."""
        by_stage = [self.score(days, int(ONSET)) for days in by_day(case, hours)]
        return [max(scores) for scores in zip(*by_stage, strict=True)]


def by_day(case: Case, hours: Sequence[StreamHour]) -> list[Days]:
    """The stages of a run, by working day."""
    found = [Days([], [], [], station.people) for station in case.scenario.stations]
    day = None
    for hour in hours:
        this = (hour.start - MONDAY) // 86_400_000
        if this % 7 >= case.week.days:
            continue
        for days, stage in zip(found, hour.stages, strict=True):
            if this != day:
                days.wip.append(0)
                days.arrivals.append(0)
                days.departures.append(0)
            days.wip[-1] = stage.wip
            days.arrivals[-1] += stage.arrivals
            days.departures[-1] += stage.departures
        day = this
    return found


def xmr(days: Days, learned: int) -> list[float]:
    """Process behaviour chart: WIP above its mean, in units of the mean moving range / 1.128."""
    known = days.wip[:learned]
    middle = mean(known)
    sigma = max(mean(abs(one - two) for one, two in pairwise(known)) / 1.128, 0.1)
    return [(wip - middle) / sigma for wip in days.wip[learned:]]


def percentile(days: Days, learned: int) -> list[float]:
    """WIP over its 95th percentile."""
    known = sorted(days.wip[:learned])
    level = max(1, known[round(0.95 * (len(known) - 1))])
    return [wip / level for wip in days.wip[learned:]]


def arrivals_over_departures(days: Days, learned: int) -> list[float]:
    """Arrivals of the last two weeks over departures."""
    return [
        (sum(days.arrivals[end - _RECENT : end]) + 1) / (sum(days.departures[end - _RECENT : end]) + 1)
        for end in range(learned + 1, len(days.wip) + 1)
    ]


def mann_kendall(days: Days, learned: int) -> list[float]:
    """Trend of WIP over the last 20 days: Kendall's S."""
    found = []
    for end in range(learned + 1, len(days.wip) + 1):
        last = days.wip[end - _TREND : end]
        found.append(
            float(sum((two > one) - (two < one) for place, one in enumerate(last) for two in last[place + 1 :]))
        )
    return found


def static_limit(days: Days, learned: int) -> list[float]:
    """A WIP limit of so many items a person."""
    return [wip / days.people for wip in days.wip[learned:]]


RIVALS = (
    Rival("XmR chart of WIP", xmr),
    Rival("WIP over its 95th percentile", percentile),
    Rival("arrivals over departures, 14 days", arrivals_over_departures),
    Rival("Mann-Kendall trend of WIP, 20 days", mann_kendall),
    Rival("static WIP limit", static_limit),
)
