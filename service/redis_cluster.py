"""A client of Redis Cluster that is used as the client of one server is: each command goes to the node of its key.

The client library's own cluster client runs every command of a transaction in a thread with an event loop of its own,
and repeats writes by itself. Here a transaction is one round trip, and whoever asks decides what is repeated: only what
a node refused with MOVED, and so has not done, is sent again, to the node that it names. Commands, connections, the
reading of slots and the hash are the library's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.client import Pipeline
from redis.crc import key_slot
from redis.exceptions import AskError, ClusterCrossSlotError, ClusterDownError, MovedError, TryAgainError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from service.redis_address import Host
from service.redis_nodes import Connect, Nodes, key_of

Command = tuple[Any, Any]
"""Its arguments, and the options for reading its reply."""

Reply = TypeVar("Reply")

_MOST_MOVES: Final = 4
"""How often a command follows MOVED: more than once only while slots are moving."""

_CHANGING: Final = (AskError, TryAgainError, ClusterDownError)
"""What nodes answer while slots move, or a master is missing. MOVED is an AskError too."""

_AWAY: Final = (RedisConnectionError, RedisTimeoutError, OSError)


class ClusterRedis(Redis):
    """For commands with one key, or with keys of one slot; SCAN goes to the node of its pattern's hash tag.

    A cluster that is changing is like a server that is away: all commands then raise the client's ConnectionError.
    """

    def __init__(self, seeds: Sequence[Host], connect: Connect) -> None:
        self.nodes = Nodes(seeds, connect)
        super().__init__(connection_pool=self.nodes.client(seeds[0]).connection_pool)

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """The reply to one command."""
        return await self.on_node(key_of(args), lambda node: node.execute_command(*args, **options))  # type: ignore[no-untyped-call]

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Pipeline:
        """A transaction takes keys of one slot. Other commands are sent to all their nodes at once."""
        return ClusterPipeline(self, transaction)

    async def pool_of(self, key: str) -> ConnectionPool:
        """The connections to the node that holds this key. Whoever borrows one says when it is `lost`."""
        return self.nodes.client(await self.nodes.of(key.encode())).connection_pool

    def lost(self, error: Exception) -> None:
        """Note that a borrowed connection failed, or that its node says that it doesn't hold the key."""
        if isinstance(error, MovedError) and error.host:
            self.nodes.moved(error, (error.host, error.port))
        else:
            self.nodes.failed()

    async def on_node(self, key: bytes, ask: Callable[[Redis], Awaitable[Reply]]) -> Reply:
        """Ask the node that holds this key; where that has moved, the one that holds it now."""
        for _ in range(_MOST_MOVES):
            host = await self.nodes.of(key)
            try:
                with self.noting(host):
                    return await ask(self.nodes.client(host))
            except MovedError as error:
                self.nodes.moved(error, host)
        raise self._unsettled()

    async def on_nodes(
        self, keys: Sequence[bytes], ask: Callable[[Host, list[int]], Awaitable[list[Any]]]
    ) -> list[Any]:
        """Ask the nodes of all keys at once, each with the places of its keys. Returns the replies in the keys' order.

        A reply that is MOVED is asked again of the node that it names.
        """
        replies: list[Any] = [None] * len(keys)
        left = list(range(len(keys)))
        for _ in range(_MOST_MOVES):
            parts: dict[Host, list[int]] = {}
            for place in left:
                parts.setdefault(await self.nodes.of(keys[place]), []).append(place)
            answers = await asyncio.gather(*[ask(host, places) for host, places in parts.items()])
            left = []
            for (host, places), answer in zip(parts.items(), answers, strict=True):
                for place, reply in zip(places, answer, strict=True):
                    replies[place] = reply
                    if isinstance(reply, MovedError):
                        self.nodes.moved(reply, host)
                        left.append(place)
            if not left:
                return replies
        raise self._unsettled()

    @contextmanager
    def noting(self, host: Host) -> Iterator[None]:
        """Note when this node fails. What says that the cluster is changing becomes a ConnectionError; MOVED stays."""
        try:
            yield
        except MovedError:
            raise
        except _CHANGING as error:
            self.nodes.failed(host)
            raise _changing(error) from error
        except _AWAY:
            self.nodes.failed(host)
            raise

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        """Close all connections."""
        await self.nodes.close()

    def _unsettled(self) -> Exception:
        self.nodes.failed()
        return RedisConnectionError("the cluster is changing: what was asked for moves from node to node")


class ClusterPipeline(Pipeline):
    """Commands for one node or more; replies come in the order of the commands."""

    def __init__(self, cluster: ClusterRedis, transaction: bool) -> None:
        super().__init__(cluster.connection_pool, cluster.response_callbacks, transaction, None)
        self._cluster = cluster

    async def immediate_execute_command(self, *args: Any, **options: Any) -> Any:
        """WATCH, and what is read between it and MULTI: all on one connection to the node of the watched key."""
        if self.connection is None:
            self.connection_pool = await self._cluster.pool_of(key_of(args).decode())
        with self._losing():
            return await super().immediate_execute_command(*args, **options)  # type: ignore[no-untyped-call]

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        """The replies."""
        if self.watching or self.connection is not None:
            with self._losing():
                return await super().execute(raise_on_error)
        stack = self.command_stack
        try:
            if self.is_transaction:
                replies = await self._execute_at_once(stack)
            else:
                replies = await self._execute_by_nodes(stack)
        finally:
            await self.reset()  # type: ignore[no-untyped-call]
        if raise_on_error:
            self.raise_first_error(stack, replies)
        return replies

    @contextmanager
    def _losing(self) -> Iterator[None]:
        """What was watched is lost with its node: nothing is sent again."""
        try:
            yield
        except _CHANGING as error:
            self._cluster.lost(error)
            raise _changing(error) from error
        except _AWAY as error:
            self._cluster.lost(error)
            raise

    async def _execute_at_once(self, stack: Sequence[Command]) -> list[Any]:
        """Nothing of it is done when it raises MOVED: a node refuses to execute what it refused to queue."""
        if not stack:
            return []
        keys = [key_of(arguments) for arguments, _ in stack]
        if len(set(map(key_slot, keys))) > 1:
            raise ClusterCrossSlotError("this transaction has keys of several slots: give them one hash tag")
        return await self._cluster.on_node(keys[0], lambda node: _send(node, stack, transaction=True))

    async def _execute_by_nodes(self, stack: Sequence[Command]) -> list[Any]:
        cluster = self._cluster

        async def ask(host: Host, places: Sequence[int]) -> list[Any]:
            with cluster.noting(host):
                replies = await _send(cluster.nodes.client(host), [stack[place] for place in places], transaction=False)
                for reply in replies:
                    if isinstance(reply, _CHANGING) and not isinstance(reply, MovedError):
                        raise reply
            return replies

        return await cluster.on_nodes([key_of(arguments) for arguments, _ in stack], ask)


async def _send(node: Redis, commands: Sequence[Command], *, transaction: bool) -> list[Any]:
    pipeline = node.pipeline(transaction=transaction)
    pipeline.command_stack = list(commands)
    return await pipeline.execute(raise_on_error=False)


def _changing(error: Exception) -> RedisConnectionError:
    return RedisConnectionError(f"the cluster is changing: {type(error).__name__}: {error}")
