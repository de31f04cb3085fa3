"""What rows hold, in the oracle's words: figures by (measure, stage or item type, bin or bucket)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from flow import lanes, vector
from flow.buckets import stage_edges, target_edges
from flow.cells import grain_of, start_of
from flow.definitions import Stream
from flow.vector import Vector
from tests.oracle import Figures

_OF_STAGES = {
    vector.ARRIVALS: "arrivals",
    vector.DEPARTURES: "departures",
    vector.REWORK: "rework",
    vector.REMOVED: "removed",
    vector.RETURNED: "returned",
    vector.BLOCKED_TIME: "blocked_time",
    vector.STAGE_TIME: "stage_time",
    vector.HANDOFFS: "handoffs",
}
_OF_TYPES = {
    vector.FINISHED: "finished",
    vector.VALUE: "value",
    vector.CYCLE_TIME: "cycle_time",
    vector.LEAD_TIME: "lead_time",
    vector.ACTIVE_TIME: "active_time",
}
_GAUGES = {
    vector.BLOCKED_ITEMS: "blocked_items",
    vector.TYPE_WIP: "wip_of_type",
    vector.VALUE_WAITING: "value_waiting",
    vector.DELAY_COST: "delay_cost",
    vector.VALUED_ITEMS: "valued_items",
}
_TOTALS_OF_TYPES = {
    vector.COMPLETIONS: "completions",
    vector.REOPENED: "reopened",
    vector.CYCLE_TIME_TOTAL: "cycle_time_total",
    vector.LEAD_TIME_TOTAL: "lead_time_total",
    vector.VALUE_TOTAL: "value_total",
}
_OF_LANES = {
    lanes.SUCCEEDED: "succeeded",
    lanes.FAILED: "failed",
    lanes.ROLLED_BACK: "rolled_back",
    lanes.FAILED_CHANGES: "failed_changes",
    lanes.REWORK: "rework",
    lanes.LEAD_TIME: "lead_time",
    lanes.LEAD_TIMES: "lead_times",
    lanes.RECOVERY_TIME: "recovery_time",
    lanes.RECOVERIES: "recoveries",
}


def figures_of_cell(stream: Stream, row: Vector) -> Figures:
    """A cell of a stream. Raises KeyError on a key that no cell may hold."""
    figures: Figures = Counter()
    for key, count in row.items():
        slot, code = divmod(key, vector.SLOT)
        if slot < vector.TYPE_SLOT:
            of, bins, names = stream.stages[slot].name, {vector.STAGE_TIME_BINS: "stage_time_bins"}, _OF_STAGES
        else:
            of, names = stream.item_types[slot - vector.TYPE_SLOT], _OF_TYPES
            bins = {vector.LEAD_TIME_BINS: "lead_time_bins", vector.CYCLE_TIME_BINS: "cycle_time_bins"}
        figures[_named(code, names, bins, of)] += count
    return figures


def figures_of_totals(stream: Stream, row: Vector) -> tuple[Figures, Figures]:
    """The totals of a stream, as counters and gauges. Raises KeyError on a key that totals may not hold."""
    counters: Figures = Counter()
    gauges: Figures = Counter()
    cycle_edges, lead_edges = target_edges(stream, "cycle_time"), target_edges(stream, "lead_time")
    for key, count in row.items():
        slot, code = divmod(key, vector.SLOT)
        of_stage = slot < vector.TYPE_SLOT
        of = stream.stages[slot].name if of_stage else stream.item_types[slot - vector.TYPE_SLOT]
        if code in _GAUGES:
            gauges[_GAUGES[code], of, 0] += count
        elif of_stage and code >= vector.BUCKETS:
            counters["stage_buckets", of, _bound(stage_edges(stream.stages[slot]), code - vector.BUCKETS)] += count
        elif code >= vector.LEAD_TIME_BUCKETS:
            counters["lead_buckets", of, _bound(lead_edges, code - vector.LEAD_TIME_BUCKETS)] += count
        elif code >= vector.BUCKETS:
            counters["cycle_buckets", of, _bound(cycle_edges, code - vector.BUCKETS)] += count
        else:
            counters[(_OF_STAGES if of_stage else _TOTALS_OF_TYPES)[code], of, 0] += count
    return counters, gauges


def figures_of_lane(row: Vector) -> Figures:
    """A lane's part of a cell, or of the totals without their buckets."""
    bins = {lanes.RECOVERY_BINS: "recovery_time_bins", lanes.LEAD_TIME_BINS: "lead_time_bins"}
    plain = {key: count for key, count in row.items() if key < lanes.LEAD_TIME_BUCKETS}
    return Counter({_named(code, _OF_LANES, bins, ""): count for code, count in plain.items()})


def by_cell(rows: Mapping[int, Figures]) -> dict[tuple[str, int], Figures]:
    """Figures by (grain, start of the cell), of every cell that is not empty."""
    return {place_of(cell): figures for cell, figures in rows.items() if figures}


def place_of(cell: int) -> tuple[str, int]:
    """Grain and first instant of a cell."""
    return grain_of(cell).name.lower(), start_of(cell)


def measured(figures: Figures, *measures: str) -> Figures:
    """Only these measures."""
    return Counter({key: count for key, count in figures.items() if key[0] in measures})


def total(figures: Figures, *measures: str, of: str | None = None) -> int:
    """The sum of these measures."""
    return sum(count for key, count in figures.items() if key[0] in measures and of in (None, key[1]))


def not_less(figures: Figures, least: Figures, measures: Iterable[str]) -> bool:
    """Whether each of these measures, of each stage or type, counts at least as much."""
    return all(figures[key] >= count for key, count in least.items() if key[0] in measures)


def _named(code: int, names: Mapping[int, str], bins: Mapping[int, str], of: str) -> tuple[str, str, int]:
    for first in sorted(bins, reverse=True):
        if code >= first:
            return bins[first], of, code - first
    return names[code], of, 0


def _bound(edges: list[int], index: int) -> int:
    return edges[index] if index < len(edges) else 0
