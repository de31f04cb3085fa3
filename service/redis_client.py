"""The Redis client that every process uses: of one server, of a cluster, or of the master that Sentinel names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from hiredis import pack_command
from redis.asyncio import BlockingConnectionPool, Redis, Sentinel
from redis.asyncio.connection import Connection, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import SentinelConnectionPool, SentinelManagedConnection, SentinelManagedSSLConnection
from redis.backoff import NoBackoff

from service.redis_address import Host, Kind, RedisAddress, parse_address
from service.redis_cluster import ClusterRedis

MOST_CONNECTIONS: Final = 64
"""To one server, or to one node of a cluster."""

_TIMEOUT: Final = 10.0
_SENTINEL_TIMEOUT: Final = 2.0
"""Seconds: a Sentinel does next to nothing, and the next one may know."""

_READ_AT_ONCE: Final = 512 * 1024


class _FastPacking:
    """Packs commands in C, as the client's synchronous connections do: commits carry thousands of arguments."""

    def pack_command(self, *arguments: Any) -> list[bytes]:
        """One command as the server reads it. A command of two words, such as `CONFIG GET`, is two arguments."""
        first, *rest = arguments
        words = first.split() if isinstance(first, (str, bytes)) else [first]
        packed: bytes = pack_command((*words, *rest))
        return [packed]


class _TcpConnection(_FastPacking, Connection):
    pass


class _TlsConnection(_FastPacking, SSLConnection):
    pass


class _SocketConnection(_FastPacking, UnixDomainSocketConnection):
    pass


class _MasterConnection(_FastPacking, SentinelManagedConnection):
    pass


class _TlsMasterConnection(_FastPacking, SentinelManagedSSLConnection):
    pass


class _MasterPool(SentinelConnectionPool, BlockingConnectionPool):
    """Connects to whichever server is the master now. Who finds no free connection waits for one."""


_CONNECTIONS: Final = {"unix": _SocketConnection, "redis": _TcpConnection, "rediss": _TlsConnection}
_MASTER_CONNECTIONS: Final = {"redis": _MasterConnection, "rediss": _TlsMasterConnection}


def connect(url: str) -> Redis:
    """A client for a URL of `service.redis_address`. It answers in bytes and connects at its first command.

    It tries once: what to do when Redis is away differs, and whoever asks decides it.
    """
    address = parse_address(url)
    if address.kind is Kind.CLUSTER:
        return ClusterRedis(address.hosts, lambda host: Redis.from_pool(_pool(address, host)))
    if address.kind is Kind.SENTINEL:
        return _of_master(address)
    return Redis.from_pool(_pool(address))


def _pool(address: RedisAddress, host: Host | None = None) -> BlockingConnectionPool:
    options = _patient(address.options)
    if host is not None:
        options["host"], options["port"] = host
    return BlockingConnectionPool(connection_class=_CONNECTIONS[address.transport], **options)


def _of_master(address: RedisAddress) -> Redis:
    own: dict[str, Any] = {"socket_timeout": _SENTINEL_TIMEOUT, "socket_connect_timeout": _SENTINEL_TIMEOUT}
    own |= address.sentinel_options
    own |= {"retry": _once(), "ssl": address.transport == "rediss"}
    sentinels = Sentinel(address.hosts, sentinel_kwargs=own)  # type: ignore[no-untyped-call]
    pool = _MasterPool(  # type: ignore[no-untyped-call]
        address.master,
        sentinels,
        connection_class=_MASTER_CONNECTIONS[address.transport],
        **_patient(address.options),
    )
    return _MasterRedis(pool, sentinels)


class _MasterRedis(Redis):
    """Closes its Sentinels' connections with its own."""

    def __init__(self, pool: _MasterPool, sentinels: Sentinel) -> None:
        super().__init__(connection_pool=pool)
        self.auto_close_connection_pool = True
        self._sentinels = sentinels

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        """Close all connections."""
        await super().aclose(close_connection_pool)
        await self._sentinels.aclose()


def _patient(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a pool, with what they leave open."""
    return {
        "max_connections": MOST_CONNECTIONS,
        "timeout": _TIMEOUT,
        "socket_timeout": _TIMEOUT,
        "socket_connect_timeout": _TIMEOUT,
        **options,
        "socket_read_size": _READ_AT_ONCE,
        "retry": _once(),
    }


def _once() -> Retry:
    return Retry(NoBackoff(), 0)
