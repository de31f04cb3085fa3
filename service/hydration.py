"""Reads items again whose webhooks don't say what changed: after the answer, one after the other for each source.

What waits to be read is only in memory, and bounded. A crash, a full queue or a provider that is away for long loses
such a wish, never a fact: every provider that is asked keeps the history of its items with its times, and the next
reading of the item, because of its next event or by `streamgauge backfill`, tells all that was missed at the time when
it was.
"""

from __future__ import annotations

import asyncio
import logging
from asyncio import TaskGroup
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Literal, Self

from flow.adapters import ItemNames
from flow.errors import NotFound, StreamgaugeError, Unavailable
from flow.facts import Fact
from flow.instants import MINUTE
from service.provider_client import ProviderClient
from service.rereading.sources import REREADINGS, Rereading
from service.settings_environment import environment_name

MOST_WAITING: Final = 10_000
"""Items of one source."""

Outcome = Literal["read", "gone", "failed", "dropped"]

_LONGEST_KEY: Final = 255
_AGAIN_AFTER: Final = 5.0
_SAY_EVERY: Final = MINUTE

_log: Final = logging.getLogger(__name__)


@dataclass(slots=True)
class _Asked:
    """One source that is asked. `waiting` holds what is to be read, the oldest first, each once."""

    client: ProviderClient
    rereading: Rereading
    waiting: dict[str, None]
    filled: asyncio.Event
    said_at: int | None = None


class Hydration:
    """Use it as an async context: while that is open it reads. What waits at its end is let go of.

    `clients` has those sources that there is a token for; this closes them. `record` returns when facts are durable,
    `count` is told what came of each item, `clock` gives milliseconds.
    """

    def __init__(
        self,
        clients: Mapping[str, ProviderClient],
        *,
        record: Callable[[Sequence[Fact]], Awaitable[None]],
        item_names: ItemNames,
        clock: Callable[[], int],
        count: Callable[[str, Outcome], None] = lambda source, outcome: None,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        rereadings: Mapping[str, Rereading] = REREADINGS,
        most_waiting: int = MOST_WAITING,
    ) -> None:
        self._sources = {
            name: _Asked(client, rereadings[name], {}, asyncio.Event()) for name, client in clients.items()
        }
        self._rereadings = rereadings
        self._record = record
        self._item_names = item_names
        self._clock = clock
        self._count = count
        self._pause = pause
        self._most_waiting = most_waiting
        self._unseen: set[str] = set()
        self._group = TaskGroup()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        self._tasks = [self._group.create_task(self._read_on(name)) for name in self._sources]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        try:
            await self._group.__aexit__(kind, error, trace)
        finally:
            for asked in self._sources.values():
                await asked.client.__aexit__(None, None, None)

    def want(self, source: str, keys: Collection[str]) -> None:
        """Have these items read again soon. It never waits; without a token it says once what is not seen."""
        if not keys:
            return
        asked = self._sources.get(source)
        if asked is None:
            self._say_unseen(source)
            return
        for key in keys:
            if key in asked.waiting or not 0 < len(key) <= _LONGEST_KEY:
                continue
            if len(asked.waiting) >= self._most_waiting:
                self._count(source, "dropped")
                self._say(source, asked, "more items wait to be read than fit")
            else:
                asked.waiting[key] = None
        asked.filled.set()

    def _say_unseen(self, source: str) -> None:
        if source not in self._unseen and source in self._rereadings:
            self._unseen.add(source)
            _log.warning("hydration_off source=%s: %s", source, unseen(source, self._rereadings))

    async def _read_on(self, source: str) -> None:
        asked = self._sources[source]
        while True:
            await asked.filled.wait()
            asked.filled.clear()
            while asked.waiting:
                key = next(iter(asked.waiting))
                del asked.waiting[key]  # what changes from now on asks for another reading
                self._count(source, await self._read(source, asked, key))

    async def _read(self, source: str, asked: _Asked, key: str) -> Outcome:
        """Whatever is wrong with one item, the others are read."""
        try:
            facts = await asked.rereading.read(asked.client, key, self._item_names)
        except NotFound:
            return "gone"
        except StreamgaugeError as error:
            self._say(source, asked, error.message)
            return "failed"
        except Exception as error:  # a fault of ours; its text may quote what the provider answered
            self._say(source, asked, f"reading broke ({type(error).__name__}): this is a fault of ours")
            return "failed"
        if facts:
            await self._keep(facts)
        return "read"

    async def _keep(self, facts: Sequence[Fact]) -> None:
        """Return when they are durable. While the log is away what waits here stays bounded."""
        while True:
            try:
                return await self._record(facts)
            except Unavailable as error:
                await self._pause(max(_AGAIN_AFTER, error.retry_after))

    def _say(self, source: str, asked: _Asked, what: str) -> None:
        """At most once a minute: a token that is refused is refused for each item."""
        now = self._clock()
        if asked.said_at is None or now - asked.said_at >= _SAY_EVERY:
            asked.said_at = now
            _log.warning("hydration_failed source=%s: %s", source, what)


def unseen(source: str, rereadings: Mapping[str, Rereading] = REREADINGS) -> str:
    """What is not seen of this source without a token, and the setting that gives one."""
    variable = environment_name(("sources", source, "api_token"))
    return f"without a token its webhooks don't tell {rereadings[source].unseen}: set {variable}"
