"""The shapes of what is said of streams and stages, each with an example."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import Field

from service.api.models import Answer, Number, Times, example, times_example

Kind = Literal["queue", "active", "done"]

BOTTLENECK_EXAMPLE: Final[dict[str, Any]] = {
    "state": "not_keeping_up",
    "cause": "slowdown",
    "evidence": 1.4,
    "since": "2026-11-19T09:00:00Z",
    "why": "7 left in 3 days, 12 expected at this WIP",
    "raised": True,
    "constrains": True,
}
_STAGE_EXAMPLE: Final[dict[str, Any]] = {
    "stage": "review",
    "kind": "active",
    "wip": 6,
    "wip_limit": 4,
    "queue_depth": None,
    "blocked": 1,
    "oldest_age": 190000.0,
    "items_over_sle": 2,
    "arrivals": 14,
    "departures": 11,
    "rework": 2,
    "percent_complete_accurate": 0.82,
    "handoffs": 3,
    "blocked_time": 86400.0,
    "time": times_example(11, 91000.0),
    "bottleneck": BOTTLENECK_EXAMPLE,
    "value_waiting": None,
    "cost_of_delay": None,
    "valued_items": None,
}
_WHEN_EXAMPLE: Final = {"at": "2026-11-22T09:30:00Z", "window": "7d"}


class Bottleneck(Answer):
    """Why a stage is thought to constrain the stream, or to be about to."""

    state: Literal["stuck", "not_keeping_up", "steady_backlog", "catching_up", "insufficient_data"]
    cause: Literal["slowdown", "overload", "ageing"] | None
    evidence: float | None = Field(description="1 is the threshold of the alarm")
    since: str | None = Field(description="The likeliest beginning of what is seen")
    why: str
    raised: bool = Field(description="Whether the stage is in alarm")
    constrains: bool = Field(description="Whether it is the stage that holds its stream up, of those in alarm")


class StageStatus(Answer):
    """One stage: what is in it now, and what happened in the window. `null` for what can't be known or said."""

    model_config = example(_STAGE_EXAMPLE)

    stage: str
    kind: Kind
    wip: int | None = Field(description="Items in the stage; null for `done`: what is done is no longer in progress")
    wip_limit: int | None
    queue_depth: int | None = Field(description="WIP of a queue")
    blocked: int | None = Field(description="Items with the blocked flag set")
    oldest_age: float | None = Field(description="Age of the earliest arrival that is still there, in seconds")
    items_over_sle: int | None = Field(description="Items that are there longer than the service level expectation")
    arrivals: int
    departures: int
    rework: int = Field(description="Departures to an earlier stage, or out of `done`")
    percent_complete_accurate: float | None = Field(
        description="Of the visits that ended in a forward move, the share whose item did not come back"
    )
    handoffs: int = Field(description="Facts that named another team than before, of items in the stage")
    blocked_time: float = Field(description="In seconds")
    time: Times = Field(description="Lengths of the visits that ended in the window")
    bottleneck: Bottleneck | None
    value_waiting: Number | None = Field(description="Business value of what is in a queue now")
    cost_of_delay: Number | None = Field(description="The same with time criticality and risk reduction, where said")
    valued_items: int | None = Field(description="Items of a queue whose business value is known")


class TypeStatus(Answer):
    """What was finished of one item type, and what of it is in progress."""

    throughput: int
    wip: int | None
    cycle_time: Times
    value_delivered: Number


class Target(Answer):
    """A target of the stream beside what is: times in seconds, the others as they are."""

    target: Number
    actual: Number | None
    met: bool | None


class StreamStatus(Answer):
    """A stream's live status. Counts, sums and means are exact; a quantile is at most 5% off."""

    model_config = example(
        {"stream": "checkout"}
        | _WHEN_EXAMPLE
        | {
            "wip": 23,
            "throughput": 11,
            "reopened": 1,
            "cycle_time": times_example(11, 310000.0),
            "lead_time": times_example(11, 470000.0),
            "flow_efficiency": 0.31,
            "value_delivered": 55,
            "percent_complete_accurate": 0.71,
            "handoffs": 5,
            "by_type": {
                "feature": {
                    "throughput": 8, "wip": 15, "cycle_time": times_example(8, 350000.0), "value_delivered": 55
                }
            },
            "targets": {"cycle_time_p85": {"target": 864000, "actual": 520000.0, "met": True}},
            "stages": [_STAGE_EXAMPLE],
        }
    )  # fmt: skip

    stream: str
    at: str
    window: str
    wip: int = Field(description="Items in all stages but `done`")
    throughput: int = Field(description="Items finished in the window, each once, at its last arrival in `done`")
    reopened: int = Field(description="Departures from `done` in the window")
    cycle_time: Times
    lead_time: Times
    flow_efficiency: float | None = Field(description="Unblocked time in active stages / cycle time")
    value_delivered: Number
    percent_complete_accurate: float | None = Field(description="The product of the stages' shares")
    handoffs: int = Field(description="Team changes of items in progress")
    by_type: dict[str, TypeStatus]
    targets: dict[str, Target]
    stages: list[StageStatus]


class ServiceLevelExpectation(Answer):
    """This share of the items leaves the stage within so many seconds."""

    quantile: float
    within: float


class OneStage(StageStatus):
    """One stage, with what it was asked for."""

    model_config = example(
        {"stream": "checkout"} | _WHEN_EXAMPLE | {"sle": {"quantile": 0.85, "within": 86400.0}} | _STAGE_EXAMPLE
    )

    stream: str
    at: str
    window: str
    sle: ServiceLevelExpectation | None


class StageOutline(Answer):
    """One stage of a stream's definition."""

    stage: str
    kind: Kind
    wip_limit: int | None


class StreamOutline(Answer):
    """One stream: its definition in short, and how much is in progress now."""

    stream: str
    labels: dict[str, str]
    wip: int
    item_types: list[str]
    windows: list[str] = Field(description="Windows that the metrics are exported for")
    stages: list[StageOutline]


class Streams(Answer):
    """All streams, in the order of the definitions."""

    model_config = example(
        {
            "streams": [
                {
                    "stream": "checkout",
                    "labels": {"portfolio": "retail"},
                    "wip": 23,
                    "item_types": ["feature", "defect", "risk", "debt", "other"],
                    "windows": ["1d", "7d", "30d"],
                    "stages": [{"stage": "review", "kind": "active", "wip_limit": 4}],
                }
            ]
        }
    )

    streams: list[StreamOutline]
