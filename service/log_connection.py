"""One connection to Redis for the log alone.

Groups go one after the other, so they need no pool and none of a pipeline's checks, which cost several times what the
round trip does. Connecting, TLS and authentication are the client library's, as is the connection itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

from hiredis import pack_command
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

Words = tuple[str | bytes | int, ...]

_WAIT: Final = 2000
"""Milliseconds that replicas have; whoever sends may wait less long."""


class LogConnection:
    """Sends commands to where the client's pool connects. A connection that failed is opened anew."""

    def __init__(self, redis: Redis, replicas: int = 0) -> None:
        """`replicas` is how many must have what was sent before it counts."""
        self._replicas = replicas
        pool = redis.connection_pool
        # No timeouts of its own: whoever sends bounds the whole exchange.
        self._connection: Any = pool.connection_class(**{**pool.connection_kwargs, "socket_timeout": None})

    async def exchange(self, commands: Sequence[Words]) -> list[Any]:
        """The reply to each command; what the server refused is a ResponseError in its place.

        Raises RedisError or OSError, also when too few replicas say that they have it: then it is written all the same.
        When it is cancelled or fails, the connection is closed: no reply to a command of
        before can be taken for that to a later one.
        """
        connection = self._connection
        replies: list[Any] = []
        try:
            if not connection.is_connected:
                await connection.connect()  # sending would connect too, but not ask Sentinel where to
            sent = [*commands, ("WAIT", self._replicas, _WAIT)] if self._replicas else commands
            packed = b"".join([pack_command(words) for words in sent])  # type: ignore[arg-type]  # its stub is wrong
            await connection.send_packed_command(packed, check_health=False)
            while len(replies) < len(sent):
                try:
                    replies.append(await connection.read_response(timeout=math.inf))
                except ResponseError as error:
                    replies.append(error)
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        if self._replicas:
            confirmed = replies.pop()
            if not isinstance(confirmed, int) or confirmed < self._replicas:
                raise RedisConnectionError(f"of {self._replicas} replicas that must have it, these have: {confirmed}")
        return replies

    async def close(self) -> None:
        """Close it. It is opened again by the next exchange."""
        try:
            await self._connection.disconnect()
        except (RedisError, OSError):
            return
