"""Which generation of a stream's state is the one that readers see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from redis.asyncio import Redis

from flow import keys
from flow.definitions import Definitions
from flow.keys import StateKeys

FIRST: Final = "1"


async def open_generations(redis: Redis, definitions: Definitions) -> dict[str, StateKeys]:
    """The keys of every stream's state, and of the deliveries'; a stream that has no state yet gets its first."""
    names = {name: stream.fingerprint for name, stream in definitions.streams.items()} | {keys.DELIVERIES: ""}
    opened: dict[str, StateKeys] = {}
    for name, fingerprint in names.items():
        current: Any = await redis.get(keys.generation(name))
        if current is None:
            await redis.set(StateKeys(name, FIRST).definition, fingerprint, nx=True)
            await redis.set(keys.generation(name), FIRST, nx=True)
            current = await redis.get(keys.generation(name))
        opened[name] = StateKeys(name, current.decode())
    return opened


async def outdated(redis: Redis, definitions: Definitions, opened: Mapping[str, StateKeys]) -> list[str]:
    """Streams whose rows were made with another definition: they must be recomputed before facts are added."""
    found: list[str] = []
    for name, stream in definitions.streams.items():
        stored: Any = await redis.get(opened[name].definition)
        if stored is None or stored.decode() != stream.fingerprint:
            found.append(name)
    return found
