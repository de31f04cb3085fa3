"""The two kinds of Redis that faults happen to: one server that may lose its last second, and a cluster."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

import redis

from flow import keys
from tests.chaos.load import STREAMS
from tests.servers.redis_server import Server, run_server
from tests.servers.valkey_cluster import Cluster, run_cluster

_EVERYSEC: Final = ("--appendonly", "yes", "--appendfsync", "everysec", "--auto-aof-rewrite-percentage", "0")
LOST: Final = 1.2
"""Seconds of writes that the single server loses: what was written since the last fsync, and a little more."""

_UNTIL_REPLACED: Final = 7.0
"""Seconds that a paused master sleeps: its replica takes over after about five."""


class Redis(Protocol):
    """What may be done to either kind."""

    url: str

    def flush(self) -> None:
        """Empty it wholly."""

    async def whole(self) -> None:
        """Return once all of it answers again."""


class SingleRedis:
    """One server; `appendfsync everysec`, as Redis is usually run."""

    def __init__(self, server: Server) -> None:
        self.url = server.url
        self._server = server

    def flush(self) -> None:
        """FLUSHALL."""
        with self._server.client() as client:
            client.flushall()

    async def killed(self) -> None:
        """SIGKILL, and a start with what it wrote."""
        self._server.kill()
        await asyncio.sleep(0.3)
        self._server.start()

    async def lost_its_last_second(self) -> None:
        """SIGKILL, and a start without what it wrote last: the kernel keeps what a killed process wrote, so cut it."""
        [log] = self._server.folder.glob("appendonlydir/*.incr.aof")
        kept = log.stat().st_size
        await asyncio.sleep(LOST)
        self._server.kill()
        with log.open("r+b") as file:
            file.truncate(kept)
        self._server.start()

    async def paused(self, seconds: float) -> None:
        """Connections stay open and nothing answers."""
        self._server.pause()
        await asyncio.sleep(seconds)
        self._server.resume()

    async def whole(self) -> None:
        """It is, as soon as it has started."""


class RedisCluster:
    """Three masters and three replicas."""

    def __init__(self, cluster: Cluster, rng: random.Random) -> None:
        self.url = cluster.url
        self._cluster = cluster
        self._rng = rng

    def flush(self) -> None:
        """FLUSHALL on all masters."""
        self._cluster.flush()

    def _one_master(self) -> tuple[Server, str]:
        key = keys.generation(self._rng.choice(STREAMS))
        return self._cluster.master_of(key), key

    async def master_killed(self) -> None:
        """SIGKILL of a master; its replica takes over, and it comes back as a replica of that one."""
        dead, key = self._one_master()
        dead.kill()
        await asyncio.to_thread(self._cluster.wait_for_another, dead, key)
        dead.start()
        await self.whole()

    async def master_paused(self) -> None:
        """A master sleeps until its replica took over, wakes up, and has to give in."""
        asleep, _ = self._one_master()
        asleep.pause()
        await asyncio.sleep(_UNTIL_REPLACED)
        asleep.resume()
        await self.whole()

    async def whole(self) -> None:
        """Return once all nodes agree and replicas have what their masters have. Raises TimeoutError."""
        async with asyncio.timeout(60):
            while not await asyncio.to_thread(self._is_whole):
                await asyncio.sleep(0.1)

    def _is_whole(self) -> bool:
        with contextlib.suppress(redis.RedisError, OSError):
            return self._cluster.is_settled()
        return False


@contextlib.contextmanager
def single_redis(folder: Path) -> Iterator[SingleRedis]:
    """A server of one's own."""
    with run_server(folder, None, *_EVERYSEC) as server:
        yield SingleRedis(server)


@contextlib.contextmanager
def redis_cluster(folder: Path, seed: int) -> Iterator[RedisCluster]:
    """A cluster of one's own."""
    with run_cluster(folder) as cluster:
        yield RedisCluster(cluster, random.Random(f"redis {seed}"))
