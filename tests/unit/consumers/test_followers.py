"""Partitions come and go while commits are under way."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from consumers import followers as followers_module
from consumers.followers import Followers, Gate


class Work:
    """Each follower enters the gate once, then waits. Keeps which started, which got through, which ended."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.started: list[int] = []
        self.sent: list[int] = []
        self.ended: list[int] = []

    async def follow(self, number: int) -> None:
        self.started.append(number)
        try:
            await self.gate.enter()
            self.sent.append(number)
            self.gate.leave()
            await asyncio.Event().wait()
        finally:
            self.ended.append(number)


async def with_followers(test: Callable[[Followers, Work], Awaitable[Any]]) -> None:
    gate = Gate()
    work = Work(gate)
    async with asyncio.TaskGroup() as group:
        followers = Followers(group, gate, work.follow)
        await test(followers, work)
        await followers.own([])
    assert sorted(work.ended) == sorted(work.started)


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_stays_is_followed_on_and_only_what_is_new_is_started():
    async def test(followers: Followers, work: Work) -> None:
        await followers.own([0, 1])
        await turns()
        await followers.hold()
        await followers.own([1, 2])
        await turns()
        assert work.started == [0, 1, 2]
        assert work.ended == [0]

    await with_followers(test)


async def test_a_partition_that_comes_back_is_started_anew_after_its_follower_has_ended():
    async def test(followers: Followers, work: Work) -> None:
        for partitions in ([0], [], [0]):
            await followers.hold()
            await followers.own(partitions)
            await turns()
        assert work.started == [0, 0]
        assert work.ended == [0]

    await with_followers(test)


async def test_nothing_is_sent_between_hold_and_own():
    gate = Gate()
    gate.open()
    assert await gate.close(1)
    entering = asyncio.ensure_future(gate.enter())
    await turns()
    assert not entering.done()
    gate.open()
    await entering
    gate.leave()


async def test_hold_waits_for_what_is_under_way():
    gate = Gate()
    gate.open()
    await gate.enter()
    await gate.enter()
    closing = asyncio.ensure_future(gate.close(10))
    await turns()
    gate.leave()
    await turns()
    assert not closing.done()
    gate.leave()
    assert await closing


async def test_hold_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    monkeypatch.setattr(followers_module, "_HOLD_WITHIN", 0.01)

    async def test(followers: Followers, work: Work) -> None:
        await followers.own([0])
        await work.gate.enter()
        await followers.hold()
        assert "commit_still_under_way" in caplog.text
        work.gate.leave()

    await with_followers(test)


@pytest.mark.parametrize("swallowed", [1, 2])
async def test_a_follower_that_missed_that_it_must_end_holds_up_neither_the_gate_nor_the_partitions(
    swallowed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Redis client may swallow a cancellation; the follower then comes to a gate that opens after its own end."""
    monkeypatch.setattr(followers_module, "_AGAIN_AFTER", 0.01)
    gate = Gate()
    ended = []

    async def follow(number: int) -> None:
        for _ in range(swallowed):
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
        try:
            await gate.enter()
        finally:
            ended.append(number)

    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        followers = Followers(group, gate, follow)
        await followers.own([0])
        await turns()
        await followers.hold()
        await followers.own([])
    assert ended == [0]


async def test_who_was_told_to_end_does_not_wait_at_the_gate() -> None:
    gate = Gate()

    async def follow() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await gate.enter()

    following = asyncio.create_task(follow())
    await turns()
    following.cancel()
    await asyncio.wait({following}, timeout=30)
    assert following.cancelled()
