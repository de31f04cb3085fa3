"""What could not be applied: kept whole, with the reason, so that it can be looked at and sent again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from redis.asyncio import Redis

from consumers.commit import Commit, Committer, refused
from consumers.wire import Argument
from flow import keys
from flow.errors import NearlyAllRejected, PositionConflict, Reason


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

    Each is written exactly once, however often the log is read again, and whoever reads it. What can't be read or
    routed depends on the log alone: `commit` writes it with a position of its own. What a stream refuses depends on
    that stream's state, whose commit is another one, in another slot of a cluster: `keep` writes it before that, up to
    a position that the letters of that stream have. Folding the same facts again refuses the same ones again, so those
    up to that position are there.
    """

    def __init__(self, redis: Redis, partition: int, keep: int) -> None:
        self._redis = redis
        self._partition = partition
        self._keep = keep
        self._committer = Committer(redis)
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

    async def keep(self, refusing: Commit, letters: Sequence[Letter], now: int) -> None:
        """Write at once those letters, by offset, of what a stream's commit leaves out, that are not there yet.

        Call it when everything before that commit is done. Raises PositionConflict when the commit would be refused:
        what a worker refuses that read from a state which is no longer there says nothing.
        """
        if not letters:
            return
        await self._check(refusing)
        where, pointer = keys.letters_refused(self._partition, refusing.stream), keys.generation(keys.DEAD_LETTERS)
        while True:
            stored: Any = await self._redis.get(where)
            expected = None if stored is None else int(stored)
            new = [letter for letter in letters if letter.offset > (expected or 0)]
            if not new:
                return
            commit = Commit(keys.DEAD_LETTERS, where, pointer, "", expected, new[-1].offset)
            for key, command, arguments in self._writes(new, now):
                commit.write(key, command, arguments)
            with suppress(PositionConflict):  # another worker wrote some of them meanwhile: look again
                await self._committer.execute([commit])
                return

    async def _check(self, commit: Commit) -> None:
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.get(commit.position_key)
        pipeline.get(commit.generation_key)
        position, generation = await pipeline.execute()
        if (position and int(position), (generation or b"").decode()) != (commit.expected, commit.generation):
            raise refused([commit.stream])

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
