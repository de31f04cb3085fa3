"""What could not be applied: kept whole, with the reason, so that it can be looked at and sent again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from redis.asyncio import Redis

from consumers.commit import Argument, Commit
from flow import keys
from flow.errors import NearlyAllRejected, Reason


@dataclass(frozen=True, slots=True)
class Letter:
    """One line of the log that could not be applied."""

    source: str
    reason: Reason
    message: str
    offset: int
    body: bytes


class DeadLetters:
    """Writes the letters of one partition.

    What can't be read or routed depends on the log alone: `commit` writes it exactly once, however often the log is
    read again. What a stream refuses depends on that stream's state, whose commit is another one: `keep` writes it
    before that, at least once.
    """

    def __init__(self, redis: Redis, partition: int, keep: int) -> None:
        self._redis = redis
        self._partition = partition
        self._keep = keep
        self.position: int | None = None

    async def load(self) -> None:
        """Read the position."""
        position = await self._redis.get(keys.letters_position(self._partition))
        self.position = None if position is None else int(position)

    def commit(self, letters: Sequence[Letter], position: int, now: int) -> Commit:
        """What writes the letters and moves the position there."""
        expected, self.position = self.position, position
        pointer = keys.generation(keys.DEAD_LETTERS)
        commit = Commit(keys.DEAD_LETTERS, keys.letters_position(self._partition), pointer, "", expected, position)
        for key, command, arguments in self._writes(letters, now):
            commit.write(key, command, arguments)
        return commit

    async def keep(self, letters: Sequence[Letter], now: int) -> None:
        """Write letters at once."""
        if not letters:
            return
        pipeline = self._redis.pipeline(transaction=True)
        for key, command, arguments in self._writes(letters, now):
            pipeline.execute_command(command, key, *arguments)
        await pipeline.execute()

    def _writes(self, letters: Sequence[Letter], now: int) -> Iterator[tuple[str, str, Sequence[Argument]]]:
        for letter in letters:
            fields = ("kind", "fact", "source", letter.source, "reason", letter.reason, "message", letter.message)
            where = ("at", now, "partition", self._partition, "offset", letter.offset, "body", letter.body)
            yield keys.LETTERS, "XADD", ("MAXLEN", "~", self._keep, "*", *fields, *where)
        for (source, reason), count in Counter((letter.source, letter.reason) for letter in letters).items():
            yield keys.LETTER_COUNTS, "HINCRBY", (f"{source}|{reason}", count)


_SENDERS_DOING: Final = frozenset({Reason.NO_STREAM, Reason.TIMELINE_FULL})


class RejectionLimit:
    """Stops the worker when nearly everything is rejected: then the fault is ours, and going on would only hide it.

    Facts that no stream claims don't count, nor those of a timeline that is full: that is the sender's doing.
    """

    def __init__(self, share: float = 0.95, facts: int = 2000) -> None:
        self._share = share
        self._facts = facts
        self._seen = 0
        self._rejected = 0

    def note(self, seen: int, reasons: Iterable[Reason]) -> None:
        """Raises NearlyAllRejected when of at least `facts` facts in a row more than `share` were rejected."""
        self._seen += seen
        self._rejected += sum(reason not in _SENDERS_DOING for reason in reasons)
        if self._seen < self._facts:
            return
        if self._rejected > self._share * self._seen:
            raise NearlyAllRejected(
                f"{self._rejected} of the last {self._seen} facts were rejected: nothing of this batch was committed; "
                "look at the reasons with `streamgauge dead-letters list` and at what writes to the log"
            )
        self._seen = self._rejected = 0
