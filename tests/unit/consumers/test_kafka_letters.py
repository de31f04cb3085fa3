"""The copy of dead letters when its client brings nothing."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from redis.asyncio import Redis

from consumers.kafka_letters import KafkaLetters


class Stored:
    """A Redis in which no letter was ever copied."""

    def get_connection_kwargs(self) -> dict[str, Any]:
        return {}

    async def get(self, name: str) -> None:
        return None


class Silent:
    """A client that reads nothing, as one does that got stuck; its topic ends at each of these offsets in turn."""

    def __init__(self, ends: list[int]) -> None:
        self.ends = ends
        self.reads = 0

    def assign(self, places: list[Any]) -> None: ...

    def seek(self, place: Any, offset: int) -> None: ...

    async def position(self, place: Any) -> int:
        return 0

    async def getmany(self, *places: Any, timeout_ms: int) -> dict[Any, Any]:
        self.reads += 1
        return {}

    async def end_offsets(self, places: list[Any]) -> dict[Any, int]:
        if self.reads > len(self.ends):
            raise asyncio.CancelledError
        return dict.fromkeys(places, self.ends[self.reads - 1])


def letters() -> KafkaLetters:
    return KafkaLetters({}, "letters", cast(Redis, Stored()), 10)


async def test_a_client_that_brings_nothing_though_there_are_letters_starts_anew() -> None:
    client = Silent([3] * 20)
    with pytest.raises(TimeoutError, match="brings none"):
        await letters()._copy_from(client)
    assert client.reads == 5


async def test_while_there_are_none_it_waits() -> None:
    client = Silent([0, 1, 1, 0] * 5)
    with pytest.raises(asyncio.CancelledError):
        await letters()._copy_from(client)
    assert client.reads == 21
