"""A stream's live status: from what is stored, as vectors, to what readers are told. Pure.

Inside, times are integer milliseconds; in the results they are seconds. `None` is said where there is nothing to say.
Counts, sums and means are exact; quantiles are off by at most half a bin (`flow.histogram`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, Final

from flow import vector
from flow.cells import Grain, Window, cells_of
from flow.definitions import Stage, Stream
from flow.histogram import quantile
from flow.instants import DAY, WEEK, format_instant
from flow.vector import SLOT, Vector, stage_key, type_key

QUANTILES: Final = {"p50": 0.5, "p85": 0.85, "p95": 0.95}

Figure = float | int | None
Times = dict[str, Figure]
"""`count`, `mean`, `p50`, `p85`, `p95`; times in seconds."""


@dataclass(frozen=True, slots=True)
class StageLive:
    """What is in a stage now: items, the earliest of their arrivals (ms; None: empty), items past the stage's SLE."""

    wip: int
    oldest_at: int | None
    over_sle: int


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read of a stream at `now`: its live state, and what was counted in the window and after it.

    `after` is None when the window reaches to `now`: then the live state is the window's.
    """

    stages: Mapping[str, StageLive]
    totals: Vector
    counted: Vector
    after: Vector | None


@dataclass(frozen=True, slots=True)
class Asked:
    """The question: at which instant, over which window (as text and as cells), and when it was asked. In ms."""

    at: int
    text: str
    window: Window
    now: int


def cells_after(window: Window, now: int) -> list[int]:
    """The cells between the end of a window and everything that may have been counted by now.

    Empty when the window reaches to `now`. Facts may lie up to a day ahead of the clock, so days more are looked at.
    """
    if window.end >= now:
        return []
    end = (now // DAY + 3) * DAY
    return cells_of(Window(window.end, end, Grain(window.grain)))


def status(stream: Stream, asked: Asked, reading: Reading) -> dict[str, Any]:
    """What `GET /v1/streams/{stream}` answers.

    Of the past, WIP is today's less what came and plus what went since, exact at the window's end; how old, how late
    or how blocked items were then can't be known from what is kept, and is None.
    """
    counted = reading.counted
    stages = [stage_status(stream, index, asked, reading) for index in range(len(stream.stages))]
    wip = sum(stage["wip"] or 0 for stage in stages)
    completed = _over_types(stream, counted, vector.FINISHED)
    cycle_time = _times_of_types(stream, counted, vector.CYCLE_TIME, vector.CYCLE_TIME_BINS)
    figures: dict[str, Any] = {
        "stream": stream.name,
        "at": format_instant(asked.at),
        "window": asked.text,
        "wip": wip,
        "throughput": completed,
        "reopened": _reopened(stream, counted),
        "cycle_time": cycle_time,
        "lead_time": _times_of_types(stream, counted, vector.LEAD_TIME, vector.LEAD_TIME_BINS),
        "flow_efficiency": ratio(
            _over_types(stream, counted, vector.ACTIVE_TIME), _over_types(stream, counted, vector.CYCLE_TIME)
        ),
        "value_delivered": thousandths(_over_types(stream, counted, vector.VALUE)),
        "percent_complete_accurate": rolled_complete_accurate(stream, counted),
        "handoffs": over_stages(stream, counted, vector.HANDOFFS),
        "by_type": {name: _type_status(index, reading) for index, name in enumerate(stream.item_types)},
    }
    figures["targets"] = _targets(stream, figures, asked.window)
    figures["stages"] = stages
    return figures


def stage_status(stream: Stream, index: int, asked: Asked, reading: Reading) -> dict[str, Any]:
    """One entry of `stages`."""
    stage, counted = stream.stages[index], reading.counted
    live = reading.stages.get(stage.name)
    wip = None if live is None else live.wip - _grown(index, reading.after)
    past = reading.after is not None
    arrivals, departures, rework = (
        counted.get(stage_key(index, code), 0) for code in (vector.ARRIVALS, vector.DEPARTURES, vector.REWORK)
    )
    return {
        "stage": stage.name,
        "kind": stage.kind,
        "wip": wip,
        "wip_limit": stage.wip_limit,
        "queue_depth": wip if stage.kind == "queue" else None,
        "blocked": None if live is None or past else reading.totals.get(stage_key(index, vector.BLOCKED_ITEMS), 0),
        "oldest_age": None if live is None or past else _age(live.oldest_at, asked.now),
        "items_over_sle": None if past else _over_sle(stage, live),
        "arrivals": arrivals,
        "departures": departures,
        "rework": rework,
        "percent_complete_accurate": percent_complete_accurate(counted, index),
        "handoffs": counted.get(stage_key(index, vector.HANDOFFS), 0),
        "blocked_time": counted.get(stage_key(index, vector.BLOCKED_TIME), 0) / 1000,
        "time": times(
            departures,
            counted.get(stage_key(index, vector.STAGE_TIME), 0),
            vector.bins(counted, index * SLOT, vector.STAGE_TIME_BINS, vector.TYPE_SLOT),
        ),
        "bottleneck": None,
        **waiting(stream, index, None if past else reading.totals),
    }


def waiting(stream: Stream, index: int, totals: Vector | None) -> dict[str, Figure]:
    """What waits in a queue now; None of other stages, and of the past, of which it is not kept."""
    if totals is None or stream.stages[index].kind != "queue":
        return dict.fromkeys(("value_waiting", "cost_of_delay", "valued_items"))
    value, cost, items = (
        totals.get(stage_key(index, code), 0) for code in (vector.VALUE_WAITING, vector.DELAY_COST, vector.VALUED_ITEMS)
    )
    return {"value_waiting": thousandths(value), "cost_of_delay": thousandths(cost), "valued_items": items}


def percent_complete_accurate(counted: Vector, stage: int) -> float | None:
    """Of the visits that ended in a forward move, the share whose item never came back there or to an earlier stage."""
    departures, rework, removed, returned = (
        counted.get(stage_key(stage, code), 0)
        for code in (vector.DEPARTURES, vector.REWORK, vector.REMOVED, vector.RETURNED)
    )
    forward = departures - rework - removed
    return ratio(forward - returned, forward)


def rolled_complete_accurate(stream: Stream, counted: Vector) -> float | None:
    """%C&A rolled over the stream: the product of its stages' (K. Martin, M. Osterling, Value Stream Mapping, 2014).

    It estimates the share of the work that passes all stages without coming back, as if stages failed independently.
    Stages without a forward move in the window, and `done` ones, say nothing; None when all do.
    """
    shares = [
        share
        for index, stage in enumerate(stream.stages)
        if stage.kind != "done" and (share := percent_complete_accurate(counted, index)) is not None
    ]
    return prod(shares) if shares else None


def over_stages(stream: Stream, counted: Vector, code: int) -> int:
    """The sum of a code over all stages."""
    return sum(counted.get(stage_key(index, code), 0) for index in range(len(stream.stages)))


def times(count: int, total: int, histogram: Mapping[int, int]) -> Times:
    """A distribution of durations, given in milliseconds, told in seconds. All but `count` are None of nothing."""
    found: Times = {"count": count, "mean": None if count <= 0 else total / count / 1000}
    for name, share in QUANTILES.items():
        duration = quantile(histogram, share)
        found[name] = None if duration is None else duration / 1000
    return found


def ratio(part: float, whole: float) -> float | None:
    """part / whole; None of nothing."""
    return part / whole if whole > 0 else None


def thousandths(count: int) -> float | int:
    """What is stored as whole thousandths: a whole number where it is one.

    >>> thousandths(55000), thousandths(500)
    (55, 0.5)
    """
    return count / 1000 if count % 1000 else count // 1000


def _age(since: int | None, now: int) -> float | None:
    return None if since is None else max(0, now - since) / 1000


def _over_sle(stage: Stage, live: StageLive | None) -> int | None:
    return None if live is None or stage.sle is None else live.over_sle


def _grown(stage: int, counted: Vector | None) -> int:
    """By how much the stage's WIP grew in a span."""
    if counted is None:
        return 0
    return counted.get(stage_key(stage, vector.ARRIVALS), 0) - counted.get(stage_key(stage, vector.DEPARTURES), 0)


def _over_types(stream: Stream, counted: Vector, code: int) -> int:
    return sum(counted.get(type_key(index, code), 0) for index in range(len(stream.item_types)))


def _reopened(stream: Stream, counted: Vector) -> int:
    done = (index for index, stage in enumerate(stream.stages) if stage.kind == "done")
    return sum(counted.get(stage_key(index, vector.DEPARTURES), 0) for index in done)


def _times_of_types(stream: Stream, counted: Vector, total: int, first_bin: int) -> Times:
    together: Vector = {}
    for index in range(len(stream.item_types)):
        vector.add(together, _bins_of_type(counted, index, first_bin))
    return times(_over_types(stream, counted, vector.FINISHED), _over_types(stream, counted, total), together)


def _bins_of_type(counted: Vector, item_type: int, first_bin: int) -> dict[int, int]:
    end = vector.LEAD_TIME_BINS if first_bin == vector.CYCLE_TIME_BINS else vector.BUCKETS
    return vector.bins(counted, type_key(item_type, 0), first_bin, end)


def _type_status(index: int, reading: Reading) -> dict[str, Any]:
    counted = reading.counted
    finished, cycle_times, value = (
        counted.get(type_key(index, code), 0) for code in (vector.FINISHED, vector.CYCLE_TIME, vector.VALUE)
    )
    return {
        "throughput": finished,
        "wip": None if reading.after is not None else reading.totals.get(type_key(index, vector.TYPE_WIP), 0),
        "cycle_time": times(finished, cycle_times, _bins_of_type(counted, index, vector.CYCLE_TIME_BINS)),
        "value_delivered": thousandths(value),
    }


def _targets(stream: Stream, figures: Mapping[str, Any], window: Window) -> dict[str, Any]:
    """Each target beside what is; `met` is None where nothing is known yet."""
    weeks = (window.end - window.start) / WEEK
    rates = {"throughput_per_week": figures["throughput"] / weeks, "value_per_week": figures["value_delivered"] / weeks}
    found: dict[str, Any] = {}
    for name, target in stream.targets.items():
        measure, _, quantile_name = name.rpartition("_")
        if quantile_name in QUANTILES:
            found[name] = _at_most(target / 1000, figures[measure][quantile_name])
        elif name == "wip":
            found[name] = _at_most(target, figures["wip"])
        else:
            actual = rates[name] if name in rates else figures[name]
            found[name] = {"target": target, "actual": actual, "met": None if actual is None else actual >= target}
    return found


def _at_most(target: float, actual: float | None) -> dict[str, Any]:
    return {"target": target, "actual": actual, "met": None if actual is None else actual <= target}
