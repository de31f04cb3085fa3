"""`flow-overview`: is work flowing, and if not, where does it stick?"""

from __future__ import annotations

from typing import Final

from grafana import links, marks, queries, variables
from grafana.arrival import arrival
from grafana.boards import Board, Row
from grafana.colours import BOTTLENECK, EVIDENCE, OVER_TARGET, ROOM
from grafana.links import set_to
from grafana.panels import ITEMS, SECONDS, SHARE, SINCE, TEXT, ShownPanel, distribution, over_time, single
from grafana.queries import STREAM, WINDOW, Query, age, firing, grown, state, total
from grafana.tables import Column, rows_of

TO_STAGE: Final = links.board("flow-stage", "stream", "window", set_to("stage", "__field.labels.stage"))
TO_STAGE_OF_ROW: Final = links.board("flow-stage", "stream", "window", set_to("stage", "__data.fields.Stage"))
TO_MEASURES: Final = links.board("flow-measures", "stream", "window")
LANE_OF_ROW: Final = (
    set_to("service", "__data.fields.Service"),
    set_to("environment", "__data.fields.Environment"),
)


def _state_now() -> Row:
    return Row((*_where_it_sticks(), *_times(), *_how_much()))


def _where_it_sticks() -> tuple[ShownPanel, ...]:
    return (
        single(
            "Bottleneck now",
            "Which stage holds the stream up, and why? As the alert FlowBottleneckEmerging: a stage in alarm that "
            "constrains the stream, or a queue that grew over all of its last week.",
            [Query(queries.bottleneck(), "{{stage}} {{cause}}")],
            steps=BOTTLENECK, only_names=True, click=("What happens there?", TO_STAGE), width=5,
        ),
        single(
            "Oldest item in a stage", "In which stage is an item for longest, and for how long?",
            [Query(f"topk(1, {age(_oldest())})", "{{stage}}")],
            unit=SECONDS, nothing="no item", names=True, click=("What happens there?", TO_STAGE), width=4,
        ),
    )  # fmt: skip


def _times() -> tuple[ShownPanel, ...]:
    return (
        single(
            "Time against target",
            "Is the lead time, and is the cycle time, of what was finished in the window within its target? 100% "
            "is the target; of several the worst. Amber: over it.",
            [
                Query(queries.lead_time_of_target(), "lead time"),
                Query(queries.cycle_time_of_target(), "cycle time"),
            ],
            unit=SHARE, decimals=0, steps=OVER_TARGET, nothing="no target, or nothing finished",
            click=("The six flow measures", TO_MEASURES), width=5,
        ),
        single(
            "Time, p85", "Within which time were 85% of the items of the window finished?",
            [
                Query(queries.quantile("0.85", "flow_lead_time_seconds", STREAM, each="item_type"), "lead time"),
                Query(state("flow_cycle_time_window_seconds", STREAM, WINDOW, 'quantile="0.85"'), "cycle time"),
            ],
            unit=SECONDS, nothing="nothing finished", click=("The six flow measures", TO_MEASURES), width=4,
        ),
    )  # fmt: skip


def _how_much() -> tuple[ShownPanel, ...]:
    finished = "flow_window_throughput_items"
    return (
        single(
            "Finished", "How many items were finished in the window, and how many in the one before it?",
            [
                Query(state(finished, STREAM, WINDOW), "in $window"),
                Query(state(finished, STREAM, WINDOW, offset="$window"), "the $window before"),
            ],
            click=("The six flow measures", TO_MEASURES), width=3,
        ),
        single(
            "In progress", "How many items are in the stream, and how many are blocked?",
            [
                Query(total(state("flow_stage_wip", STREAM, by="stage")), "items"),
                Query(total(state("flow_stage_blocked_items", STREAM, by="stage")), "blocked"),
            ],
            click=("The six flow measures", TO_MEASURES), width=3,
        ),
    )  # fmt: skip


def _oldest() -> str:
    return state("flow_stage_oldest_arrival_timestamp_seconds", STREAM, by="stage")


def _stage_table() -> ShownPanel:
    return rows_of(
        "Stages, in the order of the stream",
        "Where does work wait? Room is what the WIP limit leaves: amber 0, red below (FlowWipLimitBreached). Ageing "
        "is amber when more items are older than the expectation than it allows (FlowItemsAgeing). Evidence: the "
        "bottleneck alarm is raised at 1. Click a stage for more.",
        [Column("Stage", unit=TEXT, width=160, link=("What happens there?", TO_STAGE_OF_ROW))],
        [*_columns_of_what_is_there(), *_columns_of_what_happened()],
        order="#",
    )


def _of_stage(metric: str, *where: str) -> str:
    return state(metric, STREAM, *where, by="stage")


def _columns_of_what_is_there() -> tuple[Column, ...]:
    return (
        Column("#", _of_stage("flow_stage_position"), width=45),
        Column("WIP", _of_stage("flow_stage_wip")),
        Column("Limit", _of_stage("flow_stage_wip_limit")),
        Column("Room", f"{_of_stage('flow_stage_wip_limit')} - {_of_stage('flow_stage_wip')}", steps=ROOM),
        Column("Blocked", _of_stage("flow_stage_blocked_items")),
        Column("Oldest", age(_oldest()), SECONDS),
        Column("Expected within", _of_stage("flow_stage_sle_seconds"), SECONDS),
        Column("Older", _of_stage("flow_stage_items_over_sle")),
        Column("Ageing", queries.ageing(STREAM, by="stage"), SHARE, 0, OVER_TARGET),
    )


def _columns_of_what_happened() -> tuple[Column, ...]:
    return (
        Column("In", grown("flow_stage_arrivals_total", STREAM, by="stage"), decimals=0),
        Column("Out", grown("flow_stage_departures_total", STREAM, by="stage"), decimals=0),
        Column("Sent back", grown("flow_stage_rework_total", STREAM, by="stage"), decimals=0),
        Column("Time, p85", _of_stage("flow_stage_window_time_seconds", WINDOW, 'quantile="0.85"'), SECONDS),
        Column("Evidence", _of_stage("flow_stage_bottleneck_evidence_ratio"), ITEMS, 2, EVIDENCE),
    )


def _cumulative_flow() -> ShownPanel:
    return over_time(
        "Cumulative flow",
        "Does work leave as fast as it comes? A band that widens is a stage that fills. At the bottom what was "
        "finished since the start of the range; above it the items in each stage, the last stage lowest.",
        [
            Query(queries.finished_since_the_start(), "done"),
            Query(queries.wip_from_the_end(), "{{stage}}"),
        ],
        stacked=True, click=("The six flow measures", TO_MEASURES), height=9,
    )  # fmt: skip


def _lead_times() -> ShownPanel:
    buckets = grown("flow_lead_time_seconds_bucket", STREAM, by="item_type, le", over=queries.RECENT)
    return distribution(
        "Lead time of what was finished",
        "How long did what was finished take, from the first fact to done? Upward is slower; two clouds are two kinds "
        "of work.",
        Query(total(buckets, "le"), "{{le}}", heatmap=True),
    )


def firing_alerts(*where: str, height: int = 7) -> ShownPanel:
    """What fires now, of all streams."""
    stage = links.board("flow-stage", set_to("stream", "__data.fields.Stream"), set_to("stage", "__data.fields.Stage"))
    lane = links.board("flow-deliveries", *LANE_OF_ROW)
    return rows_of(
        "Alerts that fire, of all streams",
        "What else is wrong? Click what an alert is about to see it. `deploy/prometheus/runbooks` says what to do.",
        [
            Column("Alert", unit=TEXT, label="alertname"),
            Column("Severity", unit=TEXT, width=90),
            Column(
                "Stream",
                unit=TEXT,
                link=("Its overview", links.board("flow-overview", set_to("stream", "__value.raw"))),
            ),
            Column("Stage", unit=TEXT, link=("What happens there?", stage)),
            Column("Cause", unit=TEXT),
            Column("Service", unit=TEXT, link=("Its deliveries", lane)),
            Column("Environment", unit=TEXT, link=("Its deliveries", lane)),
            Column(
                "Source",
                unit=TEXT,
                link=("Its facts", links.board("flow-pipeline", set_to("source", "__value.raw"))),
            ),
        ],
        [Column("Since", f"1000 * {firing(*where)}", SINCE)],
        order="Since",
        nothing="no alert fires",
        height=height,
    )


OVERVIEW: Final = Board(
    "flow-overview",
    "Overview",
    "Is work flowing, and if not, where does it stick?",
    "24h",
    "1m",
    [variables.stream(), variables.window("flow_window_throughput_items", STREAM)],
    [marks.deployments(), *marks.alerts('stream=~"$stream|"'), marks.limits(STREAM)],
    [arrival(), _state_now(), Row((_stage_table(), _cumulative_flow(), _lead_times(), firing_alerts()))],
)
