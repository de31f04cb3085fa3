"""What a detector would have been told of a simulation: hour by hour, on the calendar that its people keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from typing import Final

from flow.bottlenecks.history import Hour, StreamHour
from flow.instants import DAY, HOUR
from tests.simulator.simulation import Move

MONDAY: Final = 1_767_571_200_000 + 0 * DAY
"""2026-01-05, 00:00 UTC, a Monday: day 0 of every simulation."""


@dataclass(frozen=True, slots=True)
class Week:
    """When people work: so many days from Monday, so many hours from `opens` (UTC). Day d is their d-th."""

    days: int = 7
    opens: int = 0
    hours: int = 24

    def instant(self, day: float) -> int:
        """The instant of a working day, in ms."""
        whole = int(day // 1)
        weeks, weekday = divmod(whole, self.days)
        return MONDAY + (weeks * 7 + weekday) * DAY + self.opens * HOUR + round((day - whole) * self.hours * HOUR)


ALL_DAY: Final = Week()
OFFICE: Final = Week(5, 8, 9)


def record(moves: Sequence[Move], stations: int, week: Week, first_day: float, last_day: float) -> list[StreamHour]:
    """Every hour of the calendar between two working days, for all stages."""
    start = week.instant(first_day) // HOUR * HOUR
    count = (week.instant(last_day) - start) // HOUR
    arrivals, departures = ([[0] * count for _ in range(stations)] for _ in range(2))
    logs, squares = ([[0.0] * count for _ in range(stations)] for _ in range(2))
    wips, arrived = [0] * stations, [dict[int, int]() for _ in range(stations)]
    for move in moves:
        at = week.instant(move.day)
        place = (at - start) // HOUR
        if place >= count:
            break
        if move.left >= 0:
            visit = log(max(1, at - arrived[move.left].pop(move.item)))
            if place < 0:
                wips[move.left] -= 1
            else:
                departures[move.left][place] += 1
                logs[move.left][place] += visit
                squares[move.left][place] += visit * visit
        if move.reached < stations:
            arrived[move.reached][move.item] = at
            if place < 0:
                wips[move.reached] += 1
            else:
                arrivals[move.reached][place] += 1
    found = []
    for place in range(count):
        stages = []
        for stage in range(stations):
            came, left = arrivals[stage][place], departures[stage][place]
            wips[stage] += came - left
            stages.append(Hour(came, left, wips[stage], logs[stage][place], squares[stage][place]))
        found.append(StreamHour(start + place * HOUR, start + (place + 1) * HOUR, stages))
    return found
