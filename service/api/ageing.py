"""`GET /v1/streams/{stream}/ageing`: items in progress beside how old finished items were at the same stage."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import Field

from flow.definitions import Stream
from flow.instants import format_instant
from flow.item_status import ItemTeller
from flow.pace import Ages, ages_at_departure, pace, passed
from service.api.items import ROW_EXAMPLE, CursorQuery, ItemRow, LimitQuery, StageQuery, check_cursor
from service.api.models import Answer, example, problems
from service.api.parameters import StreamName, stage_index
from service.cursors import pack_cursor, unpack_cursor
from service.reader import StateReader
from service.reader_items import Cursor, ItemReader, Placed, Wanted


class StagePace(Answer):
    """Ages in seconds since the commitment at which finished items left a stage. null: none of them left it."""

    stage: str
    sampled: int = Field(description="Finished items that left this stage")
    p50: float | None
    p70: float | None
    p85: float | None
    p95: float | None


class AgeingItem(ItemRow):
    """An item in progress, and the highest percentile of its stage that its `item_age` is over."""

    pace: Literal["p50", "p70", "p85", "p95"] | None = Field(description="null: over none, or nothing to compare with")


class Ageing(Answer):
    """Pace percentiles by stage, and a page of the items in progress, oldest in their stage first."""

    model_config = example(
        {
            "stream": "checkout",
            "at": "2026-11-22T09:30:00Z",
            "sampled": 200,
            "stages": [{"stage": "review", "sampled": 188, "p50": 250000.0, "p70": 310000.0, "p85": 420000.0,
                        "p95": 700000.0}],
            "items": [{**ROW_EXAMPLE, "pace": "p70"}],
            "next_cursor": None,
        }
    )  # fmt: skip

    stream: str
    at: str
    sampled: int = Field(description="The latest finished items that the percentiles are made of")
    stages: list[StagePace]
    items: list[AgeingItem]
    next_cursor: str | None


SampleQuery = Annotated[int, Query(description="So many of the latest finished items to compare with", ge=1, le=500)]


def ageing_router(reader: StateReader) -> APIRouter:
    """The route of this group."""
    router = APIRouter(prefix="/v1/streams", tags=["items"])
    items = ItemReader(reader)

    @router.get(
        "/{stream}/ageing",
        operation_id="get_ageing",
        responses=problems(400, 401, 404, 422, 503),
        response_model=Ageing,
    )
    async def get_ageing(
        *,
        stream: StreamName,
        stage: StageQuery = None,
        sample: SampleQuery = 200,
        limit: LimitQuery = 100,
        cursor: CursorQuery = None,
    ) -> dict[str, Any]:
        """Items since their commitment beside the ages at which finished items left the same stage (pace percentiles).

        Stages before the commitment are left out unless asked for: items there have no age yet.
        """
        definition, now = reader.stream(stream), reader.clock()
        chosen = _stages(definition, stage)
        behind = None if cursor is None else unpack_cursor(cursor, Cursor)
        wanted = Wanted(chosen, newest=False, limit=limit, cursor=behind)
        check_cursor(wanted)
        page = await items.page(stream, wanted)
        done = [each.name for each in definition.stages if each.kind == "done"]
        finished = await items.page(stream, Wanted(done, newest=True, limit=sample))
        told = await asyncio.to_thread(_tell, definition, page.items, finished.items, now)
        return {
            "stream": stream,
            "at": format_instant(now),
            "sampled": len(finished.items),
            **told,
            "next_cursor": None if page.cursor is None else pack_cursor(page.cursor),
        }

    return router


def _tell(stream: Stream, items: Sequence[Placed], finished: Sequence[Placed], now: int) -> dict[str, Any]:
    ages = ages_at_departure(stream, [placed.timeline for placed in finished])
    teller = ItemTeller(stream)
    return {
        "stages": [
            {"stage": each.name, "sampled": len(ages.get(index, ())), **pace(ages.get(index, ()))}
            for index, each in enumerate(stream.stages)
            if index >= stream.commitment and each.kind != "done"
        ],
        "items": [_row(stream, teller, ages, placed, now) for placed in items],
    }


def _row(stream: Stream, teller: ItemTeller, ages: Ages, placed: Placed, now: int) -> dict[str, Any]:
    index = stream.stage_index(placed.stage)
    row = teller.row(placed.item, index, placed.since, placed.timeline, now)
    age = row["item_age"]
    return row | {"pace": None if age is None else passed(ages.get(index, ()), round(age * 1000))}


def _stages(stream: Stream, stage: str | None) -> list[str]:
    if stage is not None:
        return [stream.stages[stage_index(stream, stage)].name]
    return [each.name for index, each in enumerate(stream.stages) if index >= stream.commitment and each.kind != "done"]
