"""The spool: deliveries of senders that never send again, kept on this machine's disk while the log is away.

`keep` returns when a delivery is on disk. What is spooled goes into the log in order, as soon as the log takes it, and
is removed only after that: at least once, made exact by the facts' ids. The disk is waited for in a thread; what comes
while it writes goes into the next transaction together.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
from asyncio import Future, TaskGroup
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Final, ParamSpec, Self, TypeVar

from flow.errors import Reason, SettingsError, Unavailable
from flow.facts import Fact
from flow.instants import MINUTE, SECOND
from service.dead_letters import DeliveryLetter
from service.log import LogWriter
from service.spool_files import Found, Level, SpoolFiles
from service.spool_folder import SpoolFolder
from service.spool_rows import facts_row, letter_row
from service.spool_store import Damaged, Row

_WITHIN: Final = 5 * SECOND
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 1.0
_LOOK_EVERY: Final = MINUTE / SECOND
_MOST_REFUSALS: Final = 5
_MOST_WAITING: Final = 64_000_000
"""Bytes that may wait for the disk."""

_log: Final = logging.getLogger(__name__)
_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


class Spool:
    """Use it as an async context: while that is open it drains; what is left stays for the next start.

    `clock` gives milliseconds. `count` is told the source of each delivery that was spooled. `within` is the longest
    that one delivery waits for the disk, in milliseconds.
    """

    def __init__(
        self,
        folder: SpoolFolder,
        writer: LogWriter,
        clock: Callable[[], int],
        count: Callable[[str], None] = lambda source: None,
        within: int = _WITHIN,
    ) -> None:
        self.level = Level()
        self._files = SpoolFiles(folder)
        self._writer = writer
        self._clock = clock
        self._count = count
        self._within = within
        self._thread = ThreadPoolExecutor(1, "spool")
        self._waiting: list[tuple[Row, Future[None]]] = []
        self._waiting_bytes = 0
        self._writing = 0
        self._refusals = 0  # of the letter that is the oldest
        self._in_log: Found | None = None  # it only has to be removed
        self._wake = asyncio.Event()
        self._filled = asyncio.Event()
        self._closing = False
        self._failing = False
        self._group = TaskGroup()
        self._draining: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Find what was left here. Raises SettingsError when the folder can't be used."""
        self.level = await self._in_thread(self._files.open)
        if self.level.deliveries:
            _log.warning("spool_found deliveries=%d", self.level.deliveries)

    async def close(self) -> None:
        """Let go of the files."""
        self._closing = True
        await self._in_thread(self._files.close)
        self._thread.shutdown()

    async def __aenter__(self) -> Self:
        try:
            await self.open()
        except BaseException:
            await self.close()
            raise
        await self._group.__aenter__()
        self._group.create_task(self._write())
        self._draining = self._group.create_task(self._drain())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing = True
        self._wake.set()
        if self._draining is not None:
            self._draining.cancel()
        try:
            await self._group.__aexit__(kind, error, trace)
        finally:
            await self.close()

    @property
    def is_empty(self) -> bool:
        """Whether a delivery may go past it, straight into the log: nothing older is here or on its way here."""
        return not (self.level.deliveries or self._waiting or self._writing)

    @property
    def takes(self) -> bool:
        """Whether it would take a delivery now, as far as is known."""
        return not (self._closing or self._failing)

    async def keep(self, facts: Sequence[Fact]) -> None:
        """Return when they are on disk. Raises Unavailable (overloaded) when the spool is full, or its disk."""
        if facts:
            await self._keep(facts_row(facts, self._clock()))

    async def keep_letter(self, letter: DeliveryLetter) -> None:
        """Return when the letter is on disk. Raises Unavailable as `keep`."""
        await self._keep(letter_row(letter, self._clock()))

    async def _keep(self, row: Row) -> None:
        if self._closing or (self._waiting_bytes and self._waiting_bytes + len(row.body) > _MOST_WAITING):
            raise _full()
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((row, future))
        self._waiting_bytes += len(row.body)
        self._wake.set()
        try:
            async with asyncio.timeout(self._within / SECOND):
                await future
        except TimeoutError:
            raise _full() from None
        self._count(row.source)

    async def _write(self) -> None:
        """Store group after group; after closing, what still waits."""
        while not self._closing or self._waiting:
            await self._wake.wait()
            self._wake.clear()
            await self.write_waiting()

    async def write_waiting(self) -> None:
        """Store all that waits, in one transaction."""
        group = [(row, future) for row, future in self._waiting if not future.done()]
        self._waiting, self._waiting_bytes, self._writing = [], 0, len(group)
        try:
            stored = await self._stored([row for row, _ in group])
        finally:
            self._writing = 0
        for (_, future), durable in zip(group, stored, strict=True):
            if future.done():
                continue
            if durable:
                future.set_result(None)
            else:
                future.set_exception(_full())
        self._filled.set()

    async def _stored(self, rows: Sequence[Row]) -> list[bool]:
        """Which rows are durable now. A disk that fails is said once, until it works again."""
        if not rows:
            return []
        try:
            stored, self.level = await self._in_thread(self._files.add, rows)
            problem: object = "full" if not all(stored) else None
        except (sqlite3.Error, OSError, Damaged, SettingsError) as error:
            stored, problem = [False] * len(rows), error
        if problem is not None and not self._failing:
            _log.error("spool_unwritable error=%s: deliveries are answered 503 and may be lost", problem)
        self._failing = problem is not None
        return stored

    async def drain_some(self) -> None:
        """Take the oldest deliveries into the log, then remove them. Raises Unavailable when the log does not."""
        if self._in_log is None:
            found = await self._in_thread(self._files.first)
            if found is None:
                self.level = await self._in_thread(self._files.level)
                return
            if found.portion.letter is not None:
                await self._append_letter(found, found.portion.letter)
            else:
                await self._writer.append(found.portion.facts)
            self._in_log = found
        self.level = await self._in_thread(self._files.remove, self._in_log)
        self._in_log = None
        self._failing = False

    async def _append_letter(self, found: Found, letter: DeliveryLetter) -> None:
        """A letter may be refused for what it is, such as its size: it must not hold up the facts behind it."""
        try:
            await self._writer.append_letter(letter)
        except Unavailable:
            self._refusals += 1
            if self._refusals >= _MOST_REFUSALS:
                self._refusals = 0
                self.level = await self._in_thread(self._files.move_back, found)
            raise
        self._refusals = 0

    async def _drain(self) -> None:
        clock = asyncio.get_running_loop().time
        pause, look_at = _FIRST_PAUSE, clock() + _LOOK_EVERY
        while not self._closing:
            if clock() >= look_at:
                self.level = await self._in_thread(self._files.look_for_left_over)
                look_at = clock() + _LOOK_EVERY
            if not self.level.deliveries:
                self._filled.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_EVERY):
                        await self._filled.wait()
                continue
            if await self._drained_some():
                pause = _FIRST_PAUSE
            else:
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)

    async def _drained_some(self) -> bool:
        """Whatever fails, what is spooled is tried again."""
        try:
            await self.drain_some()
        except Unavailable:
            return False
        except Exception as error:  # such as of the disk
            _log.error("spool_not_drained error=%s text=%s", type(error).__name__, error)
            return False
        if not self.level.deliveries:
            _log.info("spool_drained")
        return True

    async def _in_thread(
        self, work: Callable[_Arguments, _Result], *arguments: _Arguments.args, **named: _Arguments.kwargs
    ) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: work(*arguments, **named))


def _full() -> Unavailable:
    message = "the log is away, and this can't be kept on disk now either: send it again later"
    return Unavailable(Reason.OVERLOADED, message)
