"""The state of one stream as one partition of the log makes it: loaded on first touch, in memory, written whole."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Final

import msgspec
from redis.asyncio import Redis

from consumers.commit import Argument, Commit, Committer
from consumers.recent import Recent
from consumers.routing import Refused
from flow import vector
from flow.cells import CLOCK_SLACK, Grain, Retention, containing, start_of
from flow.definitions import Stream
from flow.errors import Reason
from flow.facts import ItemFact, SignalFact
from flow.fold import Changes, Fold, Item
from flow.keys import StateKeys, cell_field, cells_expire_at
from flow.timeline import APPENDED, DUPLICATE, LATE
from flow.vector import Vector

MonitorCounts = dict[str, int]

MOST_UNMAPPED_NAMES: Final = 200
_CALLS_IN_HAND: Final = 2
"""Two batches are in hand: one being committed, one to be folded."""

_UNMAPPED: Final = "unmapped|"
_NO_NAMES: Final = "(other names)"

_encode = msgspec.msgpack.Encoder().encode
_decode_counts: Final[msgspec.msgpack.Decoder[MonitorCounts]] = msgspec.msgpack.Decoder(MonitorCounts)
_source_of = attrgetter("source")


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is kept: cells by grain, done items (ms since they were last written), entries in memory."""

    retention: Retention = field(default_factory=Retention)
    finished_items: int = 731 * 86_400_000
    items_in_memory: int = 100_000
    cells_in_memory: int = 20_000


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
        self._items: Recent[str, Item] = Recent(bounds.items_in_memory)
        self._cells: Recent[int, Vector] = Recent(bounds.cells_in_memory)
        self._totals: Vector = {}
        self._monitor: MonitorCounts = {}
        self._items_in_hand: deque[int] = deque(maxlen=_CALLS_IN_HAND)
        self._cells_in_batch = 0

    async def load(self) -> None:
        """Read position, totals and monitor counts."""
        field = str(self.partition)
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.get(self.keys.position(self.partition))
        pipeline.hget(self.keys.totals, field)
        pipeline.hget(self.keys.monitor, field)
        position, totals, monitor = await pipeline.execute()
        self.position = None if position is None else int(position)
        self._totals = vector.unpack(totals) if totals else {}
        self._monitor = _decode_counts.decode(monitor) if monitor else {}

    async def apply(
        self, facts: Sequence[ItemFact | SignalFact], items: Mapping[str, Item], position: int, now: int
    ) -> tuple[Commit, list[Refused]]:
        """Fold facts that the log holds up to `position`. Returns what to commit and what could not be applied.

        `items` are what `items_of` gave for these facts, after everything before them was folded.
        """
        self.fold.begin(now)
        refused, late, duplicates = self._fold(facts, items)
        self._count_facts(facts, late, duplicates)
        changes = self.fold.take()
        commit = self.commit_to(position)
        await self.write(changes, commit, now)
        return commit, refused

    async def begin_at(self, position: int, monitor: bytes | None) -> None:
        """Start a new generation at this position, with the monitor counts of the old one."""
        counts = _decode_counts.decode(monitor) if monitor else {}
        self._monitor = {name: count for name, count in counts.items() if not name.startswith(_UNMAPPED)}
        await Committer(self._redis).execute([self.commit_to(position)])

    async def recount(self, rows: Mapping[str, bytes], now: int) -> Commit:
        """Count all that these items contribute, as if the state held nothing of it. Returns what to commit."""
        assert self.position is not None
        self.fold.begin(now)
        for name, row in rows.items():
            item = self.fold.load_item(row)
            self.fold.recount(name, item)
        commit = self.commit_to(self.position)
        await self.write(self.fold.take(), commit, now)
        self.shrink()
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

    async def write(self, changes: Changes, commit: Commit, now: int) -> None:
        """Add the changes to the rows in memory and the rows, whole, to the commit."""
        touched = await self._add_to_cells(changes.cells, now)
        vector.add(self._totals, changes.totals)
        self._count_unmapped(changes.unmapped)
        field = str(self.partition)
        commit.write(self.keys.totals, "HSET", (field, vector.pack(self._totals)))
        commit.write(self.keys.monitor, "HSET", (field, _encode(self._monitor)))
        rows: list[Argument] = [part for pair in changes.timelines.items() for part in pair]
        commit.write(self.keys.timelines, "HSET", rows, group=2)
        self._write_cells(touched, commit)
        self._write_places(changes, commit, now)

    def shrink(self) -> None:
        """Let go of what was not used for long. Call it only when all commits but the latest are done."""
        self._items.shrink(keep=sum(self._items_in_hand))
        self._cells.shrink(keep=self._cells_in_batch)

    def forget(self, names: Iterable[str]) -> None:
        """These items are gone from the stored state."""
        for name in names:
            self._items.drop(name)

    async def items_to_expire(self, now: int, most: int) -> list[str]:
        """Done items of this partition's stream that were last written too long ago, oldest first."""
        before = now - self._bounds.finished_items
        names: list[Any] = await self._redis.zrangebyscore(self.keys.finished, "-inf", before, start=0, num=most)
        return [name.decode() for name in names]

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

    async def items_of(self, facts: Sequence[ItemFact | SignalFact]) -> dict[str, Item]:
        """The items of these facts, from memory or else from what is stored; they are now the most recently used."""
        names = {fact.item for fact in facts}
        self._items_in_hand.append(len(names))
        held = self._items.held(names)
        missing = [name for name in names if name not in held]
        if missing:
            rows: list[Any] = await self._redis.hmget(self.keys.timelines, missing)
            for name, row in zip(missing, rows, strict=True):
                held[name] = self.fold.load_item(row) if row else self.fold.new_item()
                self._items.put(name, held[name])
        return held

    def _fold(
        self, facts: Sequence[ItemFact | SignalFact], items: Mapping[str, Item]
    ) -> tuple[list[Refused], list[str], list[str]]:
        refused: list[Refused] = []
        late: list[str] = []
        duplicates: list[str] = []
        apply = self.fold.apply
        for fact in facts:
            name = fact.item
            added = apply(name, items[name], fact)
            if added == APPENDED:
                continue
            if added == LATE:
                late.append(fact.source)
            elif added == DUPLICATE:
                duplicates.append(fact.source)
            else:
                refused.append(
                    Refused(fact, Reason.TIMELINE_FULL, f"{fact.item} has as many facts as one item may have")
                )
        return refused, late, duplicates

    def _count_facts(self, facts: Iterable[ItemFact | SignalFact], late: list[str], duplicates: list[str]) -> None:
        counts = self._monitor
        for kind, sources in (("facts", map(_source_of, facts)), ("late", late), ("duplicates", duplicates)):
            for source, count in Counter(sources).items():
                name = f"{kind}|{source}"
                counts[name] = counts.get(name, 0) + count

    def _count_unmapped(self, unmapped: dict[str, int]) -> None:
        counts = self._monitor
        for status, count in unmapped.items():
            name = _UNMAPPED + status
            if name not in counts and sum(key.startswith(_UNMAPPED) for key in counts) >= MOST_UNMAPPED_NAMES:
                name = _UNMAPPED + _NO_NAMES
            counts[name] = counts.get(name, 0) + count

    async def _add_to_cells(self, deltas: dict[int, Vector], now: int) -> set[int]:
        floors = [self._bounds.retention.floor(grain, now) for grain in Grain]
        by_cell: dict[int, list[Vector]] = {}
        for finest, delta in deltas.items():
            if delta:
                for cell in containing(finest):
                    by_cell.setdefault(cell, []).append(delta)
        kept = {cell: parts for cell, parts in by_cell.items() if start_of(cell) >= floors[cell >> 40]}
        self._cells_in_batch = len(kept)
        await self._load_cells([cell for cell in kept if cell not in self._cells])
        for cell, parts in kept.items():
            row = self._cells.get(cell)
            assert row is not None
            for delta in parts:
                vector.add(row, delta)
        return set(kept)

    async def _load_cells(self, missing: list[int]) -> None:
        if not missing:
            return
        pipeline = self._redis.pipeline(transaction=False)
        for cell in missing:
            pipeline.hget(self.keys.cells(cell), cell_field(cell, self.partition))
        for cell, row in zip(missing, await pipeline.execute(), strict=True):
            self._cells.put(cell, vector.unpack(row) if row else {})

    def _write_cells(self, touched: set[int], commit: Commit) -> None:
        by_key: dict[str, list[Argument]] = {}
        expiry: dict[str, int] = {}
        for cell in touched:
            row = self._cells.get(cell)
            assert row is not None
            key = self.keys.cells(cell)
            by_key.setdefault(key, []).extend((cell_field(cell, self.partition), vector.pack(row)))
            expiry[key] = cells_expire_at(cell, self._bounds.retention, CLOCK_SLACK)
        for key, fields in by_key.items():
            commit.write(key, "HSET", fields, group=2)
            commit.write(key, "PEXPIREAT", (expiry[key],))

    def _write_places(self, changes: Changes, commit: Commit, now: int) -> None:
        stages = self.stream.stages
        for stage, names in changes.left.items():
            commit.write(self.keys.stage(stages[stage].name), "ZREM", names)
        for stage, scored in changes.arrived.items():
            commit.write(self.keys.stage(stages[stage].name), "ZADD", scored, group=2)
        commit.write(self.keys.finished, "ZREM", changes.reopened)
        written = [part for name in changes.written_done for part in (now, name)]
        commit.write(self.keys.finished, "ZADD", written, group=2)
