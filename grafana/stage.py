"""`flow-stage`: what is this stage doing to the work?"""

from __future__ import annotations

from typing import Final

from grafana import links, marks, queries, variables
from grafana.boards import Board, Row
from grafana.colours import EVIDENCE, OVER_TARGET, PLAIN, ROOM
from grafana.panels import ITEMS, SECONDS, SHARE, ShownPanel, distribution, over_time, single
from grafana.queries import STAGE, WINDOW, Query, age, grown, ratio, speed, state

TO_OVERVIEW: Final = ("The whole stream", links.board("flow-overview", "stream", "window"))

_WIP: Final = state("flow_stage_wip", STAGE)
_LIMIT: Final = state("flow_stage_wip_limit", STAGE)
_OVER: Final = state("flow_stage_items_over_sle", STAGE)
_EXPECTED: Final = state("flow_stage_sle_seconds", STAGE)
_AGE: Final = age(state("flow_stage_oldest_arrival_timestamp_seconds", STAGE))
_QUEUE: Final = "stream_stage:flow_stage_queue_depth"
_EVIDENCE: Final = "flow_stage_bottleneck_evidence_ratio"


def _now() -> Row:
    return Row((*_how_much(), *_how_old(), _near_the_alarm()))


def _how_much() -> tuple[ShownPanel, ...]:
    return (
        single(
            "WIP", "How many items are in the stage now?",
            [Query(_WIP)], steps=PLAIN, click=TO_OVERVIEW, width=3,
        ),
        single(
            "Room below the limit",
            "How many more items does the WIP limit allow? Amber: none. Red: too many are there "
            "(FlowWipLimitBreached).",
            [Query(f"{_LIMIT} - {_WIP}")],
            steps=ROOM, nothing="no limit", click=TO_OVERVIEW, width=3,
        ),
    )  # fmt: skip


def _how_old() -> tuple[ShownPanel, ...]:
    return (
        single(
            "Oldest item",
            "How long has the oldest item been in the stage, and within which time is it expected to leave?",
            [Query(_AGE, "age"), Query(_EXPECTED, "expected")],
            unit=SECONDS, nothing="no item", click=TO_OVERVIEW, width=5,
        ),
        single(
            "Ageing",
            "How many items are older than the expectation, of as many as it allows? Of what is there now or of the "
            "last week, whichever is less. Amber over 100%: FlowItemsAgeing.",
            [Query(queries.ageing(STAGE))],
            unit=SHARE, decimals=0, steps=OVER_TARGET, nothing="no expectation, or no item",
            click=TO_OVERVIEW, width=4,
        ),
        single(
            "Blocked", "How many items are blocked here now?",
            [Query(state("flow_stage_blocked_items", STAGE))], click=TO_OVERVIEW, width=3,
        ),
    )  # fmt: skip


def _near_the_alarm() -> ShownPanel:
    return single(
        "Evidence of a bottleneck",
        "How near is the alarm, for each cause that is watched? At 1 it is raised: FlowBottleneckEmerging.",
        [Query(state(_EVIDENCE, STAGE, by="cause"), "{{cause}}")],
        decimals=2, steps=EVIDENCE, names=True, nothing="nothing can be said yet", click=TO_OVERVIEW, width=6,
    )  # fmt: skip


def _flow() -> Row:
    times = state("flow_stage_window_time_seconds", STAGE, WINDOW, by="quantile")
    return Row(
        (
            over_time(
                "In and out",
                "Does as much leave as arrives? Visits that began and that ended in the $window before each point.",
                [
                    Query(grown("flow_stage_arrivals_total", STAGE), "arrivals"),
                    Query(grown("flow_stage_departures_total", STAGE), "departures"),
                ],
            ),
            over_time(
                "WIP", "Is the stage filling, and is it over its limit?",
                [Query(_WIP, "WIP"), Query(_LIMIT, "limit", goal=True)],
            ),
            over_time(
                "Time in the stage",
                "How long do visits take? Of those that ended in the $window before each point; late facts count "
                "where they belong, but only in points drawn after they came.",
                [Query(times, "p{{quantile}}"), Query(_EXPECTED, "expected", goal=True)],
                unit=SECONDS,
            ),
            over_time(
                "Age of the oldest item",
                "Is something left behind? A line that only rises is one item that does not move.",
                [Query(_AGE, "oldest item"), Query(_EXPECTED, "expected", goal=True)],
                unit=SECONDS,
            ),
        )
    )  # fmt: skip


def _waiting() -> Row:
    rework, left = grown("flow_stage_rework_total", STAGE), grown("flow_stage_departures_total", STAGE)
    return Row(
        (
            over_time(
                "Blocked items",
                "How much of the work here is blocked? Now, and on average over the $window before each point.",
                [
                    Query(state("flow_stage_blocked_items", STAGE), "now"),
                    Query(speed("flow_stage_blocked_seconds_total", STAGE), "average"),
                ],
            ),
            over_time(
                "Share sent back",
                "Of the visits that ended in the $window before each point, how many went to an earlier stage?",
                [Query(ratio(rework, left), "sent back")],
                unit=SHARE,
            ),
            distribution(
                "Length of visits", "How are visits spread, and did that change? Upward is longer.",
                Query(
                    grown("flow_stage_time_seconds_bucket", STAGE, by="le", over=queries.RECENT), "{{le}}", heatmap=True
                ),
            ),
            over_time(
                "Handoffs", "How often does an item change teams here? Each is a place to wait. In the $window before.",
                [Query(grown("flow_stage_handoffs_total", STAGE), "handoffs")],
                height=9,
            ),
            over_time(
                "Items over the expectation",
                "How many items are in the stage for longer than expected, and how many left too late in the $window "
                "before each point?",
                [
                    Query(_OVER, "older than expected here"),
                    Query(grown("flow_stage_visits_over_sle_total", STAGE), "left too late"),
                ],
                height=9,
            ),
        ),
        "Blocked, sent back, spread",
    )  # fmt: skip


def _detector() -> Row:
    return Row(
        (
            over_time(
                "Evidence by cause",
                "What does the detector see, and since when? At 1 (dashed) the alarm is raised, at 0.5 it ends.",
                [Query(state(_EVIDENCE, STAGE, by="cause"), "{{cause}}")],
                unit=ITEMS, steps=EVIDENCE,
            ),
            over_time(
                "Queue against its own week",
                "Did more wait here all day than ever in the week before? So FlowBottleneckEmerging judges a queue of "
                "which the detector says nothing yet. Nothing is usual before a week.",
                [
                    Query(f"max({_QUEUE}:min1d{{{STAGE}}})", "least of the day"),
                    Query(f"max({_QUEUE}:max7d{{{STAGE}}})", "fullest hour of the week", goal=True),
                ],
            ),
        ),
        "What the detector sees",
    )  # fmt: skip


STAGE_BOARD: Final = Board(
    "flow-stage",
    "Stage",
    "What is this stage doing to the work?",
    "24h",
    "1m",
    [variables.stream(), variables.stage(), variables.window("flow_window_throughput_items", queries.STREAM)],
    [
        marks.deployments(),
        *marks.alerts('stream=~"$stream|"', 'stage=~"$stage|"'),
        marks.limits(STAGE),
    ],
    [_now(), _flow(), _waiting(), _detector()],
)
