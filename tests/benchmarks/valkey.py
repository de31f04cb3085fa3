"""A real Valkey server for one measurement, set up as the embedded one is."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from redis.asyncio import Redis

from service.embedded import embedded_server
from service.redis_client import connect


@contextlib.asynccontextmanager
async def valkey() -> AsyncIterator[Redis]:
    """A client of a server that fsyncs every write before it answers."""
    with tempfile.TemporaryDirectory() as folder:
        async with embedded_server(Path(folder) / "data", log=logging.getLogger("bench")) as server:
            client = connect(server.url)
            try:
                yield client
            finally:
                await client.aclose()
                await asyncio.sleep(0)


async def cpu_seconds(client: Redis) -> float:
    """CPU time that the server has used so far."""
    used = await client.info("cpu")
    return float(used["used_cpu_user"] + used["used_cpu_sys"])


async def memory(client: Redis) -> int:
    """Bytes that the server holds."""
    used = await client.info("memory")
    return int(used["used_memory"])
