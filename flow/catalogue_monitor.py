"""The metrics about the monitor itself: part of the catalogue."""

from __future__ import annotations

from typing import Final

from flow.metric import counter, fixed, gauge, histogram
from flow.worker_metrics import COMMIT_BUCKETS, DELAY_BUCKETS, VISIBLE_BUCKETS

REQUEST_TIMES: Final = fixed((0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0))

FACTS: Final = (
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
        "Facts whose status no stage claims.",
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

WORKERS: Final = (
    gauge("streamgauge_log_lag_facts", ("partition",), "Facts in the log that are not in the state yet."),
    gauge(
        "streamgauge_log_lag_seconds",
        ("partition",),
        "How long the oldest fact that is not in the state yet has been in the log; 0 when all are.",
    ),
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
    counter(
        "streamgauge_worker_items_found_total", ("worker",), "Items that facts named and that the worker had in memory."
    ),
    counter(
        "streamgauge_worker_items_read_total",
        ("worker",),
        "Items that facts named and that the worker had to read from the state, or that were new.",
    ),
    gauge(
        "streamgauge_worker_waiting_partitions",
        ("worker",),
        "Partitions of the worker that wait for Redis, because it is away, full, or moves a slot.",
    ),
    gauge("streamgauge_worker_start_timestamp_seconds", ("worker",), "When the worker started."),
    gauge(
        "streamgauge_worker_published_timestamp_seconds",
        ("worker",),
        "When the worker last told of itself. A worker that is silent for a minute is no longer shown.",
    ),
)

BRIDGES: Final = (
    counter(
        "streamgauge_bridge_records_total",
        ("bridge", "topic"),
        "Records that the bridge is done with: what they told is durable in the log.",
    ),
    counter("streamgauge_bridge_facts_total", ("bridge", "topic"), "Facts that these records told."),
    counter(
        "streamgauge_bridge_ignored_records_total",
        ("bridge", "topic"),
        "Records that told nothing, such as events that are of no interest here, and records without a value.",
    ),
    counter(
        "streamgauge_bridge_refused_records_total",
        ("bridge", "topic", "reason"),
        "Records that became dead letters, with the reason.",
    ),
    gauge(
        "streamgauge_bridge_lag_records",
        ("bridge", "topic"),
        "Records that the bridge is not done with, of the partitions that it has.",
    ),
    gauge(
        "streamgauge_bridge_lag_seconds",
        ("bridge", "topic"),
        "How long the oldest of them has waited, as far as this bridge has seen; 0 when there are none.",
    ),
    gauge("streamgauge_bridge_waiting", ("bridge",), "1 while the bridge waits for the log to take facts, else 0."),
    gauge("streamgauge_bridge_start_timestamp_seconds", ("bridge",), "When the bridge started."),
    gauge(
        "streamgauge_bridge_published_timestamp_seconds",
        ("bridge",),
        "When the bridge last told of itself. A bridge that is silent for a minute is no longer shown.",
    ),
)

MONITOR: Final = (
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

PROCESS: Final = (
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
    gauge(
        "streamgauge_spool_deliveries",
        (),
        "Deliveries on the disk of this process that wait for the log.",
        "process",
    ),
    gauge(
        "streamgauge_spool_oldest_timestamp_seconds",
        (),
        "When the oldest of them was spooled. Not there while none waits.",
        "process",
    ),
    gauge("streamgauge_spool_filled_ratio", (), "How much of the spool's bound is in use: 1 is full.", "process"),
    counter(
        "streamgauge_spooled_deliveries_total",
        ("source",),
        "Deliveries that were spooled, because the log was away and their sender never sends again.",
        "process",
    ),
    counter(
        "streamgauge_hydrated_items_total",
        ("source", "outcome"),
        "Items whose webhook did not say enough, by what came of reading them again: read, gone, failed, dropped.",
        "process",
    ),
)
