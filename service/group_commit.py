"""What every writer of the log shares: appends wait in one bounded queue and are written in groups.

Group commit: all appends of one turn of the event loop go in one round trip, and what comes while it is under way goes
in the next. That costs an append a few microseconds, and makes an fsync per round trip nearly free under load.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from asyncio import Future, TaskGroup
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Generic, Self, TypeVar

from flow.errors import Reason, Unavailable
from service.bounds import AppendBounds

MOST_PENDING_BYTES: Final = 256 * 1024 * 1024

_MOST_TURNS: Final = 8
"""Turns of the event loop that a group may gather for: some hundred microseconds when the process is busy."""


@dataclass(slots=True, eq=False)
class Append:
    """One append that waits, with so many facts of so many bytes in all."""

    waiting: Future[None]
    facts: int
    size: int


Waiting = TypeVar("Waiting", bound=Append)


class GroupCommit(ABC, Generic[Waiting]):
    """Takes appends and has them written, group after group. Use it as an async context: it drains at the end.

    `observe` is told the seconds that each round trip took.
    """

    def __init__(self, bounds: AppendBounds, observe: Callable[[float], None]) -> None:
        self._bounds = bounds
        self._observe = observe
        self._queue: list[Waiting] = []
        self._facts = 0  # in the queue or under way, as the next
        self._bytes = 0
        self._wake = asyncio.Event()
        self._closing = False
        self._group = TaskGroup()

    @abstractmethod
    async def _write(self, group: Sequence[Waiting]) -> None:
        """Write these and end their waiting, in whatever way. Whoever still waits then is told that we stop."""

    @abstractmethod
    async def _close(self) -> None:
        """Let go of the connections."""

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        self._group.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing = True
        self._wake.set()
        try:
            await self._group.__aexit__(kind, error, trace)
        finally:
            await self._close()

    def _enqueue(self, append: Waiting) -> Future[None]:
        """An append alone is never too much: what one request may hold is bounded where it is read.

        Await what is returned. Raises Unavailable (log_unavailable, overloaded).
        """
        if self._closing:
            raise stopping()
        facts, size = self._facts + append.facts, self._bytes + append.size
        if self._bytes and (facts > self._bounds.most_pending or size > MOST_PENDING_BYTES):
            raise Unavailable(Reason.OVERLOADED, "too much waits to be written: send it again in a moment", 1)
        self._facts, self._bytes = facts, size
        self._queue.append(append)
        self._wake.set()
        return append.waiting

    def _give_up(self, is_late: Callable[[Waiting], bool]) -> None:
        """Tell those in the queue that have waited too long, and forget them."""
        late = [append for append in self._queue if is_late(append)]
        if late:
            fail(late, unwritable)
            self._queue = [append for append in self._queue if not is_late(append)]
            self._forget(late)

    async def _run(self) -> None:
        """Write group after group. However this ends, nobody is left waiting."""
        try:
            while not self._closing or self._queue:
                await self._wake.wait()
                self._wake.clear()
                await self._gather()
                if self._queue:
                    await self._write_queue()
        finally:
            self._closing = True
            fail(self._queue, stopping)

    async def _gather(self) -> None:
        """Wait a few turns of the event loop while each brings more: a busy process so writes fewer, larger groups."""
        for _ in range(_MOST_TURNS):
            waiting = len(self._queue)
            await asyncio.sleep(0)
            if len(self._queue) == waiting:
                return

    async def _write_queue(self) -> None:
        """One round trip for all that waits."""
        group, self._queue = self._queue, []
        clock = asyncio.get_running_loop().time
        started = clock()
        try:
            await self._write(group)
        finally:
            fail(group, stopping)
            self._forget(group)
        self._observe(clock() - started)

    def _forget(self, appends: Sequence[Waiting]) -> None:
        self._facts -= sum(append.facts for append in appends)
        self._bytes -= sum(append.size for append in appends)


def fail(appends: Iterable[Append], error: Callable[[], Unavailable]) -> None:
    """End the waiting of those that still wait with this error."""
    for append in appends:
        if not append.waiting.done():
            append.waiting.set_exception(error())


def unwritable() -> Unavailable:
    """What whoever waits is told when the log can't be written."""
    return Unavailable(Reason.LOG_UNAVAILABLE, "the log can't be written now: send it again in a few seconds")


def stopping() -> Unavailable:
    """What whoever waits is told when this process ends."""
    return Unavailable(Reason.LOG_UNAVAILABLE, "this process is stopping: send it again")
