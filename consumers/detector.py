"""Runs the bottleneck detector: in one process of all, beside its other work, from the cells that are kept anyway.

No fact passes through here. Every few seconds the streams that changed, or that time alone makes look different, are
read from the last settled day on and gone through again: a fact that came late counts as if it had been in time. What
is counted of each day tells how far back that is, and when so much changed that what is usual is to be learned anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from redis.asyncio import Redis

from consumers.lease import Lease, write_fenced
from consumers.look import Kept, Look
from consumers.stream_reading import changes_of, read_days, read_hours
from consumers.unavailable import PASSING, passes
from flow import keys
from flow.bottlenecks.follow import Memory, pack_memory, unpack_memory
from flow.bottlenecks.stream_watch import Detector
from flow.bottlenecks.verdict import pack_said
from flow.cells import Retention
from flow.definitions import Definitions
from flow.instants import MINUTE, SECOND

_logger = logging.getLogger("streamgauge.detector")

_LET_GO_WITHIN: Final = 1.0

EVERY: Final = 2.0
"""Seconds between two turns; the lease is renewed at each."""

CHANGED_EVERY: Final = 5 * SECOND
QUIET_EVERY: Final = MINUTE


@dataclass(slots=True)
class _Known:
    """What is known of a stream between turns. Instants in ms; 0: not yet.

    `counted` is what the last look found in each day; None before the first. `enough_at` is when there will be enough
    to learn from, if no more history comes; `settling`: history was still coming in.
    """

    changes: bytes = b""
    memory: Memory | None = None
    counted: dict[int, int] | None = None
    seen_at: int = 0
    enough_at: int = 0
    settling: bool = False

    def is_due(self, changes: bytes, now: int) -> bool:
        """Whether it is time to look at the stream again."""
        soon = self.settling or changes != self.changes
        return now - self.seen_at >= (CHANGED_EVERY if soon else QUIET_EVERY)


class DetectorRunner:
    """Watches all streams while it holds the lease."""

    def __init__(self, redis: Redis, definitions: Definitions, retention: Retention, clock: Callable[[], int]) -> None:
        self.lease = Lease(redis, keys.DETECTOR_LEASE, keys.DETECTOR_NUMBERS)
        self._redis = redis
        self._retention = retention
        self._clock = clock
        self._detectors = {name: Detector(stream) for name, stream in definitions.streams.items()}
        self._known: dict[str, _Known] = {}

    async def run(self) -> None:
        """Run until cancelled; then let go of the lease. Redis may be away meanwhile."""
        try:
            while True:
                try:
                    await self.turn()
                except PASSING as error:
                    if not passes(error):
                        raise
                    _logger.warning("detector_waits %s", type(error).__name__)
                _end_if_cancelled()
                await asyncio.sleep(EVERY)
        finally:
            await self._let_go()

    async def turn(self) -> None:
        """Look at every stream that is due, while the lease is ours; another process does otherwise."""
        held = bool(self.lease.number)
        if not await self.lease.hold():
            self._known.clear()
            return
        if not held:
            _logger.info("detector_elected number=%d", self.lease.number)
        renewed = self._clock()
        for name, changes in (await changes_of(self._redis, list(self._detectors))).items():
            # What was there before us is history; a stream that appears now may be the beginning of an import.
            known = self._known.setdefault(name, _Known(counted={} if held else None))
            if known.is_due(changes, self._clock()):
                await self._look(self._detectors[name], known, changes)
            if self._clock() - renewed > EVERY * SECOND:
                renewed = self._clock()
                if not await self.lease.hold():
                    return

    async def _look(self, detector: Detector, known: _Known, changes: bytes) -> None:
        """Go through the latest hours of a stream, and write what is to be said of it."""
        now, key = self._clock(), keys.detector(detector.stream.name)
        if known.memory is None:
            row: Any = await self._redis.hget(key, "memory")
            known.memory = unpack_memory(row) if row else Memory()
        kept = Kept.at(now, self._retention)
        counted = known.counted
        if counted is None or changes != known.changes:
            counted = await read_days(self._redis, detector.stream, kept.first_day, now)
        if counted is None:
            return
        look = Look(detector, known.memory, known.counted, counted, now, kept)
        found = look.without_reading(known.enough_at)
        if found is None:
            reading = await read_hours(self._redis, detector.stream, look.start, now)
            if reading is None:
                return
            found = await asyncio.to_thread(look.judge, reading)
        fields = {"verdicts": pack_said(found.said)}
        if look.is_to_be_remembered(found.memory):
            fields["memory"] = pack_memory(found.memory)
        higher = await write_fenced(self._redis, key, self.lease.number, fields)
        if higher:
            _logger.warning("detector_outrun stream=%s number=%d", detector.stream.name, self.lease.number)
            await self.lease.outgrow(higher)
            self._known.clear()
            return
        known.memory, known.changes, known.counted, known.seen_at = found.memory, changes, counted, now
        known.enough_at, known.settling = found.enough_at, found.settling

    async def _let_go(self) -> None:
        """A lease that is not given back expires by itself: we don't hold up the end of the process for it."""
        try:
            async with asyncio.timeout(_LET_GO_WITHIN):
                await self.lease.release()
        except PASSING as error:
            _logger.warning("lease_not_released %s", type(error).__name__)


def _end_if_cancelled() -> None:
    """The Redis client sometimes swallows a cancellation, or makes another error of it: it counts all the same."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
