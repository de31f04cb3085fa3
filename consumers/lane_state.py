"""The state of all delivery lanes as one partition of the log makes it.

A service has few facts beside the items of a stream, so its lanes are measured afresh at each batch that touches it,
and the difference goes into the rows. A row of a cell maps each lane to its vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from redis.asyncio import Redis

from consumers.commit import Argument, Commit
from consumers.routing import Refused
from consumers.stream_state import Bounds
from flow import vector
from flow.cells import CLOCK_SLACK, Grain, containing, start_of
from flow.counters import gained
from flow.errors import Reason
from flow.facts import LaneFact
from flow.keys import StateKeys, cell_field, cells_expire_at
from flow.lanes import FAMILIES, MAX_FACTS, ServiceTimeline, lane_name, measure_service, read_service
from flow.tally import Tally
from flow.vector import Vector

LaneRows = dict[str, Vector]

MOST_SERVICES_IN_MEMORY: Final = 2000

_encode = msgspec.msgpack.Encoder().encode
_decode_rows: Final[msgspec.msgpack.Decoder[LaneRows]] = msgspec.msgpack.Decoder(LaneRows)
_decode_counts: Final[msgspec.msgpack.Decoder[dict[str, int]]] = msgspec.msgpack.Decoder(dict[str, int])


class LaneState:
    """Services, rows of cells by lane, totals by lane. Rows are read again for each batch: deliveries are few."""

    def __init__(self, redis: Redis, state_keys: StateKeys, partition: int, bounds: Bounds) -> None:
        self.keys = state_keys
        self.partition = partition
        self.position: int | None = None
        self._redis = redis
        self._bounds = bounds
        self._services: dict[str, ServiceTimeline] = {}
        self._cells: dict[int, LaneRows] = {}
        self._totals: LaneRows = {}
        self._monitor: dict[str, int] = {}

    async def load(self) -> None:
        """Read position, totals and monitor counts."""
        field = str(self.partition)
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.get(self.keys.position(self.partition))
        pipeline.hget(self.keys.totals, field)
        pipeline.hget(self.keys.monitor, field)
        position, totals, monitor = await pipeline.execute()
        self.position = None if position is None else int(position)
        self._totals = _decode_rows.decode(totals) if totals else {}
        self._monitor = _decode_counts.decode(monitor) if monitor else {}

    def commit_to(self, position: int) -> Commit:
        """An empty commit that moves this state's position there."""
        expected, self.position = self.position, position
        where = self.keys.position(self.partition)
        return Commit(self.keys.stream, where, self.keys.pointer, self.keys.generation, expected, position)

    async def apply(self, facts: Sequence[LaneFact], position: int, now: int) -> tuple[Commit, list[Refused]]:
        """Fold facts that the log holds up to `position`. Returns what to commit, and what could not be applied."""
        by_service: dict[str, list[LaneFact]] = {}
        for fact in facts:
            by_service.setdefault(fact.service, []).append(fact)
        await self._load_services(list(by_service))
        deltas: dict[int, LaneRows] = {}
        refused: list[Refused] = []
        commit = self.commit_to(position)
        for service, added in by_service.items():
            if self._fold(service, added, now, deltas, refused):
                commit.write(self.keys.timelines, "HSET", (service, self._services[service].pack()))
        await self._write_cells(deltas, commit, now)
        field = str(self.partition)
        commit.write(self.keys.totals, "HSET", (field, _encode(self._totals)))
        commit.write(self.keys.monitor, "HSET", (field, _encode(self._monitor)))
        return commit, refused

    def shrink(self) -> None:
        """Let go of services and cells when there are many. Call it only when every commit is done."""
        if len(self._services) > MOST_SERVICES_IN_MEMORY:
            self._services.clear()
        if len(self._cells) > MOST_SERVICES_IN_MEMORY:
            self._cells.clear()

    async def _load_services(self, names: list[str]) -> None:
        missing = [name for name in names if name not in self._services]
        if missing:
            rows: list[Any] = await self._redis.hmget(self.keys.timelines, missing)
            for name, row in zip(missing, rows, strict=True):
                self._services[name] = ServiceTimeline.unpack(row) if row else ServiceTimeline()

    def _fold(
        self, service: str, facts: list[LaneFact], now: int, deltas: dict[int, LaneRows], refused: list[Refused]
    ) -> bool:
        timeline = self._services[service]
        before = measure_service(read_service(timeline), now, self._bounds.retention)
        changed = False
        for fact in facts:
            self._count("facts", fact.source)
            if len(timeline.facts) >= MAX_FACTS and fact.id not in timeline.ids:
                refused.append(
                    Refused(fact, Reason.TIMELINE_FULL, f"{service} has as many facts as one service may have")
                )
            elif timeline.add(fact):
                changed = True
            else:
                self._count("duplicates", fact.source)
        after = measure_service(read_service(timeline), now, self._bounds.retention)
        for environment, tally in after.items():
            was = before.get(environment, Tally(now, self._bounds.retention))
            lane = lane_name(service, environment)
            vector.add(self._totals.setdefault(lane, {}), gained(was.observed, tally.observed, FAMILIES))
            for cell, delta in tally.cells.items():
                vector.add(deltas.setdefault(cell, {}).setdefault(lane, {}), delta)
            for cell, delta in was.cells.items():
                vector.subtract(deltas.setdefault(cell, {}).setdefault(lane, {}), delta)
        return changed

    def _count(self, kind: str, source: str) -> None:
        name = f"{kind}|{source}"
        self._monitor[name] = self._monitor.get(name, 0) + 1

    async def _write_cells(self, deltas: dict[int, LaneRows], commit: Commit, now: int) -> None:
        retention = self._bounds.retention
        touched: dict[int, list[LaneRows]] = {}
        for finest, delta in deltas.items():
            changed = {lane: part for lane, part in delta.items() if part}
            for cell in containing(finest) if changed else ():
                if start_of(cell) >= retention.floor(Grain(cell >> 40), now):
                    touched.setdefault(cell, []).append(changed)
        await self._load_cells([cell for cell in touched if cell not in self._cells])
        for cell, parts in touched.items():
            rows = self._cells[cell]
            for part in parts:
                for lane, added in part.items():
                    vector.add(rows.setdefault(lane, {}), added)
            fields: tuple[Argument, ...] = (cell_field(cell, self.partition), _encode(rows))
            commit.write(self.keys.cells(cell), "HSET", fields, group=2)
            commit.write(self.keys.cells(cell), "PEXPIREAT", (cells_expire_at(cell, retention, CLOCK_SLACK),))

    async def _load_cells(self, missing: list[int]) -> None:
        if not missing:
            return
        pipeline = self._redis.pipeline(transaction=False)
        for cell in missing:
            pipeline.hget(self.keys.cells(cell), cell_field(cell, self.partition))
        for cell, row in zip(missing, await pipeline.execute(), strict=True):
            self._cells[cell] = _decode_rows.decode(row) if row else {}
