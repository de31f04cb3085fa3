"""The state of one stream as one partition of the log makes it: loaded on first touch, in memory, written whole."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

import msgspec
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline

from consumers.cell_rows import CellDeltas, CellRows, have_in_memory
from consumers.commit import Commit, Committer
from consumers.recent import Recent
from consumers.routing import Refused
from flow import unmapped, vector
from flow.cells import Retention
from flow.definitions import Stream
from flow.errors import Reason
from flow.fold import Changes, Fold, Item
from flow.keys import StateKeys
from flow.sorting import Briefs
from flow.timeline import DUPLICATE, FULL, LATE
from flow.vector import Vector

MonitorCounts = dict[str, int]

_ITEMS_AT_ONCE: Final = 200
"""How many items are folded before other tasks have their turn: a millisecond's work."""

_encode = msgspec.msgpack.Encoder().encode
_decode_counts: Final[msgspec.msgpack.Decoder[MonitorCounts]] = msgspec.msgpack.Decoder(MonitorCounts)


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is kept: cells by grain, done items (ms since they were last written), entries in a worker's memory."""

    retention: Retention = field(default_factory=Retention)
    finished_items: int = 731 * 86_400_000
    items_in_memory: int = 100_000
    cells_in_memory: int = 20_000


@dataclass(frozen=True, slots=True)
class Folded:
    """What a batch changes in one stream, before the rows of its cells were read."""

    changes: Changes
    cells: CellDeltas
    refused: list[Refused] = field(default_factory=list)


class StreamState:
    """One stream's share of one partition. The state of `items` and `cells` in memory is what the last commit wrote."""

    def __init__(
        self,
        redis: Redis,
        stream: Stream,
        state_keys: StateKeys,
        partition: int,
        bounds: Bounds,
        *,
        fence: str | None = None,
    ) -> None:
        """`fence` is the generation that readers must be seeing when this commits; its own unless it is being built."""
        self.stream = stream
        self.keys = state_keys
        self.partition = partition
        self.position: int | None = None
        self._fence = state_keys.generation if fence is None else fence
        self.fold = Fold(stream, bounds.retention)
        self._redis = redis
        self._bounds = bounds
        self._items: Recent[str, Item] = Recent()
        self._cells = CellRows(state_keys, partition, bounds.retention)
        self._totals: Vector = {}
        self._monitor: MonitorCounts = {}

    def ask(self, pipeline: Pipeline) -> None:
        """Put into the pipeline what reads position, totals and monitor counts: three commands."""
        field = str(self.partition)
        pipeline.get(self.keys.position(self.partition))
        pipeline.hget(self.keys.totals, field)
        pipeline.hget(self.keys.monitor, field)

    def load(self, replies: Iterator[Any]) -> None:
        """Take the replies to what `ask` asked."""
        position, totals, monitor = next(replies), next(replies), next(replies)
        self.position = None if position is None else int(position)
        self._totals = vector.unpack(totals) if totals else {}
        self._monitor = _decode_counts.decode(monitor) if monitor else {}

    async def apply(
        self, briefs: Briefs, items: list[Item], told: Mapping[str, int], position: int, now: int
    ) -> tuple[Commit, list[Refused]]:
        """Fold facts that the log holds up to `position`. Returns what to commit and what could not be applied.

        `items` are what `items_of` gave for them, after everything before them was folded. `told` counts the facts by
        their source.
        """
        folded = await self.take_in(briefs, items, told, now)
        await have_in_memory(self._redis, [folded.cells])
        return self.commit_of(folded, position, now), folded.refused

    async def take_in(self, briefs: Briefs, items: list[Item], told: Mapping[str, int], now: int) -> Folded:
        """As `apply`, before anything of its cells is read: one round trip then reads them of all streams."""
        self.fold.begin(now)
        waiting, others = zip(briefs.items(), items, strict=True), []
        while some := list(islice(waiting, _ITEMS_AT_ONCE)):
            others += self.fold.apply_all(some)
            if len(some) == _ITEMS_AT_ONCE:
                await asyncio.sleep(0)  # the commit before this one is still being sent
        refused: list[Refused] = []
        counts: dict[int, Counter[str]] = {LATE: Counter(), DUPLICATE: Counter()}
        for name, brief, why in others:
            if why == FULL:
                message = f"{name} has as many facts as one item may have"
                refused.append(Refused(brief.place, brief.source, Reason.TIMELINE_FULL, message))
            else:
                counts[why][brief.source] += 1
        self._count_facts(told, counts[LATE], counts[DUPLICATE])
        changes = self.fold.take()
        return Folded(changes, self._cells.kept(changes.cells, now), refused)

    async def begin_at(self, position: int, monitor: bytes | None) -> None:
        """Start a new generation at this position, with the monitor counts of the old one."""
        counts = _decode_counts.decode(monitor) if monitor else {}
        self._monitor = {name: count for name, count in counts.items() if not name.startswith(unmapped.PREFIX)}
        await Committer(self._redis).execute([self.commit_to(position)])

    async def recount(self, rows: Mapping[str, bytes], now: int) -> Commit:
        """Count all that these items contribute, as if the state held nothing of it. Returns what to commit."""
        assert self.position is not None
        self.fold.begin(now)
        for name, row in rows.items():
            item = self.fold.load_item(row)
            self.fold.recount(name, item)
        changes = self.fold.take()
        folded = Folded(changes, self._cells.kept(changes.cells, now))
        await have_in_memory(self._redis, [folded.cells])
        commit = self.commit_of(folded, self.position, now)
        self.shrink(self._bounds.items_in_memory, self._bounds.cells_in_memory)
        return commit

    def commit_to(self, position: int) -> Commit:
        """An empty commit that moves this state's position there."""
        expected, self.position = self.position, position
        return Commit(
            self.stream.name,
            self.keys.position(self.partition),
            self.keys.pointer,
            self._fence,
            expected,
            position,
        )

    def commit_of(self, folded: Folded, position: int, now: int) -> Commit:
        """Add the changes to the rows in memory, those of its cells included, and the rows, whole, to a commit."""
        changes, commit = folded.changes, self.commit_to(position)
        vector.add(self._totals, changes.totals)
        self._count_unmapped(changes.unmapped)
        field = str(self.partition)
        commit.write(self.keys.totals, "HSET", (field, vector.pack(self._totals)))
        commit.write(self.keys.monitor, "HSET", (field, _encode(self._monitor)))
        commit.write(self.keys.timelines, "HSET", changes.rows, group=2)
        folded.cells.write(commit)
        self._write_places(changes, commit, now)
        return commit

    @property
    def held(self) -> tuple[int, int]:
        """How many items and cells are in memory."""
        return len(self._items), len(self._cells)

    def shrink(self, items: int, cells: int, in_hand: int = 0) -> None:
        """Let go of what was not used for long, so that at most so many stay.

        So many items that were used last are `in_hand`, of batches that are not committed, and stay in any case. If
        there are any, so do the cells of the latest batch.
        """
        self._items.shrink(items, keep=in_hand)
        self._cells.shrink(cells, in_hand=in_hand > 0)

    def forget(self, names: Iterable[str]) -> None:
        """These items are gone from the stored state."""
        for name in names:
            self._items.drop(name)

    def ask_to_expire(self, pipeline: Pipeline, now: int, most: int) -> None:
        """Put into the pipeline what reads the done items that were last written too long ago, oldest first."""
        before = now - self._bounds.finished_items
        pipeline.zrangebyscore(self.keys.finished, "-inf", before, start=0, num=most)

    def expire(self, names: Sequence[str], position: int) -> Commit:
        """A commit that removes done items: their timelines and their places, not what windows counted of them."""
        commit = self.commit_to(position)
        commit.write(self.keys.timelines, "HDEL", names)
        commit.write(self.keys.finished, "ZREM", names)
        for stage in self.stream.stages:
            if stage.kind == "done":
                commit.write(self.keys.stage(stage.name), "ZREM", names)
        self.forget(names)
        return commit

    async def items_of(self, names: Collection[str]) -> list[Item]:
        """These items, from memory or else from what is stored; they are now the most recently used."""
        held, missing = self.in_memory(names)
        rows: list[Any] = await self._redis.hmget(self.keys.timelines, missing) if missing else []
        return self.read_in(held, missing, rows)

    def in_memory(self, names: Collection[str]) -> tuple[list[Item | None], list[str]]:
        """These items, None where one is not in memory, and the names of those, for `read_in`."""
        held = self._items.held(names)
        return held, [name for name, item in zip(names, held, strict=True) if item is None]

    def read_in(self, held: Iterable[Item | None], missing: Sequence[str], rows: Sequence[bytes | None]) -> list[Item]:
        """What is held, and in place of what is not, items from their rows; they are now the most recently used."""
        read = self.fold.items_of(rows)
        self._items.add(missing, read)
        rest = iter(read)
        return [next(rest) if item is None else item for item in held]

    def _count_facts(self, *by_source: Mapping[str, int]) -> None:
        counts = self._monitor
        for kind, sources in zip(("facts", "late", "duplicates"), by_source, strict=True):
            for source, count in sources.items():
                name = f"{kind}|{source}"
                counts[name] = counts.get(name, 0) + count

    def _count_unmapped(self, found: Mapping[tuple[str, str], int]) -> None:
        counts = self._monitor
        for (source, status), count in found.items():
            name = unmapped.count_name(source, status)
            if name not in counts and sum(key.startswith(unmapped.PREFIX) for key in counts) >= unmapped.MOST_NAMES:
                name = unmapped.count_name(source, unmapped.OTHER_NAMES)
            counts[name] = counts.get(name, 0) + count

    def _write_places(self, changes: Changes, commit: Commit, now: int) -> None:
        stages = self.stream.stages
        for stage, names in changes.left.items():
            commit.write(self.keys.stage(stages[stage].name), "ZREM", names)
        for stage, scored in changes.arrived.items():
            commit.write(self.keys.stage(stages[stage].name), "ZADD", scored, group=2)
        for stage, names in changes.unranked.items():
            commit.write(self.keys.ranked(stages[stage].name), "ZREM", names)
        for stage, ranks in changes.ranked.items():
            commit.write(self.keys.ranked(stages[stage].name), "ZADD", ranks, group=2)
        commit.write(self.keys.finished, "ZREM", changes.reopened)
        written = [part for name in changes.written_done for part in (now, name)]
        commit.write(self.keys.finished, "ZADD", written, group=2)
