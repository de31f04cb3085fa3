"""What one worker measures of itself, as it publishes it and as the exporter reads it. Instants in milliseconds."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

COMMIT_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
VISIBLE_BUCKETS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0)
DELAY_BUCKETS: Final = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 3600.0, 21600.0, 86400.0, 604800.0)
"""Upper bounds in seconds, without +Inf."""


class TimeHistogram(msgspec.Struct):
    """A Prometheus histogram: `counts` by bucket (not cumulative, the last is +Inf), `total` in seconds."""

    counts: list[int]
    total: float = 0.0

    def observe(self, edges: Sequence[float], seconds: float, count: int = 1) -> None:
        """Count an observation `count` times. `edges` are the upper bounds that this histogram was made for."""
        self.counts[bisect_left(edges, seconds)] += count
        self.total += seconds * count

    def observe_since(self, edges: Sequence[float], now: int, instants: Iterable[int]) -> None:
        """Count how long ago each instant (ms) was; one that is still to come was 0 ago.

        Sorted, many need one look-up an edge instead of one each.
        """
        ordered, seen = sorted(instants), 0
        for index, edge in enumerate(edges):
            up_to = len(ordered) - bisect_left(ordered, now - edge * 1000)
            self.counts[index] += up_to - seen
            seen = up_to
        self.counts[-1] += len(ordered) - seen
        past = bisect_left(ordered, now)
        self.total += (now * past - sum(ordered[:past])) / 1000

    def plus(self, other: TimeHistogram) -> TimeHistogram:
        """Both together, as a new one. Both must have been made for the same edges."""
        counts = [mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)]
        return TimeHistogram(counts, self.total + other.total)


def empty_histogram(edges: Sequence[float]) -> TimeHistogram:
    """A histogram for these edges that observed nothing."""
    return TimeHistogram([0] * (len(edges) + 1))


class SourceMetrics(msgspec.Struct):
    """What a worker measures of one source's facts. `last_at` is the newest event time (ms), 0 before the first."""

    last_at: int = 0
    delay_seconds: TimeHistogram = msgspec.field(default_factory=lambda: empty_histogram(DELAY_BUCKETS))
    visible_seconds: TimeHistogram = msgspec.field(default_factory=lambda: empty_histogram(VISIBLE_BUCKETS))

    def plus(self, other: SourceMetrics) -> SourceMetrics:
        """Both together, as a new one."""
        return SourceMetrics(
            max(self.last_at, other.last_at),
            self.delay_seconds.plus(other.delay_seconds),
            self.visible_seconds.plus(other.visible_seconds),
        )


class WorkerMetrics(msgspec.Struct):
    """One worker's metrics since it started. `at` is when they were published (ms).

    `waiting`: how many of its partitions wait now for Redis or for the log.
    """

    at: int = 0
    started_at: int = 0
    commits: int = 0
    conflicts: int = 0
    facts: int = 0
    items_found: int = 0
    items_read: int = 0
    waiting: int = 0
    commit_seconds: TimeHistogram = msgspec.field(default_factory=lambda: empty_histogram(COMMIT_BUCKETS))
    visible_seconds: TimeHistogram = msgspec.field(default_factory=lambda: empty_histogram(VISIBLE_BUCKETS))
    sources: dict[str, SourceMetrics] = msgspec.field(default_factory=dict)


_encoder: Final = msgspec.json.Encoder()
_decoder: Final[msgspec.json.Decoder[WorkerMetrics]] = msgspec.json.Decoder(WorkerMetrics)


def pack_worker(metrics: WorkerMetrics) -> bytes:
    """The row that a worker publishes."""
    return _encoder.encode(metrics)


def unpack_worker(row: bytes) -> WorkerMetrics:
    """What `pack_worker` wrote. Raises msgspec.DecodeError on anything else."""
    return _decoder.decode(row)
