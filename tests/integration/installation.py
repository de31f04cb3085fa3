"""A whole installation in real processes, as `streamgauge up` starts it: tests post, read, kill parts of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import httpx
from redis.asyncio import Redis

from service.redis_client import connect
from tests.integration.processes import until_settled

ROOT: Final = Path(__file__).parents[2]
PATIENCE: Final = 60.0
_OURS: Final = range(10_000, 32_000)
"""Linux takes the ports of connections, and those that are bound without a number, from 32,768 on."""


def free_port() -> int:
    """A port that nobody listens on at the moment, and that the system gives to no connection until it is used."""
    while True:
        port = _OURS[secrets.randbelow(len(_OURS))]
        with socket.socket() as found, contextlib.suppress(OSError):
            found.bind(("127.0.0.1", port))
            return port


class Installation:
    """`up` on a folder of its own. `start` it as often as it was killed."""

    def __init__(self, folder: Path, definitions: str, **settings: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self.client = httpx.AsyncClient(base_url=self.base, timeout=20)
        self._streams = folder / "streams.yaml"
        self._streams.write_text(definitions, encoding="utf-8")
        self._settings = settings
        self._process: Process | None = None

    async def start(self) -> None:
        """Start all processes; ready when the API says so."""
        await self.begin()
        await self.ready()

    async def begin(self) -> None:
        """Start all processes, and wait for nothing."""
        arguments = (
            "up",
            "--streams",
            str(self._streams),
            "--data",
            str(self.folder / "data"),
            "--port",
            str(self.port),
        )
        with (self.folder / "up.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "service.command_line",
                *arguments,
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env=os.environ | {"PYTHONPATH": str(ROOT)} | self._settings,
                start_new_session=True,
            )

    async def ready(self) -> None:
        """Return once the API is ready."""
        async with asyncio.timeout(PATIENCE):
            while not await self._is_ready():
                await asyncio.sleep(0.05)

    async def settled(self) -> None:
        """Return once everything in the log is in the state, and nothing waits in the spool."""
        await until_settled(self._readiness, self.folder, PATIENCE)

    def processes(self) -> dict[str, int]:
        """Pids by role: up, serve, aggregate, valkey. A process that is not there is left out."""
        if self._process is None or self._process.returncode is not None:
            return {}
        found = {"up": self._process.pid}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and _parent_of(entry) == self._process.pid:
                words = (entry / "cmdline").read_bytes().split(b"\0")
                role = "valkey" if b"valkey" in words[0] else words[3].decode() if len(words) > 3 else ""
                found[role] = int(entry.name)
        return found

    async def kill(self, role: str) -> None:
        """SIGKILL one process. Without `up` or Valkey nothing is left: then start again."""
        pid = self.processes().get(role)
        if pid is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        if role in {"up", "valkey"}:
            assert self._process is not None
            await asyncio.wait_for(self._process.wait(), PATIENCE)
            await self.start()

    async def stop(self) -> int:
        """SIGTERM, and wait. Returns the exit code."""
        if self._process is None:
            return 0
        if self._process.returncode is None:
            self._process.terminate()
        return await self.ended()

    async def ended(self) -> int:
        """Wait until it has ended by itself. Returns the exit code."""
        assert self._process is not None
        return await asyncio.wait_for(self._process.wait(), PATIENCE)

    @contextlib.asynccontextmanager
    async def redis(self) -> AsyncIterator[Redis]:
        """A client of the embedded server."""
        client = connect(f"unix://{self.folder / 'data' / 'valkey.sock'}")
        try:
            yield client
        finally:
            await client.aclose()

    async def close(self) -> None:
        """Stop it, and let go of the client."""
        with contextlib.suppress(TimeoutError):
            await self.stop()
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
        await self.client.aclose()

    async def _is_ready(self) -> bool:
        return bool((await self._readiness()).get("ready"))

    async def _readiness(self) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = (await self.client.get("/readyz")).json()
        except (httpx.HTTPError, ValueError):
            return {}
        return answer


def _parent_of(process: Path) -> int:
    with contextlib.suppress(OSError):
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    return 0
