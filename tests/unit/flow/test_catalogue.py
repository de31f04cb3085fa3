"""The catalogue keeps the names that others rely on, and Prometheus' rules for names."""

from __future__ import annotations

import re
from itertools import chain
from pathlib import Path

import pytest

from flow import catalogue
from flow.catalogue import METRICS, SAMPLES, SECTIONS

ROOT = Path(__file__).parents[3]

ALLOWED_LABELS = {
    "stream", "stage", "item_type", "service", "environment", "window", "quantile", "cause", "outcome", "source",
    "reason", "partition", "worker", "version", "route", "method", "status", "bridge", "topic",
}  # fmt: skip

STAGE, TYPE, LANE = "stream stage", "stream item_type", "service environment"

# Names, kinds and labels that dashboards, rules and scripts outside this project may hold.
CORE = {
    "flow_stage_wip": ("gauge", STAGE),
    "flow_stage_wip_limit": ("gauge", STAGE),
    "flow_stage_blocked_items": ("gauge", STAGE),
    "flow_stage_items_over_sle": ("gauge", STAGE),
    "flow_stage_queue_depth": ("gauge", STAGE),
    "flow_stage_oldest_arrival_timestamp_seconds": ("gauge", STAGE),
    "flow_stage_arrivals_total": ("counter", STAGE),
    "flow_stage_departures_total": ("counter", STAGE),
    "flow_stage_rework_total": ("counter", STAGE),
    "flow_stage_blocked_seconds_total": ("counter", STAGE),
    "flow_stage_handoffs_total": ("counter", STAGE),
    "flow_stage_value_waiting": ("gauge", STAGE),
    "flow_stage_time_seconds": ("histogram", STAGE),
    "flow_cycle_time_seconds": ("histogram", TYPE),
    "flow_lead_time_seconds": ("histogram", TYPE),
    "flow_completed_items_total": ("counter", TYPE),
    "flow_reopened_items_total": ("counter", TYPE),
    "flow_value_delivered_total": ("counter", TYPE),
    "flow_stage_window_time_seconds": ("gauge", "stream stage window quantile"),
    "flow_cycle_time_window_seconds": ("gauge", "stream window quantile"),
    "flow_window_throughput_items": ("gauge", "stream window"),
    "flow_window_efficiency_ratio": ("gauge", "stream window"),
    "flow_stage_bottleneck": ("gauge", "stream stage cause"),
    "flow_stage_bottleneck_evidence_ratio": ("gauge", "stream stage cause"),
    "delivery_deployments_total": ("counter", "service environment outcome"),
    "delivery_change_lead_time_seconds": ("histogram", LANE),
    "delivery_failed_deployment_recovery_seconds": ("histogram", LANE),
    "delivery_rework_deployments_total": ("counter", LANE),
    "streamgauge_facts_total": ("counter", "source"),
    "streamgauge_facts_duplicate_total": ("counter", "source"),
    "streamgauge_facts_late_total": ("counter", "source"),
    "streamgauge_dead_letters_total": ("counter", "source reason"),
    "streamgauge_unmapped_statuses_total": ("counter", "source"),
    "streamgauge_event_delay_seconds": ("histogram", "source"),
    "streamgauge_ingest_to_visible_seconds": ("histogram", "source"),
    "streamgauge_log_lag_facts": ("gauge", "partition"),
    "streamgauge_last_fact_timestamp_seconds": ("gauge", "source"),
}


@pytest.mark.parametrize("name", CORE)
def test_a_name_that_others_rely_on_keeps_its_kind_and_labels(name: str) -> None:
    metric = METRICS[name]
    assert (metric.kind, " ".join(metric.labels)) == CORE[name]


def test_every_name_stands_once_and_no_two_metrics_share_a_sample() -> None:
    listed = [metric for section in SECTIONS.values() for metric in section]
    assert len(METRICS) == len(listed)
    assert len(SAMPLES) == len(list(chain.from_iterable(metric.samples() for metric in listed)))


@pytest.mark.parametrize("name", METRICS)
def test_names_follow_the_conventions(name: str) -> None:
    metric = METRICS[name]
    assert re.fullmatch(r"(flow|delivery|streamgauge)(_[a-z]+)+", name)
    assert name.endswith("_total") == (metric.kind == "counter")
    assert not re.search(r"_(ms|milliseconds|minutes|hours|days|percent|bucket|sum|count|created)(_|$)", name)
    if metric.kind == "histogram":
        assert name.endswith("_seconds")
    assert (metric.kind == "histogram") == (metric.buckets is not None)


@pytest.mark.parametrize("name", METRICS)
def test_labels_are_few_and_none_names_an_item_or_a_person(name: str) -> None:
    assert set(METRICS[name].labels) <= ALLOWED_LABELS
    assert len(set(METRICS[name].labels)) == len(METRICS[name].labels) <= 4


@pytest.mark.parametrize("name", METRICS)
def test_help_is_one_line_of_sentences(name: str) -> None:
    assert re.fullmatch(r"[A-Z1][^\n|]*\.", METRICS[name].help)


@pytest.mark.parametrize("name", [name for name, metric in METRICS.items() if metric.buckets and metric.buckets.edges])
def test_fixed_buckets_ascend(name: str) -> None:
    buckets = METRICS[name].buckets
    assert buckets is not None
    assert list(buckets.edges) == sorted(set(buckets.edges))


def test_a_histogram_has_three_samples_of_which_one_has_a_bound() -> None:
    name = "flow_stage_time_seconds"
    found = {suffix: SAMPLES[f"{name}_{suffix}"] for suffix in ("bucket", "sum", "count")}
    assert found == {
        "bucket": ("stream", "stage", "le"),
        "sum": ("stream", "stage"),
        "count": ("stream", "stage"),
    }
    assert name not in SAMPLES


def test_the_page_of_the_docs_is_the_catalogue() -> None:
    assert (ROOT / "docs/metrics.md").read_text() == catalogue.page()
