"""Reads the dead letters, newest first, and how far the aggregator is behind the log."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from flow import keys
from flow.dead_letters import StoredLetter, read_letter
from flow.errors import Reason, Rejected
from service.reader import StateReader

MOST_LOOKED_AT: Final = 2_000
"""Letters that one page looks through for those of a source or reason; the next page goes on behind them."""

_CHUNK: Final = 100
_IDENTIFIER: Final = re.compile(r"\d{1,19}-\d{1,19}")


@dataclass(frozen=True, slots=True)
class LetterPage:
    """Some letters, newest first. `cursor` is None when there are no more."""

    letters: Sequence[StoredLetter]
    cursor: str | None


class LetterReader:
    """Asks for dead letters."""

    def __init__(self, reader: StateReader) -> None:
        self._asker = reader.asker

    async def page(
        self, limit: int, cursor: str | None = None, source: str | None = None, reason: str | None = None
    ) -> LetterPage:
        """At most `limit` letters older than the cursor. Raises Rejected(invalid_request) for a cursor that is none.

        A page may hold fewer than `limit`, even none, and still have a next one: it looks through a bounded number.
        """
        if cursor is not None and not _IDENTIFIER.fullmatch(cursor):
            raise Rejected(Reason.INVALID_REQUEST, "`cursor` is not one of ours: take next_cursor of the page before")
        found: list[StoredLetter] = []
        looked_at, newest = 0, "+" if cursor is None else f"({cursor}"
        size = limit if source is None and reason is None else _CHUNK
        while looked_at < MOST_LOOKED_AT:
            letters = await self._chunk(newest, size)
            for letter in letters:
                if source in {None, letter.source} and reason in {None, letter.reason}:
                    found.append(letter)
                if len(found) == limit:
                    return LetterPage(found, letter.id)
            if len(letters) < size:
                return LetterPage(found, None)
            looked_at += len(letters)
            newest = f"({letters[-1].id}"
        return LetterPage(found, newest[1:])

    async def counts(self) -> dict[tuple[str, str], int]:
        """Letters ever written, by source and reason; those that are no longer kept among them."""
        pipeline = self._asker.redis.pipeline(transaction=False)
        pipeline.hgetall(keys.LETTER_COUNTS)
        [counts] = await self._asker.execute(pipeline)
        found: dict[tuple[str, str], int] = {}
        for name, count in counts.items():
            source, _, reason = name.decode(errors="replace").rpartition("|")
            found[source, reason] = int(count)
        return found

    async def _chunk(self, newest: str, size: int) -> list[StoredLetter]:
        pipeline = self._asker.redis.pipeline(transaction=False)
        pipeline.xrevrange(keys.LETTERS, max=newest, min="-", count=size)
        [entries] = await self._asker.execute(pipeline)
        return [read_letter(identifier, fields) for identifier, fields in entries]


async def log_lag(reader: StateReader) -> dict[int, int] | None:
    """How many facts of each partition of the log are not in the state yet. None: where the log ends is not known."""
    pipeline = reader.asker.redis.pipeline(transaction=False)
    pipeline.exists(keys.LOG_PARTITIONS)
    for partition in range(reader.partitions):
        pipeline.get(keys.log_end(partition))
        pipeline.hvals(keys.log_read(partition))
    replies: list[Any] = await reader.asker.execute(pipeline)
    ends = {number: int(end or 0) for number, end in enumerate(replies[1::2])}
    if reader.log_ends is not None:
        ends = dict(reader.log_ends())
        if len(ends) < reader.partitions:
            return None
    elif not replies[0]:
        return None
    behind = (min(map(int, offsets), default=0) for offsets in replies[2::2])
    return {number: max(0, ends[number] - offset) for number, offset in enumerate(behind)}
