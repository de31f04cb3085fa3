"""The cumulative flow of a stream: how many items arrived and departed by each instant, stage by stage.

Arrivals and departures add up from the window's start, so lines never fall; backward moves are counted apart. A step
is made of whole cells, so each figure is exact at its instant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from flow import vector
from flow.cells import LENGTHS, Grain, Window, cells_of
from flow.definitions import Stream
from flow.instants import DAY, HOUR, MINUTE, format_instant
from flow.status import StageLive
from flow.vector import Vector, stage_key

MOST_POINTS: Final = 200

_STEPS: Final = (
    *(count * MINUTE for count in (1, 2, 5, 10, 15, 20, 30)),
    *(count * HOUR for count in (1, 2, 3, 4, 6, 8, 12)),
    *(count * DAY for count in (1, 2, 7, 14, 28)),
)


@dataclass(frozen=True, slots=True)
class Steps:
    """A window cut at round instants: `edges` from its start to its end, `length` of all steps but the outer ones."""

    edges: Sequence[int]
    length: int
    grain: Grain

    def spans(self) -> list[list[int]]:
        """The cells of each step."""
        return [
            cells_of(Window(start, end, self.grain)) for start, end in zip(self.edges, self.edges[1:], strict=False)
        ]


def steps_of(window: Window, points: int) -> Steps:
    """Cut a window into steps, at most `points` edges in all (2 ≤ points), on the finest round steps that fit.

    >>> steps = steps_of(Window(0, 86_400_000, Grain.HOUR), 6)
    >>> steps.length // 3_600_000, [edge // 3_600_000 for edge in steps.edges]
    (6, [0, 6, 12, 18, 24])
    """
    for length in _STEPS:
        if length < LENGTHS[window.grain]:
            continue
        edges = _edges(window, length)
        if len(edges) <= points:
            return Steps(edges, length, window.grain)
    return Steps([window.start, window.end], window.end - window.start, window.grain)


def _edges(window: Window, length: int) -> list[int]:
    first = (window.start // length + 1) * length
    return [window.start, *range(first, window.end, length), window.end]


def cumulative_flow(
    stream: Stream, steps: Steps, counted: Sequence[Vector], stages: Mapping[str, StageLive], after: Vector
) -> list[dict[str, Any]]:
    """One point an edge. `counted` holds a vector a step, `after` what was counted since, `stages` what is there now.

    WIP is exact at each edge: what is there now, less what came and plus what went since.
    """
    points: list[dict[str, Any]] = [{"at": format_instant(edge), "stages": {}} for edge in steps.edges]
    for index, stage in enumerate(stream.stages):
        live = stages.get(stage.name)
        _follow(points, index, stage.name, counted, None if live is None else live.wip - _grown(after, index))
    return points


def _follow(
    points: Sequence[dict[str, Any]], stage: int, name: str, counted: Sequence[Vector], wip_at_end: int | None
) -> None:
    codes = (vector.ARRIVALS, vector.DEPARTURES, vector.REWORK)
    sums = [0, 0, 0]
    wip = None if wip_at_end is None else wip_at_end - sum(_grown(part, stage) for part in counted)
    for point, part in zip(points, [Vector(), *counted], strict=True):
        sums = [total + part.get(stage_key(stage, code), 0) for total, code in zip(sums, codes, strict=True)]
        wip = None if wip is None else wip + _grown(part, stage)
        point["stages"][name] = {"arrivals": sums[0], "departures": sums[1], "rework": sums[2], "wip": wip}


def _grown(counted: Vector, stage: int) -> int:
    return counted.get(stage_key(stage, vector.ARRIVALS), 0) - counted.get(stage_key(stage, vector.DEPARTURES), 0)
