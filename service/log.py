"""The writing side of the log: an append returns when its facts are durable.

Group commit: all appends of one turn of the event loop go in one round trip, and what comes while it is under way goes
in the next. That costs an append a few microseconds, and makes an fsync per round trip nearly free under load.
"""

from __future__ import annotations

import asyncio
import logging
from asyncio import Future, TaskGroup
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha1
from importlib.resources import files
from types import TracebackType
from typing import Final, Protocol, Self

from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError

from flow import keys
from flow.errors import Reason, SettingsError, Unavailable
from flow.facts import ChangeFact, DeploymentFact, Fact
from flow.instants import SECOND
from flow.matching import Router
from service.dead_letters import DeliveryLetter
from service.log_blocks import Block, Line, blocks_of, lines_of
from service.log_connection import LogConnection, Words

MOST_PENDING_BYTES: Final = 256 * 1024 * 1024

_MOST_TURNS: Final = 8
"""Turns of the event loop that a group may gather for: some hundred microseconds when the process is busy."""

_APPEND: Final = (files("service") / "append.lua").read_text(encoding="utf-8")
_SHA: Final = sha1(_APPEND.encode(), usedforsecurity=False).hexdigest()
_log: Final = logging.getLogger(__name__)


class LogWriter(Protocol):
    """What the routes ask of the log, whether it is Kafka or a Redis stream."""

    async def append(self, facts: Sequence[Fact]) -> None:
        """Return when all of them are durable. Raises Unavailable (log_unavailable, overloaded): send them again."""

    async def append_letter(self, letter: DeliveryLetter) -> None:
        """Return when the letter is durable. Raises Unavailable as `append`."""


@dataclass(frozen=True, slots=True)
class AppendBounds:
    """How much may wait. `within` is the longest that an append waits, in milliseconds; `keep_letters` a number."""

    most_pending: int = 50_000
    within: int = 5 * SECOND
    keep_letters: int = 10_000


def with_signals(facts: Sequence[Fact], router: Router) -> list[Fact]:
    """The facts, and behind each change or deployment what it says of the items that it names."""
    found: list[Fact] = []
    for fact in facts:
        found.append(fact)
        if isinstance(fact, (ChangeFact, DeploymentFact)):
            found += router.signals_of(fact)
    return found


async def open_log(redis: Redis, partitions: int) -> None:
    """Settle at first how many partitions the log has: a subject must never move to another one.

    Raises SettingsError when it has another number, Unavailable (log_unavailable) when it can't be reached.
    """
    try:
        await redis.set(keys.LOG_PARTITIONS, partitions, nx=True)
        settled = int(await redis.get(keys.LOG_PARTITIONS) or partitions)
    except (RedisError, OSError) as error:
        _note(error)
        raise _unwritable() from None
    if settled != partitions:
        fix = f"write {settled}, or start with an empty log"
        raise SettingsError([f"STREAMGAUGE_LOG__PARTITIONS: the log has {settled} partitions, not {partitions}: {fix}"])


@dataclass(slots=True)
class _Append:
    """One append that waits. `size` is in bytes."""

    waiting: Future[None]
    size: int
    lines: Sequence[Line] = ()
    letter: DeliveryLetter | None = None


@dataclass(frozen=True, slots=True)
class _Command:
    """One command, and the appends that wait for it."""

    words: Words
    waiting: list[Future[None]]


class RedisLogWriter:
    """Appends to the Redis streams that `consumers.redis_log` reads. Use it as an async context: it drains at the end.

    `clock` gives milliseconds since the epoch; `observe` is told the seconds that each round trip took.
    """

    def __init__(
        self,
        redis: Redis,
        partitions: int,
        clock: Callable[[], int],
        bounds: AppendBounds = AppendBounds(),
        observe: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        self._connection = LogConnection(redis)
        self._partitions = partitions
        self._clock = clock
        self._bounds = bounds
        self._observe = observe
        self._queue: list[_Append] = []
        self._facts = 0  # in the queue or under way, as the next
        self._bytes = 0
        self._wake = asyncio.Event()
        self._closing = False
        self._group = TaskGroup()

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        self._group.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing = True
        self._wake.set()
        try:
            await self._group.__aexit__(kind, error, trace)
        finally:
            await self._connection.close()

    async def append(self, facts: Sequence[Fact]) -> None:
        """Return when all of them are durable. Raises Unavailable (log_unavailable, overloaded): send them again."""
        if facts:
            lines = lines_of(facts, self._partitions)
            size = sum(len(line) for _, line in lines)
            await self._enqueue(_Append(asyncio.get_running_loop().create_future(), size, lines))

    async def append_letter(self, letter: DeliveryLetter) -> None:
        """Return when the letter is durable. Raises Unavailable as `append`."""
        waiting = asyncio.get_running_loop().create_future()
        await self._enqueue(_Append(waiting, len(letter.body), letter=letter))

    def _enqueue(self, append: _Append) -> Future[None]:
        """An append alone is never too much: what one request may hold is bounded where it is read."""
        if self._closing:
            raise _stopping()
        facts, size = self._facts + len(append.lines), self._bytes + append.size
        if self._bytes and (facts > self._bounds.most_pending or size > MOST_PENDING_BYTES):
            raise Unavailable(Reason.OVERLOADED, "too much waits to be written: send it again in a moment", 1)
        self._facts, self._bytes = facts, size
        self._queue.append(append)
        self._wake.set()
        return append.waiting

    async def _run(self) -> None:
        """Write group after group. However this ends, nobody is left waiting."""
        try:
            while not self._closing or self._queue:
                await self._wake.wait()
                self._wake.clear()
                await self._gather()
                if self._queue:
                    await self._write_queue()
        finally:
            self._closing = True
            _fail(self._queue, _stopping)

    async def _gather(self) -> None:
        """Wait a few turns of the event loop while each brings more: a busy process so writes fewer, larger groups."""
        for _ in range(_MOST_TURNS):
            waiting = len(self._queue)
            await asyncio.sleep(0)
            if len(self._queue) == waiting:
                return

    async def _write_queue(self) -> None:
        """One round trip for all that waits. It may take half of what an append may: the other half is the queue's."""
        group, self._queue = self._queue, []
        clock = asyncio.get_running_loop().time
        started = clock()
        try:
            async with asyncio.timeout(self._bounds.within / SECOND / 2):
                commands = self._commands(group)
                if commands:
                    await self._write(commands)
        except (RedisError, OSError) as error:
            _note(error)
            _fail(group, _unwritable)
        except BaseException:
            _fail(group, _stopping)
            raise
        finally:
            self._facts -= sum(len(append.lines) for append in group)
            self._bytes -= sum(append.size for append in group)
        for append in group:
            if not append.waiting.done():
                append.waiting.set_result(None)
        self._observe(clock() - started)

    def _commands(self, group: Sequence[_Append]) -> list[_Command]:
        now, keep = self._clock(), self._bounds.keep_letters
        waiting = [append for append in group if not append.waiting.done()]
        blocks = blocks_of((append.lines, append.waiting) for append in waiting)
        commands = [_block_command(block, now) for block in blocks]
        for append in waiting:
            if append.letter is not None:
                commands += _letter_commands(append.letter, append.waiting, keep)
        return commands

    async def _write(self, commands: Sequence[_Command]) -> None:
        """Raises RedisError or OSError when the round trip failed. What the server refuses fails those that it hits."""
        refused = await self._send(commands)
        unknown = [command for command, error in refused if isinstance(error, NoScriptError)]
        if unknown:  # a server that was restarted, or emptied, has forgotten the script; it did nothing
            await self._connection.exchange([("SCRIPT", "LOAD", _APPEND)])
            refused = [pair for pair in refused if not isinstance(pair[1], NoScriptError)]
            refused += await self._send(unknown)
        if refused:
            _note(refused[0][1])
        for future in (future for command, _ in refused for future in command.waiting):
            if not future.done():
                future.set_exception(_unwritable())

    async def _send(self, commands: Sequence[_Command]) -> list[tuple[_Command, RedisError]]:
        """The commands that the server refused."""
        replies = await self._connection.exchange([command.words for command in commands])
        pairs = zip(commands, replies, strict=True)
        return [(command, reply) for command, reply in pairs if isinstance(reply, RedisError)]


def _block_command(block: Block, now: int) -> _Command:
    names = (keys.log_facts(block.partition), keys.log_end(block.partition))
    return _Command(("EVALSHA", _SHA, 2, *names, len(block.lines), b"\n".join(block.lines), now), block.waiting)


def _letter_commands(letter: DeliveryLetter, waiting: Future[None], keep: int) -> list[_Command]:
    fields = [text for pair in letter.fields().items() for text in pair]
    count = ("HINCRBY", keys.LETTER_COUNTS, f"{letter.source}|{letter.reason}", 1)
    return [
        _Command(("XADD", keys.LETTERS, "MAXLEN", "~", keep, "*", *fields), [waiting]),
        _Command(count, [waiting]),
    ]


def _fail(appends: Iterable[_Append], error: Callable[[], Unavailable]) -> None:
    for append in appends:
        if not append.waiting.done():
            append.waiting.set_exception(error())


def _note(error: Exception) -> None:
    """For our log only: the error's text may hold an address."""
    _log.warning("log_unavailable error=%s text=%s", type(error).__name__, error)


def _unwritable() -> Unavailable:
    return Unavailable(Reason.LOG_UNAVAILABLE, "the log can't be written now: send it again in a few seconds")


def _stopping() -> Unavailable:
    return Unavailable(Reason.LOG_UNAVAILABLE, "this process is stopping: send it again")
