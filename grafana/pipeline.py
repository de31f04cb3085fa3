"""`flow-pipeline`: can I trust the numbers?"""

from __future__ import annotations

from typing import Final

from grafana import marks, variables
from grafana.arrival import SILENT, arrival
from grafana.boards import Board, Row
from grafana.colours import ANY_IS_WARNING, LAG, PLAIN
from grafana.panels import PER_SECOND, REQUESTS, SECONDS, SINCE, TEXT, ShownPanel, over_time
from grafana.processes import bridges, each_process, each_worker, used
from grafana.queries import (
    RECENT,
    SOURCE,
    Query,
    grown,
    process_quantile,
    quantile,
    speed,
    state,
    total,
)
from grafana.tables import Column, rows_of

RANGE: Final = "$__range"


def _sources() -> ShownPanel:
    def seen(expression: str) -> str:
        return f"{expression} and on (source) ({facts} > 0 or {letters_ever} > 0)"

    def counted(counter: str) -> str:
        return seen(grown(counter, SOURCE, by="source", over=RANGE))

    facts = state("streamgauge_facts_total", by="source")
    letters_ever = state("streamgauge_dead_letters_total", by="source")
    letters = total(grown("streamgauge_dead_letters_total", SOURCE, by="source, reason", over=RANGE), "source")
    return rows_of(
        "Sources",
        "Which tool is silent, or not understood? Counts of the shown range. Silent for: FlowSourceSilent. Dead "
        "letters and unknown statuses are amber as soon as there is one (StreamgaugeDeadLetters, "
        "FlowUnmappedStatuses).",
        [Column("Source", unit=TEXT)],
        [
            Column(
                "Newest event", f"1000 * {state('streamgauge_last_fact_timestamp_seconds', SOURCE, by='source')}", SINCE
            ),
            Column("Silent for", f"max by (source) ({SILENT}{{{SOURCE}}})", SECONDS, steps=ANY_IS_WARNING),
            Column("Facts", counted("streamgauge_facts_total"), decimals=0),
            Column("Duplicates", counted("streamgauge_facts_duplicate_total"), decimals=0),
            Column("Late", counted("streamgauge_facts_late_total"), decimals=0),
            Column("Unknown statuses", counted("streamgauge_unmapped_statuses_total"), decimals=0, steps=_FROM_ONE),
            Column("Dead letters", seen(letters), decimals=0, steps=_FROM_ONE),
            Column("Visible within, p99", seen(_visible("source")), SECONDS),
        ],
        order="Facts",
        falling=True,
        height=8,
    )


_FROM_ONE: Final = ((None, PLAIN[0][1]), (0.5, ANY_IS_WARNING[1][1]))
"""Increases are extrapolated, so one is hardly ever exactly 1."""


def _visible(by: str = "", over: str = RANGE) -> str:
    return quantile(
        "0.99", "streamgauge_ingest_to_visible_seconds", SOURCE, by=by, each="" if by else "source", over=over
    )


def _webhooks() -> Row:
    return Row(
        (
            over_time(
                "Webhooks", "Do the tools call, and how often?",
                [Query(used("streamgauge_webhook_requests_total", "source"), "{{source}}")],
                unit=REQUESTS, width=8,
            ),
            over_time(
                "Webhooks refused, by reason", "Is somebody refused: a wrong secret, a payload that is not understood?",
                [
                    Query(
                        used("streamgauge_webhook_rejections_total", "source, reason"), "{{source}}: {{reason}}"
                    )
                ],
                unit=REQUESTS, width=8,
            ),
            over_time(
                "Time to answer, p99", "Is a sender kept waiting? By route.",
                [Query(process_quantile("0.99", "streamgauge_http_request_seconds", by="route"), "{{route}}")],
                unit=SECONDS, width=8,
            ),
        )
    )  # fmt: skip


def _workers() -> Row:
    return Row(
        (
            over_time(
                "Lag", "How long has the oldest fact of each partition waited? Red line: StreamgaugeLagging.",
                [Query(state("streamgauge_log_lag_seconds", by="partition"), "partition {{partition}}")],
                unit=SECONDS, steps=LAG, width=8,
            ),
            over_time(
                "Facts that wait", "How many facts of each partition are not visible yet?",
                [Query(state("streamgauge_log_lag_facts", by="partition"), "partition {{partition}}")],
                width=8,
            ),
            over_time(
                "How soon it is visible", "How soon is what came in seen, and how old was it when it came?",
                [
                    Query(_visible(over=RECENT), "taken in to visible, p99"),
                    Query(
                        quantile("0.5", "streamgauge_event_delay_seconds", SOURCE, each="source", over=RECENT),
                        "event to visible, p50",
                    ),
                ],
                unit=SECONDS, width=8,
            ),
        )
    )  # fmt: skip


def _not_understood() -> Row:
    letters = speed("streamgauge_dead_letters_total", SOURCE, by="source, reason", over=RECENT)
    unmapped = speed("streamgauge_unmapped_statuses_total", SOURCE, by="source", over=RECENT)
    return Row(
        (
            over_time(
                "Dead letters, by reason", "What could not be applied, and why? It is kept and can be sent again.",
                [Query(f"{letters} > 0", "{{source}}: {{reason}}")],
                unit=PER_SECOND, width=8,
            ),
            over_time(
                "Statuses that no stage claims",
                "Does a tool use a status that no definition names? Such facts move nothing.",
                [Query(f"{unmapped} > 0", "{{source}}")],
                unit=PER_SECOND, width=8,
            ),
            over_time(
                "Duplicates and late facts",
                "Does a tool repeat itself, or tell late? Both are made good; late corrects windows.",
                [
                    Query(total(speed(f"streamgauge_facts_{word}_total", SOURCE, by="source", over=RECENT)), named)
                    for word, named in (("duplicate", "duplicates"), ("late", "late"))
                ],
                unit=PER_SECOND, width=8,
            ),
        ),
        "What was not understood",
    )  # fmt: skip


PIPELINE: Final = Board(
    "flow-pipeline",
    "Pipeline",
    "Can I trust the numbers? From the tools to the state, hop by hop.",
    "1h",
    "30s",
    [variables.source()],
    [*marks.alerts('alertname=~"Streamgauge.*|FlowSourceSilent|FlowUnmappedStatuses"')],
    [
        arrival(),
        Row((_sources(),)),
        _webhooks(),
        _workers(),
        _not_understood(),
        each_worker(),
        bridges(),
        each_process(),
    ],
)
