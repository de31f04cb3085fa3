"""The log as Redis streams, one a partition, as the embedded server holds it.

An entry is a block of facts, one a line, under the id `0-<offset of its last fact>`: offsets count facts without gaps,
as Kafka's do.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import RedisError, WatchError

from consumers.log import FACTS_AT_ONCE, Batch, Owner
from flow import keys

_logger = logging.getLogger("streamgauge.redis_log")

_WAIT: Final = 250
"""Milliseconds to wait for the first fact: bounds how late a request to stop is noticed."""

_FIRST_ENTRIES: Final = 64
_MOST_ENTRIES: Final = 2000


class RedisLog:
    """Reads the partitions that it is given.

    `keep_facts` bounds what is kept behind the readers, per partition; `at_once` is about how many facts the
    batches of all partitions may have together.
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
        self._at_once = max(1, at_once // max(1, len(partitions)))
        self._entries = dict.fromkeys(partitions, _FIRST_ENTRIES)
        self._trimmed = dict.fromkeys(partitions, 0)
        self._whole: set[int] = set()
        self._expected: dict[int, int] = {}

    async def follow(self, owner: Owner) -> None:
        """All partitions are the owner's, for as long as it runs."""
        await owner.own(self._partitions)
        await asyncio.Event().wait()

    async def partitions(self) -> Sequence[int]:
        """The partitions that this worker reads."""
        return self._partitions

    async def read(self, partition: int, after: int, *, wait: bool = True) -> Batch | None:
        """The facts after this offset, waiting a moment for the first if asked to; None when there are none."""
        if partition not in self._whole:
            await self._mend_end(partition, max(after, self._expected.get(partition, 0)))
            self._whole.add(partition)
        key = keys.log_facts(partition)
        count = self._entries[partition]
        try:
            reply: Any = await self._redis.xread({key: f"0-{after}"}, count=count, block=_WAIT if wait else None)
        except (RedisError, OSError):
            self._whole.discard(partition)  # its server may be another one now, that has not all of it
            self._entries[partition] = max(1, count // 2)  # perhaps they were too many to come in time
            raise
        if not reply:
            return None
        entries = next(iter(reply.values()))[0] if isinstance(reply, dict) else reply[0][1]
        offsets: list[int] = []
        received: list[tuple[int, int]] = []
        for identifier, fields in entries:
            last = int(identifier.partition(b"-")[2])
            size = int(fields[b"count"])
            offsets.extend(range(last - size + 1, last + 1))
            received.append((last, int(fields[b"received_at"])))
        lines = b"\n".join(fields[b"facts"] for _, fields in entries)
        self._entries[partition] = self._entries_for(len(entries), len(offsets))
        return Batch(partition, lines, offsets, received[-1][1], received)

    def expect(self, partition: int, offset: int) -> None:
        """The state has facts up to this offset: where the log ends before it, what comes gets later offsets."""
        self._expected[partition] = offset

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

    async def _mend_end(self, partition: int, read: int) -> None:
        """Let no offset be given out twice.

        A replica that took over may not have the last facts of the log. The state, where it lies elsewhere, has them,
        and would take new facts with their offsets for known ones.
        """
        key = keys.log_end(partition)
        async with self._redis.pipeline(transaction=True) as pipeline:
            while True:
                await pipeline.watch(key)
                stored: Any = await pipeline.get(key)
                end = int(stored or 0)
                if end >= read:
                    return
                pipeline.multi()  # type: ignore[no-untyped-call]
                pipeline.set(key, read)
                with suppress(WatchError):
                    await pipeline.execute()
                    break
        _logger.warning(
            "log_went_back partition=%d end=%d read=%d: the log lost facts that are in the state; what it took since "
            "then up to offset %d was not read: run `streamgauge rebuild --from log`, or send it again",
            *(partition, end, read, read),
        )

    def _entries_for(self, entries: int, facts: int) -> int:
        """How many entries to ask for next, so that a batch holds about as many facts as one commit should."""
        return max(1, min(_MOST_ENTRIES, self._at_once * entries // max(facts, 1)))
