"""One atomic step: new timelines, rows and stage sets, and the position they came from; or nothing."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from hashlib import sha1
from importlib.resources import files
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import NoScriptError, ResponseError

from flow.errors import PositionConflict

Argument = str | bytes | int

_CHUNK: Final = 4000
"""Arguments of one command inside the script: Lua can't unpack more than about 8,000 values."""


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
    """Executes commits. Those of one call go in one round trip; each is atomic by itself."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._script = files("consumers").joinpath("commit.lua").read_text()
        self._digest = sha1(self._script.encode(), usedforsecurity=False).hexdigest()

    async def execute(self, commits: Sequence[Commit]) -> None:
        """Raises PositionConflict when any was refused; the others of the call may have been committed."""
        await (await self.send(commits))

    async def send(self, commits: Sequence[Commit]) -> Coroutine[Any, Any, None]:
        """Return when the server has been sent everything; awaiting what is returned is waiting for its answer.

        So the caller can compute while the server executes. What is returned raises as `execute` does.
        """
        pool: Any = self._redis.connection_pool
        connection = await pool.get_connection()
        try:
            await connection.send_packed_command(connection.pack_commands([self._words(each) for each in commits]))
        except BaseException:
            await self._let_go(connection, whole=False)
            raise
        return self._answered(connection, commits)

    async def _answered(self, connection: Any, commits: Sequence[Commit]) -> None:
        whole = False
        try:
            done = [await _answer(connection) for _ in commits]
            unknown = [index for index, answer in enumerate(done) if isinstance(answer, NoScriptError)]
            if unknown:
                await self._redis.script_load(self._script)
                again = [self._words(commits[index]) for index in unknown]
                await connection.send_packed_command(connection.pack_commands(again))
                for index in unknown:
                    done[index] = await _answer(connection)
            whole = True
        finally:
            await self._let_go(connection, whole)
        _check(commits, done)

    async def _let_go(self, connection: Any, whole: bool) -> None:
        """Give the connection back; one that still owes answers can't be used again."""
        if not whole:
            await connection.disconnect(nowait=True)
        await self._redis.connection_pool.release(connection)

    def _words(self, commit: Commit) -> tuple[Argument, ...]:
        names = commit.script_keys()
        return ("EVALSHA", self._digest, len(names), *names, *commit.script_arguments())


async def _answer(connection: Any) -> Any:
    try:
        return await connection.read_response()
    except ResponseError as error:
        return error


def _check(commits: Sequence[Commit], done: Sequence[Any]) -> None:
    for answer in done:
        if isinstance(answer, Exception):
            raise answer
    refused = [commit.stream for commit, ok in zip(commits, done, strict=True) if not ok]
    if refused:
        raise PositionConflict(
            f"the position or generation of {', '.join(refused)} is not the one this worker read: another worker "
            "has this partition now; this one drops what it holds and reads again"
        )
