"""Which node of a Redis Cluster holds which slot, a client of each, and by which key a command finds its node."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

from redis.asyncio import Redis
from redis.cluster import parse_cluster_slots
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import MovedError, RedisError

from service.redis_address import Host

Connect = Callable[[Host], Redis]

_SLOTS_WITHIN: Final = 2.0
"""Seconds that a node has to say who holds which slots, before another one is asked."""

_SCRIPTS: Final = frozenset({"EVAL", "EVALSHA", "EVAL_RO", "EVALSHA_RO"})
_WITHOUT_KEY: Final = frozenset({"CLUSTER SLOTS", "SCRIPT LOAD", "CONFIG GET", "CONFIG SET", "WAIT"})


class Nodes:
    """Reads the slots when they are first needed, and again after a node failed: from another node than that one."""

    def __init__(self, seeds: Sequence[Host], connect: Connect) -> None:
        self._seeds = tuple(seeds)
        self._connect = connect
        self._clients: dict[Host, Redis] = {}  # the one that was longest not asked for the slots first
        self._slots: list[Host | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
        self._known = False
        self._failed: Host | None = None
        self._reading = asyncio.Lock()

    async def of(self, key: bytes) -> Host:
        """The node that holds this key. Raises the client's ConnectionError when no node says so."""
        await self._read()
        host = self._slots[key_slot(key)]
        if host is None:
            self._known = False
            raise RedisConnectionError("no node of the cluster holds the slot of this key: give each slot to one")
        return host

    async def masters(self) -> list[Host]:
        """All nodes that hold slots. Raises as `of`."""
        await self._read()
        return list(dict.fromkeys(host for host in self._slots if host is not None))

    def client(self, host: Host) -> Redis:
        """The client of one node."""
        if host not in self._clients:
            self._clients[host] = self._connect(host)
        return self._clients[host]

    def moved(self, error: MovedError, answered: Host) -> None:
        """A node says that another one holds a slot. Without a name for that one it is on the host that answered."""
        self._slots[error.slot_id] = (error.host or answered[0], error.port)

    def failed(self, host: Host | None = None) -> None:
        """A node did not answer, or says that the cluster is changing: the slots are read again before the next use."""
        self._known = False
        self._failed = host

    async def close(self) -> None:
        """Close all connections."""
        clients, self._clients, self._known = self._clients, {}, False
        for client in clients.values():
            await client.aclose()

    async def _read(self) -> None:
        if self._known:
            return
        async with self._reading:  # one reads for all that wait
            if not self._known:
                await self._read_from_any()

    async def _read_from_any(self) -> None:
        hosts = dict.fromkeys([*self._clients, *self._seeds])
        last: Exception | None = None
        for host in sorted(hosts, key=lambda host: host == self._failed):
            try:
                await self._read_from(host)
            except (RedisError, OSError) as error:
                last = error
            else:
                return
        said = f"{type(last).__name__}: {last}"
        raise RedisConnectionError(f"no node of the cluster says which node holds what; the last one: {said}") from last

    async def _read_from(self, host: Host) -> None:
        client = self.client(host)
        self._clients[host] = self._clients.pop(host)
        async with asyncio.timeout(_SLOTS_WITHIN):
            reply: Any = await client.execute_command("CLUSTER SLOTS")  # type: ignore[no-untyped-call]
        slots: list[Host | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
        for (first, last), nodes in parse_cluster_slots(reply, current_host=host[0]).items():
            name, port = nodes["primary"]
            slots[first : last + 1] = [(name, int(port))] * (last + 1 - first)
        self._slots, self._known, self._failed = slots, True, None
        for gone in self._clients.keys() - slots - {host}:
            await self._clients.pop(gone).aclose()


def key_of(arguments: Sequence[Any]) -> bytes:
    """A key of a command, to find its node by. SCAN has the hash tag of its pattern. Raises RedisError without one."""
    name = str(arguments[0]).upper()
    if name in _SCRIPTS:
        found = arguments[3]
    elif name == "XREAD":
        found = arguments[[*map(_text, arguments)].index("STREAMS") + 1]
    elif name == "SCAN":
        found = _pattern_of([*map(_text, arguments)])
    elif len(arguments) > 1 and name not in _WITHOUT_KEY:
        found = arguments[1]
    else:
        raise RedisError(f"{name} has no key: in a cluster say which node it is for")
    return found if isinstance(found, bytes) else str(found).encode()


def _pattern_of(words: Sequence[str]) -> str:
    """Without its escapes: they can stand in the hash tag too."""
    pattern = words[words.index("MATCH") + 1] if "MATCH" in words else ""
    if "{" not in pattern:
        raise RedisError("SCAN looks at one node of a cluster: give it a pattern with a hash tag")
    return pattern.replace("\\", "")


def _text(word: Any) -> str:
    return word.decode(errors="replace") if isinstance(word, bytes) else str(word)
