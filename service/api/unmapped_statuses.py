"""`GET /v1/streams/{stream}/unmapped-statuses`: what senders say that no stage claims."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import Field

from flow.unmapped import unmapped_in
from service.api.models import Answer, example, problems
from service.api.parameters import StreamName
from service.reader import StateReader


class UnmappedStatus(Answer):
    """A status that moves nothing, because no stage's `when` has it."""

    source: str
    status: str | None = Field(
        description="As the source says it; null counts further names together: only the first ones are kept by name"
    )
    facts: int = Field(description="Facts that had it, of all times, counted anew when the definition changes")


class UnmappedStatuses(Answer):
    """All statuses of a stream's facts that belong to no stage, most facts first."""

    model_config = example(
        {
            "stream": "checkout",
            "statuses": [{"source": "jira", "status": "Waiting for customer", "facts": 12}],
        }
    )

    stream: str
    statuses: list[UnmappedStatus]


def unmapped_statuses_router(reader: StateReader) -> APIRouter:
    """The route of this group."""
    router = APIRouter(prefix="/v1/streams", tags=["streams"])

    @router.get(
        "/{stream}/unmapped-statuses",
        operation_id="list_unmapped_statuses",
        responses=problems(400, 401, 404, 422, 503),
        response_model=UnmappedStatuses,
    )
    async def list_unmapped_statuses(stream: StreamName) -> dict[str, Any]:
        """Statuses that no stage of the stream claims. Add each to the `when` of its stage: past figures follow."""
        reader.stream(stream)
        found = unmapped_in(await reader.monitor(stream))
        statuses = [{"source": each.source, "status": each.status, "facts": each.facts} for each in found]
        return {"stream": stream, "statuses": statuses}

    return router
