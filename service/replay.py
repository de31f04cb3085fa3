"""Sends dead letters again: into the log what can now be applied; the rest stays where it is.

A letter is removed only after the log has its facts. Facts count once, so a replay that breaks off can be repeated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from flow import keys
from flow.adapters import ADAPTERS, Delivery, Source
from flow.dead_letters import StoredLetter, read_letter
from flow.errors import Reason, Rejected, Unavailable
from flow.facts import Fact, ItemFact, SignalFact, decode_fact
from flow.instants import DAY
from flow.matching import Router
from flow.records import RecordReader
from service.log import LogWriter, with_signals

_CHUNK: Final = 100
_headers: Final = msgspec.json.Decoder(dict[str, str])


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of letters: `sent` to the log, or `kept` for a reason (a word of flow.errors, or `ignored`)."""

    sent: bool
    why: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which letters: None means any."""

    reason: str | None = None
    source: str | None = None

    def takes(self, letter: StoredLetter) -> bool:
        """Whether this letter is one of them."""
        return self.reason in {None, letter.reason} and self.source in {None, letter.source}


SENT: Final = Outcome(sent=True)
SAYS_NOTHING: Final = Outcome(sent=True, why="ignored")
"""A delivery that is understood now and has nothing to say: its letter goes, and nothing is sent."""


class Replay:
    """Replays the letters in this Redis through this writer, with the definitions that the router knows.

    `clock` gives milliseconds; native facts may be `future_tolerance` ms ahead of it.
    """

    def __init__(
        self,
        redis: Redis,
        writer: LogWriter,
        router: Router,
        sources: Mapping[str, Source] = ADAPTERS,
        *,
        clock: Callable[[], int],
        future_tolerance: int = DAY,
    ) -> None:
        self._redis = redis
        self._writer = writer
        self._router = router
        self._clock = clock
        self._reader = RecordReader(router.items_named_in, future_tolerance, sources=sources)

    async def run(self, wanted: Wanted) -> Counter[Outcome]:
        """Send the letters that are there now, the oldest first. Returns how many ended how.

        Letters that come in meanwhile are left for the next replay: what is refused again must not go in circles.
        Raises Unavailable when the log or Redis does not answer.
        """
        outcomes: Counter[Outcome] = Counter()
        try:
            newest = await self._newest()
            after = "-"
            while newest is not None:
                letters = await self._chunk(after, newest)
                outcomes.update(await self._replay([letter for letter in letters if wanted.takes(letter)]))
                if len(letters) < _CHUNK:
                    break
                after = f"({letters[-1].id}"
        except (RedisError, OSError) as error:
            message = f"Redis does not answer ({type(error).__name__}): run it again, nothing is lost"
            raise Unavailable(Reason.STATE_UNAVAILABLE, message) from None
        return outcomes

    async def _newest(self) -> str | None:
        entries: Any = await self._redis.xrevrange(keys.LETTERS, count=1)
        return entries[0][0].decode() if entries else None

    async def _chunk(self, after: str, newest: str) -> list[StoredLetter]:
        entries: Any = await self._redis.xrange(keys.LETTERS, min=after, max=newest, count=_CHUNK)
        return [read_letter(identifier, fields) for identifier, fields in entries]

    async def _replay(self, letters: Sequence[StoredLetter]) -> Counter[Outcome]:
        outcomes: Counter[Outcome] = Counter()
        facts: list[Fact] = []
        settled: list[str] = []
        for letter in letters:
            found, outcome = self._read(letter)
            outcomes[outcome] += 1
            if outcome.sent:
                facts += found
                settled.append(letter.id)
        await self._writer.append(with_signals(facts, self._router))
        if settled:
            await self._redis.xdel(keys.LETTERS, *settled)
        return outcomes

    def _read(self, letter: StoredLetter) -> tuple[list[Fact], Outcome]:
        """The facts of a letter, and whether they would be taken now."""
        try:
            if letter.kind == "delivery":
                facts = self._translated(letter)
                return facts, SENT if facts else SAYS_NOTHING
            fact = decode_fact(letter.body)
        except Rejected as error:
            return [], Outcome(sent=False, why=error.reason.value)
        if isinstance(fact, (ItemFact, SignalFact)) and not self._router.streams_of(fact):
            return [], Outcome(sent=False, why=Reason.NO_STREAM.value)
        return [fact], SENT

    def _translated(self, letter: StoredLetter) -> list[Fact]:
        """Raises Rejected, also when the adapter breaks: one letter must not stop the others.

        Of several events all must be understood now: the others were sent when the letter was kept.
        """
        try:
            delivery = Delivery(letter.source, _headers.decode(letter.headers or b"{}"), letter.body, letter.at)
            told = self._reader.told(delivery, letter.source, self._clock())
        except Rejected:
            raise
        except Exception as error:
            message = f"reading it as {letter.source} broke ({type(error).__name__}): this is a fault of ours"
            raise Rejected(Reason.NOT_UNDERSTOOD, message) from None
        if told.refused is not None:
            raise told.refused
        return list(told.facts)
