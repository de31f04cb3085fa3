"""Which generation of a stream's state is the one that readers see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from redis.asyncio import Redis

from flow import keys
from flow.definitions import Definitions
from flow.keys import StateKeys

FIRST: Final = "1"


async def open_generations(redis: Redis, definitions: Definitions) -> dict[str, StateKeys]:
    """The keys of every stream's state, and of the deliveries'; a stream that has no state yet gets its first."""
    names = {name: stream.fingerprint for name, stream in definitions.streams.items()} | {keys.DELIVERIES: ""}
    current = await _pointers(redis, list(names))
    fresh = [name for name, pointer in current.items() if pointer is None]
    if fresh:
        pipeline = redis.pipeline(transaction=False)
        for name in fresh:
            pipeline.set(StateKeys(name, FIRST).definition, names[name], nx=True)
        await pipeline.execute()  # before any pointer: who sees the generation sees what it was made with
        for name in fresh:
            pipeline.set(keys.generation(name), FIRST, nx=True)
        await pipeline.execute()
        current |= await _pointers(redis, fresh)
    return {name: StateKeys(name, pointer.decode()) for name, pointer in current.items()}


async def _pointers(redis: Redis, names: Sequence[str]) -> dict[str, Any]:
    pipeline = redis.pipeline(transaction=False)
    for name in names:
        pipeline.get(keys.generation(name))
    return dict(zip(names, await pipeline.execute(), strict=True))


async def outdated(redis: Redis, definitions: Definitions, opened: Mapping[str, StateKeys]) -> list[str]:
    """Streams whose rows were made with another definition: they must be recomputed before facts are added."""
    pipeline = redis.pipeline(transaction=False)
    for name in definitions.streams:
        pipeline.get(opened[name].definition)
    pairs = zip(definitions.streams.items(), await pipeline.execute(), strict=True)
    return [name for (name, stream), stored in pairs if stored is None or stored.decode() != stream.fingerprint]
