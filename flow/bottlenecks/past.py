"""Whether the days that were gone through still are as they were: late facts change them, an import changes many.

Compared is what was counted of each day (UTC), by its first instant (ms): arrivals and departures of all stages that
are watched, together. A fact that changes only the hour of something within its day is not noticed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

OUTDATED: Final = 0.1
"""By so much the days that were learned from may change before they are learned from anew."""

STILL: Final = 0.01
"""While history grows by more from look to look it is still coming in."""

Days = Mapping[int, int]


def earliest_change(before: Days, after: Days, since: int) -> int | None:
    """The first day from `since` (ms) on of which something else is counted now; None where nothing changed."""
    return min((day for day, old, new in _pairs(before, after, since) if old != new), default=None)


def changed_share(before: Days, after: Days, since: int, until: int) -> float:
    """By how much the days between two instants (ms) changed, as a share of what is counted in them now.

    >>> changed_share({0: 10, 1: 50}, {0: 10, 1: 40}, since=0, until=2)
    0.2
    """
    pairs = [(old, new) for day, old, new in _pairs(before, after, since) if day < until]
    return sum(abs(new - old) for old, new in pairs) / max(1, sum(new for _, new in pairs))


def _pairs(before: Days, after: Days, since: int) -> Iterator[tuple[int, int, int]]:
    for day in before.keys() | after.keys():
        if day >= since:
            yield day, before.get(day, 0), after.get(day, 0)
