"""The tasks that follow partitions, one each: started, held and ended as the log hands partitions out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

_logger = logging.getLogger("streamgauge.aggregator")

_HOLD_WITHIN: Final = 5.0
"""Seconds that a commit under way may delay a rebalance. What is still under way then, the fence decides."""


_AGAIN_AFTER: Final = 1.0
"""Seconds after which a follower that was told to end is told so again."""


def end_if_cancelled() -> None:
    """The Redis client sometimes swallows a cancellation, or makes another error of it: it counts all the same."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


class Gate:
    """Lets commits through while partitions are surely ours, and knows when none is under way."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._under_way = 0

    async def enter(self) -> None:
        """Return when a commit may be sent. Whoever enters must leave.

        Who was told to end does not wait here: the gate opens only after it has ended.
        """
        end_if_cancelled()
        await self._open.wait()
        self._under_way += 1
        self._idle.clear()

    def leave(self) -> None:
        """A commit is done, however it ended."""
        self._under_way -= 1
        if not self._under_way:
            self._idle.set()

    @asynccontextmanager
    async def passed(self) -> AsyncIterator[None]:
        """Enter, and leave however that ends which is done meanwhile."""
        await self.enter()
        try:
            yield
        finally:
            self.leave()

    def open(self) -> None:
        """Let commits through."""
        self._open.set()

    async def close(self, within: float) -> bool:
        """Let none through any more; wait so many seconds for those under way. False when some still are."""
        self._open.clear()
        try:
            await asyncio.wait_for(self._idle.wait(), within)
        except TimeoutError:
            return False
        return True


class Followers:
    """An owner of partitions. `follow` follows one partition until it is cancelled; it commits through the gate."""

    def __init__(
        self, group: asyncio.TaskGroup, gate: Gate, follow: Callable[[int], Coroutine[Any, Any, None]]
    ) -> None:
        self._group = group
        self._gate = gate
        self._follow = follow
        self._tasks: dict[int, asyncio.Task[None]] = {}

    async def hold(self) -> None:
        """Return when no commit is under way; none will be sent until `own` is called."""
        if not await self._gate.close(_HOLD_WITHIN):
            _logger.warning("commit_still_under_way: letting go of the partitions all the same")

    async def own(self, partitions: Sequence[int]) -> None:
        """Follow these and no others. One that was followed already goes on as it is, with all that it holds."""
        gone = {number: task for number, task in self._tasks.items() if number not in partitions}
        await _end(gone.values())
        kept = {number: task for number, task in self._tasks.items() if number in partitions}
        fresh = [number for number in partitions if number not in kept]
        self._gate.open()
        self._tasks = kept | {number: self._group.create_task(self._follow(number)) for number in fresh}
        _logger.info("partitions kept=%s new=%s gone=%s", sorted(kept), sorted(fresh), sorted(gone))

    async def ended(self) -> None:
        """Return when all have ended, as they do once they are asked to stop."""
        self._gate.open()
        if self._tasks:
            await asyncio.wait(self._tasks.values())


async def _end(tasks: Collection[asyncio.Task[None]]) -> None:
    """Tell them to end until they have: whatever they call may swallow that."""
    pending: Collection[asyncio.Task[None]] = tasks
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=_AGAIN_AFTER)
