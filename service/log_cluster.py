"""The log's connections when it is in a Redis Cluster: one to each node that holds partitions of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from service.log_connection import LogConnection, Words
from service.redis_address import Host
from service.redis_cluster import ClusterRedis
from service.redis_nodes import key_of


class ClusterLogConnection:
    """As LogConnection; a node that fails is an error in the place of its replies alone."""

    def __init__(self, redis: ClusterRedis, replicas: int = 0) -> None:
        self._redis = redis
        self._replicas = replicas
        self._connections: dict[Host, LogConnection] = {}

    async def exchange(self, commands: Sequence[Words]) -> list[Any]:
        """The reply to each command, or the RedisError. Scripts are loaded into all nodes.

        Raises RedisError when no node says which node holds what.
        """
        if any(words[0] == "SCRIPT" for words in commands):
            return await self._everywhere(commands)

        async def ask(host: Host, places: Sequence[int]) -> list[Any]:
            return await self._part(host, [commands[place] for place in places])

        return await self._redis.on_nodes([key_of(words) for words in commands], ask)

    async def close(self) -> None:
        """Close them all. Each is opened again when it is needed."""
        for connection in self._connections.values():
            await connection.close()

    async def _everywhere(self, commands: Sequence[Words]) -> list[Any]:
        """The replies of the last node: what they say of a script is the same everywhere."""
        replies: list[Any] = []
        for host in await self._redis.nodes.masters():
            replies = await self._part(host, commands)
        return replies

    async def _part(self, host: Host, commands: Sequence[Words]) -> list[Any]:
        connection = self._connections.get(host)
        if connection is None:
            connection = self._connections[host] = LogConnection(self._redis.nodes.client(host), self._replicas)
        try:
            with self._redis.noting(host):
                return await connection.exchange(commands)
        except (RedisError, OSError) as error:
            return [RedisConnectionError(f"a node of the log failed: {type(error).__name__}: {error}")] * len(commands)
        except BaseException:  # whoever asked waits no longer: another node may know better
            self._redis.nodes.failed(host)
            raise


def log_connection(redis: Redis, replicas: int) -> LogConnection | ClusterLogConnection:
    """What fits this client. `replicas` is how many must have what was sent before it counts."""
    return ClusterLogConnection(redis, replicas) if isinstance(redis, ClusterRedis) else LogConnection(redis, replicas)
