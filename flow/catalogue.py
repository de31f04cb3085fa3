"""Every metric that Streamgauge exports, once. What is not here is not exported; docs, rules and dashboards are checked
against it, and `docs/metrics.md` is made from it.

Base units; `_total` on counters, `_seconds` on times. `stage` is a label on purpose: it is the noun of this domain.
No label ever holds an item, a person or a title, and each has a bounded set of values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from flow.metric import Buckets, Metric, counter, fixed, gauge, histogram, markdown
from flow.worker_metrics import COMMIT_BUCKETS, DELAY_BUCKETS, VISIBLE_BUCKETS

STAGE_TIMES: Final = Buckets("10 s to 90 d, and the stage's SLE")
CYCLE_TIMES: Final = Buckets("10 s to 90 d, and the stream's cycle time targets")
LEAD_TIMES: Final = Buckets("10 s to 90 d, and the stream's lead time targets")
DELIVERY_TIMES: Final = Buckets("10 s to 90 d")
REQUEST_TIMES: Final = fixed((0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0))

_STAGE: Final = ("stream", "stage")
_TYPE: Final = ("stream", "item_type")
_LANE: Final = ("service", "environment")

_STAGES: Final = (
    gauge("flow_stage_wip", _STAGE, "Items in the stage now."),
    gauge("flow_stage_wip_limit", _STAGE, "The most items that the stage may hold, where it has a limit."),
    gauge("flow_stage_queue_depth", _STAGE, "Items that wait in the stage now, for stages of kind queue."),
    gauge("flow_stage_blocked_items", _STAGE, "Items in the stage whose blocked flag is set."),
    gauge(
        "flow_stage_sle_seconds",
        (*_STAGE, "quantile"),
        "Service level expectation: the share `quantile` of the items leaves the stage within this time.",
    ),
    gauge(
        "flow_stage_items_over_sle",
        _STAGE,
        "Items in the stage for longer than its service level expectation, where it has one.",
    ),
    gauge(
        "flow_stage_oldest_arrival_timestamp_seconds",
        _STAGE,
        "When the item that is longest in the stage arrived: its age is time() minus this. Absent when it is empty.",
    ),
    counter("flow_stage_arrivals_total", _STAGE, "Visits to the stage that began."),
    counter("flow_stage_departures_total", _STAGE, "Visits to the stage that ended."),
    counter("flow_stage_rework_total", _STAGE, "Moves from the stage to an earlier one, or out of done."),
    counter("flow_stage_blocked_seconds_total", _STAGE, "Time that items spent blocked in the stage."),
    histogram("flow_stage_time_seconds", _STAGE, "Length of finished visits to the stage.", STAGE_TIMES),
    gauge(
        "flow_stage_window_time_seconds",
        (*_STAGE, "window", "quantile"),
        "Quantile of the visits that ended in the sliding window, late facts included. Absent when there were none.",
    ),
    gauge("flow_stage_bottleneck", (*_STAGE, "cause"), "1 while the stage is in alarm for this cause, else 0."),
    gauge(
        "flow_stage_bottleneck_evidence_ratio",
        (*_STAGE, "cause"),
        "Evidence that the stage is becoming the bottleneck, relative to what raises the alarm at 1.",
    ),
)

_STREAMS: Final = (
    gauge(
        "flow_stream_info",
        ("stream",),
        "Always 1. Carries the labels that the stream's definition sets, for roll-ups by join.",
        open_labels=True,
    ),
    histogram("flow_cycle_time_seconds", _TYPE, "From commitment to each arrival in done.", CYCLE_TIMES),
    histogram("flow_lead_time_seconds", _TYPE, "From the first fact to each arrival in done.", LEAD_TIMES),
    counter("flow_completed_items_total", _TYPE, "Arrivals in done."),
    counter("flow_reopened_items_total", _TYPE, "Departures from done."),
    counter("flow_value_delivered_total", _TYPE, "Value of the items that arrived in done, in the unit of the facts."),
    gauge(
        "flow_cycle_time_window_seconds",
        ("stream", "window", "quantile"),
        "Quantile of the cycle times of items finished in the sliding window. Absent when there were none.",
    ),
    gauge(
        "flow_window_throughput_items",
        ("stream", "window"),
        "Items finished in the sliding window, each once, at its last arrival in done.",
    ),
    gauge(
        "flow_window_efficiency_ratio",
        ("stream", "window"),
        "Unblocked time in active stages per cycle time, of items finished in the window. Absent when there were none.",
    ),
)

_DELIVERIES: Final = (
    counter(
        "delivery_deployments_total", (*_LANE, "outcome"), "Deployments by outcome: succeeded, failed, rolled_back."
    ),
    counter(
        "delivery_failed_changes_total",
        _LANE,
        "Deployments that succeeded and then needed intervention; per succeeded deployment, the change fail rate.",
    ),
    counter(
        "delivery_rework_deployments_total",
        _LANE,
        "Deployments that succeeded and were made to remediate an incident; per succeeded deployment, the rework rate.",
    ),
    histogram(
        "delivery_change_lead_time_seconds",
        _LANE,
        "From a change's commit to the deployment that first brought it to the environment.",
        DELIVERY_TIMES,
    ),
    histogram(
        "delivery_failed_deployment_recovery_seconds",
        _LANE,
        "From an incident's opening to its resolution, or from a deployment's success to its roll-back.",
        DELIVERY_TIMES,
    ),
)

_FACTS: Final = (
    counter("streamgauge_facts_total", ("source",), "Facts applied; one that two streams claim counts in both."),
    counter(
        "streamgauge_facts_duplicate_total", ("source",), "Facts that were there already, per stream that claims them."
    ),
    counter(
        "streamgauge_facts_late_total",
        ("source",),
        "Facts older than what was known of their item, per stream that claims them.",
    ),
    counter(
        "streamgauge_unmapped_statuses_total",
        ("source",),
        "Facts whose status no stage claims. The source is the one that the stream's match names; other when it names "
        "none or several.",
    ),
    counter(
        "streamgauge_dead_letters_total",
        ("source", "reason"),
        "What could not be applied and was kept whole, with the reason.",
    ),
    histogram(
        "streamgauge_event_delay_seconds",
        ("source",),
        "From the time of the event to when its fact was visible.",
        fixed(DELAY_BUCKETS),
    ),
    histogram(
        "streamgauge_ingest_to_visible_seconds",
        ("source",),
        "From when the log took a batch's newest fact to when the batch was visible.",
        fixed(VISIBLE_BUCKETS),
    ),
    gauge(
        "streamgauge_last_fact_timestamp_seconds",
        ("source",),
        "Newest time of an event of this source since the workers started.",
    ),
)

_WORKERS: Final = (
    gauge("streamgauge_log_lag_facts", ("partition",), "Facts in the log that are not in the state yet."),
    histogram(
        "streamgauge_commit_seconds",
        ("worker",),
        "How long it took to make one batch durable in the state.",
        fixed(COMMIT_BUCKETS),
    ),
    counter("streamgauge_worker_facts_total", ("worker",), "Facts that the worker read from the log."),
    counter("streamgauge_worker_commits_total", ("worker",), "Batches that the worker committed."),
    counter(
        "streamgauge_worker_conflicts_total",
        ("worker",),
        "Commits that were refused because another worker had the partition.",
    ),
    gauge("streamgauge_worker_start_timestamp_seconds", ("worker",), "When the worker started."),
    gauge(
        "streamgauge_worker_published_timestamp_seconds",
        ("worker",),
        "When the worker last told of itself. A worker that is silent for a minute is no longer shown.",
    ),
)

_MONITOR: Final = (
    gauge("streamgauge_build_info", ("version",), "Always 1. The version that runs."),
    gauge(
        "streamgauge_snapshot_timestamp_seconds",
        (),
        "When the state was last read. After 30 s without Redis the other gauges of the state are not exported.",
    ),
    gauge(
        "streamgauge_lanes_left_out",
        (),
        "Delivery lanes that are counted but not exported, because there are too many.",
    ),
)

_PROCESS: Final = (
    counter(
        "streamgauge_snapshot_failures_total", (), "Attempts to read the state for this page that failed.", "process"
    ),
    histogram(
        "streamgauge_snapshot_seconds",
        (),
        "How long it took to read the state for this page.",
        REQUEST_TIMES,
        "process",
    ),
    counter("streamgauge_webhook_requests_total", ("source",), "Webhooks received, accepted or not.", "process"),
    counter(
        "streamgauge_webhook_rejections_total", ("source", "reason"), "Webhooks refused, with the reason.", "process"
    ),
    counter(
        "streamgauge_ingest_facts_total",
        ("source",),
        "Facts taken in and made durable in the log, redelivered ones among them.",
        "process",
    ),
    counter(
        "streamgauge_http_requests_total",
        ("route", "method", "status"),
        "HTTP requests answered, by the route's template.",
        "process",
    ),
    histogram(
        "streamgauge_http_request_seconds",
        ("route",),
        "How long it took to answer, by the route's template.",
        REQUEST_TIMES,
        "process",
    ),
    histogram(
        "streamgauge_append_seconds", (), "How long it took to make facts durable in the log.", REQUEST_TIMES, "process"
    ),
)

SECTIONS: Final[Mapping[str, Sequence[Metric]]] = {
    "Stages": _STAGES,
    "Streams": _STREAMS,
    "Deliveries": _DELIVERIES,
    "Facts": _FACTS,
    "Workers": _WORKERS,
    "The monitor": _MONITOR,
    "The HTTP process": _PROCESS,
}

METRICS: Final[Mapping[str, Metric]] = {metric.name: metric for section in SECTIONS.values() for metric in section}

SAMPLES: Final[Mapping[str, tuple[str, ...]]] = {
    name: labels for metric in METRICS.values() for name, labels in metric.samples().items()
}
"""Every sample's name with its labels: a histogram has three."""


def page() -> str:
    """The page of the docs that lists all metrics."""
    return markdown(SECTIONS)
