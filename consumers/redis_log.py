"""The log as Redis streams, one a partition, as the embedded server holds it.

An entry is a block of facts, one a line, under the id `0-<offset of its last fact>`: offsets count facts without gaps,
as Kafka's do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from redis.asyncio import Redis

from consumers.log import Batch
from flow import keys

_WAIT: Final = 250
"""Milliseconds to wait for the first fact: bounds how late a request to stop is noticed."""

FACTS_AT_ONCE: Final = 16_000
_FIRST_ENTRIES: Final = 64
_MOST_ENTRIES: Final = 2000


class RedisLog:
    """Reads the partitions that it is given.

    `keep_facts` bounds what is kept behind the readers, per partition; `at_once` is about how many facts a batch has.
    """

    def __init__(
        self,
        redis: Redis,
        partitions: Sequence[int],
        reader: str,
        *,
        keep_facts: int,
        at_once: int = FACTS_AT_ONCE,
    ) -> None:
        self._redis = redis
        self._partitions = partitions
        self._reader = reader
        self._keep_facts = keep_facts
        self._at_once = at_once
        self._entries = dict.fromkeys(partitions, _FIRST_ENTRIES)
        self._trimmed = dict.fromkeys(partitions, 0)

    async def partitions(self) -> Sequence[int]:
        """The partitions that this worker reads."""
        return self._partitions

    async def read(self, partition: int, after: int, *, wait: bool = True) -> Batch | None:
        """The facts after this offset, waiting a moment for the first if asked to; None when there are none."""
        key = keys.log_facts(partition)
        count = self._entries[partition]
        reply: Any = await self._redis.xread({key: f"0-{after}"}, count=count, block=_WAIT if wait else None)
        if not reply:
            return None
        entries = next(iter(reply.values()))[0] if isinstance(reply, dict) else reply[0][1]
        offsets: list[int] = []
        for identifier, fields in entries:
            last = int(identifier.partition(b"-")[2])
            size = int(fields[b"count"])
            offsets.extend(range(last - size + 1, last + 1))
        lines = b"\n".join(fields[b"facts"] for _, fields in entries)
        self._entries[partition] = self._entries_for(len(entries), len(offsets))
        return Batch(partition, lines, offsets, int(entries[-1][1][b"received_at"]))

    async def committed(self, partition: int, offset: int) -> None:
        """Note how far this reader is; trim what no reader needs and nobody asked to keep."""
        await self._redis.hset(keys.log_read(partition), self._reader, str(offset))
        if offset - self._trimmed[partition] < max(self._keep_facts // 10, 1):
            return
        self._trimmed[partition] = offset
        readers: list[Any] = await self._redis.hvals(keys.log_read(partition))
        behind = min(int(reader) for reader in readers)
        oldest = min(behind, offset - self._keep_facts) + 1
        if oldest > 1:
            await self._redis.xtrim(keys.log_facts(partition), minid=f"0-{oldest}", approximate=False)

    def _entries_for(self, entries: int, facts: int) -> int:
        """How many entries to ask for next, so that a batch holds about as many facts as one commit should."""
        return max(1, min(_MOST_ENTRIES, self._at_once * entries // max(facts, 1)))
