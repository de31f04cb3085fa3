"""What one stream's snapshot says, as points of the catalogue's metrics. No input or output."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from flow import vector
from flow.buckets import stage_edges, target_edges
from flow.definitions import Stage, Stream
from flow.histogram import quantile
from flow.status import QUANTILES, StageLive, ratio, thousandths
from flow.vector import SLOT, TYPE_SLOT, Vector, stage_key, type_key
from service.exporter_text import Distribution, Labels, Points, labels, le_of
from service.snapshots import Alarm, StreamSnapshot

_QUANTILES: Final = {share: f"{share:g}" for share in QUANTILES.values()}
_TARGETS: Final = {
    "flow_efficiency": "flow_efficiency_target_ratio",
    "throughput_per_week": "flow_weekly_throughput_target_items",
    "value_per_week": "flow_weekly_value_target",
    "wip": "flow_load_target_items",
}


@dataclass(frozen=True, slots=True)
class _StageLayout:
    """What never changes of a stage's points."""

    index: int
    stage: Stage
    labels: Labels
    edges: Sequence[str]


@dataclass(frozen=True, slots=True)
class _TypeLayout:
    """What never changes of an item type's points."""

    index: int
    labels: Labels


class StreamLayout:
    """Makes the points of one stream; what its definition decides of them is made once."""

    def __init__(self, stream: Stream) -> None:
        of_stream = self._labels = labels(("stream", stream.name))
        self._info = labels(("stream", stream.name), *stream.labels.items())
        self._stages = [
            _StageLayout(index, stage, of_stream.plus("stage", stage.name), _le(stage_edges(stage)))
            for index, stage in enumerate(stream.stages)
        ]
        self._by_name = {layout.stage.name: layout for layout in self._stages}
        self._types = [
            _TypeLayout(index, of_stream.plus("item_type", name)) for index, name in enumerate(stream.item_types)
        ]
        self._targets = list(_targets_of(stream, of_stream))
        self._cycle_edges = _le(target_edges(stream, "cycle_time"))
        self._lead_edges = _le(target_edges(stream, "lead_time"))

    def points(self, snapshot: StreamSnapshot) -> Points:
        """All points of the stream but its alarms'."""
        found: Points = defaultdict(list)
        found["flow_stream_info"].append((self._info, 1))
        for name, where, target in self._targets:
            found[name].append((where, target))
        for stage in self._stages:
            found["flow_stage_position"].append((stage.labels, stage.index))
            _count_stage(found, stage, snapshot.totals)
            live = snapshot.stages.get(stage.stage.name)
            if live is not None:
                _show_stage(found, stage, live, snapshot.totals)
        for item_type in self._types:
            self._count_type(found, item_type, snapshot.totals)
        for text, counted in snapshot.windows.items():
            self._show_window(found, text, counted)
        return found

    def alarms(self, alarms: Sequence[Alarm], found: Points) -> None:
        """Add the points of what the detector says of this stream."""
        for alarm in alarms:
            layout = self._by_name.get(alarm.stage)
            if layout is not None:
                where = layout.labels.plus("cause", alarm.cause)
                found["flow_stage_bottleneck"].append((where, int(alarm.raised)))
                found["flow_stage_bottleneck_evidence_ratio"].append((where, alarm.evidence))

    def _count_type(self, found: Points, layout: _TypeLayout, totals: Vector) -> None:
        slot, where = type_key(layout.index, 0), layout.labels
        get = totals.get
        found["flow_completed_items_total"].append((where, get(slot + vector.COMPLETIONS, 0)))
        found["flow_reopened_items_total"].append((where, get(slot + vector.REOPENED, 0)))
        found["flow_value_delivered_total"].append((where, thousandths(get(slot + vector.VALUE_TOTAL, 0))))
        cycle_times = _distribution(totals, slot + vector.BUCKETS, slot + vector.CYCLE_TIME_TOTAL, self._cycle_edges)
        found["flow_cycle_time_seconds"].append((where, cycle_times))
        lead_times = _distribution(
            totals, slot + vector.LEAD_TIME_BUCKETS, slot + vector.LEAD_TIME_TOTAL, self._lead_edges
        )
        found["flow_lead_time_seconds"].append((where, lead_times))

    def _show_window(self, found: Points, text: str, counted: Vector) -> None:
        where = self._labels.plus("window", text)
        stage_bins, cycle_bins = _bins_of_window(counted)
        for stage in self._stages:
            if stage.stage.kind != "done":
                of_stage = stage.labels.plus("window", text)
                _show_quantiles(found, "flow_stage_window_time_seconds", of_stage, stage_bins.get(stage.index, {}))
        _show_quantiles(found, "flow_cycle_time_window_seconds", where, cycle_bins)
        finished, active_time, cycle_time = (
            sum(counted.get(type_key(layout.index, code), 0) for layout in self._types)
            for code in (vector.FINISHED, vector.ACTIVE_TIME, vector.CYCLE_TIME)
        )
        found["flow_window_throughput_items"].append((where, finished))
        efficiency = ratio(active_time, cycle_time)
        if efficiency is not None:
            found["flow_window_efficiency_ratio"].append((where, efficiency))


def _targets_of(stream: Stream, where: Labels) -> Iterator[tuple[str, Labels, float]]:
    """Each target as its metric's name, labels and value."""
    for name, target in stream.targets.items():
        measure, _, share = name.rpartition("_")
        if share in QUANTILES:
            yield f"flow_{measure}_target_seconds", where.plus("quantile", _QUANTILES[QUANTILES[share]]), target / 1000
        else:
            yield _TARGETS[name], where, target


def _count_stage(found: Points, layout: _StageLayout, totals: Vector) -> None:
    slot, where = stage_key(layout.index, 0), layout.labels
    for name, code in (
        ("flow_stage_arrivals_total", vector.ARRIVALS),
        ("flow_stage_departures_total", vector.DEPARTURES),
        ("flow_stage_rework_total", vector.REWORK),
    ):
        found[name].append((where, totals.get(slot + code, 0)))
    if layout.stage.kind != "done":
        found["flow_stage_handoffs_total"].append((where, totals.get(slot + vector.HANDOFFS, 0)))
        blocked_time = totals.get(slot + vector.BLOCKED_TIME, 0)
        found["flow_stage_blocked_seconds_total"].append((where, thousandths(blocked_time)))
        times = _distribution(totals, slot + vector.BUCKETS, slot + vector.STAGE_TIME, layout.edges)
        found["flow_stage_time_seconds"].append((where, times))


def _show_stage(found: Points, layout: _StageLayout, live: StageLive, totals: Vector) -> None:
    stage, where = layout.stage, layout.labels
    blocked = totals.get(stage_key(layout.index, vector.BLOCKED_ITEMS), 0)
    found["flow_stage_wip"].append((where, live.wip))
    found["flow_stage_blocked_items"].append((where, blocked))
    if stage.kind == "queue":
        found["flow_stage_queue_depth"].append((where, live.wip))
        value = totals.get(stage_key(layout.index, vector.VALUE_WAITING), 0)
        found["flow_stage_value_waiting"].append((where, thousandths(value)))
    if stage.wip_limit is not None:
        found["flow_stage_wip_limit"].append((where, stage.wip_limit))
    if stage.sle is not None:
        of_share = where.plus("quantile", f"{stage.sle.quantile:g}")
        found["flow_stage_sle_seconds"].append((of_share, thousandths(stage.sle.within)))
        found["flow_stage_sle_ratio"].append((where, stage.sle.quantile))
        found["flow_stage_items_over_sle"].append((where, live.over_sle))
    if live.oldest_at is not None:
        found["flow_stage_oldest_arrival_timestamp_seconds"].append((where, thousandths(live.oldest_at)))


def _show_quantiles(found: Points, name: str, where: Labels, bins: Mapping[int, int]) -> None:
    for share, text in _QUANTILES.items():
        duration = quantile(bins, share)
        if duration is not None:
            found[name].append((where.plus("quantile", text), duration / 1000))


def _bins_of_window(counted: Vector) -> tuple[dict[int, dict[int, int]], dict[int, int]]:
    """The histograms of stage times by stage, and of cycle times over all types, in one pass."""
    stages: dict[int, dict[int, int]] = {}
    cycle_times: dict[int, int] = {}
    for key, count in counted.items():
        slot, code = divmod(key, SLOT)
        if vector.STAGE_TIME_BINS <= code < vector.LEAD_TIME_BINS:
            index = code - vector.STAGE_TIME_BINS
            if slot < TYPE_SLOT:
                stages.setdefault(slot, {})[index] = count
            else:
                cycle_times[index] = cycle_times.get(index, 0) + count
    return stages, cycle_times


def _distribution(totals: Vector, first: int, total: int, edges: Sequence[str]) -> Distribution:
    counts = [totals.get(key, 0) for key in range(first, first + len(edges) + 1)]
    return Distribution(edges, counts, thousandths(totals.get(total, 0)))


def _le(edges: Sequence[int]) -> tuple[str, ...]:
    return le_of(edge / 1000 for edge in edges)
