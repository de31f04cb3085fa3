"""Where Redis is, as `STREAMGAUGE_REDIS__URL` says it: one server, a cluster, or a server that Sentinel looks after.

| URL | what is there |
|---|---|
| `redis://user:password@host:6379/0`, `unix:///path` | one server |
| `redis+cluster://user:password@host:6379,host:6379` | Redis Cluster; the hosts are where to ask for all nodes |
| `redis+sentinel://user:password@host:26379,host:26379/master-name/0` | the Sentinels, and the name of the master |

`rediss` in the place of `redis` is TLS. Options of the client follow as a query, such as `?ssl_ca_certs=/path`. The
password is the server's; Sentinels with one of their own take `sentinel_username` and `sentinel_password`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from urllib.parse import unquote, urlsplit

SCHEMES: Final = (
    "redis",
    "rediss",
    "unix",
    "redis+cluster",
    "rediss+cluster",
    "redis+sentinel",
    "rediss+sentinel",
)
REDIS_PORT: Final = 6379
SENTINEL_PORT: Final = 26379

_NOT_ONE: Final = (
    "is not the URL of a Redis or Valkey: write redis://host:6379/0, rediss://…, unix://…, "
    "redis+cluster://host:6379,host:6379 or redis+sentinel://host:26379,host:26379/master-name"
)
_OWN_OPTIONS: Final = ("sentinel_username", "sentinel_password")

Host = tuple[str, int]


class Kind(StrEnum):
    """What answers at the address."""

    SERVER = "server"
    CLUSTER = "cluster"
    SENTINEL = "sentinel"


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """`hosts`: the server, the nodes to ask first, or the Sentinels. `options` and `sentinel_options` hold passwords.

    `transport` is `unix`, `redis` or `rediss`; `master` the name that Sentinel knows the server by.
    """

    kind: Kind
    transport: str
    hosts: tuple[Host, ...]
    master: str
    options: Mapping[str, Any]
    sentinel_options: Mapping[str, Any]

    def described(self) -> str:
        """For people: what is there and where, without a password."""
        where = ", ".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.hosts)
        if self.kind is Kind.CLUSTER:
            text = f"a cluster, asked for at {where}"
        elif self.kind is Kind.SENTINEL:
            text = f"master {self.master} of the Sentinels at {where}"
        else:
            text = f"one server at {where or self.options.get('path', 'a socket')}"
        return f"{text}, over TLS" if self.transport == "rediss" else text


def parse_address(url: str) -> RedisAddress:
    """What the URL says. Raises ValueError, with the fix, and never with anything of the URL in it."""
    scheme, found, rest = url.partition("://")
    if scheme not in SCHEMES or not found or not rest:
        raise ValueError(_NOT_ONE)
    transport, _, kind = scheme.partition("+")
    if not kind:
        return _one_server(url, transport)
    return _cluster(transport, rest) if kind == Kind.CLUSTER else _sentinel(transport, rest)


def _one_server(url: str, transport: str) -> RedisAddress:
    options = _options(url)
    hosts: tuple[Host, ...] = ()
    if transport != "unix":
        hosts = ((options.get("host", "localhost"), options.get("port", REDIS_PORT)),)
    return RedisAddress(Kind.SERVER, transport, hosts, "", options, {})


def _cluster(transport: str, rest: str) -> RedisAddress:
    user, hosts, path, query = _parts(rest, REDIS_PORT)
    options = _options(f"{transport}://{user}h{query}")
    if path.strip("/") or options.get("db"):
        raise ValueError("names a database, and a cluster has only the one: leave out what follows the hosts")
    return RedisAddress(Kind.CLUSTER, transport, hosts, "", _without_host(options), {})


def _sentinel(transport: str, rest: str) -> RedisAddress:
    user, hosts, path, query = _parts(rest, SENTINEL_PORT)
    master, _, database = path.strip("/").partition("/")
    if not master:
        raise ValueError(
            "names no master: write the name that the Sentinels know it by behind the hosts, "
            "as in redis+sentinel://host:26379,host:26379/master-name"
        )
    if database and not database.isdecimal():
        raise ValueError("has a database that is no number: write it as in redis+sentinel://host:26379/master-name/0")
    options = _without_host(_options(f"{transport}://{user}h/{database or 0}{query}"))
    own = {name.removeprefix("sentinel_"): options.pop(name) for name in _OWN_OPTIONS if name in options}
    shared = {name: value for name, value in options.items() if name.startswith("ssl_")}
    return RedisAddress(Kind.SENTINEL, transport, hosts, unquote(master), options, shared | own)


def _parts(rest: str, port: int) -> tuple[str, tuple[Host, ...], str, str]:
    """The user and password as they stand before the hosts, the hosts, the path, the query with its `?`."""
    before, mark, query = rest.partition("?")
    places, slash, path = before.partition("/")
    user, at, hosts = places.rpartition("@")
    return f"{user}{at}", tuple(_host(text, port) for text in hosts.split(",")), f"{slash}{path}", f"{mark}{query}"


def _host(text: str, port: int) -> Host:
    try:
        parsed = urlsplit(f"//{text}")
        host, found = parsed.hostname, parsed.port
    except ValueError:
        host, found = None, None
    if not host:
        raise ValueError(
            "has a host that can't be read: write host:port, separate hosts by commas, "
            "and write / ? # @ in a password as %2F %3F %23 %40"
        )
    return host, port if found is None else found


def _options(url: str) -> dict[str, Any]:
    from redis.asyncio.connection import Connection, parse_url  # noqa: PLC0415  # slow, and settings are read often

    try:
        options: dict[str, Any] = dict(parse_url(url))
    except ValueError:
        raise ValueError("has a port or an option with a wrong value: see docs/redis.md for what may follow") from None
    connection = options.pop("connection_class", Connection)
    known = {name: value for name, value in options.items() if name not in _OWN_OPTIONS}
    known.pop("max_connections", None)
    known.pop("timeout", None)
    _try(connection, known)
    return options


def _try(connection: type, options: Mapping[str, Any]) -> None:
    """Make a connection, without connecting, to learn whether the client knows all options."""
    try:
        connection(**options)
    except TypeError:
        raise ValueError("has an option that the client doesn't know: see docs/redis.md for what may follow") from None
    except Exception:
        raise ValueError("has an option with a wrong value: see docs/redis.md for what may follow") from None


def _without_host(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name not in {"host", "port"}}
