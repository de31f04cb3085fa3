"""The metrics about the work and the deliveries: part of the catalogue."""

from __future__ import annotations

from typing import Final

from flow.metric import Buckets, counter, gauge, histogram

STAGE_TIMES: Final = Buckets("10 s to 90 d, and the stage's SLE")
CYCLE_TIMES: Final = Buckets("10 s to 90 d, and the stream's cycle time targets")
LEAD_TIMES: Final = Buckets("10 s to 90 d, and the stream's lead time targets")
DELIVERY_TIMES: Final = Buckets("10 s to 90 d")

_STAGE: Final = ("stream", "stage")
_TYPE: Final = ("stream", "item_type")
_LANE: Final = ("service", "environment")

STAGES: Final = (
    gauge(
        "flow_stage_position", _STAGE, "Place of the stage in its stream, from 0: what is downstream has a higher one."
    ),
    gauge("flow_stage_wip", _STAGE, "Items in the stage now."),
    gauge("flow_stage_wip_limit", _STAGE, "The most items that the stage may hold, where it has a limit."),
    gauge("flow_stage_queue_depth", _STAGE, "Items that wait in the stage now, for stages of kind queue."),
    gauge("flow_stage_blocked_items", _STAGE, "Items in the stage whose blocked flag is set."),
    gauge(
        "flow_stage_sle_seconds",
        (*_STAGE, "quantile"),
        "Service level expectation: the share `quantile` of the items leaves the stage within this time.",
    ),
    gauge("flow_stage_sle_ratio", _STAGE, "The share of the items that its service level expectation speaks of."),
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
    counter(
        "flow_stage_visits_over_sle_total",
        _STAGE,
        "Finished visits that were longer than the stage's service level expectation, where it has one.",
    ),
    counter("flow_stage_rework_total", _STAGE, "Moves from the stage to an earlier one, or out of done."),
    counter("flow_stage_handoffs_total", _STAGE, "Facts that named another team for an item in the stage than before."),
    gauge(
        "flow_stage_value_waiting",
        _STAGE,
        "Business value of the items that wait in the stage now, in the unit of the facts, for stages of kind queue.",
    ),
    counter("flow_stage_blocked_seconds_total", _STAGE, "Time that items spent blocked in the stage."),
    histogram("flow_stage_time_seconds", _STAGE, "Length of finished visits to the stage.", STAGE_TIMES),
    gauge(
        "flow_stage_window_time_seconds",
        (*_STAGE, "window", "quantile"),
        "Quantile of the visits that ended in the sliding window, late facts included. Absent when there were none.",
    ),
    gauge(
        "flow_stage_bottleneck",
        (*_STAGE, "cause"),
        "1 while the stage is in alarm for this cause and constrains its stream, else 0.",
    ),
    gauge(
        "flow_stage_bottleneck_evidence_ratio",
        (*_STAGE, "cause"),
        "Evidence that the stage is becoming the bottleneck, relative to what raises the alarm at 1.",
    ),
)

STREAMS: Final = (
    gauge(
        "flow_stream_info",
        ("stream",),
        "Always 1. Carries the labels that the stream's definition sets, for roll-ups by join.",
        open_labels=True,
    ),
    gauge(
        "flow_cycle_time_target_seconds",
        ("stream", "quantile"),
        "Target for this quantile of the cycle time, where set.",
    ),
    gauge(
        "flow_lead_time_target_seconds", ("stream", "quantile"), "Target for this quantile of the lead time, where set."
    ),
    gauge("flow_efficiency_target_ratio", ("stream",), "Target for flow efficiency, where set."),
    gauge("flow_weekly_throughput_target_items", ("stream",), "Target for items finished in a week, where set."),
    gauge("flow_weekly_value_target", ("stream",), "Target for business value delivered in a week, where set."),
    gauge("flow_load_target_items", ("stream",), "Target for the WIP of the whole stream, where set."),
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

DELIVERIES: Final = (
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
    gauge("delivery_open_failures", _LANE, "Incidents that name a deployment, were opened, and are not resolved."),
    gauge(
        "delivery_oldest_open_failure_timestamp_seconds",
        _LANE,
        "When the oldest of the open failures was opened. Absent when there is none.",
    ),
    gauge(
        "delivery_change_fail_rate_target_ratio", _LANE, "The largest change fail rate that is meant to be, where set."
    ),
    gauge(
        "delivery_recovery_target_seconds",
        _LANE,
        "The longest time that recovery from a failed deployment is meant to take, where set.",
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
        "From an incident's opening to its resolution; from success to roll-back of a deployment that none names.",
        DELIVERY_TIMES,
    ),
)
