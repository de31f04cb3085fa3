"""What one worker measures of itself, published to Redis for the exporter to show (`flow.worker_metrics`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Final

from flow.facts import Fact
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

_source_of = attrgetter("source")
_at_of = attrgetter("at")


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
        """Facts became visible at this instant: of each source their event times (`times_by_source`). All in ms."""
        for name, ats in times.items():
            source = self._source(name)
            source.last_at = max(source.last_at, *ats)
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


def times_by_source(groups: Iterable[Sequence[Fact]]) -> dict[str, list[int]]:
    """Event times (ms) of facts, by their source. Facts of one stream mostly have one source."""
    times: dict[str, list[int]] = {}
    for facts in groups:
        sources = set(map(_source_of, facts))
        if len(sources) == 1:
            times.setdefault(sources.pop(), []).extend(map(_at_of, facts))
        else:
            for fact in facts:
                times.setdefault(fact.source, []).append(fact.at)
    return times
