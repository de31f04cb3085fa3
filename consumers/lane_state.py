"""The state of all delivery lanes as one partition of the log makes it.

What a fact changes is found without reading the rest of its service (`flow.deployed_service`), and only the rows that
it touches are written: of its change, deployment or incident, of the cells, and of its lanes' totals. Facts are folded
one by one, so counters don't depend on where batches end. A row of a cell maps each lane to its vector.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from redis.asyncio import Redis

from consumers.commit import Commit
from consumers.routing import Refused
from consumers.stream_state import Bounds
from consumers.wire import Argument
from flow import vector
from flow.cells import CLOCK_SLACK, Grain, Retention, containing, start_of
from flow.deployed_service import HORIZON, MAX_FACTS, DeployedService, row_name
from flow.errors import Reason
from flow.facts import ChangeFact, LaneFact
from flow.instants import format_instant
from flow.keys import StateKeys, cell_field, cells_expire_at
from flow.lanes import GAUGES, correct, lane_name
from flow.tally import Tally
from flow.vector import Vector

LaneRows = dict[str, Vector]

MOST_FACTS_IN_MEMORY: Final = 200_000
MOST_ROWS_IN_MEMORY: Final = 20_000

_encode = msgspec.msgpack.Encoder().encode
_decode_rows: Final[msgspec.msgpack.Decoder[LaneRows]] = msgspec.msgpack.Decoder(LaneRows)
_decode_counts: Final[msgspec.msgpack.Decoder[dict[str, int]]] = msgspec.msgpack.Decoder(dict[str, int])


@dataclass(slots=True)
class _Touched:
    """What a batch changes: tallies by (service, environment), names of rows by service, services that let go."""

    now: int
    retention: Retention
    tallies: dict[tuple[str, str], Tally] = field(default_factory=dict)
    rows: dict[str, set[str]] = field(default_factory=dict)
    emptied: dict[str, set[str]] = field(default_factory=dict)

    def tally(self, service: str, environment: str) -> Tally:
        found = self.tallies.get((service, environment))
        if found is None:
            found = self.tallies[service, environment] = Tally(self.now, self.retention)
        return found


class LaneState:
    """Services, rows of cells, totals by lane: loaded on first touch, in memory, written row by row."""

    def __init__(self, redis: Redis, state_keys: StateKeys, partition: int, bounds: Bounds) -> None:
        self.keys = state_keys
        self.partition = partition
        self.position: int | None = None
        self._redis = redis
        self._bounds = bounds
        self._services: dict[str, DeployedService] = {}
        self._cells: dict[int, LaneRows] = {}
        self._totals: LaneRows = {}
        self._monitor: dict[str, int] = {}

    async def load(self) -> None:
        """Read position and monitor counts."""
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.get(self.keys.position(self.partition))
        pipeline.hget(self.keys.monitor, str(self.partition))
        position, monitor = await pipeline.execute()
        self.position = None if position is None else int(position)
        self._monitor = _decode_counts.decode(monitor) if monitor else {}

    def commit_to(self, position: int) -> Commit:
        """An empty commit that moves this state's position there."""
        expected, self.position = self.position, position
        where = self.keys.position(self.partition)
        return Commit(self.keys.stream, where, self.keys.pointer, self.keys.generation, expected, position)

    async def apply(
        self, facts: Sequence[tuple[LaneFact, int]], position: int, now: int
    ) -> tuple[Commit, list[Refused]]:
        """Fold facts that the log holds up to `position`, each with its place in the batch.

        Returns what to commit, and what could not be applied.
        """
        await self._load_services({fact.service for fact, _ in facts})
        touched = _Touched(now, self._bounds.retention)
        refused = [
            Refused(place, fact.source, Reason.TIMELINE_FULL, why)
            for fact, place in facts
            if (why := self._fold(fact, touched)) is not None
        ]
        commit = self.commit_to(position)
        self._write_services(touched, commit)
        await self._write_totals(touched, commit)
        await self._write_cells(touched, commit)
        commit.write(self.keys.monitor, "HSET", (str(self.partition), _encode(self._monitor)))
        return commit, refused

    def shrink(self) -> None:
        """Let go of what is in memory when it is much. Call it only when every commit is done."""
        if sum(service.size for service in self._services.values()) > MOST_FACTS_IN_MEMORY:
            self._services.clear()
        if len(self._cells) > MOST_ROWS_IN_MEMORY:
            self._cells.clear()
        if len(self._totals) > MOST_ROWS_IN_MEMORY:
            self._totals.clear()

    async def services_to_expire(self, now: int, most: int) -> list[str]:
        """Services whose facts were last written too long ago, oldest first."""
        before = now - self._bounds.finished_items
        names: list[Any] = await self._redis.zrangebyscore(self.keys.finished, "-inf", before, start=0, num=most)
        return [name.decode() for name in names]

    async def expire(self, names: Sequence[str], position: int) -> Commit:
        """A commit that removes services and the counters of their lanes, not what windows counted of them."""
        await self._load_services(names)
        commit = self.commit_to(position)
        commit.write(self.keys.finished, "ZREM", names)
        for name in names:
            rows = self.keys.service(name)
            commit.write(rows, "UNLINK", (rows,))
            self._forget_lanes(name, self._services.pop(name).environments(), commit)
        return commit

    async def _load_services(self, names: Iterable[str]) -> None:
        missing = [name for name in names if name not in self._services]
        pipeline = self._redis.pipeline(transaction=False)
        for name in missing:
            pipeline.hgetall(self.keys.service(name))
        for name, rows in zip(missing, await pipeline.execute() if missing else (), strict=True):
            self._services[name] = DeployedService.load({field.decode(): row for field, row in rows.items()})

    def _fold(self, fact: LaneFact, touched: _Touched) -> str | None:
        """Why the fact can't be applied; None where it is."""
        name, service = fact.service, self._services[fact.service]
        self._count("facts", fact.source)
        if service.holds(fact.id):
            self._count("duplicates", fact.source)
            return None
        if service.size >= MAX_FACTS:
            self._let_go(name, touched)
        if service.size >= MAX_FACTS or fact.at < service.horizon:
            return _why_refused(name, service)
        correction = service.add(fact)
        touched.rows.setdefault(name, set()).add(row_name(fact))
        if not isinstance(fact, ChangeFact):
            touched.tally(name, fact.environment)
        for environment, (before, after) in correction.by_environment().items():
            correct(touched.tally(name, environment), before, after)
        return None

    def _let_go(self, name: str, touched: _Touched) -> None:
        service = self._services[name]
        known = service.environments()
        gone = service.let_go()
        if gone:
            touched.rows.setdefault(name, set()).update((HORIZON, *gone))
            touched.emptied.setdefault(name, set()).update(known - service.environments())

    def _count(self, kind: str, source: str) -> None:
        name = f"{kind}|{source}"
        self._monitor[name] = self._monitor.get(name, 0) + 1

    def _write_services(self, touched: _Touched, commit: Commit) -> None:
        for name, rows in touched.rows.items():
            service = self._services[name]
            written: list[Argument] = []
            gone: list[Argument] = []
            for row in rows:
                packed = service.row(row)
                if packed is None:
                    gone.append(row)
                else:
                    written += [row, packed]
            commit.write(self.keys.service(name), "HSET", written, group=2)
            commit.write(self.keys.service(name), "HDEL", gone)
            commit.write(self.keys.finished, "ZADD", (touched.now, name))

    async def _write_totals(self, touched: _Touched, commit: Commit) -> None:
        lanes = {lane_name(*lane): lane for lane in touched.tallies}
        await self._load_totals([name for name in lanes if name not in self._totals])
        fields: list[Argument] = []
        for name, (service, environment) in lanes.items():
            totals = self._totals[name]
            vector.add(totals, touched.tallies[service, environment].observed)
            for gauge in GAUGES:
                totals.pop(gauge, None)
            totals |= self._services[service].open_failures(environment)
            fields += [name, vector.pack(totals)]
        commit.write(self.keys.totals, "HSET", fields, group=2)
        for service, environments in touched.emptied.items():
            self._forget_lanes(service, environments - self._services[service].environments(), commit)

    def _forget_lanes(self, service: str, environments: Iterable[str], commit: Commit) -> None:
        names = [lane_name(service, environment) for environment in environments]
        for name in names:
            self._totals.pop(name, None)
        commit.write(self.keys.totals, "HDEL", names)

    async def _load_totals(self, missing: list[str]) -> None:
        rows: list[Any] = await self._redis.hmget(self.keys.totals, missing) if missing else []
        for name, row in zip(missing, rows, strict=True):
            self._totals[name] = vector.unpack(row) if row else {}

    async def _write_cells(self, touched: _Touched, commit: Commit) -> None:
        retention = touched.retention
        by_cell: dict[int, list[tuple[str, Vector]]] = {}
        for (service, environment), tally in touched.tallies.items():
            for finest, counted in tally.cells.items():
                delta = {key: count for key, count in counted.items() if count}
                for cell in containing(finest) if delta else ():
                    if start_of(cell) >= retention.floor(Grain(cell >> 40), touched.now):
                        by_cell.setdefault(cell, []).append((lane_name(service, environment), delta))
        await self._load_cells([cell for cell in by_cell if cell not in self._cells])
        for cell, parts in by_cell.items():
            rows = self._cells[cell]
            for lane, delta in parts:
                vector.add(rows.setdefault(lane, {}), delta)
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


def _why_refused(name: str, service: DeployedService) -> str:
    if service.size >= MAX_FACTS:
        return f"service {name} has as many facts as one service may have, and none that it may let go of"
    return f"service {name} had so many facts that only those from {format_instant(service.horizon)} on can be changed"
