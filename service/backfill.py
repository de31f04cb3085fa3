"""Reads a history page by page and posts its facts. After each page it notes how far it has come.

A page is noted only when all its facts are in the log, so an interrupted backfill goes on with the page that it was at.
What it posts twice, and what webhooks told already, counts once: the ids are the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from flow.errors import NotFound, Reason, Rejected, Unavailable
from flow.facts import Fact, SignalFact
from flow.instants import DAY, SECOND
from flow.native_lines import native_line
from flow.native_problems import problems_of
from service.backfill_position import BackfillPosition
from service.histories.pages import MOST_PAGES, Page, Step
from service.import_sending import MOST_BYTES, PATIENCE

MOST_FACTS: Final = 500
"""In one request."""

_FIRST_PAUSE: Final = SECOND // 2
_LONGEST_PAUSE: Final = 30 * SECOND


@dataclass(frozen=True, slots=True)
class Watcher:
    """Who is told how it goes on: `at` of a step how many are read of how many, `say` a line for people."""

    at: Callable[[str, int, int | None], None]
    say: Callable[[str], None]


class Backfill:
    """One backfill. `post` returns when these lines are durable; `save` keeps the position; `clock` gives ms."""

    def __init__(
        self,
        steps: Sequence[Step],
        position: BackfillPosition,
        *,
        post: Callable[[bytes], None],
        save: Callable[[BackfillPosition], None],
        watcher: Watcher,
        clock: Callable[[], int],
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._steps = steps
        self.position = position
        self._post = post
        self._save = save
        self._watcher = watcher
        self._clock = clock
        self._pause = pause

    async def run(self) -> None:
        """Read all steps that are not done. Raises Unavailable, Unauthorised, Rejected; the position is kept."""
        for step in self._steps:
            if step.name not in self.position.done:
                await self._read(step)
        self.position.whole = True
        self._save(self.position)

    async def _read(self, step: Step) -> None:
        position = self.position
        if position.step != step.name:
            position.step, position.page, position.read = step.name, None, 0
        total, resumed = None, position.page is not None
        for _ in range(MOST_PAGES):
            self._watcher.at(step.name, position.read, total)
            try:
                page = await step.read(position.page)
            except (Rejected, NotFound) as error:
                if not resumed:
                    raise
                self._watcher.say(f"{step.name}: the page that was next is gone ({error.message}): from its start")
                position.page, position.read, resumed = None, 0, False
                continue
            resumed = False
            total = page.total if page.total is not None else total
            await self._take(page, step.name)
            if position.page is None:
                break
        self._watcher.at(step.name, position.read, position.read)
        position.done.append(step.name)
        position.step, position.page, position.read = None, None, 0
        self._save(position)

    async def _take(self, page: Page, name: str) -> None:
        """Post the page's facts, then note it."""
        for problem in page.not_understood:
            self._leave_out(problem)
        for lines in batches(self._lines(page.facts)):
            await self._send(lines)
            self.position.facts += len(lines)
        if page.next is not None and page.next == self.position.page:
            raise Rejected(Reason.INVALID_REQUEST, f"{name}: the provider names the same page as its next one: stopped")
        self.position.page = page.next
        self.position.read += page.read
        self._save(self.position)

    def _lines(self, facts: Sequence[Fact]) -> Iterator[bytes]:
        latest = self._clock() + DAY
        for fact in facts:
            if isinstance(fact, SignalFact):  # the receiver makes these itself
                continue
            line = native_line(fact)
            problems = problems_of(line, latest)
            if problems:
                self._leave_out(f"{fact.id}: {'; '.join(text for _, text in problems)}")
            else:
                yield line

    def _leave_out(self, problem: str) -> None:
        self.position.left_out += 1
        self._watcher.say(f"Left out: {problem}")

    async def _send(self, lines: Sequence[bytes]) -> None:
        waited, backoff = 0, _FIRST_PAUSE
        while True:
            try:
                return await asyncio.to_thread(self._post, b"\n".join(lines))
            except Unavailable as error:
                if waited >= PATIENCE:
                    raise
                delay = max(backoff, min(error.retry_after * SECOND, PATIENCE))
                self._watcher.say(f"Waiting {delay / SECOND:g} s: {error.message}")
                await self._pause(delay / SECOND)
                waited += delay
                backoff = min(_LONGEST_PAUSE, backoff * 2)


def batches(lines: Iterator[bytes]) -> Iterator[list[bytes]]:
    """At most MOST_FACTS and about MOST_BYTES together."""
    batch: list[bytes] = []
    size = 0
    for line in lines:
        if batch and (len(batch) >= MOST_FACTS or size + len(line) > MOST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(line)
        size += len(line) + 1
    if batch:
        yield batch
