"""Cells of event time, and which of them make up a window.

Measures are counted in whole cells: minutes, hours and days of UTC, each kept for a while. A window is half open and
made of whole cells: it ends where the cell that holds `at` ends (at `at` itself when that is a cell's edge) and starts
its own length before. Which cells its edges follow depends on its length (to 24h minutes, to 31d hours, beyond days)
and on which are still kept. Inside a window coarser cells stand for the finer ones that they contain: the sums are
the same, and a reader fetches dozens of rows instead of thousands.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from flow.instants import DAY, HOUR, MINUTE


class Grain(IntEnum):
    """The length of a cell, finest first."""

    MINUTE = 0
    HOUR = 1
    DAY = 2

    @property
    def length(self) -> int:
        """In milliseconds."""
        return LENGTHS[self]


LENGTHS: Final = (MINUTE, HOUR, DAY)

_GRAIN_SHIFT: Final = 40
_INDEX_MASK: Final = (1 << _GRAIN_SHIFT) - 1

CLOCK_SLACK: Final = 2 * HOUR
"""Rows are kept this much longer than they are read, so that clocks of writers and readers may differ."""


def cell_at(grain: Grain, at: int) -> int:
    """The number of the cell of this grain that holds the instant; cells of all grains are numbered apart."""
    return grain << _GRAIN_SHIFT | at // LENGTHS[grain]


def grain_of(cell: int) -> Grain:
    """The grain of a cell."""
    return Grain(cell >> _GRAIN_SHIFT)


def start_of(cell: int) -> int:
    """The first instant of a cell."""
    return (cell & _INDEX_MASK) * LENGTHS[cell >> _GRAIN_SHIFT]


def parent_of(cell: int) -> int | None:
    """The next coarser cell that contains it; None of a day."""
    grain = (cell >> _GRAIN_SHIFT) + 1
    return None if grain == len(LENGTHS) else grain << _GRAIN_SHIFT | start_of(cell) // LENGTHS[grain]


def containing(cell: int) -> Iterator[int]:
    """The cell itself and the coarser cells that contain it."""
    found: int | None = cell
    while found is not None:
        yield found
        found = parent_of(found)


@dataclass(frozen=True, slots=True)
class Retention:
    """How long cells are kept, by grain, in milliseconds."""

    minutes: int = 26 * HOUR
    hours: int = 35 * DAY
    days: int = 731 * DAY

    def of(self, grain: Grain) -> int:
        """In milliseconds."""
        return (self.minutes, self.hours, self.days)[grain]

    def floor(self, grain: Grain, now: int) -> int:
        """The earliest instant whose cell of this grain is still written at `now`."""
        return now - self.of(grain) - CLOCK_SLACK


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open span of event time, start ≤ instant < end, whose edges are edges of cells of `grain`."""

    start: int
    end: int
    grain: Grain


def window_ending(at: int, length: int, now: int, retention: Retention) -> Window:
    """The window of this length at this instant, on the finest cells that its length asks for and that are kept."""
    wanted = Grain.MINUTE if length <= DAY else Grain.HOUR if length <= 31 * DAY else Grain.DAY
    for grain in range(wanted, Grain.DAY):
        window = _aligned(at, length, Grain(grain))
        if window.start >= now - retention.of(window.grain):
            return window
    return _aligned(at, length, Grain.DAY)


def _aligned(at: int, length: int, grain: Grain) -> Window:
    size = LENGTHS[grain]
    end = -(-at // size) * size
    start = end - -(-length // size) * size
    return Window(start, end, grain)


def cells_of(window: Window) -> list[int]:
    """The fewest cells that cover the window exactly, in no particular order."""
    found: list[int] = []
    _cover(window.start, window.end, Grain.DAY, window.grain, found)
    return found


def _cover(start: int, end: int, grain: int, finest: int, found: list[int]) -> None:
    size = LENGTHS[grain]
    inner_start, inner_end = -(-start // size) * size, end // size * size
    if inner_start >= inner_end:
        if grain > finest:
            _cover(start, end, grain - 1, finest, found)
        return
    found.extend(grain << _GRAIN_SHIFT | index for index in range(inner_start // size, inner_end // size))
    if grain > finest:
        _cover(start, inner_start, grain - 1, finest, found)
        _cover(inner_end, end, grain - 1, finest, found)
