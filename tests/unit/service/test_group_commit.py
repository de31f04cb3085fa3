"""The queue of the log writers, without a log."""

from __future__ import annotations

import asyncio

import pytest

from flow.errors import Reason, Unavailable
from service.bounds import AppendBounds
from service.group_commit import Append, GroupCommit


class Writer(GroupCommit[Append]):
    """Writes nothing, when it may. `groups` is how many appends each round trip had."""

    def __init__(self, most_pending=10):
        super().__init__(AppendBounds(most_pending=most_pending), lambda seconds: None)
        self.may_write = asyncio.Event()
        self.groups: list[int] = []
        self.closed = False

    async def _write(self, group):
        self.groups.append(len(group))
        await self.may_write.wait()
        for append in group:
            append.waiting.set_result(None)

    async def _close(self):
        self.closed = True

    def append(self, facts=1):
        return self._enqueue(Append(asyncio.get_running_loop().create_future(), facts, 100))

    def give_up(self, chosen):
        self._give_up(lambda append: append.waiting is chosen)


async def under_way(writer):
    """One append whose round trip does not end."""
    first = writer.append()
    while not writer.groups:
        await asyncio.sleep(0)
    return first


async def test_what_comes_while_a_group_is_written_goes_in_the_next():
    async with Writer() as writer:
        first = await under_way(writer)
        others = [writer.append() for _ in range(3)]
        writer.may_write.set()
        await asyncio.gather(first, *others)
        assert writer.groups == [1, 3]
    assert writer.closed


async def test_who_waited_too_long_is_told_and_leaves_room_for_others():
    async with Writer(most_pending=3) as writer:
        first = await under_way(writer)
        late, other = writer.append(), writer.append()
        with pytest.raises(Unavailable) as refused:
            writer.append()
        assert refused.value.reason is Reason.OVERLOADED
        writer.give_up(late)
        with pytest.raises(Unavailable) as told:
            await late
        assert told.value.reason is Reason.LOG_UNAVAILABLE
        last = writer.append()
        writer.may_write.set()
        await asyncio.gather(first, other, last)
        assert writer.groups == [1, 2]


async def test_nobody_is_left_waiting_when_writing_ends_with_an_error():
    writer = Writer()
    found: list[asyncio.Future[None]] = []

    async def fail(group):
        found.append(writer.append())
        raise ZeroDivisionError

    writer._write = fail  # type: ignore[method-assign]

    async def use():
        async with writer:
            found.append(writer.append())
            await asyncio.wait(found)

    with pytest.raises(ExceptionGroup):
        await use()
    for waiting in found:
        with pytest.raises(Unavailable, match="stopping"):
            await waiting
    with pytest.raises(Unavailable, match="stopping"):
        writer.append()
    assert writer.closed
