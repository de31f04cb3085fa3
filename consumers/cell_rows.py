"""The rows of cells that one partition writes of one stream: read when first touched, then kept in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline

from consumers.commit import Commit
from consumers.recent import Recent
from consumers.wire import Argument
from flow import vector
from flow.cells import CLOCK_SLACK, Grain, Retention, grain_of, parent_of, start_of
from flow.keys import StateKeys, cell_field, cells_expire_at
from flow.vector import Vector


class CellRows:
    """What is in memory is what the last commit wrote."""

    def __init__(self, state_keys: StateKeys, partition: int, retention: Retention) -> None:
        self._keys = state_keys
        self._partition = partition
        self._retention = retention
        self._rows: Recent[int, Vector] = Recent()
        self._in_batch = 0
        self._just_read: set[int] = set()

    def __len__(self) -> int:
        return len(self._rows)

    def kept(self, deltas: Mapping[int, Vector], now: int) -> CellDeltas:
        """Deltas of minutes, as what they add to all cells that contain them and are still kept."""
        floors = [self._retention.floor(grain, now) for grain in Grain]
        all_cells = _with_coarser(deltas).items()
        kept = {cell: delta for cell, delta in all_cells if start_of(cell) >= floors[grain_of(cell)]}
        self._in_batch = len(kept)
        return CellDeltas(self, kept)

    def missing(self, cells: Mapping[int, object]) -> list[int]:
        """Those of these cells that are not in memory."""
        return [cell for cell in cells if cell not in self._rows]

    def ask(self, pipeline: Pipeline, cells: Sequence[int]) -> None:
        """Put one command a cell into the pipeline."""
        for cell in cells:
            pipeline.hget(self._keys.cells(cell), cell_field(cell, self._partition))

    def put(self, cell: int, row: bytes | None) -> None:
        """Hold what is stored of a cell."""
        self._rows.put(cell, vector.unpack(row) if row else {})
        self._just_read.add(cell)

    def write(self, deltas: Mapping[int, Vector], commit: Commit) -> None:
        """Add deltas to cells that are in memory, and the rows, whole, to the commit.

        When their hashes expire is written with the first change of a row that was read: it stays as it is after that.
        """
        by_key: dict[str, list[Argument]] = {}
        expiry: dict[str, int] = {}
        for cell, delta in deltas.items():
            row = self._rows.get(cell)
            assert row is not None
            vector.add(row, delta)
            key = self._keys.cells(cell)
            by_key.setdefault(key, []).extend((cell_field(cell, self._partition), vector.pack(row)))
            if cell in self._just_read:
                self._just_read.discard(cell)
                expiry[key] = cells_expire_at(cell, self._retention, CLOCK_SLACK)
        for key, fields in by_key.items():
            commit.write(key, "HSET", fields, group=2)
        for key, instant in expiry.items():
            commit.write(key, "PEXPIREAT", (instant,))

    def shrink(self, most: int, in_hand: bool) -> None:
        """Let go of what was not used for long, but not of the latest batch's while that is in hand."""
        self._rows.shrink(most, keep=self._in_batch if in_hand else 0)


class CellDeltas:
    """What a batch adds to the cells of one stream."""

    def __init__(self, rows: CellRows, deltas: Mapping[int, Vector]) -> None:
        self.rows = rows
        self.deltas = deltas

    def write(self, commit: Commit) -> None:
        """Add them, once their rows are in memory (`have_in_memory`), and the rows to the commit."""
        self.rows.write(self.deltas, commit)


def _with_coarser(deltas: Mapping[int, Vector]) -> dict[int, Vector]:
    """These, and what they add up to in all cells that contain them: hours from minutes, days from hours."""
    result: dict[int, Vector] = {}
    level = {cell: delta for cell, delta in deltas.items() if any(delta.values())}
    while level:
        coarser: dict[int, Vector] = {}
        for cell, delta in level.items():
            parent = parent_of(cell)
            if parent is not None:
                vector.add(coarser.setdefault(parent, {}), delta)
            if cell in result:
                vector.add(result[cell], delta)
            else:
                result[cell] = delta
        level = coarser
    return result


async def have_in_memory(redis: Redis, batch: Sequence[CellDeltas]) -> None:
    """Read the rows of all these streams that are not in memory, in one round trip."""
    missing = [(each.rows, each.rows.missing(each.deltas)) for each in batch]
    if not any(cells for _, cells in missing):
        return
    pipeline = redis.pipeline(transaction=False)
    for rows, cells in missing:
        rows.ask(pipeline, cells)
    replies = iter(await pipeline.execute())
    for rows, cells in missing:
        for cell in cells:
            rows.put(cell, next(replies))
