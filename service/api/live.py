"""`GET /v1/live`: server-sent events, for the live page and for whoever wants to be told instead of asking."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Query
from pydantic import AfterValidator
from starlette.responses import Response

from flow.errors import NotFound, Reason
from service.api.models import problems
from service.api.parameters import LONGEST_NAME, asked_of, checked_window
from service.live import Live
from service.live_clients import MEDIA_TYPE, EventStream
from service.live_hello import usual_window
from service.live_topics import View
from service.reader import StateReader

_EXAMPLE: Final = (
    'event: hello\ndata: {"version":"0.1.0","at":"2026-11-22T09:30:00Z","stream":"checkout","window":"7d",…}\n\n'
    'event: status\nid: 5f0c2a91-12\ndata: {"stream":"checkout","at":"2026-11-22T09:30:00Z","wip":23,…}\n\n'
    'event: beat\ndata: {"at":"2026-11-22T09:30:03Z","read_at":"2026-11-22T09:30:02Z","behind":0,"behind_for":0.0}\n\n'
)

StreamQuery = Annotated[
    str | None, Query(description="Name of a value stream; the first one if left out", max_length=LONGEST_NAME)
]
WindowQuery = Annotated[
    Annotated[str, AfterValidator(checked_window)] | None,
    Query(description="Length of the window that ends now; the stream's middle one if left out", examples=["7d"]),
]
LastId = Annotated[
    str | None,
    Header(
        alias="Last-Event-ID",
        description="The id of the last event that came, of the same stream and window: what was seen is not repeated",
        max_length=100,
    ),
]


def live_router(reader: StateReader, live: Live) -> APIRouter:
    """The route of this group."""
    router = APIRouter(prefix="/v1/live", tags=["streams"])
    found: dict[int | str, dict[str, Any]] = {
        200: {"description": "Events", "content": {MEDIA_TYPE: {"schema": {"type": "string"}, "example": _EXAMPLE}}}
    }

    @router.get(
        "",
        operation_id="watch_stream",
        responses={**problems(400, 401, 404, 422, 503), **found},
        response_class=Response,
    )
    async def watch_stream(
        stream: StreamQuery = None, window: WindowQuery = None, last_event_id: LastId = None
    ) -> Response:
        """A stream's figures as server-sent events, within a second of the fact that changes them.

        Each event's data is what a route of this API answers: `status` (`/v1/streams/{stream}`), `open_items` (its
        items, the oldest arrivals first), `finished_items` (the latest of each `done` stage, with `stage` beside
        them), `ageing` (for its percentiles), `cumulative_flow`, `wsjf` (each queue), `measures`, `deliveries`. Only
        the newest of each is ever sent, whole. `hello` comes first, with the streams that there are; `streams` says
        what is in progress in each; `beat` comes every few seconds, and says up to when facts are in (`read_at`) and
        how far that is behind the log.
        """
        name = stream if stream is not None else next(iter(reader.definitions.streams), None)
        if name is None:
            raise NotFound(Reason.UNKNOWN_STREAM, "no stream is defined: write one into the file of the definitions")
        view = View(name, window or usual_window(reader.stream(name)))
        asked_of(reader, view.window, None)
        mailbox = live.join(view, last_event_id)
        return EventStream(mailbox, lambda: live.leave(mailbox))

    return router
