"""When will so many items be done, and how many by a date: Monte Carlo over the days of the stream's own history. Pure.

Each trial draws future days from past ones, with replacement, days on which nothing was finished included, and adds up
what they finished (D. Vacanti, When Will It Be Done?, 2018; T. Magennis, Forecasting and Simulating Software
Development Projects, 2011). "p85" is
what 85% of the trials keep: the latest of their dates, or the smallest of their counts.

With a calendar, open days are drawn from open days and closed ones from closed ones: both count as what they are. Days
are those of UTC; the first day of a trial is tomorrow, so what today still brings is not counted.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from math import ceil
from typing import Final

from flow.bottlenecks.business_time import BusinessCalendar
from flow.instants import DAY

CHANCES: Final = {"p50": 0.5, "p85": 0.85, "p95": 0.95}
ASSUMPTION: Final = "Valid while the future resembles the past."
HORIZON: Final = 366
"""Days. What trials don't finish within them has no date."""

FEW_DAYS: Final = 20
FEW_ITEMS: Final = 20
"""Below so many days of history, or finished items in it, a forecast is said to stand on little."""

SLICE: Final = 2_000
"""Days that are drawn between two pauses: half a millisecond or so."""

Pause = Callable[[], object]


def without_pause() -> None:
    """For those who compute alone."""


@dataclass(frozen=True)
class History:
    """Items finished on each past day, on open days and on closed ones."""

    open_days: tuple[int, ...]
    closed_days: tuple[int, ...] = ()

    @property
    def items(self) -> int:
        """All that was finished."""
        return sum(self.open_days) + sum(self.closed_days)


def is_open(calendar: BusinessCalendar | None, day: int) -> bool:
    """Whether the day of UTC that starts at this instant (ms) has at least half the hours of a working day."""
    if calendar is None:
        return True
    return calendar.open_time(day, day + DAY) * 2 >= calendar.open_a_day


def history_of(finished: Sequence[int], first_day: int, calendar: BusinessCalendar | None) -> History:
    """Sort past days, the first of which starts at `first_day` (ms), by whether they were open.

    A corrected day never counts less than nothing: what was finished on it and reopened is not finished.
    """
    days = [(max(0, count), is_open(calendar, first_day + place * DAY)) for place, count in enumerate(finished)]
    return History(tuple(count for count, open_ in days if open_), tuple(count for count, open_ in days if not open_))


def open_days_ahead(calendar: BusinessCalendar | None, first_day: int, days: int) -> tuple[bool, ...]:
    """Of each of the next days, the first of which starts at `first_day` (ms), whether it is open."""
    return tuple(is_open(calendar, first_day + place * DAY) for place in range(days))


@lru_cache(maxsize=256)
def days_until(
    history: History, ahead: tuple[bool, ...], items: int, trials: int, seed: int, *, pause: Pause = without_pause
) -> dict[str, int | None]:
    """In how many days so many items are finished, by chance. None: beyond the days ahead.

    It takes up to a second; `pause` is called every millisecond or so.

    >>> days_until(History((1, 1, 1)), (True,) * 10, 4, 100, 1)
    {'p50': 4, 'p85': 4, 'p95': 4}
    >>> days_until(History((1,), (0,)), (True, False, False, True, True), 3, 100, 1)["p85"]
    5
    """
    if items <= 0:
        return dict.fromkeys(CHANCES, 0)
    trial = _Trial(history, ahead, seed, pause)
    beyond = len(ahead) + 1
    found = sorted(trial.days_until(items, beyond) for _ in range(trials))
    days = {name: found[ceil(chance * trials) - 1] for name, chance in CHANCES.items()}
    return {name: None if needed == beyond else needed for name, needed in days.items()}


@lru_cache(maxsize=256)
def items_within(
    history: History, ahead: tuple[bool, ...], trials: int, seed: int, *, pause: Pause = without_pause
) -> dict[str, int]:
    """How many items are finished in the days ahead, at least, by chance. `pause` as of `days_until`.

    >>> items_within(History((0, 2)), (True,) * 1000, 200, 1)["p85"] < 1000
    True
    """
    trial = _Trial(history, ahead, seed, pause)
    found = sorted((trial.items() for _ in range(trials)), reverse=True)
    return {name: found[ceil(chance * trials) - 1] for name, chance in CHANCES.items()}


class _Trial:
    """Draws days. Closed days without any work in the history are left out of the drawing: they add nothing."""

    def __init__(self, history: History, ahead: Sequence[bool], seed: int, pause: Pause) -> None:
        self._pause = pause
        self._drawn = 0
        self._choices = random.Random(seed).choices
        self._open = history.open_days or (0,)
        self._closed = history.closed_days if any(history.closed_days) else ()
        self._ahead = ahead
        self._days = [day for day, open_ in enumerate(ahead, start=1) if open_ or self._closed]
        self._mean = max(history.items / (len(history.open_days) + len(history.closed_days)), 1e-9)

    def days_until(self, items: int, beyond: int) -> int:
        """The first day on which that many are finished. Most trials need little more than one bite of days."""
        bite, start, done = ceil(1.2 * items / self._mean) + 8, 0, 0
        while start < len(self._days):
            drawn = list(accumulate(self._draw(start, min(bite, len(self._days) - start)), initial=done))
            if drawn[-1] >= items:
                return self._days[start + bisect_left(drawn, items) - 1]
            start, done = start + len(drawn) - 1, drawn[-1]
        return beyond

    def items(self) -> int:
        """What all days together finish."""
        return sum(self._draw(0, len(self._days)))

    def _draw(self, start: int, count: int) -> list[int]:
        self._drawn += count
        if self._drawn >= SLICE:
            self._drawn = 0
            self._pause()
        if not self._closed:
            return self._choices(self._open, k=count)
        flags = self._ahead[start : start + count]
        open_days = flags.count(True)
        opened = iter(self._choices(self._open, k=open_days))
        closed = iter(self._choices(self._closed, k=len(flags) - open_days))
        return [next(opened) if flag else next(closed) for flag in flags]
