"""What steps add up to: measures in cells of event time, and what only counters count."""

from __future__ import annotations

from typing import Final

from flow.cells import Grain, Retention, cell_at
from flow.instants import DAY, HOUR, MINUTE
from flow.vector import COUNTERS_OF_STAGES, SLOT, TYPE_SLOT, Vector

CODE_MASK: Final = SLOT - 1
FIRST_TYPE_KEY: Final = TYPE_SLOT * SLOT


class Tally:
    """What some steps add: measures by cell, and what only counters count.

    `cells` maps the finest cell still kept (`flow.cells`) to its vector; `observed` holds what no cell does.
    """

    __slots__ = ("_hour_floor", "_minute_floor", "cells", "observed")

    def __init__(self, now: int, retention: Retention) -> None:
        self.cells: dict[int, Vector] = {}
        self.observed: Vector = {}
        self._minute_floor = retention.floor(Grain.MINUTE, now)
        self._hour_floor = retention.floor(Grain.HOUR, now)

    def number_at(self, at: int) -> int:
        """The number of the finest kept cell that holds the instant."""
        if at >= self._minute_floor:
            return at // MINUTE
        if at >= self._hour_floor:
            return cell_at(Grain.HOUR, at - at % HOUR)
        return cell_at(Grain.DAY, at - at % DAY)

    def cell(self, at: int) -> Vector:
        """The vector of that cell."""
        number = self.number_at(at)
        found = self.cells.get(number)
        if found is None:
            found = self.cells[number] = {}
        return found

    def counters(self) -> Vector:
        """What all counters gain by these steps."""
        gained = dict(self.observed)
        for cell in self.cells.values():
            for key, count in cell.items():
                if key & CODE_MASK in COUNTERS_OF_STAGES and key < FIRST_TYPE_KEY:
                    gained[key] = gained.get(key, 0) + count
        return gained
