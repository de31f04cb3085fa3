"""Senders that repeat what was not acknowledged: over HTTP, as webhooks, and straight into the log.

Some lose patience: what they sent then may be in the log or not. GitHub's webhooks are never repeated at all.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import random
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from flow.errors import Unavailable
from flow.facts import Fact
from flow.instants import DAY
from service.command_line.composition import now
from service.kafka_log import KafkaLogWriter
from tests.chaos.load import Source, issue, native, unreadable

SECRET: Final = "not-a-real-secret"
IN_ONE_POST: Final = 60
_GIVES_UP: Final = 0.05
_ACCEPTED: Final = 202


@dataclass
class Acknowledged:
    """What senders were told is safe: ids of facts, numbers of issues, bodies of letters. And what was sent at all."""

    facts: set[str] = field(default_factory=set)
    issues: set[int] = field(default_factory=set)
    letters: set[bytes] = field(default_factory=set)
    sent: set[str] = field(default_factory=set)
    given_up: int = 0
    repeated: int = 0


class Senders:
    """They send until `enough` is set and `facts` were made; `rate` facts a second while faults happen."""

    def __init__(self, client: httpx.AsyncClient, writer: KafkaLogWriter, seed: int, facts: int, rate: float) -> None:
        self.acknowledged = Acknowledged()
        self.enough = asyncio.Event()
        self._client = client
        self._writer = writer
        self._rng = random.Random(f"senders {seed}")
        self._facts = facts
        self._rate = rate
        self._until = now()
        self._source = Source(seed, facts, self._until)

    async def run(self, posting: int = 3, writing: int = 2) -> None:
        """Until all is sent."""
        pause = (posting + writing) * IN_ONE_POST / self._rate
        async with asyncio.TaskGroup() as group:
            for number in range(posting + writing):
                group.create_task(self._send(self._post if number < posting else self._write, pause))
            group.create_task(self._deliver())
        for start in range(0, len(rest := self._source.rest()), IN_ONE_POST):
            await self._until_acknowledged(self._post, rest[start : start + IN_ONE_POST], patient=True)

    async def _send(self, way: Any, pause: float) -> None:
        while not self.enough.is_set() or self._source.made < self._facts:
            await self._until_acknowledged(way, self._source.take(IN_ONE_POST))
            if not self.enough.is_set():
                await asyncio.sleep(self._rng.uniform(0.5, 1.5) * pause)

    async def _until_acknowledged(self, way: Any, facts: list[Fact], *, patient: bool = False) -> None:
        self.acknowledged.sent.update(fact.id for fact in facts)
        while not await way(facts):
            self.acknowledged.repeated += 1
            if not patient and self._rng.random() < _GIVES_UP:
                self.acknowledged.given_up += len(facts)
                return
            await asyncio.sleep(self._rng.uniform(0.05, 0.5))
        self.acknowledged.facts.update(fact.id for fact in facts)

    async def _post(self, facts: list[Fact]) -> bool:
        try:
            answer = await self._client.post("/v1/facts", json=[native(fact) for fact in facts])
        except httpx.HTTPError:
            return False
        assert answer.status_code in {_ACCEPTED, 503}, answer.text
        return answer.status_code == _ACCEPTED

    async def _write(self, facts: list[Fact]) -> bool:
        try:
            await self._writer.append(facts)
        except Unavailable:
            return False
        return True

    async def _deliver(self) -> None:
        number = 0
        while not self.enough.is_set():
            number += 1
            at = self._until - self._rng.randrange(10 * DAY)
            if number % 10:
                if await self._webhook(issue(number, at)):
                    self.acknowledged.issues.add(number)
            elif await self._webhook(unreadable(number)):
                self.acknowledged.letters.add(unreadable(number))
            await asyncio.sleep(0.1)

    async def _webhook(self, body: bytes) -> bool:
        signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        headers = {"x-hub-signature-256": f"sha256={signature}", "x-github-event": "issues"}
        headers |= {"content-type": "application/json", "x-github-delivery": hashlib.md5(body).hexdigest()}
        try:
            answer = await self._client.post("/webhooks/github", content=body, headers=headers)
        except httpx.HTTPError:
            return False
        assert answer.is_success or answer.status_code == 503, answer.text
        return answer.is_success
