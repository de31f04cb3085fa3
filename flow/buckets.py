"""Upper bounds of the Prometheus buckets for times of work: from seconds to months, and every objective's threshold.

A threshold that is not a bucket's bound can't be asked for in PromQL, so each SLE and each target is one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from flow.definitions import Stage, Stream
from flow.instants import DAY, HOUR, MINUTE, SECOND

COMMON: Final = (
    10 * SECOND,
    MINUTE,
    10 * MINUTE,
    HOUR,
    4 * HOUR,
    8 * HOUR,
    DAY,
    2 * DAY,
    3 * DAY,
    5 * DAY,
    7 * DAY,
    10 * DAY,
    14 * DAY,
    30 * DAY,
    60 * DAY,
    90 * DAY,
)


def stage_edges(stage: Stage) -> list[int]:
    """Upper bounds for the stage's times, in milliseconds, ascending, without +Inf."""
    objective = [stage.sle.within] if stage.sle is not None else []
    return sorted({*COMMON, *objective})


def target_edges(stream: Stream, measure: str) -> list[int]:
    """Upper bounds for `cycle_time` or `lead_time` of the stream, in milliseconds, ascending, without +Inf."""
    objectives = [round(value) for name, value in stream.targets.items() if name.startswith(f"{measure}_p")]
    return sorted({*COMMON, *objectives})


@dataclass(frozen=True, slots=True)
class Edges:
    """Upper bounds of all buckets of one stream, in milliseconds, ascending, without +Inf. `stages` by index."""

    stages: list[list[int]]
    cycle_time: list[int]
    lead_time: list[int]


def edges_of(stream: Stream) -> Edges:
    """The edges for everything that is timed in the stream."""
    stages = [stage_edges(stage) for stage in stream.stages]
    return Edges(stages, target_edges(stream, "cycle_time"), target_edges(stream, "lead_time"))
