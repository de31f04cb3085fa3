"""A log that may come later than we do: the process starts without it, and takes it up when it is there."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from asyncio import TaskGroup
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Final, Self

from flow.errors import Reason, Unavailable
from flow.facts import Fact
from service.dead_letters import DeliveryLetter
from service.log import LogWriter

_WAIT: Final = 3.0
"""Seconds that the start waits for the log. Later is no harm: only that what comes until then is answered 503."""

_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 1.0
_log: Final = logging.getLogger(__name__)


class LateLog:
    """Opens the log, again and again until it can be reached. Use it as an async context.

    What `opening` raises other than Unavailable, such as SettingsError for a log of another number of partitions, ends
    the context, whenever it comes.
    """

    def __init__(self, opening: Callable[[], AbstractAsyncContextManager[LogWriter]], wait: float = _WAIT) -> None:
        self._opening = opening
        self._wait = wait
        self._writer: LogWriter | None = None
        self._tried = asyncio.Event()
        self._closing = asyncio.Event()
        self._group = TaskGroup()
        self._running: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        self._running = self._group.create_task(self._run())
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._wait):
                    await self._tried.wait()
        except BaseException as error:
            await self.__aexit__(type(error), error, error.__traceback__)
            raise
        if self._writer is None:
            _log.warning("log_not_reached: going on without it until it is there")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        if self._running is not None and self._writer is None:
            self._running.cancel()
        await self._group.__aexit__(kind, error, trace)

    async def append(self, facts: Sequence[Fact]) -> None:
        """Return when all of them are durable. Raises Unavailable (log_unavailable, overloaded): send them again."""
        await (self._writer or _nowhere()).append(facts)

    async def append_letter(self, letter: DeliveryLetter) -> None:
        """Return when the letter is durable. Raises Unavailable as `append`."""
        await (self._writer or _nowhere()).append_letter(letter)

    async def _run(self) -> None:
        pause = _FIRST_PAUSE
        while not self._closing.is_set():
            try:
                async with self._opening() as writer:
                    self._writer = writer
                    self._tried.set()
                    await self._closing.wait()
                return
            except Unavailable:
                self._tried.set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._closing.wait()
            pause = min(pause * 2, _LONGEST_PAUSE)


def _nowhere() -> LogWriter:
    raise Unavailable(Reason.LOG_UNAVAILABLE, "the log is not reached yet: send it again in a few seconds")
