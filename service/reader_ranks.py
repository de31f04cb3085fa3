"""Reads the items of a queue in the order of their WSJF; those of which it is not known come last, by arrival."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from redis.asyncio.client import Pipeline

from flow.keys import StateKeys
from flow.worth import worth_of
from service.reader import StateReader
from service.reader_items import Cursor, ItemReader, Placed, Wanted

_MORE: Final = 8


class RankCursor(msgspec.Struct, frozen=True, array_like=True):
    """Where a page ended: behind this score and item, or, once all ranked items were shown, in the order of arrival."""

    score: float | None = None
    item: str = ""
    unranked: Cursor | None = None


@dataclass(frozen=True, slots=True)
class RankedPage:
    """Some items in order, how many are in the queue and how many of them are ranked. No cursor: the last page."""

    items: Sequence[Placed]
    waiting: int
    ranked: int
    cursor: RankCursor | None


class _Ranked:
    """The first `count` ranked items from a score on, with how many there are."""

    def __init__(self, stage: str, first: str, count: int) -> None:
        self._stage, self._first, self._count = stage, first, count

    def ask(self, pipeline: Pipeline, state: StateKeys) -> None:
        """Three commands."""
        pipeline.zcard(state.stage(self._stage))
        pipeline.zcard(state.ranked(self._stage))
        pipeline.zrangebyscore(
            state.ranked(self._stage), self._first, "+inf", start=0, num=self._count, withscores=True
        )

    def answer(self, replies: Iterator[Any]) -> tuple[int, int, list[tuple[float, str]]]:
        """Items in the queue, ranked ones, and the places found: score and item."""
        waiting, ranked, rows = next(replies), next(replies), next(replies)
        return waiting, ranked, [(score, item.decode()) for item, score in rows]


class _Arrivals:
    """When some items arrived in the queue."""

    def __init__(self, stage: str, items: Sequence[str]) -> None:
        self._stage, self._items = stage, items

    def ask(self, pipeline: Pipeline, state: StateKeys) -> None:
        """One command."""
        pipeline.zmscore(state.stage(self._stage), list(self._items))

    def answer(self, replies: Iterator[Any]) -> dict[str, int]:
        """By item, those that are still there."""
        rows = zip(self._items, next(replies), strict=True)
        return {item: round(float(since)) for item, since in rows if since is not None}


class RankReader:
    """Asks for queues of one reader's streams."""

    def __init__(self, reader: StateReader) -> None:
        self._asker = reader.asker
        self._items = ItemReader(reader)

    async def page(self, name: str, stage: str, limit: int, cursor: RankCursor | None) -> RankedPage:
        """One page, at most `limit` items; one of the unranked may be shorter and yet not be the last."""
        if cursor is not None and cursor.score is None:
            return await self._unranked(name, stage, limit, cursor.unranked)
        waiting, ranked, places = await self._places(name, stage, limit, cursor)
        shown = places[:limit]
        items = await self._placed(name, stage, [item for _, item in shown])
        if len(places) > limit:
            return RankedPage(items, waiting, ranked, RankCursor(*shown[-1]))
        if waiting <= ranked:
            return RankedPage(items, waiting, ranked, None)
        if len(shown) == limit:
            return RankedPage(items, waiting, ranked, RankCursor())
        rest = await self._unranked(name, stage, limit - len(shown), None)
        return RankedPage([*items, *rest.items], waiting, ranked, rest.cursor)

    async def _unranked(self, name: str, stage: str, limit: int, cursor: Cursor | None) -> RankedPage:
        waiting, ranked, _ = await self._asker.ask(name, _Ranked(stage, "+inf", 1))
        page = await self._items.page(name, Wanted([stage], newest=False, limit=limit, cursor=cursor))
        items = [placed for placed in page.items if not _is_ranked(placed)]
        return RankedPage(items, waiting, ranked, None if page.cursor is None else RankCursor(unranked=page.cursor))

    async def _places(
        self, name: str, stage: str, limit: int, cursor: RankCursor | None
    ) -> tuple[int, int, list[tuple[float, str]]]:
        """The first ranked items behind the cursor, one more than the page takes. Many of one score are asked again."""
        edge = None if cursor is None or cursor.score is None else (cursor.score, cursor.item.encode())
        count = limit + 1
        while True:
            first = "-inf" if edge is None else repr(edge[0])
            waiting, ranked, rows = await self._asker.ask(name, _Ranked(stage, first, count))
            behind = [row for row in rows if edge is None or (row[0], row[1].encode()) > edge]
            if len(behind) > limit or len(rows) < count:
                return waiting, ranked, behind[: limit + 1]
            count *= _MORE

    async def _placed(self, name: str, stage: str, items: Sequence[str]) -> list[Placed]:
        if not items:
            return []
        timelines = await self._items.timelines(name, items)
        arrivals = await self._asker.ask(name, _Arrivals(stage, items))
        return [
            Placed(item, stage, arrivals[item], timelines[item])
            for item in items
            if item in timelines and item in arrivals
        ]


def _is_ranked(placed: Placed) -> bool:
    worth = worth_of(placed.timeline.about())
    return worth is not None and worth.wsjf is not None
