"""`GET /v1/streams/{stream}/cumulative-flow`: what arrived and departed by each instant, stage by stage."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field

from flow.cumulative_flow import MOST_POINTS, cumulative_flow, steps_of
from flow.instants import format_instant
from flow.status import cells_after
from service.api.models import Answer, example, problems
from service.api.parameters import AtText, StreamName, WindowText, asked_of
from service.reader import StateReader


class StagePoint(Answer):
    """One stage at one instant: counts since the window's start, and what is in the stage then."""

    arrivals: int
    departures: int
    rework: int = Field(description="Departures to an earlier stage, or out of `done`; among the departures")
    wip: int | None = Field(description="null for `done`")


class Point(Answer):
    """All stages at one instant."""

    at: str
    stages: dict[str, StagePoint]


class CumulativeFlow(Answer):
    """Points from the window's start to its end, `step` seconds apart but for the first and the last."""

    model_config = example(
        {
            "stream": "checkout",
            "at": "2026-11-22T09:30:00Z",
            "window": "30d",
            "step": 86400.0,
            "points": [
                {
                    "at": "2026-10-23T10:00:00Z",
                    "stages": {"review": {"arrivals": 0, "departures": 0, "rework": 0, "wip": 4}},
                },
                {
                    "at": "2026-10-24T00:00:00Z",
                    "stages": {"review": {"arrivals": 3, "departures": 1, "rework": 0, "wip": 6}},
                },
            ],
        }
    )

    stream: str
    at: str
    window: str
    step: float
    points: list[Point]


PointsQuery = Annotated[int, Query(description="The most points to answer", ge=2, le=MOST_POINTS)]


def cumulative_flow_router(reader: StateReader) -> APIRouter:
    """The routes of this group."""
    router = APIRouter(prefix="/v1/streams", tags=["streams"])

    @router.get(
        "/{stream}/cumulative-flow",
        operation_id="get_cumulative_flow",
        responses=problems(400, 401, 404, 422, 503),
        response_model=CumulativeFlow,
    )
    async def get_cumulative_flow(
        stream: StreamName, window: WindowText = "30d", at: AtText = None, points: PointsQuery = 60
    ) -> dict[str, Any]:
        """Cumulative arrivals and departures by stage, for a cumulative flow diagram.

        Lines never fall; backward moves are counted apart. The last point is the window's end, where its cell ends.
        """
        definition = reader.stream(stream)
        asked = asked_of(reader, window, at)
        steps = steps_of(asked.window, points)
        since = cells_after(asked.window, asked.now)
        live = await reader.live(stream, [*steps.spans(), since])
        *counted, after = live.spans
        return {
            "stream": stream,
            "at": format_instant(asked.at),
            "window": window,
            "step": steps.length / 1000,
            "points": cumulative_flow(definition, steps, counted, live.stages, after),
        }

    return router
