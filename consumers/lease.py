"""One process of many does a job: who holds the lease in Redis, for as long as it renews it.

A lease alone is not safe: a process that was paused for longer than the lease lasts still thinks that it holds it. So
each holder gets a number that only grows, and what it writes carries that number: see `write_fenced`.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha1
from importlib.resources import files
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

LENGTH: Final = 6_000
"""Milliseconds after which the lease of a process that ended without a word is free."""


class _Script:
    def __init__(self, name: str) -> None:
        self._text = files("consumers").joinpath(name).read_text()
        self._digest = sha1(self._text.encode(), usedforsecurity=False).hexdigest()

    async def run(self, redis: Redis, keys: list[str], arguments: list[str | bytes | int]) -> Any:
        try:
            answer: Any = await redis.evalsha(self._digest, len(keys), *keys, *arguments)
        except NoScriptError:
            answer = await redis.eval(self._text, len(keys), *keys, *arguments)
        return answer


_lease: Final = _Script("lease.lua")
_fenced: Final = _Script("fenced_write.lua")


class Lease:
    """The right to do a job. `key` holds the number of who has it, `numbers` the last one given; both in one slot."""

    def __init__(self, redis: Redis, key: str, numbers: str, length: int = LENGTH) -> None:
        self.number = 0
        self._redis = redis
        self._keys = [key, numbers]
        self._length = length

    async def hold(self) -> bool:
        """Take the lease if it is free, renew it if it is ours. Whether it is ours now."""
        self.number = int(await _lease.run(self._redis, self._keys, ["hold", self.number, self._length]))
        return self.number > 0

    async def release(self) -> None:
        """Let go of it, if it is ours: another process need not wait until it ends."""
        if self.number:
            await _lease.run(self._redis, self._keys, ["release", self.number, 0])
            self.number = 0

    async def outgrow(self, number: int) -> None:
        """A write met this number, which is higher than ours.

        Where somebody else holds the lease by now, that is as it should be. Where it is still ours, Redis has lost the
        count: the next holder gets a higher number.
        """
        if self.number:
            await _lease.run(self._redis, self._keys, ["outgrow", self.number, number])
            self.number = 0


async def write_fenced(redis: Redis, key: str, number: int, fields: Mapping[str, bytes]) -> int:
    """Write fields of a hash, unless a later holder of the lease has written it: then returns its number, else 0."""
    arguments: list[str | bytes | int] = [number]
    for name, value in fields.items():
        arguments += [name, value]
    return int(await _fenced.run(redis, [key], arguments))
