"""The Redis client sometimes swallows a cancellation. A worker that is told to end ends all the same."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import pytest

from consumers import aggregator
from consumers.aggregator import Aggregator, Identity
from consumers.measurements import Measurements
from consumers.partition import Work
from consumers.stream_state import Bounds
from flow.definitions import Definitions


class Swallowing:
    """Stands for Redis and for the log: waits for ever, and answers nothing in particular when it is cancelled."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.swallows = True

    async def wait(self, answer: Any) -> Any:
        self.asked.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if not self.swallows:
                raise
        return answer

    async def hgetall(self, name: str) -> dict[bytes, bytes]:
        return await self.wait({})

    async def hset(self, *row: object) -> None:
        """Nothing is shown."""

    def expect(self, partition: int, offset: int) -> None:
        """Nothing is known."""

    async def read(self, partition: int, after: int, *, wait: bool = True) -> None:
        await self.wait(None)


class Idle:
    """A partition with nothing to do."""

    position = furthest = 0

    def __init__(self, number: int, work: Work) -> None:
        self.number = number

    async def load(self) -> None:
        """There is nothing."""

    async def expiry_commits(self, owns: object) -> list[object]:
        return []

    def idle_commits(self) -> list[object]:
        return []

    def rest(self) -> None:
        """It always does."""

    def shrink(self) -> None:
        """It holds nothing."""


@contextlib.asynccontextmanager
async def running(work: Coroutine[Any, Any, None], outside: Swallowing) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(work)
    try:
        async with asyncio.timeout(30):
            await outside.asked.wait()
        yield task
    finally:
        outside.swallows = False
        task.cancel()
        await asyncio.wait({task})


@pytest.mark.parametrize("part", ["publishing", "following"])
async def test_a_swallowed_cancellation_counts(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aggregator, "_PUBLISH_EVERY", 0)
    monkeypatch.setattr(aggregator, "Partition", Idle)
    outside: Any = Swallowing()
    work = Work(outside, Definitions({}), Bounds(), 100, lambda: 0, Measurements(0))
    worker = Aggregator(outside, work, Identity("one", 1))
    async with running(worker._publish() if part == "publishing" else worker._follow(0), outside) as task:
        task.cancel()
        await asyncio.wait({task}, timeout=30)
        assert task.cancelled()
