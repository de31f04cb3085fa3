"""The writing side of the log: an append returns when its facts are durable.

What the log writers have in common is in `service.group_commit`.
"""

from __future__ import annotations

import asyncio
import logging
from asyncio import Future
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha1
from importlib.resources import files
from typing import Final, Protocol

from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError

from flow import keys
from flow.errors import SettingsError
from flow.facts import ChangeFact, DeploymentFact, Fact
from flow.instants import SECOND
from flow.matching import Router
from service.bounds import AppendBounds
from service.dead_letters import DeliveryLetter
from service.group_commit import Append, GroupCommit, fail, unwritable
from service.log_blocks import Block, Line, blocks_of, lines_of
from service.log_cluster import log_connection
from service.log_connection import Words

_APPEND: Final = (files("service") / "append.lua").read_text(encoding="utf-8")
_SHA: Final = sha1(_APPEND.encode(), usedforsecurity=False).hexdigest()
_log: Final = logging.getLogger(__name__)


class LogWriter(Protocol):
    """What the routes ask of the log, whether it is Kafka or a Redis stream."""

    async def append(self, facts: Sequence[Fact]) -> None:
        """Return when all of them are durable. Raises Unavailable (log_unavailable, overloaded): send them again."""

    async def append_letter(self, letter: DeliveryLetter) -> None:
        """Return when the letter is durable. Raises Unavailable as `append`."""


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
        raise unwritable() from None
    if settled != partitions:
        fix = f"write {settled}, or start with an empty log"
        raise SettingsError([f"STREAMGAUGE_LOG__PARTITIONS: the log has {settled} partitions, not {partitions}: {fix}"])


@dataclass(slots=True, eq=False)
class _Append(Append):
    """An append of encoded facts, or of one letter."""

    lines: Sequence[Line] = ()
    letter: DeliveryLetter | None = None


@dataclass(frozen=True, slots=True)
class _Command:
    """One command, and the appends that wait for it."""

    words: Words
    waiting: list[Future[None]]


class RedisLogWriter(GroupCommit[_Append]):
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
        super().__init__(bounds, observe)
        self._connection = log_connection(redis, bounds.replicas)
        self._partitions = partitions
        self._clock = clock

    async def append(self, facts: Sequence[Fact]) -> None:
        """Return when all of them are durable. Raises Unavailable (log_unavailable, overloaded): send them again."""
        if facts:
            lines = lines_of(facts, self._partitions)
            size = sum(len(line) for _, line in lines)
            await self._enqueue(_Append(asyncio.get_running_loop().create_future(), len(lines), size, lines))

    async def append_letter(self, letter: DeliveryLetter) -> None:
        """Return when the letter is durable. Raises Unavailable as `append`."""
        waiting = asyncio.get_running_loop().create_future()
        await self._enqueue(_Append(waiting, 0, len(letter.body), letter=letter))

    async def _close(self) -> None:
        await self._connection.close()

    async def _write(self, group: Sequence[_Append]) -> None:
        """It may take half of what an append may: the other half is the queue's."""
        try:
            async with asyncio.timeout(self._bounds.within / SECOND / 2):
                commands = self._commands(group)
                if commands:
                    await self._exchange(commands)
        except (RedisError, OSError) as error:
            _note(error)
            fail(group, unwritable)
        for append in group:
            if not append.waiting.done():
                append.waiting.set_result(None)

    def _commands(self, group: Sequence[_Append]) -> list[_Command]:
        now, keep = self._clock(), self._bounds.keep_letters
        waiting = [append for append in group if not append.waiting.done()]
        blocks = blocks_of((append.lines, append.waiting) for append in waiting)
        commands = [_block_command(block, now) for block in blocks]
        for append in waiting:
            if append.letter is not None:
                commands += _letter_commands(append.letter, append.waiting, keep)
        return commands

    async def _exchange(self, commands: Sequence[_Command]) -> None:
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
                future.set_exception(unwritable())

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


def _note(error: Exception) -> None:
    """For our log only: the error's text may hold an address."""
    _log.warning("log_unavailable error=%s text=%s", type(error).__name__, error)
