"""The hours of a stream, out of the cells that the aggregator keeps and what is in the stages now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import log

from flow import vector
from flow.bottlenecks.history import Hour, StreamHour
from flow.cells import Grain, cell_at, start_of
from flow.histogram import middle_of
from flow.instants import HOUR
from flow.vector import SLOT, Vector, stage_key


def hours_of(
    cells: Mapping[int, Vector], stages: Sequence[int], wips: Sequence[int], start: int, now: int
) -> list[StreamHour]:
    """Every hour from `start` (ms, an hour's edge) to `now`, the last one as far as it is over.

    `cells` are hour cells, all partitions together, from `start` on and beyond `now`: facts may be ahead of the clock.
    `stages` are the indices of the stages that are watched, `wips` what is in each of them now. WIP of the past is
    today's, less what came and plus what went since.
    """
    last = (now - 1) // HOUR * HOUR
    wips = list(wips)
    for cell, counted in cells.items():
        if start_of(cell) > last:
            wips = [wip - _grown(counted, stage) for wip, stage in zip(wips, stages, strict=True)]
    found: list[StreamHour] = []
    for at in range(last, start - 1, -HOUR):
        counted = cells.get(cell_at(Grain.HOUR, at), {})
        rows = [_hour(counted, stage, wip) for stage, wip in zip(stages, wips, strict=True)]
        found.append(StreamHour(at, min(at + HOUR, now), rows))
        if counted:
            wips = [wip - _grown(counted, stage) for wip, stage in zip(wips, stages, strict=True)]
    found.reverse()
    return found


def _grown(counted: Vector, stage: int) -> int:
    return counted.get(stage_key(stage, vector.ARRIVALS), 0) - counted.get(stage_key(stage, vector.DEPARTURES), 0)


def _hour(counted: Vector, stage: int, wip: int) -> Hour:
    arrivals = counted.get(stage_key(stage, vector.ARRIVALS), 0)
    departures = counted.get(stage_key(stage, vector.DEPARTURES), 0)
    log_time = log_square = 0.0
    if departures:
        for index, count in vector.bins(counted, stage * SLOT, vector.STAGE_TIME_BINS, vector.TYPE_SLOT).items():
            length = _log_of_bin(index)
            log_time += count * length
            log_square += count * length * length
    return Hour(arrivals, departures, wip, log_time, log_square)


@lru_cache(maxsize=1024)
def _log_of_bin(index: int) -> float:
    return log(max(1.0, middle_of(index)))
