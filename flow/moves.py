"""What the steps of items count: at once, or many together, or nothing.

A step is counted where it happens: `StepTally` puts each into the vectors as it comes, which is what a correction
needs. `BatchTally` keeps what many items' steps measured and counts it in the end: a batch has many departures from
one stage in one minute, and their number, sum, bins and buckets come from one sorted list. Both give the same.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from mypy_extensions import mypyc_attr

from flow import vector
from flow.buckets import Edges
from flow.cells import Retention
from flow.histogram import bin_of, bounds_of
from flow.tally import Tally
from flow.vector import SLOT, TYPE_SLOT, Vector


@mypyc_attr(acyclic=True)
class Finish:
    """What an item counted when it was last finished; kept so that it can be taken back. Times in milliseconds."""

    __slots__ = ("active_time", "at", "cycle_time", "item_type", "lead_time", "value")

    def __init__(  # noqa: PLR0917  (one caller; all are told apart by what they are)
        self, at: int, item_type: int, value: int, cycle_time: int, lead_time: int, active_time: int
    ) -> None:
        self.at = at
        self.item_type = item_type
        self.value = value
        self.cycle_time = cycle_time
        self.lead_time = lead_time
        self.active_time = active_time


class StepTally(Tally):
    """Counts each step at once."""

    __slots__ = ("edges",)

    def __init__(self, now: int, retention: Retention, edges: Edges) -> None:
        super().__init__(now, retention)
        self.edges = edges

    def note(self, at: int, stage: int, code: int, count: int) -> None:
        """So much more of what `code` (`flow.vector`) counts of the stage."""
        _count(self.cell(at), stage * SLOT + code, count)

    def arrived(self, stage: int, at: int) -> None:
        """An item arrived in the stage."""
        _count(self.cell(at), stage * SLOT + vector.ARRIVALS, 1)

    def departed(self, stage: int, at: int, spent: int) -> None:
        """An item left the stage, in which it spent so many milliseconds."""
        cell, slot = self.cell(at), stage * SLOT
        _count(cell, slot + vector.DEPARTURES, 1)
        _count(cell, slot + vector.STAGE_TIME, spent)
        _count(cell, slot + vector.STAGE_TIME_BINS + bin_of(spent), 1)
        _count(self.observed, slot + vector.BUCKETS + bisect_left(self.edges.stages[stage], spent), 1)

    def finished(self, finish: Finish) -> None:
        """An item arrived in `done`."""
        self.count_finish(finish, 1)
        observed, slot = self.observed, (TYPE_SLOT + finish.item_type) * SLOT
        _count(observed, slot + vector.COMPLETIONS, 1)
        _count(observed, slot + vector.VALUE_TOTAL, max(0, finish.value))
        _count(observed, slot + vector.CYCLE_TIME_TOTAL, finish.cycle_time)
        _count(observed, slot + vector.LEAD_TIME_TOTAL, finish.lead_time)
        _count(observed, slot + vector.BUCKETS + bisect_left(self.edges.cycle_time, finish.cycle_time), 1)
        _count(observed, slot + vector.LEAD_TIME_BUCKETS + bisect_left(self.edges.lead_time, finish.lead_time), 1)

    def count_finish(self, finish: Finish, sign: int) -> None:
        """Count what windows know of a finish, or with sign -1 take it back."""
        cell, slot = self.cell(finish.at), (TYPE_SLOT + finish.item_type) * SLOT
        _count(cell, slot + vector.FINISHED, sign)
        _count(cell, slot + vector.VALUE, sign * finish.value)
        _count(cell, slot + vector.CYCLE_TIME, sign * finish.cycle_time)
        _count(cell, slot + vector.LEAD_TIME, sign * finish.lead_time)
        _count(cell, slot + vector.ACTIVE_TIME, sign * finish.active_time)
        _count(cell, slot + vector.CYCLE_TIME_BINS + bin_of(finish.cycle_time), sign)
        _count(cell, slot + vector.LEAD_TIME_BINS + bin_of(finish.lead_time), sign)


class NoTally(StepTally):
    """Counts nothing: for a walk that only has to lead to where its item stands."""

    def __init__(self, edges: Edges) -> None:
        super().__init__(0, Retention(), edges)

    def note(self, at: int, stage: int, code: int, count: int) -> None:
        """Nothing."""

    def arrived(self, stage: int, at: int) -> None:
        """Nothing."""

    def departed(self, stage: int, at: int, spent: int) -> None:
        """Nothing."""

    def finished(self, finish: Finish) -> None:
        """Nothing."""

    def count_finish(self, finish: Finish, sign: int) -> None:
        """Nothing."""


class _Finished:
    """What items of one type measured that finished in one cell."""

    __slots__ = ("active_time", "cycle_times", "lead_times", "positive_value", "value")

    def __init__(self) -> None:
        self.cycle_times: list[int] = []
        self.lead_times: list[int] = []
        self.active_time = 0
        self.value = 0
        self.positive_value = 0


class _Moves:
    """What happened in one cell: arrivals and the times of those who left, by stage; what finished, by item type."""

    __slots__ = ("arrivals", "finished", "stage_times")

    def __init__(self, stages: int) -> None:
        self.arrivals = [0] * stages
        self.stage_times: list[list[int]] = [[] for _ in range(stages)]
        self.finished: dict[int, _Finished] = {}


class BatchTally(StepTally):
    """Counts the steps of a batch together, when `settle` is called."""

    __slots__ = ("_latest", "_latest_at", "_moves")

    def __init__(self, now: int, retention: Retention, edges: Edges) -> None:
        super().__init__(now, retention, edges)
        self._moves: dict[int, _Moves] = {}
        self._latest_at = -1
        self._latest: _Moves | None = None

    def arrived(self, stage: int, at: int) -> None:
        """An item arrived in the stage."""
        self._at(at).arrivals[stage] += 1

    def departed(self, stage: int, at: int, spent: int) -> None:
        """An item left the stage, in which it spent so many milliseconds."""
        self._at(at).stage_times[stage].append(spent)

    def finished(self, finish: Finish) -> None:
        """An item arrived in `done`."""
        moves, value = self._at(finish.at), finish.value
        found = moves.finished.get(finish.item_type)
        if found is None:
            found = moves.finished[finish.item_type] = _Finished()
        found.cycle_times.append(finish.cycle_time)
        found.lead_times.append(finish.lead_time)
        found.active_time += finish.active_time
        found.value += value
        found.positive_value += max(0, value)

    def settle(self) -> None:
        """Count all that happened. Call it once, before `cells` or `observed` are read."""
        edges = self.edges
        stage_times: list[list[int]] = [[] for _ in edges.stages]
        for number, moves in self._moves.items():
            cell = self.cells.setdefault(number, {})
            for stage, count in enumerate(moves.arrivals):
                if count:
                    _count(cell, stage * SLOT + vector.ARRIVALS, count)
            for stage, times in enumerate(moves.stage_times):
                if times:
                    times.sort()
                    _count_stage_times(cell, stage * SLOT, times)
                    stage_times[stage] += times
            for item_type, finished in moves.finished.items():
                self._count_finished(cell, (TYPE_SLOT + item_type) * SLOT, finished)
        for stage, times in enumerate(stage_times):
            if times:
                times.sort()
                _count_buckets(self.observed, stage * SLOT + vector.BUCKETS, edges.stages[stage], times)

    def _at(self, at: int) -> _Moves:
        if self._latest is not None and at == self._latest_at:  # who departs arrives
            return self._latest
        number = self.number_at(at)
        found = self._moves.get(number)
        if found is None:
            found = self._moves[number] = _Moves(len(self.edges.stages))
        self._latest_at, self._latest = at, found
        return found

    def _count_finished(self, cell: Vector, slot: int, finished: _Finished) -> None:
        count, cycle_times, lead_times = len(finished.cycle_times), finished.cycle_times, finished.lead_times
        cycle_times.sort()
        lead_times.sort()
        cycle_time, lead_time = sum(cycle_times), sum(lead_times)
        _count(cell, slot + vector.FINISHED, count)
        _count(cell, slot + vector.VALUE, finished.value)
        _count(cell, slot + vector.CYCLE_TIME, cycle_time)
        _count(cell, slot + vector.LEAD_TIME, lead_time)
        _count(cell, slot + vector.ACTIVE_TIME, finished.active_time)
        _count_bins(cell, slot + vector.CYCLE_TIME_BINS, cycle_times)
        _count_bins(cell, slot + vector.LEAD_TIME_BINS, lead_times)
        observed = self.observed
        _count(observed, slot + vector.COMPLETIONS, count)
        _count(observed, slot + vector.VALUE_TOTAL, finished.positive_value)
        _count(observed, slot + vector.CYCLE_TIME_TOTAL, cycle_time)
        _count(observed, slot + vector.LEAD_TIME_TOTAL, lead_time)
        _count_buckets(observed, slot + vector.BUCKETS, self.edges.cycle_time, cycle_times)
        _count_buckets(observed, slot + vector.LEAD_TIME_BUCKETS, self.edges.lead_time, lead_times)


def _count_stage_times(cell: Vector, slot: int, times: list[int]) -> None:
    """Of sorted times."""
    _count(cell, slot + vector.DEPARTURES, len(times))
    _count(cell, slot + vector.STAGE_TIME, sum(times))
    _count_bins(cell, slot + vector.STAGE_TIME_BINS, times)


def _count_bins(cell: Vector, first: int, times: list[int]) -> None:
    """How many of these sorted times are in each bin."""
    index, end, before = 0, 0, 0
    for place, spent in enumerate(times):
        if spent >= end:
            if place:
                _count(cell, first + index, place - before)
            index, before = bin_of(spent), place
            end = bounds_of(index)[1]
    _count(cell, first + index, len(times) - before)


def _count_buckets(observed: Vector, first: int, edges: list[int], times: list[int]) -> None:
    """How many of these sorted times are in each bucket: above the edge before, and not above its own."""
    below = 0
    for index, edge in enumerate(edges):
        upto = bisect_right(times, edge, below)
        if upto > below:
            _count(observed, first + index, upto - below)
            below = upto
        if below == len(times):
            return
    _count(observed, first + len(edges), len(times) - below)


def _count(into: Vector, key: int, count: int) -> None:
    into[key] = into.get(key, 0) + count
