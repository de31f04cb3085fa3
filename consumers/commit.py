"""One atomic step: new timelines, rows and stage sets, and the position they came from; or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha1
from importlib.resources import files
from typing import Any, Final

from redis.asyncio import ConnectionPool, Redis
from redis.exceptions import AskError, ClusterDownError, NoScriptError, ResponseError, TryAgainError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from consumers.nodes import nodes_of
from consumers.wire import Argument, packed
from flow.errors import PositionConflict

_CHUNK: Final = 4000
"""Arguments of one command inside the script: Lua can't unpack more than about 8,000 values."""

_ELSEWHERE: Final = (AskError, TryAgainError, ClusterDownError)
"""What a node of a cluster answers that doesn't hold the stream now: it has done nothing. MOVED is an AskError too."""


@dataclass(slots=True)
class Commit:
    """What one batch writes to one stream's state. Positions are offsets of the log; None: nothing read yet."""

    stream: str
    position_key: str
    generation_key: str
    generation: str
    expected: int | None
    position: int
    keys: list[str] = field(default_factory=list)
    arguments: list[Argument] = field(default_factory=list)

    def write(
        self, key: str, command: str, arguments: Sequence[Argument], group: int = 1, first: Sequence[Argument] = ()
    ) -> None:
        """Add `command key *first *arguments`, in chunks that keep groups of `group` arguments together."""
        size = _CHUNK // group * group
        for start in range(0, len(arguments), size):
            chunk = arguments[start : start + size]
            self.keys.append(key)
            self.arguments += (command, len(first) + len(chunk))
            self.arguments += first
            self.arguments += chunk

    def script_keys(self) -> list[str]:
        """KEYS of the script."""
        return [self.position_key, self.generation_key, *self.keys]

    def script_arguments(self) -> list[Argument]:
        """ARGV of the script."""
        expected: Argument = "" if self.expected is None else self.expected
        return [expected, self.position, self.generation, *self.arguments]


class Committer:
    """Executes commits. Those of one call go in one round trip to each node; each is atomic by itself."""

    def __init__(self, redis: Redis) -> None:
        self._nodes = nodes_of(redis)
        self._script = files("consumers").joinpath("commit.lua").read_text()
        self._digest = sha1(self._script.encode(), usedforsecurity=False).hexdigest()

    async def execute(self, commits: Sequence[Commit]) -> None:
        """Raises PositionConflict when any was refused; the others of the call may have been committed.

        Raises the client's ConnectionError when a node failed, or doesn't hold a stream any more. Nothing is sent
        again: whether the failed ones were committed is known only from the stored positions.
        """
        parts: dict[ConnectionPool, list[Commit]] = {}
        for commit in commits:
            parts.setdefault(await self._nodes.pool_of(commit.position_key), []).append(commit)
        sent: list[_Sent] = []
        try:
            for pool, some in parts.items():
                sent.append(await self._send(pool, some))
        except BaseException as error:
            for each in sent:
                await each.let_go(whole=False)
            self._note(error)
            raise
        await self._answered(sent)

    async def _send(self, pool: ConnectionPool, commits: Sequence[Commit]) -> _Sent:
        connection: Any = await pool.get_connection()  # type: ignore[no-untyped-call]
        sent = _Sent(pool, connection, commits)
        try:
            await self._write(connection, commits)
        except BaseException:
            await sent.let_go(whole=False)
            raise
        return sent

    async def _write(self, connection: Any, commits: Sequence[Commit]) -> None:
        await connection.send_packed_command([packed(self._words(each)) for each in commits])

    async def _answered(self, sent: Sequence[_Sent]) -> None:
        """Hear all nodes out before any of their errors is raised: no connection is left with an answer in it."""
        outcomes = await asyncio.gather(*map(self._answers, sent), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                self._note(outcome)
                raise outcome
        pairs = [pair for outcome in outcomes if not isinstance(outcome, BaseException) for pair in outcome]
        for _, answer in pairs:
            if isinstance(answer, Exception):
                self._note(answer)
                raise _away(answer)
        conflicts = [commit.stream for commit, accepted in pairs if not accepted]
        if conflicts:
            raise refused(conflicts)

    async def _answers(self, sent: _Sent) -> list[tuple[Commit, Any]]:
        """Each commit with its answer, or with the error that the server answered."""
        connection, commits = sent.connection, sent.commits
        whole = False
        try:
            done = [await _answer(connection) for _ in commits]
            unknown = [place for place, answer in enumerate(done) if isinstance(answer, NoScriptError)]
            if unknown:
                await connection.send_command("SCRIPT LOAD", self._script)
                await connection.read_response()
                await self._write(connection, [commits[place] for place in unknown])
                for place in unknown:
                    done[place] = await _answer(connection)
            whole = True
        finally:
            await sent.let_go(whole)
        return list(zip(commits, done, strict=True))

    def _note(self, error: BaseException) -> None:
        if isinstance(error, (*_ELSEWHERE, RedisConnectionError, RedisTimeoutError, OSError)):
            self._nodes.lost(error)

    def _words(self, commit: Commit) -> list[Argument]:
        names = commit.script_keys()
        return ["EVALSHA", self._digest, len(names), *names, *commit.script_arguments()]


@dataclass(frozen=True, slots=True)
class _Sent:
    """Commits that one node has been sent, over this connection of this pool."""

    pool: ConnectionPool
    connection: Any
    commits: Sequence[Commit]

    async def let_go(self, whole: bool) -> None:
        """Give the connection back; one that still owes answers can't be used again."""
        if not whole:
            await self.connection.disconnect(nowait=True)
        await self.pool.release(self.connection)


async def _answer(connection: Any) -> Any:
    try:
        return await connection.read_response()
    except ResponseError as error:
        return error


def _away(error: Exception) -> Exception:
    """What to raise for what a server answered: a node without the stream is like a server that is away."""
    if isinstance(error, _ELSEWHERE):
        return RedisConnectionError(f"the cluster is changing: {type(error).__name__}: {error}")
    return error


def refused(streams: Sequence[str]) -> PositionConflict:
    """The error that says that commits of these streams are refused."""
    return PositionConflict(
        f"the position or generation of {', '.join(streams)} is not the one this worker read: another worker "
        "has this partition now; this one drops what it holds and reads again"
    )
