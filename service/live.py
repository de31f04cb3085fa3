"""What all live pages are sent: each topic is read once, whoever looks at it, and only while somebody does.

The task that keeps the snapshot tells which streams a fact changed; the topics of those are read again. All of it
together takes at most a quarter of the time, so a process full of pages still takes facts in.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from flow.definitions import Definitions
from flow.errors import Reason, StreamgaugeError, Unavailable
from flow.instants import SECOND
from service.exporter_readings import Counts
from service.live_clients import Event, Mailbox, event
from service.live_hello import beat, hello, overview
from service.live_topics import Topic, View, topics_of
from service.snapshots import Snapshot

MOST_PAGES: Final = 256
MOST_READINGS: Final = 16
"""Topics that are read in one turn, those that wait longest first."""

BEAT_EVERY: Final = 3 * SECOND
OVERVIEW_EVERY: Final = 2 * SECOND
RETRY_AFTER: Final = SECOND
"""How soon a topic that could not be read is read again (ms)."""

_TURN: Final = 0.25
"""Seconds between two turns when nothing was heard."""

_SHARE: Final = 3
"""How many times as long as a turn took it rests."""

_BEAT, _OVERVIEW, _HELLO = "beat", "streams", "hello"

Operation = Callable[..., Awaitable[Any]]

_logger = logging.getLogger("streamgauge.live")


@dataclass(slots=True, eq=False)
class _Shown:
    """A topic that somebody looks at: what was read last, of which counts, and when it may be read again (ms)."""

    topic: Topic
    pages: set[Mailbox] = field(default_factory=set)
    newest: Event | None = None
    counts: Counts | None = None
    read_at: int = 0
    not_before: int = 0


class Live:
    """The pages that are open now, and what they are sent. `operations` are the API's, by operation id."""

    def __init__(
        self,
        definitions: Definitions,
        clock: Callable[[], int],
        version: str,
        *,
        most_pages: int = MOST_PAGES,
        timer: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.operations: Mapping[str, Operation] = {}
        self.snapshot: Callable[[], Snapshot | None] = lambda: None
        self.run_name = secrets.token_hex(4)
        self._definitions = definitions
        self._clock = clock
        self._version = version
        self._most_pages = most_pages
        self._timer = timer
        self._pages: dict[Mailbox, list[Topic]] = {}
        self._shown: dict[Topic, _Shown] = {}
        self._counts: Mapping[str, Counts] = {}
        self._overview = Event(0, b"")
        self._overview_data = b""
        self._overview_at = 0
        self._beat_at = 0
        self._number = 0
        self._wake = asyncio.Event()
        self._closed = False

    @property
    def pages(self) -> int:
        """How many are open."""
        return len(self._pages)

    def hear(self, counts: Mapping[str, Counts]) -> None:
        """What the monitor has counted by now, of each stream and of the deliveries."""
        self._counts = counts
        self._wake.set()

    def join(self, view: View, last_id: str | None = None) -> Mailbox:
        """A page opens. What it has not seen by that id is sent at once. Raises Unavailable when too many are open."""
        if self._closed or len(self._pages) >= self._most_pages:
            raise Unavailable(
                Reason.OVERLOADED,
                f"{len(self._pages)} live pages are open, and no more are taken: close one, or try again in a moment",
            )
        mailbox, seen = Mailbox(), self._seen(last_id)
        topics = topics_of(view, self._definitions.streams[view.stream])
        self._pages[mailbox] = topics
        first = hello(self._definitions, view, self._clock(), self._version)
        mailbox.put(_HELLO, event("hello", orjson.dumps(first)))
        mailbox.put(_BEAT, self._beat())
        if self._overview.number:
            mailbox.put(_OVERVIEW, self._overview)
        for topic in topics:
            shown = self._shown.setdefault(topic, _Shown(topic))
            shown.pages.add(mailbox)
            if shown.newest is not None and shown.newest.number > seen:
                mailbox.put(topic, shown.newest)
        self._wake.set()
        return mailbox

    def leave(self, mailbox: Mailbox) -> None:
        """A page is closed. What nobody looks at any more is forgotten."""
        for topic in self._pages.pop(mailbox, ()):
            shown = self._shown[topic]
            shown.pages.discard(mailbox)
            if not shown.pages:
                del self._shown[topic]

    def close(self) -> None:
        """End every page, so that the process can; they come back to its successor."""
        self._closed = True
        for mailbox in self._pages:
            mailbox.close()

    async def run(self) -> None:
        """Read for the pages that are open, until cancelled."""
        task = asyncio.current_task()
        while task is None or not task.cancelling():  # the Redis client sometimes swallows a cancellation
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TURN):
                    await self._wake.wait()
            self._wake.clear()
            began = self._timer()
            await self.turn()
            await asyncio.sleep(min(1.0, (self._timer() - began) * _SHARE))

    async def turn(self) -> None:
        """Read what is due, and tell it."""
        if not self._pages:
            return
        now = self._clock()
        due = sorted((shown for shown in self._shown.values() if self._is_due(shown, now)), key=_longest_waiting)
        await asyncio.gather(*(self._read(shown) for shown in due[:MOST_READINGS]))
        if len(due) > MOST_READINGS:
            self._wake.set()
        self._tell_overview(now)
        if now - self._beat_at >= BEAT_EVERY:
            self._beat_at = now
            self._tell(_BEAT, self._beat(), self._pages)

    def _is_due(self, shown: _Shown, now: int) -> bool:
        if now < shown.not_before:
            return False
        changed = self._counts.get(shown.topic.of) != shown.counts
        return shown.newest is None or changed or now - shown.read_at >= shown.topic.renew

    async def _read(self, shown: _Shown) -> None:
        """Ask the API, and tell its answer. The counts are those of before: what comes meanwhile is read again."""
        topic, counts = shown.topic, self._counts.get(shown.topic.of)
        shown.read_at = self._clock()
        try:
            answer = await self.operations[topic.operation](**dict(topic.asks))
        except StreamgaugeError as error:
            shown.not_before = shown.read_at + RETRY_AFTER
            _logger.warning("live_reading_failed event=%s reason=%s %s", topic.event, error.reason, error)
            return
        shown.counts = counts
        shown.not_before = shown.read_at + topic.rest
        shown.newest = self._numbered(topic.event, orjson.dumps(dict(topic.told) | answer))
        self._tell(topic, shown.newest, shown.pages)

    def _tell_overview(self, now: int) -> None:
        snapshot = self.snapshot()
        if snapshot is None or now - self._overview_at < OVERVIEW_EVERY:
            return
        data, self._overview_at = orjson.dumps(overview(snapshot)), now
        if data != self._overview_data:
            self._overview_data = data
            self._overview = self._numbered("streams", data)
            self._tell(_OVERVIEW, self._overview, self._pages)

    def _beat(self) -> Event:
        return event("beat", orjson.dumps(beat(self.snapshot(), self._clock())))

    def _numbered(self, name: str, data: bytes) -> Event:
        self._number += 1
        return event(name, data, self._number, self.run_name)

    def _tell(self, topic: Topic | str, newest: Event, pages: Any) -> None:
        for mailbox in pages:
            mailbox.put(topic, newest)

    def _seen(self, last_id: str | None) -> int:
        """The number of the last event that a page got of this run of the process; 0: of none."""
        run, _, number = (last_id or "").partition("-")
        return int(number) if run == self.run_name and number.isascii() and number.isdigit() else 0


def _longest_waiting(shown: _Shown) -> tuple[bool, int]:
    """What was never read comes first."""
    return shown.newest is not None, shown.read_at
