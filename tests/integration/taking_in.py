"""The whole application in front of a real log, for tests of what is taken in."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from consumers.redis_log import RedisLog
from flow import keys
from flow.cells import Retention
from flow.dead_letters import StoredLetter, read_letter
from flow.definition_file import read_definitions
from flow.facts import Fact, decode_facts
from flow.instants import parse_instant
from service.api import build_api
from service.app import App, IngestParts, build_app
from service.authorisation import TokenCheck
from service.bounds import AppendBounds, IngestBounds
from service.log import LogWriter, RedisLogWriter
from service.reader import StateReader
from service.self_metrics import SelfMetrics

NOW = parse_instant("2026-11-22T12:00:00Z")
PARTITIONS = 2
TOKEN, SECRET, PREVIOUS = "t0ken", "s3cret", "old s3cret"
BOUNDS = IngestBounds(most_body=100_000, most_webhook_body=200_000)

STREAMS = r"""
streams:
  checkout:
    match: {project: CHK}
    item_keys: ['CHK-\d+']
    stages:
      - {name: review, kind: active, when: [{status: In Review}, {signal: change.opened}]}
      - {name: done, kind: done, when: [{status: Done}, {signal: deployment.succeeded}]}
"""


@dataclass
class Taking:
    """A client of the application, the log behind it, and what the process counted."""

    client: httpx.AsyncClient
    redis: Redis
    registry: CollectorRegistry
    app: App

    async def facts(self) -> list[Fact]:
        """Every fact of the log."""
        found: list[Fact] = []
        for partition in range(PARTITIONS):
            last = int(await self.redis.get(keys.log_end(partition)) or 0)
            log, position = RedisLog(self.redis, [partition], "test", keep_facts=10**6), 0
            while position < last:
                batch = await log.read(partition, position)
                assert batch is not None
                found += decode_facts(batch.lines)
                position = batch.offsets[-1]
        return found

    async def letters(self) -> list[StoredLetter]:
        """Every dead letter, oldest first."""
        entries: Any = await self.redis.xrange(keys.LETTERS)
        return [read_letter(name, fields) for name, fields in entries]

    async def post_facts(self, body: object, **headers: str) -> httpx.Response:
        """Native facts, as JSON unless a content type is given."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"content-type": "application/json"} | {name.replace("_", "-"): text for name, text in headers.items()}
        return await self.client.post("/v1/facts", content=content, headers=sent)

    async def post_webhook(self, body: bytes, secret: str = SECRET, **headers: str | bytes) -> httpx.Response:
        """A delivery of GitHub, signed with the secret."""
        signature = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        sent: dict[str, str | bytes] = {"content-type": "application/json", "x-github-event": "issues"}
        sent["x-hub-signature-256"] = signature
        sent |= {name.replace("_", "-"): text for name, text in headers.items()}
        encoded = {name: text.encode() if isinstance(text, str) else text for name, text in sent.items()}
        raw = [(name.encode(), text) for name, text in encoded.items()]
        return await self.client.post("/webhooks/github", content=body, headers=raw)

    def counted(self, name: str, **labels: str) -> float | None:
        """One number of this process's metrics."""
        return self.registry.get_sample_value(name, labels)


def parts_of(writer: LogWriter, metrics: SelfMetrics) -> IngestParts:
    """What the application is made of, with the writer in place of the log."""
    tokens = TokenCheck({"ci": hashlib.sha256(TOKEN.encode()).hexdigest()}, open_access=False)
    secrets: dict[str, Sequence[str]] = {"github": (SECRET, PREVIOUS)}
    return IngestParts(writer, read_definitions(STREAMS), tokens, secrets, BOUNDS, lambda: NOW, metrics)


@asynccontextmanager
async def taking(
    redis: Redis, writer: LogWriter | None = None, changed: Callable[[IngestParts], IngestParts] = lambda parts: parts
) -> AsyncIterator[Taking]:
    """The application; with a writer of the test's own it writes there, and with what `changed` makes of its parts."""
    registry, metrics = CollectorRegistry(), SelfMetrics(["acme"])
    registry.register(metrics)
    log = RedisLogWriter(redis, PARTITIONS, lambda: NOW, AppendBounds(keep_letters=100), metrics.observe_append)
    async with log as real:
        parts = changed(parts_of(writer or real, metrics))
        reader = StateReader(redis, parts.definitions, Retention(), PARTITIONS, lambda: NOW)
        app = build_app(build_api(reader, parts.tokens, "1.2.3"), parts)
        transport = httpx.ASGITransport(app, raise_app_exceptions=True)
        headers = {"authorization": f"Bearer {TOKEN}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers) as client:
            yield Taking(client, redis, registry, app)
