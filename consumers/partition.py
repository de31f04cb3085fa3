"""One partition of the log: what is read becomes commits, in order, one atomic commit per stream and batch."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from redis.asyncio import Redis

from consumers.commit import Commit, Committer
from consumers.dead_letters import DeadLetters, RejectionLimit
from consumers.generations import open_generations
from consumers.lane_state import LaneState
from consumers.log import Batch
from consumers.measurements import Measurements, times_by_source
from consumers.routing import Refused, Sorted, sort_batch
from consumers.stream_state import Bounds, StreamState
from flow.definitions import Definitions
from flow.keys import DELIVERIES
from flow.matching import Router

Clock = Callable[[], int]


_MOST_EXPIRED: Final = 500


@dataclass(frozen=True, slots=True)
class Work:
    """What all partitions of one worker share."""

    redis: Redis
    definitions: Definitions
    bounds: Bounds
    keep_letters: int
    clock: Clock
    measurements: Measurements


class Partition:
    """The state of every stream as this partition makes it, and how far each is."""

    def __init__(self, number: int, work: Work) -> None:
        self.number = number
        self.position = 0
        self._work = work
        self._router = Router(work.definitions)
        self._committer = Committer(work.redis)
        self._letters = DeadLetters(work.redis, number, work.keep_letters)
        self._limit = RejectionLimit()
        self._states: dict[str, StreamState] = {}
        self._lanes: LaneState
        self._times: dict[int, dict[str, list[int]]] = {}

    async def load(self) -> None:
        """Read all positions; reading goes on behind the lowest of them."""
        work = self._work
        opened = await open_generations(work.redis, work.definitions)
        for name, stream in work.definitions.streams.items():
            state = self._states[name] = StreamState(work.redis, stream, opened[name], self.number, work.bounds)
            await state.load()
        self._lanes = LaneState(work.redis, opened[DELIVERIES], self.number, work.bounds)
        await self._lanes.load()
        await self._letters.load()
        self.position = min(state.position or 0 for state in (*self._all_states(), self._letters))

    def _all_states(self) -> Iterator[StreamState | LaneState]:
        yield from self._states.values()
        yield self._lanes

    async def prepare(self, batch: Batch) -> Sorted:
        """Decode and route a batch, and have in memory what `fold` needs of it.

        Asked for before a commit is sent, it has not to wait for that one. Raises NearlyAllRejected before anything of
        the batch is committed.
        """
        positions = {name: state.position or 0 for name, state in self._states.items()}
        positions[DELIVERIES] = self._lanes.position or 0
        found = sort_batch(batch, self._router, self._work.clock(), positions)
        self._limit.note(len(batch.offsets), (letter.reason for letter in found.letters))
        for name, facts in found.items.items():
            found.held[name] = await self._states[name].items_of(facts)
        return found

    async def fold(self, found: Sorted) -> list[Commit]:
        """Fold a batch that is prepared into the state in memory."""
        now, position = self._work.clock(), found.batch.offsets[-1]
        commits: list[Commit] = []
        refused: list[Refused] = []
        for name, facts in found.items.items():
            commit, some = await self._states[name].apply(facts, found.held[name], position, now)
            commits.append(commit)
            refused += some
        if found.lanes:
            commit, some = await self._lanes.apply(found.lanes, position, now)
            commits.append(commit)
            refused += some
        await self._letters.keep(found.letters_for(refused), now)
        self._times[position] = times_by_source((*found.items.values(), found.lanes))
        new_letters = [letter for letter in found.letters if letter.offset > (self._letters.position or 0)]
        if new_letters:
            commits.append(self._letters.commit(new_letters, position, now))
        self.position = position
        return commits

    async def commit(self, commits: Sequence[Commit]) -> None:
        """Make some commits durable. Raises PositionConflict when another worker has been here."""
        if commits:
            await self._committer.execute(commits)

    async def send(self, commits: Sequence[Commit], batch: Batch) -> Coroutine[Any, Any, None]:
        """Send what a batch changes; awaiting what is returned makes it durable, and raises as `commit` does."""
        began = self._work.clock()
        return self._measured(await self._committer.send(commits), batch, began)

    async def _measured(self, answer: Coroutine[Any, Any, None], batch: Batch, began: int) -> None:
        await answer
        done, measurements = self._work.clock(), self._work.measurements
        measurements.committed(len(batch.offsets), done - began, done - batch.received_at)
        measurements.shown(self._times.pop(batch.offsets[-1], {}), done, done - batch.received_at)

    def shrink(self) -> None:
        """Let go of what was not used for long. Call it only when all commits but the latest are done."""
        for state in self._states.values():
            state.shrink()

    def idle_commits(self) -> list[Commit]:
        """Moves every state that had nothing to do up to where this partition is: a restart reads less.

        Call it only when all commits are done.
        """
        self._lanes.shrink()
        commits = [
            state.commit_to(self.position) for state in self._all_states() if (state.position or 0) < self.position
        ]
        if (self._letters.position or 0) < self.position:
            commits.append(self._letters.commit((), self.position, 0))
        return commits

    async def expiry_commits(self, owns: Callable[[str], bool]) -> list[Commit]:
        """Removes done items that were last written too long ago, some at a time."""
        now, commits = self._work.clock(), []
        for state in self._states.values():
            names = [name for name in await state.items_to_expire(now, _MOST_EXPIRED) if owns(name)]
            if names:
                commits.append(state.expire(names, state.position or 0))
        return commits
