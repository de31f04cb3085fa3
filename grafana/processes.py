"""The closed rows of `flow-pipeline`: what each worker, bridge and HTTP process does."""

from __future__ import annotations

from typing import Final

from grafana.boards import Row
from grafana.colours import ANY_IS_WARNING, SNAPSHOT_AGE
from grafana.panels import PER_SECOND, REQUESTS, SECONDS, SHARE, SINCE, TEXT, ShownPanel, over_time
from grafana.queries import (
    RECENT,
    SOURCE,
    Query,
    age,
    ever,
    process_quantile,
    processes,
    quantile,
    series,
    speed,
    state,
)
from grafana.tables import Column, rows_of


def used(counter: str, by: str) -> str:
    """How fast the processes count, of what ever happened."""
    return ever(processes(counter, SOURCE, by=by), counter, by)


def each_worker() -> Row:
    """What each worker does."""
    found, read = (
        speed(f"streamgauge_worker_items_{word}_total", by="worker", over=RECENT) for word in ("found", "read")
    )
    return Row(
        (
            over_time(
                "Facts read", "Does each worker work?",
                [Query(speed("streamgauge_worker_facts_total", by="worker", over=RECENT), "{{worker}}")],
                unit=PER_SECOND, width=6,
            ),
            over_time(
                "Commit, p99", "Is Redis slow? The time to make one batch durable in the state.",
                [Query(quantile("0.99", "streamgauge_commit_seconds", by="worker", over=RECENT), "{{worker}}")],
                unit=SECONDS, width=6,
            ),
            over_time(
                "Commits refused", "Do workers fight over partitions? Some after a rebalance are usual, many are not.",
                [Query(speed("streamgauge_worker_conflicts_total", by="worker", over=RECENT), "{{worker}}")],
                unit=PER_SECOND, width=6,
            ),
            over_time(
                "Partitions that wait", "Is Redis away, full, or moving a slot? So many partitions can't go on.",
                [Query(state("streamgauge_worker_waiting_partitions", by="worker"), "{{worker}}")],
                width=6,
            ),
            over_time(
                "Items found in memory", "Is the memory for items large enough? The rest is read from Redis.",
                [Query(f"{found} / ({found} + {read} > 0)", "{{worker}}")],
                unit=SHARE, width=8,
            ),
            over_time(
                "Last sign of life", "Is a worker silent? After a minute it is no longer shown.",
                [Query(age(state("streamgauge_worker_published_timestamp_seconds", by="worker")), "{{worker}}")],
                unit=SECONDS, width=8,
            ),
            over_time(
                "Up for", "Does a worker restart again and again?",
                [Query(age(state("streamgauge_worker_start_timestamp_seconds", by="worker")), "{{worker}}")],
                unit=SECONDS, width=8,
            ),
        ),
        "Workers",
    )  # fmt: skip


def bridges() -> Row:
    """What comes over Kafka topics of one's own."""
    by_topic, of = "bridge, topic", "{{bridge}}: {{topic}}"
    refused = speed("streamgauge_bridge_refused_records_total", by=f"{by_topic}, reason", over=RECENT)
    return Row(
        (
            over_time(
                "Records read by bridges", "Is what comes over topics of your own read?",
                [Query(speed("streamgauge_bridge_records_total", by=by_topic, over=RECENT), of)],
                unit=PER_SECOND, width=8,
            ),
            over_time(
                "Lag of bridges", "How long has the oldest record of each topic waited?",
                [Query(state("streamgauge_bridge_lag_seconds", by=by_topic), of)],
                unit=SECONDS, width=8,
            ),
            over_time(
                "Records refused, by reason", "What on these topics was not understood? It is kept as a dead letter.",
                [Query(f"{refused} > 0", of + ", {{reason}}")],
                unit=PER_SECOND, width=8,
            ),
        ),
        "Bridges",
    )  # fmt: skip


_FAILED: Final = 'status=~"5.."'


def each_process() -> Row:
    """What each HTTP process does."""
    panels = (*_taking_in(), *_reading(), *_making_good(), _what_runs(), _versions())
    return Row(panels, "HTTP processes")


def _taking_in() -> tuple[ShownPanel, ...]:
    return (
        over_time(
            "Facts taken in", "How much is made durable in the log?",
            [Query(used("streamgauge_ingest_facts_total", "source"), "{{source}}")],
            unit=PER_SECOND, width=8,
        ),
        over_time(
            "Append to the log, p99", "Is the log slow? A webhook is answered only after this.",
            [Query(process_quantile("0.99", "streamgauge_append_seconds"), "append")],
            unit=SECONDS, width=8,
        ),
        over_time(
            "Answers that failed", "Does a process answer with an error of its own?",
            [Query(processes("streamgauge_http_requests_total", _FAILED, by="route"), "{{route}}")],
            unit=REQUESTS, width=8,
        ),
    )  # fmt: skip


def _reading() -> tuple[ShownPanel, ...]:
    return (
        over_time(
            "Age of what is shown", "Can every process read the state? Red line: StreamgaugeDown.",
            [Query(age(f"max by (instance) ({series('streamgauge_snapshot_timestamp_seconds')})"), "{{instance}}")],
            unit=SECONDS, steps=SNAPSHOT_AGE, width=8,
        ),
        over_time(
            "Reading the state, p99", "Is Redis slow to answer?",
            [Query(process_quantile("0.99", "streamgauge_snapshot_seconds"), "reading")],
            unit=SECONDS, width=8,
        ),
        over_time(
            "Readings that failed", "Is Redis away?",
            [Query(processes("streamgauge_snapshot_failures_total"), "failures")],
            unit=PER_SECOND, width=8,
        ),
    )  # fmt: skip


def _making_good() -> tuple[ShownPanel, ...]:
    return (
        over_time(
            "Spool", "Do deliveries wait on a disk because the log is away (StreamgaugeSpooling)? 100% is full.",
            [
                Query(f"max by (instance) ({series('streamgauge_spool_filled_ratio')})", "{{instance}} filled"),
            ],
            unit=SHARE, width=8,
        ),
        over_time(
            "Items read again, by outcome",
            "Are webhooks that do not say enough made good by asking the tool? What failed or was dropped is "
            "missing.",
            [Query(used("streamgauge_hydrated_items_total", "source, outcome"), "{{source}}: {{outcome}}")],
            unit=PER_SECOND, width=16,
        ),
    )  # fmt: skip


def _what_runs() -> ShownPanel:
    return rows_of(
        "Processes",
        "What runs where? Versions that differ are an unfinished roll-out; lanes left out are counted, not "
        "exported.",
        [Column("Instance", unit=TEXT)],
        [
            Column("Deliveries spooled", f"max by (instance) ({series('streamgauge_spool_deliveries')})",
                   steps=ANY_IS_WARNING),
            Column("Oldest spooled",
                   f"1000 * max by (instance) ({series('streamgauge_spool_oldest_timestamp_seconds')})", SINCE),
            Column("Lanes left out", f"max by (instance) ({series('streamgauge_lanes_left_out')})",
                   steps=ANY_IS_WARNING),
        ],
        order="Instance", width=16, height=7,
    )  # fmt: skip


def _versions() -> ShownPanel:
    return rows_of(
        "Versions", "Which versions run?",
        [Column("Version", unit=TEXT)],
        [Column("Processes", f"count by (version) ({series('streamgauge_build_info')})")],
        order="Version", width=8, height=7,
    )  # fmt: skip
