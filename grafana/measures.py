"""`flow-measures`: SAFe's six flow measures, and value beside throughput."""

from __future__ import annotations

from typing import Final

from grafana import links, marks, queries, variables
from grafana.boards import Board, Row
from grafana.colours import OVER_TARGET, UNDER_TARGET
from grafana.panels import ITEMS, SECONDS, SHARE, ShownPanel, over_time, single
from grafana.queries import STREAM, WINDOW, Query, grown, state, total

TO_OVERVIEW: Final = ("Where does it stick?", links.board("flow-overview", "stream", "window"))

_FINISHED: Final = state("flow_window_throughput_items", STREAM, WINDOW)
_VALUE: Final = total(grown("flow_value_delivered_total", STREAM, by="item_type"))
_WAITING: Final = total(state("flow_stage_value_waiting", STREAM, by="stage"))
_LOAD: Final = total(state("flow_stage_wip", STREAM, by="stage"))
_LOAD_TARGET: Final = state("flow_load_target_items", STREAM)
_EFFICIENCY: Final = state("flow_window_efficiency_ratio", STREAM, WINDOW)
_EFFICIENCY_TARGET: Final = state("flow_efficiency_target_ratio", STREAM)
_BY_TYPE: Final = f"{grown('flow_completed_items_total', STREAM, by='item_type')} > 0"


def _value_of_plan() -> str:
    """Business value delivered in a week, as a share of the weekly target: achieved by planned."""
    achieved = total(grown("flow_value_delivered_total", STREAM, by="item_type", over="7d"))
    return f"{achieved} / ({state('flow_weekly_value_target', STREAM)} > 0)"


def _items_of_plan() -> str:
    """Items finished in a week, as a share of the weekly target. What was reopened is not finished."""
    done, back = (
        total(grown(counter, STREAM, by="item_type", over="7d"))
        for counter in ("flow_completed_items_total", "flow_reopened_items_total")
    )
    return f"({done} - {back}) / ({state('flow_weekly_throughput_target_items', STREAM)} > 0)"


def _now() -> Row:
    return Row((*_how_much(), _time_now(), *_of_targets()))


def _how_much() -> tuple[ShownPanel, ...]:
    return (
        single(
            "Velocity", "How many items were finished in the window? Each once, at its last arrival in done.",
            [Query(_FINISHED)], click=TO_OVERVIEW, width=3,
        ),
        single(
            "Value", "How much value did they bring, and how much waits in queues, in the unit of the facts?",
            [Query(_VALUE, "delivered"), Query(_WAITING, "waiting")],
            decimals=0, click=TO_OVERVIEW, width=3,
        ),
    )  # fmt: skip


def _time_now() -> ShownPanel:
    return single(
        "Flow time against target",
        "Are the lead time and the cycle time of what was finished within their targets? Amber: over 100% of "
        "one.",
        [
            Query(queries.lead_time_of_target(), "lead time"),
            Query(queries.cycle_time_of_target(), "cycle time"),
        ],
        unit=SHARE, decimals=0, steps=OVER_TARGET, nothing="no target, or nothing finished",
        click=TO_OVERVIEW, width=5,
    )  # fmt: skip


def _of_targets() -> tuple[ShownPanel, ...]:
    return (
        single(
            "Load against target",
            "How much is in progress, of what is meant to be at most? Amber: more than that.",
            [Query(f"{_LOAD} / ({_LOAD_TARGET} > 0)")],
            unit=SHARE, decimals=0, steps=OVER_TARGET, nothing="no target", click=TO_OVERVIEW, width=4,
        ),
        single(
            "Efficiency against target",
            "What share of the cycle time was unblocked work, of the share that is meant to be? Amber: less than "
            "that.",
            [Query(f"{_EFFICIENCY} / ({_EFFICIENCY_TARGET} > 0)")],
            unit=SHARE, decimals=0, steps=UNDER_TARGET, nothing="no target, or nothing finished",
            click=TO_OVERVIEW, width=4,
        ),
        single(
            "Predictability, a week",
            "How much of the business value that is planned for a week was delivered in the last seven days, and "
            "how many of the items? The definition's weekly targets are the plan: no tool tells what was "
            "promised. Amber: less than planned.",
            [Query(_value_of_plan(), "value"), Query(_items_of_plan(), "items")],
            unit=SHARE, decimals=0, steps=UNDER_TARGET, nothing="no target", click=TO_OVERVIEW, width=5,
        ),
    )  # fmt: skip


def _trends() -> tuple[ShownPanel, ...]:
    return (*_output(), *_flow_time(), *_load_and_efficiency(), *_kinds_and_plan())


def _output() -> tuple[ShownPanel, ...]:
    return (
        over_time(
            "Velocity", "Is more or less being finished? Items finished in the $window before each point.",
            [Query(_FINISHED, "finished")],
        ),
        over_time(
            "Value delivered",
            "Does more throughput bring more value? Value of what arrived in done in the $window before.",
            [Query(_VALUE, "value")],
        ),
    )  # fmt: skip


def _flow_time() -> tuple[ShownPanel, ...]:
    cycle_target = state("flow_cycle_time_target_seconds", STREAM, by="quantile")
    lead_target = state("flow_lead_time_target_seconds", STREAM, by="quantile")
    lead_times = [
        Query(queries.quantile(share, "flow_lead_time_seconds", STREAM, each="item_type"), f"p{share}")
        for share in queries.QUANTILES
    ]
    cycle_times = state("flow_cycle_time_window_seconds", STREAM, WINDOW, by="quantile")
    return (
        over_time(
            "Flow time: lead time", "How long does a request take, from the first fact to done, of what was finished?",
            [*lead_times, Query(lead_target, "target p{{quantile}}", goal=True)],
            unit=SECONDS,
        ),
        over_time(
            "Flow time: cycle time", "How long does it take once it was begun, of what was finished?",
            [Query(cycle_times, "p{{quantile}}"), Query(cycle_target, "target p{{quantile}}", goal=True)],
            unit=SECONDS,
        ),
    )  # fmt: skip


def _load_and_efficiency() -> tuple[ShownPanel, ...]:
    return (
        over_time(
            "Flow load", "How much is in progress at once? More than the target makes everything slower.",
            [Query(_LOAD, "in progress"), Query(_LOAD_TARGET, "target", goal=True)],
        ),
        over_time(
            "Flow efficiency", "What share of the cycle time was unblocked work, of what was finished?",
            [Query(_EFFICIENCY, "efficiency"), Query(_EFFICIENCY_TARGET, "target", goal=True)],
            unit=SHARE,
        ),
    )  # fmt: skip


def _kinds_and_plan() -> tuple[ShownPanel, ...]:
    return (
        over_time(
            "Flow distribution", "On what kinds of work is the time spent? Shares of what arrived in done, by type.",
            [Query(_BY_TYPE, "{{item_type}}")],
            unit=ITEMS, stacked=True, of_whole=True,
        ),
        over_time(
            "Flow predictability",
            "How much of the plan of a week was delivered in the seven days before each point? At 100% (dashed) all "
            "of it.",
            [Query(_value_of_plan(), "value"), Query(_items_of_plan(), "items")],
            unit=SHARE, steps=UNDER_TARGET,
        ),
    )  # fmt: skip


def _value_waiting() -> Row:
    return Row(
        (
            over_time(
                "Value that waits, by queue", "Where does value lie that nobody works on? In the unit of the facts.",
                [Query(state("flow_stage_value_waiting", STREAM, by="stage"), "{{stage}}")],
                stacked=True,
            ),
            over_time(
                "Reopened items",
                "How much of what was finished came back? Departures from done in the $window before.",
                [Query(total(grown("flow_reopened_items_total", STREAM, by="item_type")), "reopened")],
            ),
        ),
        "Value that waits, work that came back",
    )  # fmt: skip


MEASURES: Final = Board(
    "flow-measures",
    "Measures",
    "How well does value flow? SAFe's six measures, each against what is meant to be.",
    "30d",
    "5m",
    [variables.stream(), variables.window("flow_window_throughput_items", STREAM)],
    [marks.deployments(), *marks.alerts('stream=~"$stream|"')],
    [_now(), Row(_trends()), _value_waiting()],
)
