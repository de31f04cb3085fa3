"""The page of metrics: only what the catalogue lists, the same samples as the client library writes, and when."""

from __future__ import annotations

import asyncio
import gzip
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as ClientMetric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_plain
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.routing import Route

from flow import lanes, vector
from flow.adapters import ADAPTERS
from flow.buckets import stage_edges
from flow.catalogue import METRICS, SAMPLES
from flow.catalogue_monitor import BRIDGES
from flow.definitions import Definitions, LaneTargets, Match, ServiceLevel, Stage, Stream
from flow.errors import Unauthorised
from flow.histogram import bin_of
from flow.instants import DAY, HOUR, MINUTE, SECOND
from flow.lanes import lane_name
from flow.status import StageLive
from flow.vector import Vector, stage_key, type_key
from flow.worker_metrics import SourceMetrics, WorkerMetrics
from service.authorisation import TokenCheck
from service.exporter import OPENMETRICS_TYPE, PLAIN_TYPE, Exporter, metrics_endpoint, quality
from service.exporter_lanes import lane_points
from service.exporter_monitor import MonitorLayout
from service.exporter_points import StreamLayout
from service.exporter_readings import ChosenLanes, Counts, Workers
from service.exporter_text import Distribution, Points
from service.snapshots import STALE_AFTER, Alarm, Snapshot, StreamSnapshot

NOW = 1_795_305_600_500
TOKEN = "open sesame"
LANE_TARGETS = (
    LaneTargets(("mail",), ("production",)),
    LaneTargets(change_fail_rate=0.15, failed_deployment_recovery_time=4 * HOUR),
)

Labelled = frozenset[tuple[str, str]]
Samples = dict[tuple[str, Labelled], float]


def a_stream(name: str = "web", **overrides: Any) -> Stream:
    stages = (
        Stage("backlog", "queue"),
        Stage("develop", "active", wip_limit=3, sle=ServiceLevel(0.85, 36 * HOUR)),
        Stage("done", "done"),
    )
    settings: dict[str, Any] = {"stages": stages, "match": Match(source=("jira",)), "labels": {"train": "shop"}}
    return Stream(name, **(settings | overrides))


def a_stream_snapshot(stream: Stream, **overrides: Any) -> StreamSnapshot:
    settings: dict[str, Any] = {
        "stages": {"backlog": StageLive(0, None, 0), "develop": StageLive(4, NOW - DAY, 2)},
        "totals": {},
        "windows": {},
    }
    return StreamSnapshot(stream, **(settings | overrides))


def a_snapshot(*streams: StreamSnapshot, **overrides: Any) -> Snapshot:
    settings: dict[str, Any] = {
        "at": NOW,
        "streams": {stream.stream.name: stream for stream in streams},
        "monitor": {},
        "lanes": {},
        "lanes_left_out": 0,
        "letters": {},
        "lag": {},
        "lag_ages": {},
        "workers": {},
        "sources": {},
        "alarms": {},
    }
    return Snapshot(**(settings | overrides))


def everything() -> Snapshot:
    """A snapshot of which every metric of the state has a sample, with names that need escaping."""
    totals: Vector = {stage_key(1, vector.BUCKETS + code): code + 1 for code in range(18)}
    totals |= {type_key(0, code): 7 for code in range(16, 24)}
    counted: Vector = {
        stage_key(1, vector.STAGE_TIME_BINS + bin_of(HOUR)): 3,
        type_key(0, vector.FINISHED): 2,
        type_key(0, vector.CYCLE_TIME): 4 * HOUR,
        type_key(0, vector.ACTIVE_TIME): HOUR,
        type_key(0, vector.CYCLE_TIME_BINS + bin_of(2 * HOUR)): 2,
    }
    targets = {"cycle_time_p85": 10 * DAY, "lead_time_p50": 9 * DAY, "flow_efficiency": 0.4}
    targets |= {"throughput_per_week": 12, "value_per_week": 40, "wip": 5}
    stream = a_stream(labels={"train": 'a "b"\\\n'}, targets=targets)
    lane = {lanes.SUCCEEDED: 4, lanes.LEAD_TIME_BUCKETS + 3: 2, lanes.LEAD_TIME: 2_500}
    lane |= {lanes.OPEN_FAILURES: 1, lanes.OPEN_SINCE: NOW - HOUR}
    counts = {"facts|jira": 5, "late|jira": 1, "duplicates|jira": 2, "unmapped|jira|Waiting | for you": 3}
    return a_snapshot(
        a_stream_snapshot(stream, totals=totals, windows={"7d": counted}),
        a_stream_snapshot(a_stream("other-web")),
        monitor={"web": Counts("1", counts)},
        lanes={lane_name('ser"vice\\', "pro\nduction"): lane},
        letters={"jira|no_stream": 2},
        lag={0: 0, 1: 12},
        lag_ages={0: 0, 1: 2500},
        workers={"worker-1": WorkerMetrics(at=NOW, started_at=NOW - HOUR, commits=3)},
        sources={"jira": SourceMetrics(last_at=NOW - MINUTE)},
        alarms={"web": [Alarm("develop", "slowdown", 1.25, True)]},
    )


def an_exporter(snapshot: Snapshot | None, now: int = NOW, registry: CollectorRegistry | None = None) -> Exporter:
    definitions = Definitions({"web": a_stream(), "other-web": a_stream("other-web")})
    if snapshot is not None and snapshot.streams:
        definitions = Definitions({name: stream.stream for name, stream in snapshot.streams.items()}, LANE_TARGETS)
    return Exporter(lambda: snapshot, definitions, registry or CollectorRegistry(), lambda: now, "1.2.3")


def samples_of(families: Iterable[ClientMetric]) -> Samples:
    found: Samples = {}
    for family in families:
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found, f"{key} stands twice"
            found[key] = sample.value
    return found


def plain(snapshot: Snapshot | None, now: int = NOW) -> Samples:
    return samples_of(read_plain(an_exporter(snapshot, now).render(False).decode()))


def value(samples: Samples, name: str, **labels: str) -> float | None:
    return samples.get((name, frozenset(labels.items())))


# --- what is exported ------------------------------------------------------------------------------------------------


def test_only_metrics_of_the_catalogue_are_exported_with_exactly_their_labels() -> None:
    for name, labels in plain(everything()):
        wanted = {*SAMPLES[name], *({"train"} if name == "flow_stream_info" and ("stream", "web") in labels else ())}
        names = {label for label, _ in labels}
        assert names == wanted or (name == "flow_stream_info" and names == {"stream", "train"})


OF_SNAPSHOTS = {name: metric for name, metric in METRICS.items() if metric.part == "state" and metric not in BRIDGES}
"""Bridges tell of themselves: see `service.bridge_readings`."""


def test_every_metric_of_the_state_can_be_exported() -> None:
    exported = {name for name, _ in plain(everything())}
    assert exported == {name for metric in OF_SNAPSHOTS.values() for name in metric.samples()}


class ClientCollector(Collector):
    """The same points through the client library's own families, made afresh at each scrape."""

    def __init__(self, points: Points) -> None:
        self._points = points

    def collect(self) -> Iterator[ClientMetric]:
        for name, points in self._points.items():
            metric = METRICS[name]
            family: Any = {
                "gauge": GaugeMetricFamily,
                "counter": CounterMetricFamily,
                "histogram": HistogramMetricFamily,
            }[metric.kind](name, metric.help)
            for where, found in points:
                labels = dict(where.pairs)
                if isinstance(found, Distribution):
                    cumulative = 0
                    for edge, count in zip((*found.edges, "+Inf"), found.counts, strict=True):
                        cumulative += count
                        family.add_sample(f"{name}_bucket", labels | {"le": edge}, cumulative)
                    family.add_sample(f"{name}_sum", labels, found.total)
                    family.add_sample(f"{name}_count", labels, cumulative)
                else:
                    family.add_sample(name, labels, found)
            yield family


def points_of(snapshot: Snapshot) -> Points:
    definitions = Definitions({name: stream.stream for name, stream in snapshot.streams.items()}, LANE_TARGETS)
    parts = [*MonitorLayout(definitions, "1.2.3").steps(snapshot)]
    parts += [lane_points(definitions, lane, counts) for lane, counts in snapshot.lanes.items()]
    for name, stream in snapshot.streams.items():
        layout = StreamLayout(stream.stream)
        parts += [layout.fixed(), layout.counted(stream), layout.alarms(snapshot.alarms.get(name, ()))]
        parts += [layout.window(text, counted) for text, counted in stream.windows.items()]
    points: Points = defaultdict(list)
    for part in parts:
        for name, found in part.items():
            points[name] += found
    return points


@pytest.mark.parametrize("openmetrics", [False, True])
def test_the_page_holds_the_samples_that_the_client_library_would_write(openmetrics: bool) -> None:
    snapshot = everything()
    registry = CollectorRegistry()
    registry.register(ClientCollector(points_of(snapshot)))
    theirs = samples_of(read_plain(generate_latest(registry).decode()))
    read = read_openmetrics if openmetrics else read_plain
    ours = samples_of(read(an_exporter(snapshot).render(openmetrics).decode()))
    assert len(ours) > 200
    assert ours == theirs


def test_all_samples_of_a_metric_stand_together_after_one_head() -> None:
    lines = an_exporter(everything()).render(False).decode().splitlines()
    heads = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(heads) == len(set(heads))
    seen = ""
    for line in lines:
        if line.startswith("# TYPE"):
            seen = line.split()[2]
        elif not line.startswith("#"):
            assert line.startswith(seen)


# --- stages and streams ----------------------------------------------------------------------------------------------


def test_buckets_are_exact_at_their_bounds() -> None:
    stream = a_stream()
    edges = stage_edges(stream.stages[1])
    assert 36 * HOUR in edges
    totals = {stage_key(1, vector.BUCKETS + index): 10**index for index in range(3)}
    totals |= {stage_key(1, vector.BUCKETS + len(edges)): 5, stage_key(1, vector.STAGE_TIME): 90_500}
    samples = plain(a_snapshot(a_stream_snapshot(stream, totals=totals)))
    where = {"stream": "web", "stage": "develop"}
    found = {
        float(dict(labels)["le"]): count
        for (name, labels), count in samples.items()
        if name == "flow_stage_time_seconds_bucket" and ("stage", "develop") in labels
    }
    assert sorted(found) == [*(edge / 1000 for edge in edges), float("inf")]
    assert [found[edges[index] / 1000] for index in range(3)] == [1, 11, 111]
    assert (found[edges[-1] / 1000], found[float("inf")]) == (111, 116)
    assert value(samples, "flow_stage_time_seconds_sum", **where) == 90.5
    assert value(samples, "flow_stage_time_seconds_count", **where) == 116


def test_known_stages_and_types_start_at_zero() -> None:
    stream = a_stream()
    samples = plain(a_snapshot(a_stream_snapshot(stream)))
    for stage in stream.stages:
        assert value(samples, "flow_stage_arrivals_total", stream="web", stage=stage.name) == 0
    for item_type in stream.item_types:
        assert value(samples, "flow_completed_items_total", stream="web", item_type=item_type) == 0
        assert value(samples, "flow_cycle_time_seconds_count", stream="web", item_type=item_type) == 0
    assert value(samples, "streamgauge_facts_total", source="jira") == 0


def test_a_done_stage_has_departures_but_neither_wip_nor_a_time() -> None:
    totals = {stage_key(2, vector.DEPARTURES): 2, stage_key(2, vector.BUCKETS): 2}
    samples = plain(a_snapshot(a_stream_snapshot(a_stream(), totals=totals)))
    assert value(samples, "flow_stage_departures_total", stream="web", stage="done") == 2
    of_done = {name for name, labels in samples if ("stage", "done") in labels}
    counters = {"flow_stage_arrivals_total", "flow_stage_departures_total", "flow_stage_rework_total"}
    assert of_done == counters | {"flow_stage_position"}


def test_visits_over_the_expectation_are_those_in_the_buckets_above_it() -> None:
    stream = a_stream()
    edges = stage_edges(stream.stages[1])
    place = edges.index(36 * HOUR)
    totals = {stage_key(1, vector.BUCKETS + index): 1 for index in range(place + 1)}
    totals |= {stage_key(1, vector.BUCKETS + place + 1): 10, stage_key(1, vector.BUCKETS + len(edges)): 100}
    samples = plain(a_snapshot(a_stream_snapshot(stream, totals=totals)))
    name = "flow_stage_visits_over_sle_total"
    assert value(samples, name, stream="web", stage="develop") == 110
    assert value(samples, name, stream="web", stage="backlog") is None
    assert value(plain(a_snapshot(a_stream_snapshot(stream))), name, stream="web", stage="develop") == 0


def test_limits_and_expectations_are_shown_where_they_are_defined() -> None:
    samples = plain(a_snapshot(a_stream_snapshot(a_stream())))
    develop = {"stream": "web", "stage": "develop"}
    assert value(samples, "flow_stage_wip_limit", **develop) == 3
    assert value(samples, "flow_stage_items_over_sle", **develop) == 2
    assert value(samples, "flow_stage_sle_seconds", **develop, quantile="0.85") == 36 * 3600
    assert value(samples, "flow_stage_sle_ratio", **develop) == 0.85
    names = {name for name, labels in samples if ("stage", "backlog") in labels}
    assert names.isdisjoint({"flow_stage_wip_limit", "flow_stage_items_over_sle", "flow_stage_sle_seconds"})


def test_stages_say_their_place_in_the_stream() -> None:
    samples = plain(a_snapshot(a_stream_snapshot(a_stream())))
    places = [
        value(samples, "flow_stage_position", stream="web", stage=name) for name in ("backlog", "develop", "done")
    ]
    assert places == [0, 1, 2]


def test_targets_are_shown_in_base_units_and_only_where_they_are_set() -> None:
    targets = {"cycle_time_p85": 10 * DAY, "cycle_time_p50": 4 * DAY, "flow_efficiency": 0.4, "wip": 5}
    web = a_stream_snapshot(a_stream(targets=targets))
    samples = plain(a_snapshot(web, a_stream_snapshot(a_stream("bare"))))
    cycle_times = [
        value(samples, "flow_cycle_time_target_seconds", stream="web", quantile=share) for share in ("0.5", "0.85")
    ]
    assert cycle_times == [4 * 86400, 10 * 86400]
    assert value(samples, "flow_efficiency_target_ratio", stream="web") == 0.4
    assert value(samples, "flow_load_target_items", stream="web") == 5
    names = {name for name, labels in samples if "_target_" in name and ("stream", "bare") in labels}
    assert not names
    assert "flow_lead_time_target_seconds" not in {name for name, _ in samples}


def test_queue_depth_is_the_wip_of_queues_only() -> None:
    live = {"backlog": StageLive(6, NOW - DAY, 0), "develop": StageLive(4, NOW, 0)}
    samples = plain(a_snapshot(a_stream_snapshot(a_stream(), stages=live)))
    depths = {labels: depth for (name, labels), depth in samples.items() if name == "flow_stage_queue_depth"}
    assert depths == {frozenset({("stream", "web"), ("stage", "backlog")}): 6}


def test_the_oldest_arrival_is_an_instant_and_absent_when_the_stage_is_empty() -> None:
    samples = plain(a_snapshot(a_stream_snapshot(a_stream())))
    name = "flow_stage_oldest_arrival_timestamp_seconds"
    assert value(samples, name, stream="web", stage="develop") == (NOW - DAY) / 1000
    assert value(samples, name, stream="web", stage="backlog") is None


def test_times_and_value_leave_in_base_units() -> None:
    totals = {
        stage_key(1, vector.BLOCKED_TIME): 1_500,
        type_key(1, vector.VALUE_TOTAL): 8_500,
        type_key(1, vector.LEAD_TIME_TOTAL): 2_250,
    }
    samples = plain(a_snapshot(a_stream_snapshot(a_stream(), totals=totals)))
    defect = {"stream": "web", "item_type": "defect"}
    assert value(samples, "flow_stage_blocked_seconds_total", stream="web", stage="develop") == 1.5
    assert value(samples, "flow_value_delivered_total", **defect) == 8.5
    assert value(samples, "flow_lead_time_seconds_sum", **defect) == 2.25


def test_a_window_in_which_nothing_happened_has_no_quantile_and_no_efficiency() -> None:
    samples = plain(a_snapshot(a_stream_snapshot(a_stream(), windows={"7d": {}})))
    assert value(samples, "flow_window_throughput_items", stream="web", window="7d") == 0
    names = {name for name, _ in samples}
    assert names.isdisjoint(
        {"flow_stage_window_time_seconds", "flow_cycle_time_window_seconds", "flow_window_efficiency_ratio"}
    )


def test_a_window_adds_item_types_up() -> None:
    counted: Vector = {}
    for item_type, duration in ((0, HOUR), (1, 3 * HOUR), (1, 3 * HOUR)):
        vector.add(
            counted,
            {
                type_key(item_type, vector.FINISHED): 1,
                type_key(item_type, vector.CYCLE_TIME): duration,
                type_key(item_type, vector.ACTIVE_TIME): HOUR,
                type_key(item_type, vector.CYCLE_TIME_BINS + bin_of(duration)): 1,
            },
        )
    samples = plain(a_snapshot(a_stream_snapshot(a_stream(), windows={"7d": counted})))
    where = {"stream": "web", "window": "7d"}
    assert value(samples, "flow_window_throughput_items", **where) == 3
    assert value(samples, "flow_window_efficiency_ratio", **where) == pytest.approx(3 / 7)
    quantiles = [value(samples, "flow_cycle_time_window_seconds", **where, quantile=q) for q in ("0.5", "0.95")]
    assert quantiles == pytest.approx([3 * 3600, 3 * 3600], rel=0.05)


def test_an_alarm_shows_its_evidence_and_whether_it_is_raised() -> None:
    alarms = {"web": [Alarm("develop", "slowdown", 0.4, False)], "gone": [Alarm("develop", "slowdown", 2, True)]}
    samples = plain(a_snapshot(a_stream_snapshot(a_stream()), alarms=alarms))
    where = {"stream": "web", "stage": "develop", "cause": "slowdown"}
    assert value(samples, "flow_stage_bottleneck", **where) == 0
    assert value(samples, "flow_stage_bottleneck_evidence_ratio", **where) == 0.4
    assert not [labels for _, labels in samples if ("stream", "gone") in labels]


# --- the monitor and deliveries --------------------------------------------------------------------------------------


def test_a_source_that_nothing_names_is_other() -> None:
    monitor = {"web": Counts("1", {"facts|jira": 2, "facts|github": 3, "facts|evil-1": 4, "facts|evil-2": 5})}
    letters = {"evil-3|no_stream": 6, "evil|4|no_stream": 1, "jira|made up": 1}
    samples = plain(a_snapshot(a_stream_snapshot(a_stream()), monitor=monitor, letters=letters))
    found = {source: value(samples, "streamgauge_facts_total", source=source) for source in ("jira", "github", "other")}
    assert found == {"jira": 2, "github": 3, "other": 9}
    assert value(samples, "streamgauge_dead_letters_total", source="other", reason="no_stream") == 7
    assert value(samples, "streamgauge_dead_letters_total", source="jira", reason="other") == 1


def test_whatever_may_be_counted_of_a_source_starts_at_zero() -> None:
    samples = plain(a_snapshot(a_stream_snapshot(a_stream(match=Match(source=("acme",))))))
    for source in ("acme", *ADAPTERS, "other"):
        assert value(samples, "streamgauge_facts_total", source=source) == 0
        assert value(samples, "streamgauge_unmapped_statuses_total", source=source) == 0
        assert value(samples, "streamgauge_dead_letters_total", source=source, reason="no_stream") == 0


def test_the_definitions_alone_decide_how_many_samples_there_are() -> None:
    def sent(count: int) -> dict[str, Any]:
        kinds = ("facts", "late", "duplicates", "unmapped")
        said = {f"{kind}|evil-{number}": 1 for kind in kinds for number in range(count)}
        return {
            "monitor": {"web": Counts("1", said), "@deliveries": Counts("1", said)},
            "letters": {f"evil-{number}|reason-{number}": 1 for number in range(count)},
            "sources": {f"evil-{number}": SourceMetrics(last_at=NOW) for number in range(count)},
            "alarms": {f"evil-{number}": [Alarm("evil", "slowdown", 1, True)] for number in range(count)},
        }

    stream = a_stream_snapshot(a_stream(), totals={type_key(90, vector.COMPLETIONS): 3, stage_key(70, 0): 2})
    few, many = (plain(a_snapshot(stream, **sent(count))) for count in (1, 500))
    assert set(few) == set(many)


def test_facts_of_several_streams_add_up_by_source() -> None:
    monitor = {"web": Counts("1", {"late|jira": 2}), "@deliveries": Counts("1", {"late|jira": 3, "facts|jira": 1})}
    samples = plain(a_snapshot(a_stream_snapshot(a_stream()), monitor=monitor))
    assert value(samples, "streamgauge_facts_late_total", source="jira") == 5
    assert value(samples, "streamgauge_facts_total", source="jira") == 1


def test_unmapped_statuses_belong_to_the_source_that_told_them() -> None:
    stream = a_stream(match=Match(source=("jira", "linear")))
    counts = {"unmapped|jira|Waiting": 2, "unmapped|jira|On | hold": 1, "unmapped|linear|Waiting": 4, "unmapped||?": 8}
    samples = plain(a_snapshot(a_stream_snapshot(stream), monitor={"web": Counts("1", counts)}))
    shown = [value(samples, "streamgauge_unmapped_statuses_total", source=name) for name in ("jira", "linear", "other")]
    assert shown == [3, 4, 8]


def test_sources_of_workers_are_bounded_too() -> None:
    first, second = SourceMetrics(last_at=NOW - 5 * SECOND), SourceMetrics(last_at=NOW - SECOND)
    first.visible_seconds.observe((0.01,), 0.5)
    samples = plain(a_snapshot(a_stream_snapshot(a_stream()), sources={"evil-1": first, "evil-2": second}))
    assert value(samples, "streamgauge_last_fact_timestamp_seconds", source="other") == NOW / 1000 - 1
    assert value(samples, "streamgauge_last_fact_timestamp_seconds", source="jira") is None
    assert value(samples, "streamgauge_ingest_to_visible_seconds_count", source="other") == 1


def test_a_lane_has_its_outcomes_times_and_rework() -> None:
    counts = {
        lanes.SUCCEEDED: 5, lanes.FAILED: 2, lanes.ROLLED_BACK: 1, lanes.FAILED_CHANGES: 3, lanes.REWORK: 4,
        lanes.RECOVERY_BUCKETS + 1: 2, lanes.RECOVERY_TIME: 61_500,
    }  # fmt: skip
    samples = plain(a_snapshot(lanes={lane_name("checkout", "production"): counts}))
    lane = {"service": "checkout", "environment": "production"}
    outcomes = ("succeeded", "failed", "rolled_back")
    assert [value(samples, "delivery_deployments_total", **lane, outcome=outcome) for outcome in outcomes] == [5, 2, 1]
    assert value(samples, "delivery_failed_changes_total", **lane) == 3
    assert value(samples, "delivery_rework_deployments_total", **lane) == 4
    recovery = "delivery_failed_deployment_recovery_seconds"
    assert value(samples, f"{recovery}_bucket", **lane, le="10.0") == 0
    assert value(samples, f"{recovery}_bucket", **lane, le="60.0") == 2
    assert value(samples, f"{recovery}_sum", **lane) == 61.5


def test_a_lane_has_the_targets_of_the_first_entry_that_fits() -> None:
    named = [("checkout", "production"), ("mail", "production"), ("mail", "staging")]
    samples = plain(a_snapshot(a_stream_snapshot(a_stream()), lanes={lane_name(*lane): {} for lane in named}))
    found = [
        value(samples, name, service=service, environment=environment)
        for service, environment in named
        for name in ("delivery_change_fail_rate_target_ratio", "delivery_recovery_target_seconds")
    ]
    assert found == [0.15, 4 * 3600, None, None, 0.15, 4 * 3600]


def test_a_lane_says_how_many_failures_are_open_and_since_when() -> None:
    open_since = {lanes.OPEN_FAILURES: 2, lanes.OPEN_SINCE: NOW - HOUR}
    samples = plain(a_snapshot(lanes={lane_name("a", "production"): open_since, lane_name("b", "production"): {}}))
    oldest = "delivery_oldest_open_failure_timestamp_seconds"
    of_a, of_b = ({"service": name, "environment": "production"} for name in ("a", "b"))
    assert value(samples, "delivery_open_failures", **of_a) == 2
    assert value(samples, oldest, **of_a) == (NOW - HOUR) / 1000
    assert value(samples, "delivery_open_failures", **of_b) == 0
    assert value(samples, oldest, **of_b) is None


def test_lanes_beyond_the_bound_are_left_out_and_none_comes_and_goes() -> None:
    chosen = ChosenLanes(2)
    assert chosen.of(["c", "b"]) == ["c", "b"]
    assert chosen.of(["a", "b", "c"]) == ["b", "c"]
    assert chosen.of(["a", "c", "d"]) == ["a", "c"], "one that is gone makes room"


def test_what_a_worker_counted_stays_when_it_is_gone_or_starts_anew() -> None:
    def measured(facts: int, started_at: int) -> dict[str, WorkerMetrics]:
        source = SourceMetrics()
        source.delay_seconds.observe((0.1,), 0, facts)
        return {"worker-1": WorkerMetrics(at=NOW, started_at=started_at, sources={"jira": source})}

    workers = Workers()
    counts = []
    for published in (measured(5, 1), measured(7, 1), measured(1, 2), {}, measured(2, 3)):
        workers.note(published)
        counts.append(sum(workers.sources()["jira"].delay_seconds.counts))
    assert counts == [5, 7, 8, 8, 10]


def test_a_worker_that_is_silent_is_not_shown() -> None:
    workers = Workers()
    workers.note({"worker-1": WorkerMetrics(at=NOW)})
    assert (list(workers.shown(NOW + MINUTE)), list(workers.shown(NOW + MINUTE + 1))) == (["worker-1"], [])


# --- when ------------------------------------------------------------------------------------------------------------


def test_when_the_snapshot_is_stale_counters_and_its_timestamp_stay_and_gauges_go() -> None:
    fresh, stale = plain(everything(), NOW + STALE_AFTER), plain(everything(), NOW + STALE_AFTER + 1)
    assert value(stale, "streamgauge_snapshot_timestamp_seconds") == NOW / 1000
    assert value(fresh, "flow_stage_wip", stream="web", stage="develop") == 4
    gone = {name for name, _ in fresh} - {name for name, _ in stale}
    gauges = {name for name, metric in OF_SNAPSHOTS.items() if metric.kind == "gauge"}
    assert gone == gauges - {"streamgauge_snapshot_timestamp_seconds", "streamgauge_build_info"}


def test_before_the_first_snapshot_only_the_build_is_shown() -> None:
    assert plain(None) == {("streamgauge_build_info", frozenset({("version", "1.2.3")})): 1}


def watched_parts(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What text is made of from now on."""
    told: list[object] = []
    for part in ("counted", "window", "alarms"):
        make: Any = getattr(StreamLayout, part)

        def watched(layout: StreamLayout, *said: Any, make: Any = make) -> Points:
            told.append(said[-1])
            found: Points = make(layout, *said)
            return found

        monkeypatch.setattr(StreamLayout, part, watched)
    return told


def test_only_text_of_what_changed_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    told, latest = watched_parts(monkeypatch), everything()
    exporter = Exporter(
        lambda: latest,
        Definitions({name: stream.stream for name, stream in latest.streams.items()}),
        CollectorRegistry(),
        lambda: NOW,
        "1",
    )
    before = exporter.render(False)
    told.clear()
    assert exporter.render(True) != exporter.render(False) == before
    latest = replace(latest, alarms={name: list(alarms) for name, alarms in latest.alarms.items()})
    assert exporter.render(False) == before
    assert told == []
    changed = replace(latest.streams["web"], stages={"develop": StageLive(9, None, 0)})
    latest = replace(latest, streams={**latest.streams, "web": changed})
    assert b'flow_stage_wip{stream="web",stage="develop"} 9\n' in exporter.render(False)
    assert told == [changed]
    latest = replace(latest, alarms={"web": [Alarm("develop", "slowdown", 0.75, False)]})
    assert b'flow_stage_bottleneck_evidence_ratio{stream="web",stage="develop",cause="slowdown"} 0.75\n' in (
        exporter.render(False)
    )
    assert told == [changed, latest.alarms["web"]]
    corrected = replace(changed, windows={"7d": {type_key(0, vector.FINISHED): 5}})
    latest = replace(latest, streams={**latest.streams, "web": corrected})
    assert b'flow_window_throughput_items{stream="web",window="7d"} 5\n' in exporter.render(False)
    assert told[2:] == [corrected, corrected.windows["7d"]]


def test_a_lane_that_is_gone_is_no_longer_shown_and_one_that_changed_is_shown_anew() -> None:
    latest = a_snapshot(lanes={lane_name("a", "test"): {}, lane_name("b", "test"): {}})
    exporter = Exporter(lambda: latest, Definitions({}), CollectorRegistry(), lambda: NOW, "1")
    assert b'delivery_open_failures{service="b",environment="test"} 0\n' in exporter.render(False)
    latest = a_snapshot(lanes={lane_name("a", "test"): {lanes.OPEN_FAILURES: 3}})
    page = exporter.render(False)
    assert b'delivery_open_failures{service="a",environment="test"} 3\n' in page
    assert b'service="b"' not in page


def test_a_snapshot_that_grows_old_loses_its_gauges_though_it_is_the_same() -> None:
    now, latest = NOW, everything()
    definitions = Definitions({name: stream.stream for name, stream in latest.streams.items()})
    exporter = Exporter(lambda: latest, definitions, CollectorRegistry(), lambda: now, "1")
    assert b"flow_stage_wip" in exporter.render(False)
    now += STALE_AFTER + 1
    assert b"flow_stage_wip" not in exporter.render(False)


@pytest.mark.parametrize("openmetrics", [False, True])
def test_what_the_process_counts_stands_beside_the_state_and_is_always_fresh(openmetrics: bool) -> None:
    registry = CollectorRegistry()
    counter = Counter("streamgauge_snapshot_failures_total", "Failures.", registry=registry)
    exporter = an_exporter(everything(), registry=registry)
    read = read_openmetrics if openmetrics else read_plain
    found = []
    for _ in range(2):
        samples = samples_of(read(exporter.render(openmetrics).decode()))
        found.append(value(samples, "streamgauge_snapshot_failures_total"))
        assert value(samples, "flow_stage_wip", stream="web", stage="develop") == 4
        counter.inc()
    assert found == [0, 1]


# --- the endpoint ----------------------------------------------------------------------------------------------------


async def ask(headers: Mapping[str, str], public: bool = True, method: str = "GET") -> httpx.Response:
    tokens = TokenCheck({"reader": sha256(TOKEN.encode()).hexdigest()}, open_access=False)
    app = Starlette(routes=[Route("/metrics", metrics_endpoint(an_exporter(everything()), tokens, public))])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        return await client.request(method, "/metrics", headers={"accept": "*/*", **headers})


async def test_the_plain_format_is_the_default() -> None:
    reply = await ask({"accept-encoding": "identity"})
    assert (reply.status_code, reply.headers["content-type"]) == (200, PLAIN_TYPE)
    assert "content-encoding" not in reply.headers
    assert reply.headers["vary"] == "Accept, Accept-Encoding"
    assert samples_of(read_plain(reply.text)) == plain(everything())


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5", OPENMETRICS_TYPE),
        ("text/plain;version=0.0.4;q=0.9,application/openmetrics-text;q=0.5", PLAIN_TYPE),
        ("application/openmetrics-text;q=0", PLAIN_TYPE),
        ("application/openmetrics-text; version=banana;q=oops", OPENMETRICS_TYPE),
        ("", PLAIN_TYPE),
    ],
)
async def test_the_accept_header_chooses_the_format(accept: str, expected: str) -> None:
    reply = await ask({"accept": accept})
    assert reply.headers["content-type"] == expected
    assert reply.text.endswith("# EOF\n") == (expected == OPENMETRICS_TYPE)


async def test_the_page_is_compressed_when_that_is_accepted() -> None:
    reply = await ask({"accept-encoding": "br, gzip;q=0.5"})
    assert reply.headers["content-encoding"] == "gzip"
    assert samples_of(read_plain(reply.text)) == plain(everything())
    [page] = await an_exporter(everything()).page(openmetrics=False, compressed=True)
    assert gzip.decompress(page).decode() == reply.text


async def test_a_page_says_how_long_it_is() -> None:
    for encoding in ("identity", "gzip"):
        reply = await ask({"accept-encoding": encoding})
        assert int(reply.headers["content-length"]) == reply.num_bytes_downloaded > 1000


@pytest.mark.parametrize("token", [None, "wrong"])
async def test_without_the_right_token_nothing_is_shown_unless_it_is_public(token: str | None) -> None:
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    with pytest.raises(Unauthorised):
        await ask(headers, public=False)
    assert (await ask(headers, public=True)).status_code == 200


async def test_the_right_token_opens_the_page() -> None:
    assert (await ask({"authorization": f"Bearer {TOKEN}"}, public=False)).status_code == 200


async def test_the_page_can_only_be_read() -> None:
    reply = await ask({}, method="POST")
    assert (reply.status_code, reply.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    ("header", "name", "expected"),
    [
        ("gzip", "gzip", 1.0),
        ("GZIP;q=0", "gzip", 0.0),
        ("br;q=1, gzip ; q=0.25", "gzip", 0.25),
        ("", "gzip", 0.0),
        ("gzipped", "gzip", 0.0),
    ],
)
def test_the_weight_of_a_header_entry(header: str, name: str, expected: float) -> None:
    assert quality(header, name) == expected


# --- webhooks come first ---------------------------------------------------------------------------------------------


class SlowTimer:
    """Each look at it takes half a millisecond."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        self.seconds += 0.0005
        return self.seconds


def many_streams(count: int) -> Snapshot:
    return a_snapshot(*(a_stream_snapshot(a_stream(f"web-{number}"), windows={"7d": {}}) for number in range(count)))


async def test_other_work_goes_on_all_the_while_a_page_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    breaths: list[float] = []
    gave_way = asyncio.sleep

    async def sleep(seconds: float) -> None:
        breaths.append(seconds)
        await gave_way(0)

    monkeypatch.setattr("service.exporter.asyncio.sleep", sleep)
    snapshot = many_streams(50)
    definitions = Definitions({name: stream.stream for name, stream in snapshot.streams.items()})
    exporter = Exporter(lambda: snapshot, definitions, CollectorRegistry(), lambda: NOW, "1", timer=SlowTimer())
    page = b"".join(await exporter.page(openmetrics=False))
    assert page == exporter.render(False)
    assert len(breaths) > 50
    assert 0 < min(breaths) <= max(breaths) <= 0.002


async def test_a_page_that_takes_long_hurries(monkeypatch: pytest.MonkeyPatch) -> None:
    breaths: list[float] = []

    async def sleep(seconds: float) -> None:
        breaths.append(seconds)
        timer.seconds += seconds

    monkeypatch.setattr("service.exporter.asyncio.sleep", sleep)
    timer, snapshot = SlowTimer(), many_streams(600)
    definitions = Definitions({name: stream.stream for name, stream in snapshot.streams.items()})
    exporter = Exporter(lambda: snapshot, definitions, CollectorRegistry(), lambda: NOW, "1", timer=timer)
    await exporter.page(openmetrics=False)
    hurried = breaths.index(0)
    assert breaths[:hurried] == [breaths[0]] * hurried
    assert set(breaths[hurried:]) == {0}


def test_no_step_of_a_page_is_about_more_than_one_stream_and_no_piece_is_large() -> None:
    snapshot = many_streams(300)
    steps = [*an_exporter(snapshot)._steps(openmetrics=False)]
    assert sum(not step for step in steps) >= 300
    assert 100_000 < max(map(len, steps)) < 200_000


async def test_pages_that_are_made_at_once_are_each_of_one_snapshot() -> None:
    snapshots = [many_streams(40)]
    definitions = Definitions({name: stream.stream for name, stream in snapshots[0].streams.items()})
    exporter = Exporter(lambda: snapshots[-1], definitions, CollectorRegistry(), lambda: NOW, "1", timer=SlowTimer())
    first = asyncio.create_task(exporter.page(openmetrics=False))
    await asyncio.sleep(0)
    live = {"develop": StageLive(9, None, 0)}
    changed = {name: replace(stream, stages=live) for name, stream in snapshots[0].streams.items()}
    snapshots.append(replace(snapshots[0], streams=changed))
    pages = [b"".join(await page) for page in (first, exporter.page(openmetrics=False))]
    shown = [re.findall(rb'flow_stage_wip{stream="[^"]+",stage="develop"} (\d)', page) for page in pages]
    assert shown == [[b"4"] * 40, [b"9"] * 40]
