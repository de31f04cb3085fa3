"""`GET /v1/deliveries`: DORA's five of every delivery lane."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field

from flow.deliveries import delivery_statuses
from flow.instants import format_instant
from service.api.models import Answer, Times, example, problems, times_example
from service.api.parameters import LONGEST_NAME, AtText, WindowText, asked_of
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
    """All lanes, by service and environment. They are never blended."""

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
        }
    )

    at: str
    window: str
    lanes: list[Lane]


ServiceQuery = Annotated[str | None, Query(description="Only lanes of this service", max_length=LONGEST_NAME)]
EnvironmentQuery = Annotated[str | None, Query(description="Only lanes of this environment", max_length=LONGEST_NAME)]


def deliveries_router(reader: StateReader) -> APIRouter:
    """The routes of this group."""
    router = APIRouter(prefix="/v1/deliveries", tags=["deliveries"])

    @router.get("", operation_id="list_deliveries", responses=problems(400, 401, 422, 503), response_model=Deliveries)
    async def list_deliveries(
        service: ServiceQuery = None,
        environment: EnvironmentQuery = None,
        window: WindowText = "30d",
        at: AtText = None,
    ) -> dict[str, Any]:
        """Deployment frequency, change lead time, change fail rate, recovery time and rework rate, lane by lane."""
        asked = asked_of(reader, window, at)
        counted = await reader.lane_window(asked.window)
        lanes = delivery_statuses(counted, asked.window, service, environment)
        return {"at": format_instant(asked.at), "window": window, "lanes": lanes}

    return router
