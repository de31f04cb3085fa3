"""What the detector reads of a stream: its hour cells, all partitions together, and what is in its stages now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from redis.asyncio import Redis

from flow import keys, vector
from flow.bottlenecks.verdict import Live
from flow.cells import Grain, cell_at, start_of
from flow.definitions import Stream
from flow.instants import DAY, HOUR
from flow.keys import StateKeys
from flow.vector import Vector

_AHEAD: Final = DAY + HOUR
"""Facts may be so far ahead of the clock."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Hour cells from an instant on, by cell, and the stages that are not `done`: read at one instant."""

    cells: Mapping[int, Vector]
    live: Sequence[Live]


async def changes_of(redis: Redis, streams: Sequence[str]) -> dict[str, bytes]:
    """For each stream something that differs whenever a fact of it was counted; without those that have no state."""
    pipeline = redis.pipeline(transaction=False)
    for name in streams:
        pipeline.get(keys.generation(name))
    generations: list[Any] = await pipeline.execute()
    found = {name: pointer for name, pointer in zip(streams, generations, strict=True) if pointer is not None}
    for name, pointer in found.items():
        pipeline.hgetall(StateKeys(name, pointer.decode()).monitor)
    monitors: list[Any] = await pipeline.execute() if found else []
    return {
        name: pointer + b"".join(sorted(field + row for field, row in rows.items()))
        for (name, pointer), rows in zip(found.items(), monitors, strict=True)
    }


async def read_hours(redis: Redis, stream: Stream, start: int, now: int) -> Reading | None:
    """The hours from `start` (ms) on. None when the stream has no state, or its state is being replaced right now."""
    pointer: Any = await redis.get(keys.generation(stream.name))
    if pointer is None:
        return None
    state = StateKeys(stream.name, pointer.decode())
    names = [stage.name for stage in stream.stages if stage.kind != "done"]
    hashes = _hashes(state, start, now + _AHEAD)
    pipeline = redis.pipeline(transaction=True)
    pipeline.get(state.pointer)
    for name in names:
        pipeline.zcard(state.stage(name))
        pipeline.zrange(state.stage(name), 0, 0, withscores=True)
    for key in hashes:
        pipeline.hgetall(key)
    replies = iter(await pipeline.execute())
    if next(replies) != pointer:
        return None
    live = []
    for _ in names:
        wip, oldest = next(replies), next(replies)
        live.append(Live(wip, round(oldest[0][1]) if oldest else None))
    cells: dict[int, Vector] = {}
    for _ in hashes:
        for field, row in next(replies).items():
            cell = int(field.partition(b":")[0])
            if start_of(cell) >= start:
                vector.add(cells.setdefault(cell, {}), vector.unpack(row))
    return Reading(cells, live)


async def read_days(redis: Redis, stream: Stream, since: int, now: int) -> dict[int, int] | None:
    """What is counted of each day from `since` (ms) on, by its first instant, as `flow.bottlenecks.past` has it.

    None when the stream has no state, or its state is being replaced right now.
    """
    pointer: Any = await redis.get(keys.generation(stream.name))
    if pointer is None:
        return None
    state = StateKeys(stream.name, pointer.decode())
    stages = [index for index, stage in enumerate(stream.stages) if stage.kind != "done"]
    counts = [vector.stage_key(index, code) for index in stages for code in (vector.ARRIVALS, vector.DEPARTURES)]
    pipeline = redis.pipeline(transaction=True)
    pipeline.get(state.pointer)
    for key in _hashes(state, since, now, Grain.DAY):
        pipeline.hgetall(key)
    current, *hashes = await pipeline.execute()
    if current != pointer:
        return None
    days: dict[int, int] = {}
    for rows in hashes:
        for field, row in rows.items():
            start = start_of(int(field.partition(b":")[0]))
            if since <= start <= now:
                counted = vector.unpack(row)
                days[start] = days.get(start, 0) + sum(counted.get(key, 0) for key in counts)
    return days


def _hashes(state: StateKeys, start: int, end: int, grain: Grain = Grain.HOUR) -> list[str]:
    """The keys of the hashes that hold the cells of this time, each once."""
    length = grain.length
    return list(dict.fromkeys(state.cells(cell_at(grain, at)) for at in range(start, end + length, length)))
