"""`GET /v1/bottlenecks`: the stages that constrain their streams, or are about to, with the evidence."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter
from pydantic import Field

from flow.bottlenecks.verdict import told
from flow.instants import format_instant
from service.api.models import Answer, example, problems
from service.api.stream_models import BOTTLENECK_EXAMPLE, Bottleneck
from service.reader_bottlenecks import BottleneckReader

_UNKNOWN: Final = "insufficient_data"


class FoundBottleneck(Bottleneck):
    """A stage of which there is something to say."""

    stream: str
    stage: str


class Unwatched(Answer):
    """A stage of which nothing can be known, and why."""

    stream: str
    stage: str
    why: str


class Bottlenecks(Answer):
    """What the detector says of all streams."""

    model_config = example(
        {
            "bottlenecks": [{"stream": "checkout", "stage": "review"} | BOTTLENECK_EXAMPLE],
            "insufficient_data": [
                {
                    "stream": "payroll",
                    "stage": "release",
                    "why": "too little leaves to know: 9 left in 28 days that count; "
                    "15 and 0.8 a day are needed to see a slowdown or an overload",
                }
            ],
            "looked_at": {"checkout": "2026-11-22T09:30:00Z", "payroll": "2026-11-22T09:29:41Z"},
        }
    )

    bottlenecks: list[FoundBottleneck] = Field(
        description="Those that constrain their stream first, then the others in alarm, then backlogs without one"
    )
    insufficient_data: list[Unwatched]
    looked_at: dict[str, str | None] = Field(
        description="When the detector last looked at each stream; null: not of late, nothing is known of it"
    )


def bottlenecks_router(reader: BottleneckReader) -> APIRouter:
    """The route of this group."""
    router = APIRouter(prefix="/v1/bottlenecks", tags=["streams"])

    @router.get("", operation_id="list_bottlenecks", responses=problems(401, 422, 503), response_model=Bottlenecks)
    async def list_bottlenecks() -> dict[str, Any]:
        """The stages that constrain their streams, or are about to: state, cause, evidence and why, of all streams."""
        said = await reader.said()
        found = [
            {"stream": name, "stage": verdict.stage} | shown
            for name, each in said.items()
            for verdict in each.stages
            if (shown := told(verdict)) is not None
        ]
        known = [entry for entry in found if entry["state"] != _UNKNOWN]
        known.sort(key=lambda entry: (not entry["constrains"], not entry["raised"], -(entry["evidence"] or 0.0)))
        return {
            "bottlenecks": known,
            "insufficient_data": [
                {key: entry[key] for key in ("stream", "stage", "why")} for entry in found if entry["state"] == _UNKNOWN
            ],
            "looked_at": {
                name: format_instant(said[name].at) if name in said else None
                for name in reader.reader.definitions.streams
            },
        }

    return router
