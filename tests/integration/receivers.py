"""A receiver and a worker as processes of their own, in front of a server that tests stop, kill and start again."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import os
import signal
import sys
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import redis.asyncio

from consumers.redis_log import RedisLog
from flow import keys
from flow.facts import Fact, decode_facts
from flow.instants import SECOND, format_instant, parse_instant
from tests.integration.installation import ROOT, free_port

PATIENCE: Final = 60.0
PARTITIONS: Final = 2
SECRET: Final = "s3cret"
BEGIN: Final = parse_instant("2026-11-20T09:00:00Z")

STREAMS: Final = """
streams:
  checkout:
    match: {source: [acme, github]}
    stages:
      - {name: backlog, kind: queue, when: [{status: open}]}
      - {name: done, kind: done, when: [{status: closed}]}
"""


@dataclass
class Sent:
    """What senders did: acknowledged instants by item in order, how each was answered, and the slowest answer (s)."""

    acknowledged: dict[str, list[int]] = field(default_factory=dict)
    answers: list[int] = field(default_factory=list)
    retry_after: set[str] = field(default_factory=set)
    slowest: float = 0.0

    def note(self, answer: httpx.Response, seconds: float, item: str, at: int) -> None:
        self.answers.append(answer.status_code)
        self.slowest = max(self.slowest, seconds)
        if answer.status_code == 202:
            self.acknowledged.setdefault(item, []).append(at)
        else:
            assert answer.headers["content-type"] == "application/problem+json"
            self.retry_after.add(answer.headers.get("retry-after", ""))


class Roles:
    """`serve` and `aggregate`, both on the Redis of this URL."""

    def __init__(self, folder: Path, url: str, **settings: str) -> None:
        self.folder = folder
        self.url = url
        self.port = free_port()
        self.client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=30)
        self.processes: dict[str, Process] = {}
        streams = folder / "streams.yaml"
        streams.write_text(STREAMS, encoding="utf-8")
        self._environment = {
            "STREAMGAUGE_STREAMS": str(streams),
            "STREAMGAUGE_DATA": str(folder / "data"),
            "STREAMGAUGE_REDIS__URL": url,
            "STREAMGAUGE_HTTP__PORT": str(self.port),
            "STREAMGAUGE_HTTP__OPEN_ACCESS": "true",
            "STREAMGAUGE_SOURCES__GITHUB__SECRET": SECRET,
            "STREAMGAUGE_LOG__PARTITIONS": str(PARTITIONS),
        } | {f"STREAMGAUGE_{name}": value for name, value in settings.items()}

    async def start(self, *roles: str) -> None:
        """Start these; `serve` answers when this returns."""
        for role in roles:
            with (self.folder / f"{role}.log").open("ab") as log:
                self.processes[role] = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "service.command_line", role, stdout=log, stderr=log, cwd=ROOT,
                    env=os.environ | {"PYTHONPATH": str(ROOT)} | self._environment,
                )  # fmt: skip
        if "serve" in roles:
            await self.until(self._is_alive)

    async def kill(self, role: str) -> None:
        """SIGKILL."""
        process = self.processes.pop(role)
        process.kill()
        await process.wait()

    async def close(self) -> None:
        """End all; a process that was paused is killed."""
        for process in self.processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
                process.terminate()
        for process in self.processes.values():
            try:
                await asyncio.wait_for(process.wait(), 15)
            except TimeoutError:
                process.kill()
                await process.wait()
        await self.client.aclose()

    def said(self, role: str) -> str:
        """What the process logged."""
        return (self.folder / f"{role}.log").read_text()

    async def until(self, condition: Any, within: float = PATIENCE) -> None:
        """Return once the condition, a coroutine function, holds."""
        async with asyncio.timeout(within):
            while not await condition():
                await asyncio.sleep(0.02)

    async def readiness(self) -> tuple[int, dict[str, Any]]:
        answer = await self.client.get("/readyz")
        return answer.status_code, answer.json()

    async def spooled(self) -> int:
        """Deliveries that wait, as /metrics has them."""
        return int(await self.metric("streamgauge_spool_deliveries") or 0)

    async def metric(self, name: str) -> float | None:
        for line in (await self.client.get("/metrics")).text.splitlines():
            if line.startswith(name + " "):
                return float(line.split()[1])
        return None

    async def drained(self) -> bool:
        return await self.spooled() == 0

    async def settled(self) -> bool:
        return (await self.readiness())[1]["lag_facts"] == 0

    async def issue(self, sent: Sent, number: int, step: int) -> httpx.Response:
        """One delivery of GitHub about this issue, later than the one before."""
        at = BEGIN + step * SECOND
        body = json.dumps(
            {
                "action": "labeled",
                "issue": {
                    "number": number, "state": "open", "labels": [], "created_at": format_instant(BEGIN),
                    "updated_at": format_instant(at),
                },
                "repository": {"full_name": "acme/shop"},
            }
        ).encode()  # fmt: skip
        return await self._signed(sent, body, f"acme/shop#{number}", at)

    async def _signed(self, sent: Sent, body: bytes, item: str, at: int) -> httpx.Response:
        signature = "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        headers = {"x-hub-signature-256": signature, "x-github-event": "issues", "content-type": "application/json"}
        began = time.monotonic()
        answer = await self.client.post("/webhooks/github", content=body, headers=headers)
        sent.note(answer, time.monotonic() - began, item, at)
        return answer

    async def native(self, sent: Sent, name: str, step: int, title: str = "") -> httpx.Response:
        """One native fact."""
        at = BEGIN + step * SECOND
        fact = {"subject": "item", "id": f"{name}-{step}", "source": "acme", "item": name, "at": format_instant(at)}
        began = time.monotonic()
        answer = await self.client.post(
            "/v1/facts", json=fact | {"status": "open"} | ({"title": title} if title else {})
        )
        sent.note(answer, time.monotonic() - began, name, at)
        return answer

    async def _is_alive(self) -> bool:
        assert self.processes["serve"].returncode is None, self.said("serve")
        try:
            return (await self.client.get("/healthz")).status_code == 200
        except httpx.TransportError:
            return False


@contextlib.asynccontextmanager
async def roles(folder: Path, url: str, **settings: str) -> AsyncIterator[Roles]:
    """The processes' owner. Whatever the test does, they end with it."""
    found = Roles(folder, url, **settings)
    try:
        yield found
    finally:
        await found.close()


async def log_of(url: str) -> list[Fact]:
    """Every fact of the log, in order within each partition."""
    found: list[Fact] = []
    async with redis.asyncio.Redis.from_url(url) as client:
        for partition in range(PARTITIONS):
            last = int(await client.get(keys.log_end(partition)) or 0)
            log, position = RedisLog(client, [partition], "test", keep_facts=10**6), 0
            while position < last:
                batch = await log.read(partition, position)
                assert batch is not None
                found += decode_facts(batch.lines)
                position = batch.offsets[-1]
    return found


def instants_in(facts: list[Fact]) -> dict[str, list[int]]:
    """By item: the instants of its facts as the log has them, each where it is first."""
    found: dict[str, dict[int, None]] = {}
    for fact in facts:
        found.setdefault(getattr(fact, "item", ""), {})[fact.at] = None
    return {item: list(instants) for item, instants in found.items()}
