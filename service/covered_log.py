"""The log as webhooks write to it: in time for the shortest limit of a sender, and covered where a sender never
sends again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from flow.errors import Reason, Unavailable
from flow.facts import Fact
from flow.instants import SECOND
from service.dead_letters import DeliveryLetter
from service.log import LogWriter
from service.spool import Spool


class TimelyLog:
    """Gives up on the log after `within` milliseconds. What it gave up on may be in the log all the same."""

    def __init__(self, writer: LogWriter, within: int) -> None:
        self._writer = writer
        self._within = within / SECOND

    async def append(self, facts: Sequence[Fact]) -> None:
        """Return when all of them are durable. Raises Unavailable (log_unavailable, overloaded)."""
        try:
            async with asyncio.timeout(self._within):
                await self._writer.append(facts)
        except TimeoutError:
            raise _too_slow() from None

    async def append_letter(self, letter: DeliveryLetter) -> None:
        """Return when the letter is durable. Raises Unavailable as `append`."""
        try:
            async with asyncio.timeout(self._within):
                await self._writer.append_letter(letter)
        except TimeoutError:
            raise _too_slow() from None


class CoveredLog:
    """The log for senders that never send again: what it does not take now is kept in the spool.

    While anything is spooled, all goes through the spool: nothing overtakes what was acknowledged before it came.
    """

    def __init__(self, writer: LogWriter, spool: Spool) -> None:
        self._writer = writer
        self._spool = spool

    async def append(self, facts: Sequence[Fact]) -> None:
        """Return when all of them are durable, here or there. Raises Unavailable when neither can take them."""
        if self._spool.is_empty:
            try:
                await self._writer.append(facts)
            except Unavailable:
                pass
            else:
                return
        await self._spool.keep(facts)

    async def append_letter(self, letter: DeliveryLetter) -> None:
        """Return when the letter is durable. Raises Unavailable as `append`."""
        if self._spool.is_empty:
            try:
                await self._writer.append_letter(letter)
            except Unavailable:
                pass
            else:
                return
        await self._spool.keep_letter(letter)


def _too_slow() -> Unavailable:
    return Unavailable(Reason.LOG_UNAVAILABLE, "the log did not take it in time: send it again in a few seconds")
