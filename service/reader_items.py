"""Reads items: pages of a stage or of the whole stream, in order of arrival, and single timelines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec
from redis.asyncio.client import Pipeline

from flow.keys import StateKeys
from flow.timeline import Timeline
from service.reader import StateReader

_MORE: Final = 8
_LATEST: Final = 2**53


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """The last item of a page. Items are ordered by (since, item), so a page goes on behind it, whatever moved."""

    newest: bool
    since: Annotated[int, msgspec.Meta(ge=-_LATEST, le=_LATEST)]
    item: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """A page: of these stages, in this order, items that arrived at or before `latest` (ms), behind the cursor."""

    stages: Sequence[str]
    newest: bool
    limit: int
    latest: int | None = None
    cursor: Cursor | None = None


@dataclass(frozen=True, slots=True)
class Placed:
    """An item as its stage's sorted set has it, and its timeline."""

    item: str
    stage: str
    since: int
    timeline: Timeline


@dataclass(frozen=True, slots=True)
class Page:
    """Some items in order. `cursor` is None on the last page."""

    items: Sequence[Placed]
    cursor: Cursor | None


class _Slices:
    """The first `count` items of each stage from where the cursor's instant begins."""

    def __init__(self, wanted: Wanted, counts: Mapping[str, int]) -> None:
        self._wanted = wanted
        self._counts = counts

    def ask(self, pipeline: Pipeline, state: StateKeys) -> None:
        """One command a stage."""
        wanted, cursor = self._wanted, self._wanted.cursor
        latest = "+inf" if wanted.latest is None else str(wanted.latest)
        first = "-inf"
        if cursor is not None and not wanted.newest:
            first = str(cursor.since)
        elif cursor is not None and (wanted.latest is None or cursor.since < wanted.latest):
            latest = str(cursor.since)
        for stage, count in self._counts.items():
            key = state.stage(stage)
            if wanted.newest:
                pipeline.zrevrangebyscore(key, latest, first, start=0, num=count, withscores=True)
            else:
                pipeline.zrangebyscore(key, first, latest, start=0, num=count, withscores=True)

    def answer(self, replies: Iterator[Any]) -> dict[str, list[tuple[bytes, float]]]:
        """By stage: items with the instants of their arrivals."""
        return {stage: next(replies) for stage in self._counts}


class _Timelines:
    """The timelines of some items."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names

    def ask(self, pipeline: Pipeline, state: StateKeys) -> None:
        """One command."""
        pipeline.hmget(state.timelines, list(self._names))

    def answer(self, replies: Iterator[Any]) -> dict[str, Timeline]:
        """By name, those that are there."""
        rows = next(replies)
        return {name: Timeline.unpack(row) for name, row in zip(self._names, rows, strict=True) if row}


class ItemReader:
    """Asks for items of one reader's streams."""

    def __init__(self, reader: StateReader) -> None:
        self._asker = reader.asker

    async def page(self, name: str, wanted: Wanted) -> Page:
        """One page of a stream's items. An item that goes while it is read is left out."""
        found = await self._places(name, wanted)
        shown = found[: wanted.limit]
        timelines = await self.timelines(name, [item for _, item, _ in shown])
        items = [Placed(item, stage, since, timelines[item]) for since, item, stage in shown if item in timelines]
        if len(found) <= wanted.limit:
            return Page(items, None)
        since, item, _ = shown[-1]
        return Page(items, Cursor(wanted.newest, since, item))

    async def timelines(self, name: str, items: Sequence[str]) -> dict[str, Timeline]:
        """The timelines of these items, by name, those that are there."""
        return await self._asker.ask(name, _Timelines(items)) if items else {}

    async def _places(self, name: str, wanted: Wanted) -> list[tuple[int, str, str]]:
        """The first items behind the cursor, one more than the page takes: (since, item, stage) in the page's order.

        A stage whose answer holds too little behind the cursor, because many items arrived at its very instant, is
        asked again for more.
        """
        counts = dict.fromkeys(wanted.stages, wanted.limit + 1)
        found: list[tuple[int, str, str]] = []
        while counts:
            slices = await self._asker.ask(name, _Slices(wanted, counts))
            for stage, rows in slices.items():
                behind = [(round(since), item.decode(), stage) for item, since in rows]
                behind = [place for place in behind if _is_behind(place, wanted)]
                if len(behind) > wanted.limit or len(rows) < counts[stage]:
                    found += behind
                    del counts[stage]
                else:
                    counts[stage] *= _MORE
        return sorted(found, key=_order, reverse=wanted.newest)[: wanted.limit + 1]


def _order(place: tuple[int, str, str]) -> tuple[int, bytes]:
    """As the server orders a sorted set: by score, then by the bytes of the member."""
    return place[0], place[1].encode()


def _is_behind(place: tuple[int, str, str], wanted: Wanted) -> bool:
    cursor = wanted.cursor
    if cursor is None:
        return True
    edge = (cursor.since, cursor.item.encode())
    return _order(place) < edge if wanted.newest else _order(place) > edge
