"""What one stream's snapshot says, as points of the catalogue's metrics. No input or output."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from flow import vector
from flow.buckets import stage_edges, target_edges
from flow.definitions import Stage, Stream
from flow.histogram import quantile
from flow.status import QUANTILES, StageLive, ratio, thousandths
from flow.vector import SLOT, Vector, stage_key, type_key
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
    """What never changes of a stage's points. `within`: place of its expectation among the edges, if it has one."""

    index: int
    stage: Stage
    labels: Labels
    edges: Sequence[str]
    within: int | None


@dataclass(frozen=True, slots=True)
class _TypeLayout:
    """What never changes of an item type's points."""

    index: int
    labels: Labels


@dataclass(frozen=True, slots=True)
class _WindowLayout:
    """What never changes of a window's points: labels, those of each quantile, and the latter of each stage's index."""

    labels: Labels
    quantiles: Mapping[float, Labels]
    stages: Mapping[int, Mapping[float, Labels]]


class StreamLayout:
    """Makes the points of one stream; what its definition decides of them is made once.

    Points come in four parts, since each changes at another pace: `fixed`, `counted`, `window` and `alarms`.
    """

    def __init__(self, stream: Stream) -> None:
        of_stream = self._labels = labels(("stream", stream.name))
        self._info = labels(("stream", stream.name), *stream.labels.items())
        self._stages = [
            _stage_layout(index, stage, of_stream.plus("stage", stage.name))
            for index, stage in enumerate(stream.stages)
        ]
        self._by_name = {layout.stage.name: layout for layout in self._stages}
        self._types = [
            _TypeLayout(index, of_stream.plus("item_type", name)) for index, name in enumerate(stream.item_types)
        ]
        self._windows = {text: self._window_layout(text) for text in stream.windows}
        self._targets = list(_targets_of(stream, of_stream))
        self._cycle_edges = _le(target_edges(stream, "cycle_time"))
        self._lead_edges = _le(target_edges(stream, "lead_time"))

    def fixed(self) -> Points:
        """What the definition alone says."""
        found: Points = defaultdict(list)
        found["flow_stream_info"].append((self._info, 1))
        for name, where, target in self._targets:
            found[name].append((where, target))
        for stage in self._stages:
            found["flow_stage_position"].append((stage.labels, stage.index))
            _expect(found, stage)
        return found

    def counted(self, snapshot: StreamSnapshot) -> Points:
        """Counters, histograms, and what is in the stages now."""
        found: Points = defaultdict(list)
        for stage in self._stages:
            _count_stage(found, stage, snapshot.totals)
            live = snapshot.stages.get(stage.stage.name)
            if live is not None:
                _show_stage(found, stage, live, snapshot.totals)
        for item_type in self._types:
            self._count_type(found, item_type, snapshot.totals)
        return found

    def window(self, text: str, counted: Vector) -> Points:
        """What was counted in one of the stream's windows."""
        found: Points = defaultdict(list)
        layout = self._windows[text]
        stage_bins, cycle_bins = _bins_of_window(counted)
        for index, of_stage in layout.stages.items():
            _show_quantiles(found, "flow_stage_window_time_seconds", of_stage, stage_bins.get(index, {}))
        _show_quantiles(found, "flow_cycle_time_window_seconds", layout.quantiles, cycle_bins)
        finished, active_time, cycle_time = (
            sum(counted.get(type_key(each.index, code), 0) for each in self._types)
            for code in (vector.FINISHED, vector.ACTIVE_TIME, vector.CYCLE_TIME)
        )
        found["flow_window_throughput_items"].append((layout.labels, finished))
        efficiency = ratio(active_time, cycle_time)
        if efficiency is not None:
            found["flow_window_efficiency_ratio"].append((layout.labels, efficiency))
        return found

    def alarms(self, alarms: Iterable[Alarm]) -> Points:
        """What the detector says."""
        found: Points = defaultdict(list)
        for alarm in alarms:
            layout = self._by_name.get(alarm.stage)
            if layout is not None:
                where = layout.labels.plus("cause", alarm.cause)
                found["flow_stage_bottleneck"].append((where, int(alarm.raised)))
                found["flow_stage_bottleneck_evidence_ratio"].append((where, alarm.evidence))
        return found

    def _window_layout(self, text: str) -> _WindowLayout:
        def of_quantiles(where: Labels) -> dict[float, Labels]:
            return {share: where.plus("quantile", name) for share, name in _QUANTILES.items()}

        where = self._labels.plus("window", text)
        in_progress = [each for each in self._stages if each.stage.kind != "done"]
        stages = {each.index: of_quantiles(each.labels.plus("window", text)) for each in in_progress}
        return _WindowLayout(where, of_quantiles(where), stages)

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


def _stage_layout(index: int, stage: Stage, where: Labels) -> _StageLayout:
    edges = stage_edges(stage)
    within = edges.index(stage.sle.within) if stage.sle is not None else None
    return _StageLayout(index, stage, where, _le(edges), within)


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
        if layout.within is not None:
            found["flow_stage_visits_over_sle_total"].append((where, sum(times.counts[layout.within + 1 :])))


def _expect(found: Points, layout: _StageLayout) -> None:
    stage, where = layout.stage, layout.labels
    if stage.wip_limit is not None and stage.kind != "done":
        found["flow_stage_wip_limit"].append((where, stage.wip_limit))
    if stage.sle is not None and stage.kind != "done":
        of_share = where.plus("quantile", f"{stage.sle.quantile:g}")
        found["flow_stage_sle_seconds"].append((of_share, thousandths(stage.sle.within)))
        found["flow_stage_sle_ratio"].append((where, stage.sle.quantile))


def _show_stage(found: Points, layout: _StageLayout, live: StageLive, totals: Vector) -> None:
    stage, where = layout.stage, layout.labels
    blocked = totals.get(stage_key(layout.index, vector.BLOCKED_ITEMS), 0)
    found["flow_stage_wip"].append((where, live.wip))
    found["flow_stage_blocked_items"].append((where, blocked))
    if stage.kind == "queue":
        found["flow_stage_queue_depth"].append((where, live.wip))
        value = totals.get(stage_key(layout.index, vector.VALUE_WAITING), 0)
        found["flow_stage_value_waiting"].append((where, thousandths(value)))
    if stage.sle is not None:
        found["flow_stage_items_over_sle"].append((where, live.over_sle))
    if live.oldest_at is not None:
        found["flow_stage_oldest_arrival_timestamp_seconds"].append((where, thousandths(live.oldest_at)))


def _show_quantiles(found: Points, name: str, where: Mapping[float, Labels], bins: Mapping[int, int]) -> None:
    for share, of_share in where.items():
        duration = quantile(bins, share)
        if duration is not None:
            found[name].append((of_share, duration / 1000))


def _bins_of_window(counted: Vector) -> tuple[dict[int, dict[int, int]], dict[int, int]]:
    """The histograms of stage times by stage, and of cycle times over all types, in one pass."""
    stages: dict[int, dict[int, int]] = {}
    cycle_times: dict[int, int] = {}
    first_of_type = type_key(0, 0)
    for key, count in counted.items():
        code = key % SLOT
        if vector.STAGE_TIME_BINS <= code < vector.LEAD_TIME_BINS:
            index = code - vector.STAGE_TIME_BINS
            if key < first_of_type:
                stages.setdefault(key // SLOT, {})[index] = count
            else:
                cycle_times[index] = cycle_times.get(index, 0) + count
    return stages, cycle_times


def _distribution(totals: Vector, first: int, total: int, edges: Sequence[str]) -> Distribution:
    counts = [totals.get(key, 0) for key in range(first, first + len(edges) + 1)]
    return Distribution(edges, counts, thousandths(totals.get(total, 0)))


def _le(edges: Sequence[int]) -> tuple[str, ...]:
    return le_of(edge / 1000 for edge in edges)
