"""A log that does what the test says, and deliveries for it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from flow.errors import Reason, Unavailable
from flow.facts import Fact, ItemFact, encode_facts
from service.dead_letters import DeliveryLetter
from service.spool_store import FACTS, Row

SIZE = 200_000
"""Bytes of a small spool."""

AT = 1_795_348_800_000


def fact(name: str, item: str = "CHK-1", source: str = "github") -> ItemFact:
    return ItemFact(id=name, source=source, item=item, at=0)


def letter(body: bytes = b"?") -> DeliveryLetter:
    headers = {"x-github-event": "issues", "authorization": "Bearer hush", "x-hub-signature-256": "sha256=hush"}
    return DeliveryLetter("github", Reason.NOT_UNDERSTOOD, "not an event", AT, headers, body)


def row(body: bytes = b"", *, facts: Sequence[str] = (), at: int = AT, kind: int = FACTS) -> Row:
    return Row("github", at, kind, body or encode_facts([fact(name) for name in facts]))


class Crash(BaseException):
    """The process ends here, in the middle of whatever it does."""


class FakeLog:
    """`mood`: up, down, hanging, deaf (it takes it, and says that it did not), or deadly (it takes it, and we die)."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []
        self.letters: list[DeliveryLetter] = []
        self.mood = "up"
        self.asked = 0

    async def append(self, facts: Sequence[Fact]) -> None:
        await self._refuse_first()
        self.facts += facts
        self._refuse_then()

    async def append_letter(self, letter: DeliveryLetter) -> None:
        await self._refuse_first()
        self.letters.append(letter)
        self._refuse_then()

    def ids(self) -> list[str]:
        """Of the facts, in the order of the log; of one that is there twice, the first."""
        return list(dict.fromkeys(fact.id for fact in self.facts))

    async def _refuse_first(self) -> None:
        self.asked += 1
        if self.mood == "hanging":
            await asyncio.get_running_loop().create_future()
        if self.mood == "down":
            raise Unavailable(Reason.LOG_UNAVAILABLE, "the log is down")

    def _refuse_then(self) -> None:
        if self.mood == "deaf":
            raise Unavailable(Reason.LOG_UNAVAILABLE, "the log did not answer")
        if self.mood == "deadly":
            raise Crash
