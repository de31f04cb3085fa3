"""`GET /v1/streams/{stream}/stages/{stage}/wsjf`: a queue in the order in which its items pay most."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter
from pydantic import Field

from flow.definitions import Stream
from flow.errors import Reason, Rejected
from flow.instants import format_instant
from flow.item_status import ItemTeller
from flow.status import thousandths
from flow.worth import missing_numbers, worth_of
from service.api.items import ROW_EXAMPLE, CursorQuery, ItemRow, LimitQuery
from service.api.models import Answer, Number, example, problems
from service.api.parameters import StageName, StreamName, stage_index
from service.cursors import pack_cursor, unpack_cursor
from service.reader import StateReader
from service.reader_items import Placed
from service.reader_ranks import RankCursor, RankReader

_ROW = ROW_EXAMPLE | {"stage": "backlog", "item_age": None, "blocked": False, "over_sle": None}


class RankedItem(ItemRow):
    """An item of the queue. `wsjf` is null where one of the four numbers is missing."""

    wsjf: float | None = Field(description="(value + criticality + risk reduction) / size")
    cost_of_delay: Number | None = Field(description="value + criticality + risk reduction, as far as they were said")
    value: Number | None
    criticality: Number | None
    risk_reduction: Number | None
    size: Number | None
    missing: list[Literal["value", "criticality", "risk_reduction", "size"]] = Field(
        description="Numbers without which there is no WSJF: never said, or a size that is not over 0"
    )


class WsjfOrder(Answer):
    """A page of a queue: the highest WSJF first, then items without one by arrival. Equal ones are in order of name."""

    model_config = example(
        {
            "stream": "checkout",
            "stage": "backlog",
            "at": "2026-11-22T09:30:00Z",
            "waiting": 9,
            "ranked": 7,
            "items": [{**_ROW, "wsjf": 6.0, "cost_of_delay": 12, "value": 8, "criticality": 3, "risk_reduction": 1,
                       "size": 2, "missing": []}],
            "next_cursor": None,
        }
    )  # fmt: skip

    stream: str
    stage: str
    at: str
    waiting: int = Field(description="Items in the queue")
    ranked: int = Field(description="Those of them whose WSJF is known")
    items: list[RankedItem]
    next_cursor: str | None = Field(description="null on the last page; a page before it may be short, or empty")


def wsjf_router(reader: StateReader) -> APIRouter:
    """The route of this group."""
    router = APIRouter(prefix="/v1/streams", tags=["items"])
    ranks = RankReader(reader)
    tellers = {name: ItemTeller(stream) for name, stream in reader.definitions.streams.items()}

    @router.get(
        "/{stream}/stages/{stage}/wsjf",
        operation_id="get_wsjf_order",
        responses=problems(400, 401, 404, 422, 503),
        response_model=WsjfOrder,
    )
    async def get_wsjf_order(
        stream: StreamName, stage: StageName, limit: LimitQuery = 100, cursor: CursorQuery = None
    ) -> dict[str, Any]:
        """The items of a queue by WSJF, weighted shortest job first; items with missing numbers come last."""
        definition, now = reader.stream(stream), reader.clock()
        index = _queue_index(definition, stage)
        page = await ranks.page(stream, stage, limit, None if cursor is None else unpack_cursor(cursor, RankCursor))
        return {
            "stream": stream,
            "stage": stage,
            "at": format_instant(now),
            "waiting": page.waiting,
            "ranked": page.ranked,
            "items": [_row(tellers[stream], index, placed, now) for placed in page.items],
            "next_cursor": None if page.cursor is None else pack_cursor(page.cursor),
        }

    return router


def _row(teller: ItemTeller, stage: int, placed: Placed, now: int) -> dict[str, Any]:
    about = placed.timeline.about()
    worth = worth_of(about)
    return teller.row(placed.item, stage, placed.since, placed.timeline, now) | {
        "wsjf": None if worth is None else worth.wsjf,
        "cost_of_delay": None if worth is None else thousandths(worth.cost_of_delay),
        "value": about.value,
        "criticality": about.criticality,
        "risk_reduction": about.risk_reduction,
        "size": about.size,
        "missing": missing_numbers(about),
    }


def _queue_index(stream: Stream, stage: str) -> int:
    """Raises Rejected for a stage in which nothing waits."""
    index = stage_index(stream, stage)
    if stream.stages[index].kind != "queue":
        queues = ", ".join(each.name for each in stream.stages if each.kind == "queue")
        instead = f"ask for {queues}" if queues else f"{stream.name} has no queue"
        raise Rejected(
            Reason.INVALID_REQUEST, f"stage {stage} is {stream.stages[index].kind}: WSJF orders queues; {instead}"
        )
    return index
