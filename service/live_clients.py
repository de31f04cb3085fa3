"""One live page as the service sees it: what it was not sent yet, and the answer that sends it.

Of each kind of event only the newest waits, so a page that reads slowly costs no more than one that keeps up; one that
reads nothing for a while is let go.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from service.bodies import Receive, Scope, Send

MEDIA_TYPE: Final = "text/event-stream"
STALLED_AFTER: Final = 15.0
"""Seconds after which a page that takes nothing of what it is sent is let go."""

_RETRY: Final = b"retry: 2000\n\n"

_logger = logging.getLogger("streamgauge.live")


@dataclass(frozen=True, slots=True)
class Event:
    """One event as it is sent. Numbers only grow; 0: it is not counted, and has no id."""

    number: int
    text: bytes


def event(name: str, data: bytes, number: int = 0, run: str = "") -> Event:
    r"""An event whose `data` is one line. Its id is the run of this process and the number.

    >>> event("beat", b"{}", 7, "ab").text
    b'event: beat\nid: ab-7\ndata: {}\n\n'
    """
    place = f"id: {run}-{number}\n" if number else ""
    return Event(number, f"event: {name}\n{place}data: ".encode() + data + b"\n\n")


class Mailbox:
    """What waits for one page: the newest event of each topic."""

    def __init__(self) -> None:
        self._waiting: dict[Hashable, Event] = {}
        self._wake = asyncio.Event()
        self._closed = False

    def put(self, topic: Hashable, newest: Event) -> None:
        """Replaces what waits of this topic."""
        self._waiting[topic] = newest
        self._wake.set()

    def close(self) -> None:
        """What waits is still taken; after it there is nothing."""
        self._closed = True
        self._wake.set()

    async def take(self) -> bytes:
        """What waits, by number, once there is something. Empty: it is closed."""
        await self._wake.wait()
        if not self._closed:
            self._wake.clear()
        waiting, self._waiting = self._waiting, {}
        return b"".join(each.text for each in sorted(waiting.values(), key=lambda each: each.number))


class EventStream(Response):
    """Sends what comes into a mailbox until the page leaves, stalls, or the mailbox is closed."""

    def __init__(self, mailbox: Mailbox, leave: Callable[[], None], stalled_after: float = STALLED_AFTER) -> None:
        super().__init__(
            # A proxy that gathers an answer before it passes it on would make the page wait for ever.
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
            media_type=MEDIA_TYPE,
        )
        del self.headers["content-length"]
        self._mailbox = mailbox
        self._leave = leave
        self._stalled_after = stalled_after

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One answer, as long as the page is open."""
        sending = asyncio.create_task(self._send(send))
        leaving = asyncio.create_task(_left(receive))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._leave()
            for task in (sending, leaving):
                task.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)
        if not sending.cancelled():
            sending.result()

    async def _send(self, send: Send) -> None:
        try:
            await self._pass_on(send)
        except TimeoutError:
            _logger.warning("live_page_stalled seconds=%g", self._stalled_after)

    async def _pass_on(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": _RETRY, "more_body": True})
        while text := await self._mailbox.take():
            async with asyncio.timeout(self._stalled_after):
                await send({"type": "http.response.body", "body": text, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
