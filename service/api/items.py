"""`GET /v1/streams/{stream}/items`: the items of a stage or stream, page by page, and one item's whole story."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import AfterValidator, Field

from flow.definitions import Stream
from flow.errors import NotFound, Reason, Rejected
from flow.instants import format_instant, parse_duration
from flow.item_status import ItemTeller
from service.api.models import Answer, Number, example, problems
from service.api.parameters import DURATION_SHAPE, LONGEST_NAME, StreamName, checked_duration, stage_index
from service.cursors import pack_cursor, unpack_cursor
from service.names import near_names
from service.reader import StateReader
from service.reader_items import Cursor, ItemReader, Placed, Wanted

ROW_EXAMPLE = {
    "item": "CHK-12",
    "stage": "review",
    "since": "2026-11-20T08:00:00Z",
    "age": 178200.0,
    "item_age": 351000.0,
    "blocked": True,
    "type": "feature",
    "title": "Pay with a voucher",
    "url": "https://tracker.example/CHK-12",
    "over_sle": True,
    "cycle_time": None,
}


class ItemRow(Answer):
    """One item where it is now."""

    item: str
    stage: str | None = Field(description="null: it has not arrived anywhere, or was deleted")
    since: str | None = Field(description="Arrival in the stage")
    age: float | None = Field(description="Seconds in the stage; null in `done`")
    item_age: float | None = Field(description="Seconds since the commitment; null before it, and in `done`")
    blocked: bool
    type: str
    title: str | None
    url: str | None
    over_sle: bool | None = Field(
        description="Longer in the stage than its service level expectation; null without one"
    )
    cycle_time: float | None = Field(description="In seconds, of an item that is done")


class Items(Answer):
    """One page. `next_cursor` is null on the last one."""

    model_config = example(
        {"stream": "checkout", "at": "2026-11-22T09:30:00Z", "items": [ROW_EXAMPLE], "next_cursor": None}
    )

    stream: str
    at: str
    items: list[ItemRow]
    next_cursor: str | None


class About(Answer):
    """What the latest facts say about the item besides its moves, in the provider's words."""

    source: str | None
    project: str | None
    type: str | None
    title: str | None
    url: str | None
    value: Number | None
    criticality: Number | None
    risk_reduction: Number | None
    size: Number | None


class Visit(Answer):
    """One uninterrupted stay in a stage. `ending` is null while it lasts."""

    stage: str
    arrived_at: str
    departed_at: str | None
    ending: Literal["forward", "rework", "removed"] | None
    time: float | None
    blocked_time: float


class Interval(Answer):
    """A span of time; without an end it lasts."""

    start: str
    end: str | None


class ItemFact(Answer):
    """One fact of the timeline, in the provider's words, and the stage that it means."""

    at: str
    seq: int
    id: str
    status: str | None
    signal: str | None
    environment: str | None
    blocked: bool | None
    deleted: bool | None
    labels: list[str] | None
    team: str | None
    stage: str | None


class ItemStory(ItemRow):
    """Everything known of one item: its times, visits, blocked intervals, and its facts in order."""

    model_config = example(
        {"stream": "checkout", **ROW_EXAMPLE, "first_at": "2026-11-16T08:00:00Z",
         "committed_at": "2026-11-18T08:00:00Z", "finished_at": None, "lead_time": None,
         "about": {"source": "acme", "project": "CHK", "type": "Story", "title": "Pay with a voucher",
                   "url": "https://tracker.example/CHK-12", "value": 8, "criticality": 3, "risk_reduction": 1,
                   "size": 2},
         "visits": [{"stage": "review", "arrived_at": "2026-11-20T08:00:00Z", "departed_at": None, "ending": None,
                     "time": None, "blocked_time": 0.0}],
         "blocked_intervals": [{"start": "2026-11-21T08:00:00Z", "end": None}],
         "facts": [{"at": "2026-11-20T08:00:00Z", "seq": 3, "id": "evt-1", "status": "In Review", "signal": None,
                    "environment": None, "blocked": None, "deleted": None, "labels": None, "team": None,
                    "stage": "review"}]}
    )  # fmt: skip

    stream: str
    first_at: str | None = Field(description="The first fact")
    committed_at: str | None
    finished_at: str | None
    lead_time: float | None
    about: About
    visits: list[Visit]
    blocked_intervals: list[Interval] = Field(description="When the blocked flag was set, in whatever stage")
    facts: list[ItemFact]


StageQuery = Annotated[
    str | None, Query(description="Only items of this stage; all but `done` ones if left out", max_length=LONGEST_NAME)
]
OrderQuery = Annotated[
    Literal["oldest", "newest"] | None,
    Query(description="By arrival in the stage: oldest first, but newest first in `done`, if left out"),
]
OlderThanQuery = Annotated[
    Annotated[str, AfterValidator(checked_duration), Field(json_schema_extra=DURATION_SHAPE)] | None,
    Query(description="Only items that are in their stage this long or longer", max_length=40, examples=["2d"]),
]
LimitQuery = Annotated[int, Query(description="The most items on a page", ge=1, le=500)]
CursorQuery = Annotated[
    str | None, Query(description="`next_cursor` of the page before, with the same parameters", max_length=5000)
]
ItemName = Annotated[str, Path(description="Name of an item", max_length=LONGEST_NAME, examples=["CHK-12"])]


def items_router(reader: StateReader) -> APIRouter:
    """The routes of this group."""
    router = APIRouter(prefix="/v1/streams", tags=["items"])
    tellers = {name: ItemTeller(stream) for name, stream in reader.definitions.streams.items()}
    _add_items(router, reader, tellers)
    _add_item(router, reader, tellers)
    return router


def _add_items(router: APIRouter, reader: StateReader, tellers: Mapping[str, ItemTeller]) -> None:
    items = ItemReader(reader)

    @router.get(
        "/{stream}/items", operation_id="list_items", responses=problems(400, 401, 404, 422, 503), response_model=Items
    )
    async def list_items(
        *,
        stream: StreamName,
        stage: StageQuery = None,
        order: OrderQuery = None,
        older_than: OlderThanQuery = None,
        limit: LimitQuery = 100,
        cursor: CursorQuery = None,
    ) -> dict[str, Any]:
        """The items of one stage, or of all stages but `done` ones, by arrival in the stage."""
        definition, now = reader.stream(stream), reader.clock()
        wanted = Wanted(
            stages=_stages(definition, stage),
            newest=order == "newest" if order is not None else _is_done(definition, stage),
            limit=limit,
            latest=None if older_than is None else now - parse_duration(older_than),
            cursor=None if cursor is None else unpack_cursor(cursor, Cursor),
        )
        check_cursor(wanted)
        page = await items.page(stream, wanted)
        return {
            "stream": stream,
            "at": format_instant(now),
            "items": [_row(definition, tellers[stream], placed, now) for placed in page.items],
            "next_cursor": None if page.cursor is None else pack_cursor(page.cursor),
        }


def _add_item(router: APIRouter, reader: StateReader, tellers: Mapping[str, ItemTeller]) -> None:
    items = ItemReader(reader)

    @router.get(
        "/{stream}/items/{item:path}",
        operation_id="get_item",
        responses=problems(401, 404, 422, 503),
        response_model=ItemStory,
    )
    async def get_item(stream: StreamName, item: ItemName) -> dict[str, Any]:
        """One item's timeline: its facts in order, the visits that they mean, and its times."""
        reader.stream(stream)
        found = await items.timelines(stream, list(dict.fromkeys((item, item.upper(), item.lower(), item.strip()))))
        if item not in found:
            raise NotFound(Reason.UNKNOWN_ITEM, near_names(f"item of {stream}", item, found))
        return tellers[stream].story(item, found[item], reader.clock())


def _row(stream: Stream, teller: ItemTeller, placed: Placed, now: int) -> dict[str, Any]:
    return teller.row(placed.item, stream.stage_index(placed.stage), placed.since, placed.timeline, now)


def _stages(stream: Stream, stage: str | None) -> list[str]:
    if stage is None:
        return [each.name for each in stream.stages if each.kind != "done"]
    return [stream.stages[stage_index(stream, stage)].name]


def _is_done(stream: Stream, stage: str | None) -> bool:
    return stage is not None and stream.stages[stage_index(stream, stage)].kind == "done"


def check_cursor(wanted: Wanted) -> None:
    """Raises Rejected for a cursor of a page in the other order."""
    cursor: Cursor | None = wanted.cursor
    if cursor is not None and cursor.newest != wanted.newest:
        raise Rejected(
            Reason.INVALID_REQUEST, "`cursor` is of a page in the other order: keep all parameters of the page before"
        )
