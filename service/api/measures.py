"""`GET /v1/streams/{stream}/measures`: SAFe's six, %C&A, rework, handoffs, value, and whether the stream is stable."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query
from pydantic import Field

from flow.cumulative_flow import MOST_POINTS, steps_of
from flow.measures import measures
from flow.status import Reading, cells_after
from flow.vector import total_of
from service.api.models import Answer, Number, Times, example, problems, times_example
from service.api.parameters import AtText, StreamName, WindowText, asked_of
from service.api.stream_models import Kind, Target
from service.reader import StateReader

STABILITY_EXAMPLE: Final[dict[str, Any]] = {
    "arrived": 34, "left": 21, "removed": 1, "wip_at_start": 10, "wip_at_end": 23, "average_wip": 16.2,
    "expected_wip": 14.9, "balance": "balanced", "ages": "steady", "holds": True, "why": [],
}  # fmt: skip


class TypeShare(Answer):
    """One item type. Shares are null where nothing was finished, or is in progress."""

    finished: int
    share: float | None
    in_progress: int | None = Field(description="null for an instant in the past")
    share_in_progress: float | None


class Velocity(Answer):
    """Items finished in the window, each once; not points."""

    items: int
    per_week: float


class Predictability(Answer):
    """Achieved / planned business value. 0.8 to 1 is the usual target band."""

    achieved: Number
    planned: float | None = Field(description="The target `value_per_week`, over the window")
    ratio: float | None
    why: str | None = Field(description="Why there is no ratio")


class Rework(Answer):
    """Moves to an earlier stage, or out of `done`. `share` is of all departures."""

    moves: int
    reopened: int
    share: float | None


class Handoffs(Answer):
    """Team changes of items in progress."""

    count: int
    per_finished_item: float | None


class Value(Answer):
    """Business value delivered in the window, and what waits in queues now; null for an instant in the past."""

    delivered: Number
    value_waiting: Number | None
    cost_of_delay: Number | None
    valued_items: int | None = Field(description="Items in queues whose business value is known")
    waiting_items: int | None = Field(description="Items in queues")


class Stability(Answer):
    """The conditions of Little's law over the window: a check, not a forecast. null where nothing passed."""

    arrived: int = Field(description="What left, and what WIP grew by")
    left: int
    removed: int = Field(description="Deleted items, among those that left")
    wip_at_start: int
    wip_at_end: int
    average_wip: float | None
    expected_wip: float | None = Field(description="Departures per time x mean time of what left")
    balance: Literal["balanced", "more_arrives", "more_leaves"] | None
    ages: Literal["steady", "rising", "falling"] | None
    holds: bool | None
    why: list[str] = Field(description="What does not hold")


class StageMeasures(Answer):
    """One stage. Waiting value is of queues; stability is null for `done`."""

    stage: str
    kind: Kind
    wip: int | None
    percent_complete_accurate: float | None
    rework: int
    handoffs: int
    blocked_time: float
    value_waiting: Number | None
    cost_of_delay: Number | None
    valued_items: int | None
    stability: Stability | None


class Delivered(Answer):
    """What was finished between two instants, in items and in business value."""

    start: str
    end: str
    throughput: int
    value_delivered: Number


class Measures(Answer):
    """A stream's flow measures over a window."""

    model_config = example(
        {
            "stream": "checkout", "at": "2026-11-22T09:30:00Z", "window": "30d",
            "distribution": {"feature": {"finished": 8, "share": 0.73, "in_progress": 15, "share_in_progress": 0.65}},
            "velocity": {"items": 11, "per_week": 2.6}, "time": times_example(11, 310000.0), "load": 23,
            "efficiency": 0.31,
            "predictability": {"achieved": 55, "planned": 64.3, "ratio": 0.86, "why": None},
            "percent_complete_accurate": 0.71, "rework": {"moves": 3, "reopened": 1, "share": 0.08},
            "handoffs": {"count": 5, "per_finished_item": 0.45}, "blocked_time": 86400.0,
            "value": {"delivered": 55, "value_waiting": 80, "cost_of_delay": 130, "valued_items": 12,
                      "waiting_items": 15},
            "targets": {"cycle_time_p85": {"target": 864000, "actual": 520000.0, "met": True}},
            "stability": STABILITY_EXAMPLE,
            "trend": [{"start": "2026-11-15T00:00:00Z", "end": "2026-11-22T00:00:00Z", "throughput": 11,
                       "value_delivered": 55}],
            "stages": [{"stage": "backlog", "kind": "queue", "wip": 9, "percent_complete_accurate": 0.95, "rework": 0,
                        "handoffs": 1, "blocked_time": 0.0, "value_waiting": 50, "cost_of_delay": 83,
                        "valued_items": 7, "stability": STABILITY_EXAMPLE}],
        }
    )  # fmt: skip

    stream: str
    at: str
    window: str
    distribution: dict[str, TypeShare]
    velocity: Velocity
    time: Times = Field(description="Cycle time: start to done, waiting included")
    load: int = Field(description="Items in all stages but `done`")
    efficiency: float | None = Field(description="Unblocked time in active stages / cycle time")
    predictability: Predictability
    percent_complete_accurate: float | None = Field(description="The product of the stages' shares")
    rework: Rework
    handoffs: Handoffs
    blocked_time: float = Field(description="In seconds, over all stages")
    value: Value
    targets: dict[str, Target] = Field(description="The future state beside the current one")
    stability: Stability = Field(description="From the commitment to `done`")
    trend: list[Delivered] = Field(description="Throughput beside value, step by step")
    stages: list[StageMeasures]


StepsQuery = Annotated[int, Query(description="The most steps to cut the window into", ge=1, le=MOST_POINTS - 1)]


def measures_router(reader: StateReader) -> APIRouter:
    """The route of this group."""
    router = APIRouter(prefix="/v1/streams", tags=["streams"])

    @router.get(
        "/{stream}/measures",
        operation_id="get_measures",
        responses=problems(400, 401, 404, 422, 503),
        response_model=Measures,
    )
    async def get_measures(
        stream: StreamName, window: WindowText = "30d", at: AtText = None, steps: StepsQuery = 30
    ) -> dict[str, Any]:
        """A stream's flow measures: SAFe's six, %C&A, rework, handoffs, value, targets, and Little's-law checks."""
        definition = reader.stream(stream)
        asked = asked_of(reader, window, at)
        cut = steps_of(asked.window, steps + 1)
        since = cells_after(asked.window, asked.now)
        live = await reader.live(stream, [*cut.spans(), since])
        *counted, after = live.spans
        reading = Reading(live.stages, live.totals, total_of(counted), after if since else None)
        return measures(definition, asked, cut, counted, reading)

    return router
