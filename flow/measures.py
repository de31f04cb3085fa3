"""The measures that flow coaches and release train engineers ask for: SAFe's six, and what stands beside them. Pure.

SAFe's six flow metrics (Scaled Agile Framework 6, "Measure and Grow", after M. Kersten, Project to Product, 2018):

- distribution: the share of each item type in what was finished (and in what is in progress);
- velocity: items finished in the window, not points; time: start to done, waiting included (`cycle_time`);
- load: WIP of the whole stream; efficiency: unblocked time in active stages / cycle time;
- predictability: achieved / planned business value. What was planned is no fact that a tool sends: it is the target
  `value_per_week` of the stream's definition. Without one predictability can't be known, and `why` says so.

Rework share: moves to an earlier stage or out of `done`, of all departures. Times in seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flow import vector
from flow.cumulative_flow import Steps
from flow.definitions import Stream
from flow.instants import WEEK, format_instant
from flow.stability import stability, stage_passage, stream_passage
from flow.status import Asked, Reading, over_stages, ratio, status, thousandths
from flow.vector import Vector, type_key

NOT_PLANNED = "no target `value_per_week` says how much business value was planned"


_OF_STAGE = ("percent_complete_accurate", "rework", "handoffs", "blocked_time")
_WAITING = ("value_waiting", "cost_of_delay", "valued_items")


def measures(stream: Stream, asked: Asked, steps: Steps, counted: Sequence[Vector], reading: Reading) -> dict[str, Any]:
    """What `GET /v1/streams/{stream}/measures` answers. `counted` holds a vector a step, `reading` all together."""
    figures = status(stream, asked, reading)
    weeks = (asked.window.end - asked.window.start) / WEEK
    departures = over_stages(stream, reading.counted, vector.DEPARTURES)
    rework = over_stages(stream, reading.counted, vector.REWORK)
    finished = figures["throughput"]
    stages = _stages(figures["stages"], asked, steps, counted)
    return {
        "stream": stream.name,
        "at": figures["at"],
        "window": asked.text,
        "distribution": _distribution(figures["by_type"]),
        "velocity": {"items": finished, "per_week": finished / weeks},
        "time": figures["cycle_time"],
        "load": figures["wip"],
        "efficiency": figures["flow_efficiency"],
        "predictability": _predictability(stream, figures["value_delivered"], weeks),
        "percent_complete_accurate": figures["percent_complete_accurate"],
        "rework": {"moves": rework, "reopened": figures["reopened"], "share": ratio(rework, departures)},
        "handoffs": {"count": figures["handoffs"], "per_finished_item": ratio(figures["handoffs"], finished)},
        "blocked_time": sum(stage["blocked_time"] for stage in stages),
        "value": _value(figures, stages),
        "targets": figures["targets"],
        "stability": _of_stream(stream, asked, steps, counted, [stage["wip"] for stage in figures["stages"]]),
        "trend": trend(stream, steps, counted),
        "stages": stages,
    }


def trend(stream: Stream, steps: Steps, counted: Sequence[Vector]) -> list[dict[str, Any]]:
    """Items finished and value delivered in each step: when the one rises and the other does not, it shows here."""
    found = []
    for start, end, part in zip(steps.edges, steps.edges[1:], counted, strict=False):
        finished, value = (
            sum(part.get(type_key(index, code), 0) for index in range(len(stream.item_types)))
            for code in (vector.FINISHED, vector.VALUE)
        )
        times = {"start": format_instant(start), "end": format_instant(end)}
        found.append(times | {"throughput": finished, "value_delivered": thousandths(value)})
    return found


def _distribution(by_type: Mapping[str, Any]) -> dict[str, Any]:
    finished = sum(entry["throughput"] for entry in by_type.values())
    wips = [entry["wip"] for entry in by_type.values()]
    wip = None if None in wips else sum(wips)
    return {
        name: {
            "finished": entry["throughput"],
            "share": ratio(entry["throughput"], finished),
            "in_progress": entry["wip"],
            "share_in_progress": None if wip is None else ratio(entry["wip"], wip),
        }
        for name, entry in by_type.items()
    }


def _predictability(stream: Stream, achieved: float, weeks: float) -> dict[str, Any]:
    target = stream.targets.get("value_per_week")
    planned = None if target is None else target * weeks
    share = None if planned is None else ratio(achieved, planned)
    return {"achieved": achieved, "planned": planned, "ratio": share, "why": NOT_PLANNED if target is None else None}


def _value(figures: Mapping[str, Any], stages: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    queues = [stage for stage in stages if stage["value_waiting"] is not None]
    waiting = {name: sum(stage[name] for stage in queues) if queues else None for name in _WAITING}
    items = sum(stage["wip"] or 0 for stage in queues) if queues else None
    return {"delivered": figures["value_delivered"], **waiting, "waiting_items": items}


def _stages(
    told: Sequence[Mapping[str, Any]], asked: Asked, steps: Steps, counted: Sequence[Vector]
) -> list[dict[str, Any]]:
    edges = _edges(asked, steps)
    found = []
    for index, stage in enumerate(told):
        entry = {name: stage[name] for name in ("stage", "kind", "wip", *_OF_STAGE, *_WAITING)}
        wip = stage["wip"]
        entry["stability"] = None if wip is None else stability(stage_passage(index, edges, counted, wip))
        found.append(entry)
    return found


def _of_stream(
    stream: Stream, asked: Asked, steps: Steps, counted: Sequence[Vector], wips: Sequence[int | None]
) -> dict[str, Any]:
    return stability(stream_passage(stream, _edges(asked, steps), counted, wips))


def _edges(asked: Asked, steps: Steps) -> list[int]:
    """Of the cell that holds `now` only what is over counts as time."""
    return [*steps.edges[:-1], max(steps.edges[-2] + 1, min(steps.edges[-1], asked.now))]
