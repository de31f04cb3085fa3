"""What one worker measures of itself, published to Redis for the exporter to show (`flow.worker_metrics`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flow.worker_metrics import (
    COMMIT_BUCKETS,
    DELAY_BUCKETS,
    VISIBLE_BUCKETS,
    SourceMetrics,
    WorkerMetrics,
    pack_worker,
)

MOST_SOURCES: Final = 200
_OTHER: Final = "other"


class Measurements:
    """Counts what the partitions of this worker do."""

    def __init__(self, started_at: int) -> None:
        self.metrics = WorkerMetrics(started_at=started_at)

    def committed(self, facts: int, spent: int, visible_after: int) -> None:
        """One batch was committed in `spent` ms, `visible_after` ms after the log took its newest fact."""
        metrics = self.metrics
        metrics.commits += 1
        metrics.facts += facts
        metrics.commit_seconds.observe(COMMIT_BUCKETS, spent / 1000)
        metrics.visible_seconds.observe(VISIBLE_BUCKETS, max(0, visible_after) / 1000, facts)

    def shown(self, times: Mapping[str, list[int]], visible_at: int, visible_after: int) -> None:
        """Facts became visible at this instant: of each source their event times. All in ms."""
        for name, ats in times.items():
            source, newest = self._source(name), max(ats)
            source.last_at = max(source.last_at, newest)
            source.visible_seconds.observe(VISIBLE_BUCKETS, max(0, visible_after) / 1000, len(ats))
            source.delay_seconds.observe_since(DELAY_BUCKETS, visible_at, ats)

    def _source(self, name: str) -> SourceMetrics:
        sources = self.metrics.sources
        if name not in sources and len(sources) >= MOST_SOURCES:
            name = _OTHER
        return sources.setdefault(name, SourceMetrics())

    def looked_up(self, found: int, read: int) -> None:
        """Items that facts named: so many were in memory, so many had to be read."""
        self.metrics.items_found += found
        self.metrics.items_read += read

    def conflicted(self) -> None:
        """A commit was refused because another worker was there."""
        self.metrics.conflicts += 1

    def pack(self, now: int) -> bytes:
        """What the exporter reads."""
        self.metrics.at = now
        return pack_worker(self.metrics)
