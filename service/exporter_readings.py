"""What the exporter reads about the monitor itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline

from flow import keys
from flow.catalogue import METRICS
from flow.instants import MINUTE
from flow.keys import DELIVERIES, StateKeys
from flow.worker_metrics import SourceMetrics, WorkerMetrics, unpack_worker
from service.questions import Monitor
from service.reader import StateReader
from service.self_metrics import Timings

READER: Final = "aggregator"
"""Whose place in the log the lag is measured to."""

SILENT_AFTER: Final = MINUTE
"""A worker that published nothing for so long (ms) is no longer shown."""

_ATTEMPTS: Final = 3

_AT_ONCE: Final = 100
"""Streams that are asked for in one round trip: more replies at once would hold up whatever else the process does."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What the monitor counted of one stream, or of the deliveries, by name; and of which generation of its state.

    Whatever changes a state, but for expired items, changes its counts: two that are equal were read of one state.
    """

    generation: str
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Readings:
    """`ends` and `read` by partition: the offset of the last fact in the log, and of the last one in the state.

    `letters` by `source|reason`; `workers` by name; `monitor` by stream. Ends that are not known are left out.
    """

    ends: Mapping[int, int]
    read: Mapping[int, int]
    letters: Mapping[str, int]
    workers: Mapping[str, WorkerMetrics]
    monitor: Mapping[str, Counts]


class ReadingsReader:
    """Reads the places in the log first: a lag of 0 then holds for whatever is read after it."""

    def __init__(self, redis: Redis, reader: StateReader) -> None:
        self._redis = redis
        self._reader = reader
        self._generations = dict.fromkeys((*reader.definitions.streams, DELIVERIES), "")

    async def read(self) -> Readings:
        """Raises Unavailable when Redis does not answer."""
        readings, moved = await self._read()
        for _ in range(_ATTEMPTS):
            if not moved:
                break
            readings, moved = await self._read()
        return readings

    async def _read(self) -> tuple[Readings, bool]:
        replies = iter(await self._asked(self._ask))
        places = [(int(next(replies) or 0), int(next(replies) or 0)) for _ in range(self._reader.partitions)]
        read = {number: offset for number, (offset, _) in enumerate(places)}
        ends: Mapping[int, int] = {number: end for number, (_, end) in enumerate(places)}
        letters = {name.decode(): int(count) for name, count in next(replies).items()}
        workers = {name.decode(): unpack_worker(row) for name, row in next(replies).items()}
        before, names, monitor = dict(self._generations), list(self._generations), dict[str, Counts]()
        for start in range(0, len(names), _AT_ONCE):
            asked = names[start : start + _AT_ONCE]
            replies = iter(await self._asked(partial(self._ask_counts, asked)))
            monitor |= {name: self._counts(name, replies) for name in asked}
        if self._reader.log_ends is not None:
            ends = dict(self._reader.log_ends())
        return Readings(ends, read, letters, workers, monitor), before != self._generations

    async def _asked(self, ask: Callable[[Pipeline], None]) -> list[Any]:
        pipeline = self._redis.pipeline(transaction=False)
        ask(pipeline)
        return await self._reader.asker.execute(pipeline)

    def _ask(self, pipeline: Pipeline) -> None:
        for number in range(self._reader.partitions):
            pipeline.hget(keys.log_read(number), READER)
            pipeline.get(keys.log_end(number))
        pipeline.hgetall(keys.LETTER_COUNTS)
        pipeline.hgetall(keys.WORKER_METRICS)

    def _ask_counts(self, names: Sequence[str], pipeline: Pipeline) -> None:
        for name in names:
            pipeline.get(keys.generation(name))
            Monitor().ask(pipeline, StateKeys(name, self._generations[name]))

    def _counts(self, name: str, replies: Iterator[Any]) -> Counts:
        pointer = next(replies)
        generation = self._generations[name] = "" if pointer is None else pointer.decode()
        return Counts(generation, Monitor().answer(replies))


class ReadingMetrics(Collector):
    """How the readings of this process went. The client library's own counters would add samples of their creation."""

    def __init__(self) -> None:
        buckets = METRICS["streamgauge_snapshot_seconds"].buckets
        assert buckets is not None
        self.failures = 0
        self.times = Timings(buckets.edges)

    def collect(self) -> Iterator[Metric]:
        """What a scrape sees."""
        failures, seconds = METRICS["streamgauge_snapshot_failures_total"], METRICS["streamgauge_snapshot_seconds"]
        yield CounterMetricFamily(failures.name, failures.help, value=self.failures)
        counts, total = self.times.buckets()
        yield HistogramMetricFamily(seconds.name, seconds.help, buckets=counts, sum_value=total)


class Workers:
    """What all workers measured since this process started, those that are gone included: counters only grow."""

    def __init__(self) -> None:
        self._gone: dict[str, SourceMetrics] = {}
        self._seen: Mapping[str, WorkerMetrics] = {}

    def note(self, workers: Mapping[str, WorkerMetrics]) -> None:
        """What they published now."""
        for name, metrics in self._seen.items():
            if name not in workers or workers[name].started_at != metrics.started_at:
                _add(self._gone, metrics.sources)
        self._seen = workers

    def shown(self, now: int) -> dict[str, WorkerMetrics]:
        """The workers that published lately."""
        return {name: metrics for name, metrics in self._seen.items() if now - metrics.at <= SILENT_AFTER}

    def sources(self) -> dict[str, SourceMetrics]:
        """By source, over all workers."""
        total = dict(self._gone)
        for metrics in self._seen.values():
            _add(total, metrics.sources)
        return total


def _add(into: dict[str, SourceMetrics], other: Mapping[str, SourceMetrics]) -> None:
    for name, metrics in other.items():
        into[name] = into[name].plus(metrics) if name in into else metrics


class ChosenLanes:
    """Which delivery lanes are exported: the first `most` that were seen, so that none comes and goes.

    One that is no longer there makes room for another.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._chosen: set[str] = set()

    def of(self, lanes: Sequence[str]) -> list[str]:
        """Those of these lanes that are exported."""
        self._chosen &= set(lanes)
        for lane in sorted(lanes):
            if len(self._chosen) >= self._most:
                break
            self._chosen.add(lane)
        return [lane for lane in lanes if lane in self._chosen]
