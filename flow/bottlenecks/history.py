"""What the detector is told: for each stage, hour by hour, what arrived, what left, and what was there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Hour(NamedTuple):
    """One hour of one stage, or a part of it. `wip` is at its end.

    `log_time` and `log_square` are the sums of ln(visit) and its square over the visits that ended, in milliseconds.
    """

    arrivals: int
    departures: int
    wip: int
    log_time: float = 0.0
    log_square: float = 0.0


class StreamHour(NamedTuple):
    """One hour of a stream, or the part of it that is over: from `start` to before `end` (ms).

    `stages` holds the stages that are not `done`, in the stream's order.
    """

    start: int
    end: int
    stages: Sequence[Hour]
