"""Rebuilding a stream's state into the next generation, beside the one that readers see, then switching.

From the timelines, when the definition changed; from the log, when the state itself is in doubt. Both run beside live
traffic: the new generation carries the position that it is exact for or behind, and the aggregator, refused at its
next commit, reads on from there. What a timeline holds already is a duplicate then, and changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import WatchError

from consumers.commit import Committer
from consumers.dead_letters import DeadLetters
from consumers.log import LogReading
from consumers.partition import Clock
from consumers.routing import sort_batch
from consumers.stream_state import Bounds, StreamState
from flow import keys
from flow.definitions import Definitions, Stream
from flow.errors import PositionConflict
from flow.facts import partition_of
from flow.keys import StateKeys
from flow.matching import Router

_logger = logging.getLogger("streamgauge.rebuild")

_ITEMS_AT_ONCE: Final = 2000
_KEYS_AT_ONCE: Final = 1000

_NOT_YET: Final = "0"
"""The generation before the first: a stream that has no state can be rebuilt too."""


@dataclass(frozen=True, slots=True)
class Rebuild:
    """What a rebuild of one stream needs. `partitions` is how many the log has, `keep_letters` how many letters are."""

    redis: Redis
    stream: Stream
    partitions: int
    bounds: Bounds
    clock: Clock
    keep_letters: int = 10_000

    async def from_timelines(self) -> int:
        """Recompute from the stored timelines. Returns how many items were read. Raises PositionConflict."""
        old, new = await self._open()
        states = await self._states(old, new)
        items = 0
        async for rows in self._timelines(old):
            items += len(rows)
            by_partition: dict[int, dict[str, bytes]] = {}
            for name, row in rows.items():
                by_partition.setdefault(partition_of(name, self.partitions), {})[name] = row
            for number, some in by_partition.items():
                commit = await states[number].recount(some, self.clock())
                await Committer(self.redis).execute([commit])
        await self._switch(old, new)
        return items

    async def from_log(self, log: LogReading) -> int:
        """Fold the whole log anew. Returns how many facts of the stream were read. Raises PositionConflict."""
        old, new = await self._open()
        router = Router(Definitions({self.stream.name: self.stream}))
        committer, facts = Committer(self.redis), 0
        for number in await log.partitions():
            state = StreamState(self.redis, self.stream, new, number, self.bounds, fence=old.generation)
            letters, position = DeadLetters(self.redis, number, self.keep_letters), 0
            while (batch := await log.read(number, position)) is not None:
                position = batch.offsets[-1]
                found = sort_batch(batch, router, {})
                briefs, told = found.items.get(self.stream.name, {}), found.told.get(self.stream.name, {})
                facts += sum(told.values())
                items = await state.items_of(briefs)
                commit, refused = await state.apply(briefs, items, told, position, self.clock())
                await letters.keep(commit, found.letters_for(refused), self.clock())
                await committer.execute([commit])
                state.shrink(self.bounds.items_in_memory, self.bounds.cells_in_memory)
        await self._switch(old, new)
        return facts

    async def _open(self) -> tuple[StateKeys, StateKeys]:
        """The generation that readers see, and the next one, emptied of what a broken-off rebuild left."""
        await self.redis.set(keys.generation(self.stream.name), _NOT_YET, nx=True)
        current: Any = await self.redis.get(keys.generation(self.stream.name))
        old = StateKeys(self.stream.name, current.decode())
        new = StateKeys(self.stream.name, str(int(old.generation) + 1))
        await self._remove(new)
        await self.redis.set(new.definition, self.stream.fingerprint)
        return old, new

    async def _states(self, old: StateKeys, new: StateKeys) -> list[StreamState]:
        """A state a partition, at the position from which the old generation's timelines are surely complete."""
        states = []
        for number in range(self.partitions):
            state = StreamState(self.redis, self.stream, new, number, self.bounds, fence=old.generation)
            position: Any = await self.redis.get(old.position(number))
            monitor: Any = await self.redis.hget(old.monitor, str(number))
            await state.begin_at(int(position or 0), monitor)
            states.append(state)
        return states

    async def _timelines(self, old: StateKeys) -> AsyncIterator[dict[str, bytes]]:
        """All stored timelines, some at a time. An item may come twice: counting it again must change nothing."""
        cursor: Any = 0
        seen: set[str] = set()
        while True:
            reply: Any = await self.redis.hscan(old.timelines, cursor, count=_ITEMS_AT_ONCE)
            cursor, rows = reply
            fresh: dict[str, bytes] = {name.decode(): row for name, row in rows.items() if name.decode() not in seen}
            seen.update(fresh)
            if fresh:
                yield fresh
            if not int(cursor):
                return

    async def _switch(self, old: StateKeys, new: StateKeys) -> None:
        async with self.redis.pipeline(transaction=True) as pipeline:
            await pipeline.watch(old.pointer)
            current: Any = await pipeline.get(old.pointer)
            if current is None or current.decode() != old.generation:
                raise PositionConflict(f"stream {self.stream.name} was rebuilt by another process at the same time")
            pipeline.multi()  # type: ignore[no-untyped-call]
            pipeline.set(old.pointer, new.generation)
            try:
                await pipeline.execute()
            except WatchError:
                raise PositionConflict(f"stream {self.stream.name} was switched by another process") from None
        await self._remove(old)
        _logger.info("stream_rebuilt stream=%s generation=%s", self.stream.name, new.generation)

    async def _remove(self, generation: StateKeys) -> None:
        pattern = _literal(generation.every)
        found = [key async for key in self.redis.scan_iter(match=pattern, count=_KEYS_AT_ONCE)]
        for start in range(0, len(found), _KEYS_AT_ONCE):
            await self.redis.unlink(*found[start : start + _KEYS_AT_ONCE])


def _literal(pattern: str) -> str:
    """A glob pattern in which only the star at the end is special."""
    body = pattern.removesuffix("*")
    for special in "\\[]?*":
        body = body.replace(special, f"\\{special}")
    return f"{body}*"
