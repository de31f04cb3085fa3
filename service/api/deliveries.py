"""`GET /v1/deliveries`: DORA's five of every delivery lane."""

from __future__ import annotations

from bisect import bisect_right
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query
from pydantic import Field

from flow.deliveries import chosen_lanes, delivery_status
from flow.instants import format_instant
from flow.lanes import lane_of
from service.api.models import Answer, Times, example, problems, times_example
from service.api.parameters import LONGEST_NAME, AtText, WindowText, asked_of
from service.cursors import pack_cursor, unpack_cursor
from service.reader import StateReader


class Lane(Answer):
    """One service in one environment. Rates are shares of the deployments that succeeded."""

    service: str
    environment: str
    deployments: int = Field(description="Those that succeeded")
    failed_deployments: int
    rolled_back_deployments: int
    deployment_frequency: float = Field(description="Successful deployments a day")
    change_lead_time: Times = Field(description="From the commit to the deployment that brought it")
    change_fail_rate: float | None = Field(description="Share that needed immediate intervention")
    failed_deployment_recovery_time: Times
    deployment_rework_rate: float | None = Field(description="Share that was made because of an incident")


class Deliveries(Answer):
    """One page of lanes, by service and environment; they are never blended. `next_cursor` is null on the last one."""

    model_config = example(
        {
            "at": "2026-11-22T09:30:00Z",
            "window": "30d",
            "lanes": [
                {
                    "service": "checkout",
                    "environment": "production",
                    "deployments": 42,
                    "failed_deployments": 2,
                    "rolled_back_deployments": 1,
                    "deployment_frequency": 1.4,
                    "change_lead_time": times_example(96, 86400.0),
                    "change_fail_rate": 0.07,
                    "failed_deployment_recovery_time": times_example(3, 3600.0),
                    "deployment_rework_rate": 0.05,
                }
            ],
            "next_cursor": None,
        }
    )

    at: str
    window: str
    lanes: list[Lane]
    next_cursor: str | None


class LaneCursor(msgspec.Struct, frozen=True, array_like=True):
    """The last lane of a page: the next page goes on behind it, whatever lanes came or went."""

    service: str
    environment: str


ServiceQuery = Annotated[str | None, Query(description="Only lanes of this service", max_length=LONGEST_NAME)]
EnvironmentQuery = Annotated[str | None, Query(description="Only lanes of this environment", max_length=LONGEST_NAME)]
LimitQuery = Annotated[int, Query(description="The most lanes on a page", ge=1, le=500)]
CursorQuery = Annotated[
    str | None, Query(description="`next_cursor` of the page before, with the same parameters", max_length=5000)
]


def deliveries_router(reader: StateReader) -> APIRouter:
    """The routes of this group."""
    router = APIRouter(prefix="/v1/deliveries", tags=["deliveries"])

    @router.get("", operation_id="list_deliveries", responses=problems(400, 401, 422, 503), response_model=Deliveries)
    async def list_deliveries(
        *,
        service: ServiceQuery = None,
        environment: EnvironmentQuery = None,
        window: WindowText = "30d",
        at: AtText = None,
        limit: LimitQuery = 100,
        cursor: CursorQuery = None,
    ) -> dict[str, Any]:
        """Deployment frequency, change lead time, change fail rate, recovery time and rework rate, lane by lane."""
        asked = asked_of(reader, window, at)
        behind = None if cursor is None else unpack_cursor(cursor, LaneCursor)
        names = chosen_lanes(await reader.lane_names(), service, environment)
        if behind is not None:
            names = names[bisect_right(names, (behind.service, behind.environment), key=lane_of) :]
        page = names[:limit]
        counted = await reader.lane_window(asked.window, page)
        return {
            "at": format_instant(asked.at),
            "window": window,
            "lanes": [delivery_status(name, counted[name], asked.window) for name in page],
            "next_cursor": pack_cursor(LaneCursor(*lane_of(page[-1]))) if len(names) > limit else None,
        }

    return router
