"""When the simulated organisation works: at full pace around the hour at which its story begins, else hardly. Pure."""

from __future__ import annotations

from typing import Final

from flow.instants import DAY, HOUR

BUSY_BEFORE: Final = 2 * HOUR
BUSY: Final = 6 * HOUR
"""Of each day, and how much of it lies before the hour at which the story begins: somebody looks at it then."""

QUIET_PACE: Final = 0.1


class Rhythm:
    """The days of a story that begins at `start`. Instants and durations in milliseconds."""

    def __init__(self, start: int) -> None:
        self._morning = start - start % HOUR - BUSY_BEFORE

    def after(self, at: int, work: float) -> int:
        """The instant at which so much time at full pace has passed since `at`: at least one later."""
        end = float(at)
        while True:
            since = (end - self._morning) % DAY
            pace, room = (1.0, BUSY - since) if since < BUSY else (QUIET_PACE, DAY - since)
            if work <= room * pace:
                return max(at + 1, round(end + work / pace))
            work -= room * pace
            end += room
