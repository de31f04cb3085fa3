"""A task that reads the state now and then, so that a scrape neither waits for Redis nor blocks webhooks.

What it read is published as one immutable snapshot. A stream that no fact changed is not read again, but for its items
past their service level expectation, which grow by themselves.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from flow.cells import Window, cells_of, window_ending
from flow.definitions import Stream
from flow.errors import Unavailable
from flow.instants import SECOND, parse_duration
from flow.keys import DELIVERIES
from flow.log_lag import LagAges
from flow.status import StageLive
from flow.vector import Vector
from flow.worker_metrics import SourceMetrics, WorkerMetrics
from service.exporter_readings import ChosenLanes, Counts, ReadingMetrics, Readings, ReadingsReader, Workers
from service.reader import StateReader

_logger = logging.getLogger("streamgauge.snapshots")

INTERVAL: Final = 0.5
"""Seconds between two readings."""

WINDOWS_EVERY: Final = 5 * SECOND
"""Windows are read at most so often (ms), and so are stages whose items age past their expectation."""

MOST_WINDOWS: Final = 10
"""Streams whose windows are read again in one turn, the longest unread first: the edge of a minute moves them all."""

STALE_AFTER: Final = 30 * SECOND
MOST_LANES: Final = 1000


@dataclass(frozen=True, slots=True)
class Alarm:
    """What the detector says of one stage and cause. `evidence` is 1 where the alarm is raised."""

    stage: str
    cause: str
    evidence: float
    raised: bool


Alarms = Mapping[str, Sequence[Alarm]]
AlarmSource = Callable[[], Awaitable[Alarms]]


@dataclass(frozen=True, slots=True, eq=False)
class StreamSnapshot:
    """One stream as it was read: its stages that are not done, its totals, its windows by their text."""

    stream: Stream
    stages: Mapping[str, StageLive]
    totals: Vector
    windows: Mapping[str, Vector]


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """All that the exporter shows. `at` (ms) is when the reading began; everything before it is in."""

    at: int
    streams: Mapping[str, StreamSnapshot]
    monitor: Mapping[str, Counts]
    lanes: Mapping[str, Vector]
    lanes_left_out: int
    letters: Mapping[str, int]
    lag: Mapping[int, int]
    lag_ages: Mapping[int, int]
    workers: Mapping[str, WorkerMetrics]
    sources: Mapping[str, SourceMetrics]
    alarms: Alarms

    def is_stale(self, now: int) -> bool:
        """Whether it is too old for its gauges to be shown."""
        return now - self.at > STALE_AFTER


@dataclass(frozen=True, slots=True)
class _Known:
    """What was last read of a stream, of which counts and windows, and when (ms)."""

    snapshot: StreamSnapshot
    counts: Counts
    read_at: int
    windows: tuple[Window, ...]
    windows_counts: Counts
    windows_at: int


class Snapshots:
    """Keeps the latest snapshot. `alarms` are asked when there is a detector that knows them.

    `heard` is told at once what the monitor counted, before the streams that changed are read.
    """

    def __init__(
        self,
        redis: Redis,
        reader: StateReader,
        registry: CollectorRegistry,
        *,
        interval: float = INTERVAL,
        alarms: AlarmSource | None = None,
        heard: Callable[[Mapping[str, Counts]], None] | None = None,
    ) -> None:
        self.latest: Snapshot | None = None
        self._reader = reader
        self._interval = interval
        self._alarms = alarms
        self._heard = heard
        self._lag_ages = LagAges()
        self._readings = ReadingsReader(redis, reader)
        self._known: dict[str, _Known] = {}
        self._lengths = {
            text: parse_duration(text) for stream in reader.definitions.streams.values() for text in stream.windows
        }
        self._windows: dict[str, Window] = {}
        self._workers = Workers()
        self._chosen_lanes = ChosenLanes(MOST_LANES)
        self._lanes: tuple[Counts, dict[str, Vector]] = (Counts("", {}), {})
        self._metrics = ReadingMetrics()
        registry.register(self._metrics)

    async def run(self) -> None:
        """Read for ever. While Redis is away the latest snapshot ages."""
        task = asyncio.current_task()
        while task is None or not task.cancelling():  # the Redis client sometimes swallows a cancellation
            await self.turn()
            await asyncio.sleep(self._interval)

    async def turn(self) -> None:
        """Read once; what can't be read now is counted."""
        began = self._reader.clock()
        try:
            self.latest = await self.read()
        except Unavailable as error:
            self._metrics.failures += 1
            _logger.warning("snapshot_failed reason=%s %s", error.reason, error)
        else:
            self._metrics.times.observe(max(0, self._reader.clock() - began) / 1000)

    async def read(self) -> Snapshot:
        """A new snapshot. Raises Unavailable when Redis does not answer."""
        now = self._reader.clock()
        readings = await self._readings.read()
        self._workers.note(readings.workers)
        if self._heard is not None:
            self._heard(readings.monitor)
        retention = self._reader.retention
        self._windows = {text: window_ending(now, length, now, retention) for text, length in self._lengths.items()}
        due = self._due(readings, now)
        streams = {
            name: await self._stream(stream, readings.monitor[name], now, name in due)
            for name, stream in self._reader.definitions.streams.items()
        }
        lanes = await self._read_lanes(readings)
        chosen = self._chosen_lanes.of(list(lanes))
        return Snapshot(
            at=now,
            streams=streams,
            monitor=readings.monitor,
            lanes={name: lanes[name] for name in chosen},
            lanes_left_out=len(lanes) - len(chosen),
            letters=readings.letters,
            lag={number: max(0, end - readings.read.get(number, 0)) for number, end in readings.ends.items()},
            lag_ages=self._lag_ages.note(readings.ends, readings.read, now),
            workers=self._workers.shown(now),
            sources=self._workers.sources(),
            alarms=await self._alarms() if self._alarms is not None else {},
        )

    def _due(self, readings: Readings, now: int) -> set[str]:
        """The streams whose windows are to be read again: a fact came, or an edge moved."""
        due = [
            (known.windows_at, name)
            for name, known in self._known.items()
            if now - known.windows_at >= WINDOWS_EVERY
            and (
                readings.monitor[name] != known.windows_counts
                or self._windows_of(known.snapshot.stream) != known.windows
            )
        ]
        return {name for _, name in sorted(due)[:MOST_WINDOWS]}

    def _windows_of(self, stream: Stream) -> tuple[Window, ...]:
        return tuple(self._windows[text] for text in stream.windows)

    async def _stream(self, stream: Stream, counts: Counts, now: int, windows_are_due: bool) -> StreamSnapshot:
        known = self._known.get(stream.name)
        if known is None or windows_are_due:
            snapshot = await self._read_windows(stream, counts, now)
        elif counts != known.counts or (_has_expectation(stream) and now - known.read_at >= WINDOWS_EVERY):
            live = await self._reader.live(stream.name, [])
            snapshot = StreamSnapshot(stream, live.stages, live.totals, known.snapshot.windows)
            self._known[stream.name] = replace(known, snapshot=snapshot, counts=counts, read_at=now)
        else:
            snapshot = known.snapshot
        return snapshot

    async def _read_windows(self, stream: Stream, counts: Counts, now: int) -> StreamSnapshot:
        """Read a stream with its windows; of one that no fact changed, only the windows that moved."""
        known, windows = self._known.get(stream.name), self._windows_of(stream)
        kept: dict[str, Vector] = {}
        if known is not None and counts == known.windows_counts:
            before = zip(stream.windows, windows, known.windows, strict=True)
            kept = {text: known.snapshot.windows[text] for text, window, was in before if window == was}
        moved = {text: window for text, window in zip(stream.windows, windows, strict=True) if text not in kept}
        live = await self._reader.live(stream.name, [cells_of(window) for window in moved.values()])
        read = kept | dict(zip(moved, live.spans, strict=True))
        snapshot = StreamSnapshot(stream, live.stages, live.totals, {text: read[text] for text in stream.windows})
        self._known[stream.name] = _Known(snapshot, counts, now, windows, counts, now)
        return snapshot

    async def _read_lanes(self, readings: Readings) -> dict[str, Vector]:
        counts, lanes = self._lanes
        if counts != readings.monitor[DELIVERIES]:
            lanes = await self._reader.lane_totals()
            self._lanes = (readings.monitor[DELIVERIES], lanes)
        return lanes


def _has_expectation(stream: Stream) -> bool:
    return any(stage.sle is not None for stage in stream.stages)
