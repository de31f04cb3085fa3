"""One partition of the log: what is read becomes commits, in order, one atomic commit per stream and batch."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from redis.asyncio import Redis

from consumers.cell_rows import have_in_memory
from consumers.commit import Commit, Committer
from consumers.dead_letters import DeadLetters, Letter, RejectionLimit
from consumers.generations import open_generations
from consumers.lane_state import LaneState
from consumers.log import Batch
from consumers.measurements import Measurements
from consumers.recent import Room
from consumers.routing import Sorted, sort_batch
from consumers.stream_state import Bounds, StreamState
from flow import keys
from flow.definitions import Definitions
from flow.errors import PositionConflict
from flow.keys import DELIVERIES
from flow.matching import Router

Clock = Callable[[], int]


_BATCHES_IN_HAND: Final = 2
"""One that is folded, and one that is prepared."""

_MOST_EXPIRED: Final = 500
_MOST_MOVED: Final = 200
"""Positions of idle streams that are moved up in one turn."""

_MOST_SERVICES_EXPIRED: Final = 10


@dataclass(frozen=True, slots=True)
class Rooms:
    """How much all partitions of a worker may hold in memory together."""

    items: Room
    cells: Room


@dataclass(frozen=True, slots=True)
class Work:
    """What all partitions of one worker share."""

    redis: Redis
    definitions: Definitions
    bounds: Bounds
    keep_letters: int
    clock: Clock
    measurements: Measurements
    rooms: Rooms = field(init=False)

    def __post_init__(self) -> None:
        rooms = Rooms(Room(self.bounds.items_in_memory), Room(self.bounds.cells_in_memory))
        object.__setattr__(self, "rooms", rooms)


class Partition:
    """The state of every stream as this partition makes it, and how far each is."""

    def __init__(self, number: int, work: Work) -> None:
        self.number = number
        self.position = self.furthest = 0
        self._work = work
        self._router = Router(work.definitions)
        self._committer = Committer(work.redis)
        self._letters = DeadLetters(work.redis, number, work.keep_letters)
        self._limit = RejectionLimit()
        self._states: dict[str, StreamState] = {}
        self._lanes: LaneState
        self._times: dict[int, dict[str, list[int]]] = {}
        self._left_out: list[tuple[Commit, list[Letter]]] = []
        self._in_hand: deque[dict[str, int]] = deque(maxlen=_BATCHES_IN_HAND)
        self._sizes: dict[str, tuple[int, int]] = {}
        self._held = [0, 0]
        self._grown: set[str] = set()

    async def load(self) -> None:
        """Read all positions; reading goes on behind the lowest of them. `furthest` is the highest."""
        work = self._work
        opened = await open_generations(work.redis, work.definitions)
        pipeline = work.redis.pipeline(transaction=False)
        for name, stream in work.definitions.streams.items():
            self._states[name] = StreamState(work.redis, stream, opened[name], self.number, work.bounds)
            self._states[name].ask(pipeline)
        replies = iter(await pipeline.execute())
        for state in self._states.values():
            state.load(replies)
        self._lanes = LaneState(work.redis, opened[DELIVERIES], self.number, work.bounds)
        await self._lanes.load()
        await self._letters.load()
        positions = [each.position or 0 for each in (*self._all_states(), self._letters)]
        self.position, self.furthest = min(positions), max(positions)

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
        found = sort_batch(batch, self._router, positions)
        self._limit.note(len(batch.offsets), (letter.reason for letter in found.letters))
        await self.hold(found)
        return found

    async def hold(self, found: Sorted) -> None:
        """Have in memory the items of a prepared batch, as they are now. One round trip, however many streams."""
        held = {name: self._states[name].in_memory(briefs) for name, briefs in found.items.items()}
        pipeline = self._work.redis.pipeline(transaction=False)
        for name, (items, missing) in held.items():
            self._work.measurements.looked_up(len(items) - len(missing), len(missing))
            if missing:
                pipeline.hmget(self._states[name].keys.timelines, missing)
        replies = iter(await pipeline.execute() if len(pipeline) else ())
        for name, (items, missing) in held.items():
            found.held[name] = self._states[name].read_in(items, missing, next(replies) if missing else ())
        self._in_hand.append({name: len(items) for name, items in found.held.items()})
        self._grown.update(found.items)

    def rest(self) -> None:
        """There was no batch to prepare: what was in hand before the last one no longer is."""
        self._in_hand.append({})

    async def fold(self, found: Sorted) -> list[Commit]:
        """Fold a batch that is prepared into the state in memory."""
        now, position = self._work.clock(), found.batch.offsets[-1]
        commits: list[Commit] = []
        folded = {
            name: await self._states[name].take_in(briefs, found.held[name], found.told[name], now)
            for name, briefs in found.items.items()
        }
        await have_in_memory(self._work.redis, [each.cells for each in folded.values()])
        self._grown.update(folded)
        for name, each in folded.items():
            commit = self._states[name].commit_of(each, position, now)
            commits.append(commit)
            self._left_out.append((commit, found.letters_for(each.refused)))
        if found.lanes:
            commit, refused = await self._lanes.apply(found.lanes, position, now)
            commits.append(commit)
            self._left_out.append((commit, found.letters_for(refused)))
        self._times[position] = found.times
        new_letters = [letter for letter in found.letters if letter.offset > (self._letters.position or 0)]
        if new_letters:
            commits.append(self._letters.commit(new_letters, position, now))
        self.position = position
        found.batch = found.batch.without_lines()
        return commits

    async def commit(self, commits: Sequence[Commit]) -> None:
        """Make some commits durable. Raises PositionConflict when another worker has been here."""
        if commits:
            await self._committer.execute(commits)

    async def commit_batch(self, commits: Sequence[Commit], batch: Batch) -> None:
        """Make durable what a batch changes, and measure that. Raises as `commit` does."""
        began = self._work.clock()
        await self.keep_left_out(commits)
        await self._committer.execute(commits)
        done, measurements = self._work.clock(), self._work.measurements
        measurements.committed(len(batch.offsets), done - began, done - batch.received_at)
        measurements.shown(self._times.pop(batch.offsets[-1], {}), done, done - batch.received_at)

    async def keep_left_out(self, commits: Sequence[Commit]) -> None:
        """Write the letters of what these commits leave out. Call it when all commits before them are done."""
        sent = {id(commit) for commit in commits}
        told = [pair for pair in self._left_out if id(pair[0]) in sent]
        self._left_out = [pair for pair in self._left_out if id(pair[0]) not in sent]
        for commit, letters in told:
            await self._letters.keep(commit, letters, self._work.clock())

    async def check_stored(self) -> None:
        """Raises PositionConflict when the stored positions are not those of the last commits.

        Redis may have lost what it had, wholly or its last second. Where no fact comes any more no commit notices that.
        Call it only when all commits are done.
        """
        expected = {state.keys.position(self.number): state.position for state in self._all_states()}
        expected[keys.letters_position(self.number)] = self._letters.position
        pipeline = self._work.redis.pipeline(transaction=False)
        for name in expected:
            pipeline.get(name)
        found = [None if position is None else int(position) for position in await pipeline.execute()]
        lost = [name for (name, position), stored in zip(expected.items(), found, strict=True) if stored != position]
        if lost:
            raise PositionConflict(
                f"{lost[0]} and {len(lost) - 1} other positions are not those that this worker committed: Redis lost "
                "them, the state was rebuilt, or another worker has this partition now; this one reads again"
            )

    def shrink(self) -> None:
        """Let go of what was not used for long, but not of what batches in hand need.

        Call it only when all commits but the latest are done.
        """
        self._measure(self._grown)
        self._grown.clear()
        items, cells = self._held
        rooms = self._work.rooms
        items_kept, cells_kept = rooms.items.share_of(self, items), rooms.cells.share_of(self, cells)
        if (items_kept, cells_kept) == (items, cells):
            return
        for name, state in self._states.items():
            of_items, of_cells = state.held
            in_hand = sum(batch.get(name, 0) for batch in self._in_hand)
            state.shrink(items_kept * of_items // max(items, 1), cells_kept * of_cells // max(cells, 1), in_hand)
        self._measure(self._states)

    def _measure(self, names: Iterable[str]) -> None:
        """Note anew what the states of these streams hold: of the others it did not grow."""
        for name in names:
            before, held = self._sizes.get(name, (0, 0)), self._states[name].held
            self._sizes[name] = held
            for place in range(2):
                self._held[place] += held[place] - before[place]

    def idle_commits(self) -> list[Commit]:
        """Moves states that had nothing to do up to where this partition is: a restart reads less.

        Of very many streams those that are furthest behind go first, and the others at the next calls.

        Call it only when all commits are done.
        """
        self._lanes.shrink()
        behind = [state for state in self._all_states() if (state.position or 0) < self.position]
        behind.sort(key=lambda state: state.position or 0)
        commits = [state.commit_to(self.position) for state in behind[:_MOST_MOVED]]
        if (self._letters.position or 0) < self.position:
            commits.append(self._letters.commit((), self.position, 0))
        return commits

    async def expiry_commits(self, owns: Callable[[str], bool]) -> list[Commit]:
        """Removes done items and services that were last written too long ago, some at a time."""
        now, commits = self._work.clock(), []
        pipeline = self._work.redis.pipeline(transaction=False)
        for state in self._states.values():
            state.ask_to_expire(pipeline, now, _MOST_EXPIRED)
        for state, rows in zip(self._states.values(), await pipeline.execute(), strict=True):
            names = [name for name in (row.decode() for row in rows) if owns(name)]
            if names:
                commits.append(state.expire(names, state.position or 0))
        services = [name for name in await self._lanes.services_to_expire(now, _MOST_SERVICES_EXPIRED) if owns(name)]
        if services:
            commits.append(await self._lanes.expire(services, self._lanes.position or 0))
        return commits
