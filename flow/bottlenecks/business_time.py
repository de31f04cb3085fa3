"""Which time counts as evidence: a calendar of open hours, or the rhythm that the stream itself shows.

Without either, every night and every weekend looks as if nothing left although it should have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from datetime import time as time_of_day
from functools import lru_cache
from typing import Final

from flow.instants import DAY, HOUR, instant_of

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WHOLE_DAY: Final = 24 * 60

Zones = Callable[[str], tzinfo]
"""Finds the zone of a name of the tz database; raises KeyError, ValueError or OSError where there is none."""

_SLOTS: Final = 7 * 24
_MONDAY: Final = 4 * DAY
"""The epoch was a Thursday: 1970-01-05 was the first Monday."""

_SMOOTHING: Final = 20.0
"""Events of an even rhythm that are mixed into the one that was seen."""


@dataclass(frozen=True, slots=True)
class BusinessCalendar:
    """Open hours of a stream. `days` from 0 (Monday); `spans` in minutes of the local day; holidays as ISO dates.

    On the days when a zone changes its clocks, the spans are those of the local clock.
    """

    days: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6)
    spans: tuple[tuple[int, int], ...] = ((0, WHOLE_DAY),)
    zone: tzinfo = UTC
    holidays: tuple[str, ...] = ()

    def open_time(self, start: int, end: int) -> int:
        """Milliseconds that count between two instants (ms)."""
        total = 0
        for ordinal in range(self._local_day(start), self._local_day(max(start, end - 1)) + 1):
            for opens, closes in _open_spans(self, ordinal):
                total += max(0, min(end, closes) - max(start, opens))
        return total

    def _local_day(self, instant: int) -> int:
        return datetime.fromtimestamp(instant / 1000, self.zone).toordinal()

    @property
    def open_a_day(self) -> float:
        """Milliseconds that an open day has, on days of 24 hours."""
        return sum(closes - opens for opens, closes in self.spans) * 60_000


def only_utc(name: str) -> tzinfo:
    """The zones that are known without reading any file. Raises KeyError for all others."""
    return {"UTC": UTC}[name]


@lru_cache(maxsize=4096)
def _open_spans(calendar: BusinessCalendar, ordinal: int) -> tuple[tuple[int, int], ...]:
    """The open spans of one local day, as instants."""
    day = date.fromordinal(ordinal)
    if day.weekday() not in calendar.days or day.isoformat() in calendar.holidays:
        return ()
    zone = calendar.zone
    spans = [(_instant(day, opens, zone), _instant(day, closes, zone)) for opens, closes in calendar.spans]
    return tuple((opens, closes) for opens, closes in spans if opens < closes)


def _instant(day: date, minute: int, zone: tzinfo) -> int:
    if minute == WHOLE_DAY:
        day, minute = day + timedelta(days=1), 0
    return instant_of(datetime.combine(day, time_of_day(minute // 60, minute % 60), zone).astimezone(UTC))


def slot_of(instant: int) -> int:
    """The hour of the week (UTC) from Monday 00:00, 0 to 167.

    >>> slot_of(1795305600000)  # a Sunday, at midnight
    144
    """
    return (instant - _MONDAY) // HOUR % _SLOTS


def learn_rhythm(events: Iterable[tuple[int, int]]) -> tuple[float, ...]:
    """How much each hour of the week counts, on average 1, from hours (ms) and how much happened in them.

    The weight of an hour is that of its day times that of its hour of the day: 31 figures from a few weeks are learned
    well, 168 are not. Where too little happened the rhythm stays near even.
    """
    days, hours = [0.0] * 7, [0.0] * 24
    seen_days, seen_hours = [0] * 7, [0] * 24
    total = count = 0
    for start, happened in events:
        day, hour = divmod(slot_of(start), 24)
        days[day] += happened
        hours[hour] += happened
        seen_days[day] += 1
        seen_hours[hour] += 1
        total += happened
        count += 1
    if not total:
        return (1.0,) * _SLOTS
    mean = total / count
    by_day = _weights(days, seen_days, mean)
    by_hour = _weights(hours, seen_hours, mean)
    weights = [a * b for a in by_day for b in by_hour]
    scale = _SLOTS / sum(weights)
    return tuple(weight * scale for weight in weights)


def _weights(happened: Sequence[float], seen: Sequence[int], mean: float) -> list[float]:
    share = _SMOOTHING / len(happened)
    return [(found + share) / (mean * hours + share) for found, hours in zip(happened, seen, strict=True)]
