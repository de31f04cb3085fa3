"""The aggregator: follows the partitions that the log hands to this worker, and keeps the live state.

While a batch is being made durable the next one is read and folded: what the next one needs of it is in memory. Each
partition has at most one commit under way, so commits stay in the order of the log.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Any, Final

from consumers.commit import Commit
from consumers.followers import Followers, Gate, end_if_cancelled
from consumers.log import Batch, Log
from consumers.partition import Partition, Work
from consumers.portions import Portions
from consumers.routing import Sorted
from consumers.unavailable import PASSING, passes, waiting_for
from flow import keys
from flow.errors import PositionConflict
from flow.facts import partition_of
from flow.instants import SECOND
from flow.worker_metrics import unpack_worker

_logger = logging.getLogger("streamgauge.aggregator")

_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 5.0
_STEADY_AFTER: Final = 20 * SECOND
"""A partition that was followed so long begins with short pauses again: what ended it is a new trouble."""

_IDLE_EVERY: Final = 2 * SECOND
_EXPIRE_EVERY: Final = 60 * SECOND
_LOOK_EVERY: Final = 10 * SECOND
_PUBLISH_EVERY: Final = 1.0
_SILENT_AFTER: Final = 60 * 60 * SECOND


@dataclass(frozen=True, slots=True)
class Identity:
    """Which worker this is, and how many partitions the whole log has."""

    worker: str
    partitions: int


class Aggregator:
    """Runs until asked to stop; then finishes the batch in hand."""

    def __init__(self, log: Log, work: Work, identity: Identity) -> None:
        self._log = log
        self._work = work
        self._identity = identity
        self._stopping = asyncio.Event()
        self._gate = Gate()
        self._waiting: set[int] = set()

    def stop(self) -> None:
        """Finish what is in hand and return from `run`."""
        self._stopping.set()

    async def run(self) -> None:
        """Follow what is ours. What one partition can't get over ends them all: a restart reads on exactly."""
        async with asyncio.TaskGroup() as group:
            followers = Followers(group, self._gate, self._follow)
            log = group.create_task(self._log.follow(followers))
            publisher = group.create_task(self._publish())
            await self._stopping.wait()
            await followers.ended()
            log.cancel()
            publisher.cancel()

    async def _follow(self, number: int) -> None:
        try:
            await self._follow_on(number)
        finally:
            self._waiting.discard(number)

    async def _follow_on(self, number: int) -> None:
        pause, portions = _FIRST_PAUSE, Portions(self._log, number)
        while not self._stopping.is_set():
            partition = Partition(number, self._work)
            began, away = self._work.clock(), False
            try:
                async with asyncio.TaskGroup() as group:
                    await self._follow_log(partition, portions, group)
            except* PositionConflict as conflicts:
                self._work.measurements.conflicted()
                _logger.warning("position_conflict partition=%d %s", number, conflicts.exceptions[0])
            except* PASSING as failures:
                away = True
                self._wait(number, waiting_for(failures))
            end_if_cancelled()
            portions.again(less=away)
            if (partition.position > 0 and not away) or self._work.clock() - began > _STEADY_AFTER:
                pause = _FIRST_PAUSE
            if not self._stopping.is_set():
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)

    def _wait(self, number: int, what: str) -> None:
        """Say it once, however often it is tried."""
        if number not in self._waiting:
            self._waiting.add(number)
            _logger.warning("waiting partition=%d for=%s", number, what)

    def _go_on(self, number: int) -> None:
        if number in self._waiting:
            self._waiting.discard(number)
            _logger.info("going_on partition=%d", number)

    async def _follow_log(self, partition: Partition, portions: Portions, group: asyncio.TaskGroup) -> None:
        """Fold a batch while the server executes the commit of the one before: what it needs was loaded before that."""
        await partition.load()
        self._log.expect(partition.number, partition.furthest)
        chores = Chores(partition, self._work, self._identity.partitions)
        committing: asyncio.Task[None] | None = None
        found = await _next(partition, portions, wait=True)
        while not self._stopping.is_set():
            end_if_cancelled()
            commits: list[Commit] = []
            following = None
            if found is not None:
                commits = await partition.fold(found)
                following = await _next(partition, portions, wait=False)
            if committing is not None:
                await committing
                self._go_on(partition.number)
                partition.shrink()
            if found is not None:
                committing = group.create_task(self._commit_batch(commits, partition, portions, found.batch))
            if chores.are_due(busy=following is not None):
                if committing is not None:
                    await committing
                await self._do(chores, partition)
                if following is not None:
                    await partition.hold(following)  # some of its items may have just expired
            found = following or await _next(partition, portions, wait=True)

    async def _commit_batch(
        self, commits: list[Commit], partition: Partition, portions: Portions, batch: Batch
    ) -> None:
        """Make a batch durable, and tell the log."""
        async with self._gate.passed():
            began = self._work.clock()
            await partition.commit_batch(commits, batch)
            portions.committed(self._work.clock() - began)
            await self._log.committed(batch.partition, batch.offsets[-1])

    async def _do(self, chores: Chores, partition: Partition) -> None:
        """Call it when no commit is under way."""
        commits = await chores.commits()
        if commits:
            async with self._gate.passed():
                await partition.commit(commits)
        partition.shrink()  # an idle one has its share of the room too
        if chores.must_look():
            await self._look(partition)
        self._go_on(partition.number)

    async def _look(self, partition: Partition) -> None:
        """Through the gate too: while the group decides anew, another worker's commits are no surprise.

        What is stored is told to the log again: that is not part of a commit, so a failover may have lost it alone.
        """
        async with self._gate.passed():
            await partition.check_stored()
            await self._log.committed(partition.number, partition.position)

    async def _publish(self) -> None:
        """Show what this worker measures; what is long silent goes. Redis may be away: the followers see to that."""
        redis = self._work.redis
        while True:
            end_if_cancelled()
            now = self._work.clock()
            try:
                rows: Any = await redis.hgetall(keys.WORKER_METRICS)
                silent = [name for name, row in rows.items() if unpack_worker(row).at < now - _SILENT_AFTER]
                if silent:
                    await redis.hdel(keys.WORKER_METRICS, *silent)
                self._work.measurements.metrics.waiting = len(self._waiting)
                await redis.hset(keys.WORKER_METRICS, self._identity.worker, self._work.measurements.pack(now))
            except PASSING as error:
                if not passes(error):
                    raise
                _logger.warning("metrics_not_published %s", error)
            await asyncio.sleep(_PUBLISH_EVERY)


async def _next(partition: Partition, portions: Portions, *, wait: bool) -> Sorted | None:
    batch = await portions.read(partition.position, wait=wait)
    if batch is None:
        partition.rest()
        return None
    return await partition.prepare(batch)


class Chores:
    """What a partition does now and then: idle positions move up, expired items go, a loss in Redis is noticed."""

    def __init__(self, partition: Partition, work: Work, partitions: int) -> None:
        self._partition = partition
        self._partitions = partitions
        self._clock = work.clock
        self._idle_at = self._expire_at = work.clock()
        self._look_at = work.clock() + _LOOK_EVERY

    def are_due(self, *, busy: bool) -> bool:
        """Whether `commits` has something to do.

        That waits for the commit under way. Where there is more to fold it is put off, until it is time to look.
        """
        return self._clock() >= (self._look_at if busy else min(self._idle_at, self._expire_at, self._look_at))

    def must_look(self) -> bool:
        """Whether it is time to see that what is stored is what was committed."""
        if self._clock() < self._look_at:
            return False
        self._look_at = self._clock() + _LOOK_EVERY
        return True

    async def commits(self) -> list[Commit]:
        """The commits that are due. Call it when no commit is under way: what is stored decides what expires."""
        now = self._clock()
        found: list[Commit] = []
        if now >= self._expire_at:
            self._expire_at = now + _EXPIRE_EVERY
            found += await self._partition.expiry_commits(self._owns)
        if now >= self._idle_at:
            self._idle_at = now + _IDLE_EVERY
            found += self._partition.idle_commits()
        return found

    def _owns(self, item: str) -> bool:
        return partition_of(item, self._partitions) == self._partition.number
