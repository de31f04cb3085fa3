"""Which connections lead to the server that holds a key: of one server its only pool, of a cluster one of each node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from redis.asyncio import ConnectionPool, Redis


@runtime_checkable
class Nodes(Protocol):
    """What a client of a cluster offers beyond that of one server."""

    async def pool_of(self, key: str) -> ConnectionPool:
        """The connections to the node that holds this key. Raises the client's ConnectionError when none is known."""

    def lost(self, error: Exception) -> None:
        """A connection of `pool_of` failed, or its node says that it doesn't hold the key: what is known may be old."""


@dataclass(frozen=True, slots=True)
class _OneServer:
    redis: Redis

    async def pool_of(self, _: str) -> ConnectionPool:
        return self.redis.connection_pool

    def lost(self, error: Exception) -> None:
        """There is no other one. The next connection finds out whether it is back."""


def nodes_of(redis: Redis) -> Nodes:
    """The servers behind this client."""
    client: object = redis
    return client if isinstance(client, Nodes) else _OneServer(redis)
