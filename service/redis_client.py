"""The Redis client that every process uses."""

from __future__ import annotations

from typing import Any, Final

from hiredis import pack_command
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import Connection, SSLConnection, UnixDomainSocketConnection, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

MOST_CONNECTIONS: Final = 64
_TIMEOUT: Final = 10.0
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


def connect(url: str) -> Redis:
    """A client for `redis://`, `rediss://` or `unix://`. It answers in bytes and connects at its first command.

    It tries once: what to do when Redis is away differs, and whoever asks decides it.
    """
    options: dict[str, Any] = dict(parse_url(url))
    kinds: dict[str, type] = {"unix": _SocketConnection, "rediss": _TlsConnection}
    options["connection_class"] = kinds.get(url.partition("://")[0], _TcpConnection)
    options.setdefault("socket_timeout", _TIMEOUT)
    options.setdefault("socket_connect_timeout", _TIMEOUT)
    options["socket_read_size"] = _READ_AT_ONCE
    options["retry"] = Retry(NoBackoff(), 0)
    pool = BlockingConnectionPool(max_connections=MOST_CONNECTIONS, timeout=_TIMEOUT, **options)
    return Redis.from_pool(pool)
