"""What a snapshot says of the monitor itself, as points. No input or output."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Final

from flow.adapters import ADAPTERS
from flow.definitions import Definitions
from flow.errors import Reason
from flow.status import thousandths
from flow.worker_metrics import (
    COMMIT_BUCKETS,
    DELAY_BUCKETS,
    VISIBLE_BUCKETS,
    SourceMetrics,
    TimeHistogram,
    WorkerMetrics,
)
from service.exporter_readings import Counts
from service.exporter_text import Distribution, Labels, Points, labels, le_of
from service.snapshots import Snapshot

OTHER: Final = "other"

_REASONS: Final = frozenset(reason.value for reason in Reason)
_REASONS_OF_LETTERS: Final[tuple[str, ...]] = (
    Reason.MALFORMED_JSON,
    Reason.INVALID_FACT,
    Reason.AT_TOO_OLD,
    Reason.AT_IN_FUTURE,
    Reason.NO_STREAM,
    Reason.TIMELINE_FULL,
    Reason.NOT_UNDERSTOOD,
)
"""Known before the first letter comes: a counter that began at 1 would have no increase that a rule could see."""

_COUNTERS: Final = {
    "facts": "streamgauge_facts_total",
    "late": "streamgauge_facts_late_total",
    "duplicates": "streamgauge_facts_duplicate_total",
    "unmapped": "streamgauge_unmapped_statuses_total",
}
_COMMIT_LE: Final = le_of(COMMIT_BUCKETS)
_DELAY_LE: Final = le_of(DELAY_BUCKETS)
_VISIBLE_LE: Final = le_of(VISIBLE_BUCKETS)
_NONE: Final = labels()


class MonitorLayout:
    """Makes the points that belong to no stream and no lane.

    Sources are bounded: those that definitions name, and providers.
    """

    def __init__(self, definitions: Definitions, version: str) -> None:
        self._named = dict.fromkeys(source for stream in definitions.streams.values() for source in stream.match.source)
        self._known = dict.fromkeys((*self._named, *ADAPTERS, OTHER))
        self._of_source = {source: labels(("source", source)) for source in self._known}
        self._of_letters = {
            (source, reason): self._of_source[source].plus("reason", reason)
            for source, reason in product(self._known, (*Reason, OTHER))
        }
        self._build: Points = defaultdict(list, {"streamgauge_build_info": [(labels(("version", version)), 1)]})

    def steps(self, snapshot: Snapshot | None) -> Iterator[Points]:
        """Every point once. Between two steps whoever asks may pause: none is long, whatever the number of streams."""
        yield self._build
        if snapshot is not None:
            yield _place(snapshot)
            yield from self._facts(snapshot.monitor)
            yield self._letters(snapshot.letters)
            yield self._sources(snapshot.sources)
            for worker, metrics in snapshot.workers.items():
                yield _worker(labels(("worker", worker)), metrics)

    def _source(self, name: str) -> str:
        return name if name in self._known else OTHER

    def _facts(self, monitor: Mapping[str, Counts]) -> Iterator[Points]:
        counts = {kind: dict.fromkeys(self._known, 0) for kind in _COUNTERS}
        for counted in monitor.values():
            for name, count in counted.counts.items():
                kind, _, rest = name.partition("|")
                if kind in counts:
                    source = rest.partition("|")[0] if kind == "unmapped" else rest
                    counts[kind][self._source(source)] += count
            yield defaultdict(list)
        found: Points = defaultdict(list)
        for kind, of_kind in counts.items():
            found[_COUNTERS[kind]] = [(self._of_source[source], count) for source, count in of_kind.items()]
        yield found

    def _letters(self, letters: Mapping[str, int]) -> Points:
        counts = Counter(dict.fromkeys(product(self._known, _REASONS_OF_LETTERS), 0))
        for name, count in letters.items():
            source, _, reason = name.rpartition("|")
            counts[self._source(source), reason if reason in _REASONS else OTHER] += count
        found: Points = defaultdict(list)
        found["streamgauge_dead_letters_total"] = [(self._of_letters[key], count) for key, count in counts.items()]
        return found

    def _sources(self, sources: Mapping[str, SourceMetrics]) -> Points:
        found: Points = defaultdict(list)
        bounded = {name: SourceMetrics() for name in self._named}
        for name, metrics in sources.items():
            known = self._source(name)
            bounded[known] = bounded[known].plus(metrics) if known in bounded else metrics
        for name, metrics in bounded.items():
            where, delays, visible = self._of_source[name], metrics.delay_seconds, metrics.visible_seconds
            found["streamgauge_event_delay_seconds"].append((where, _distribution(delays, _DELAY_LE)))
            found["streamgauge_ingest_to_visible_seconds"].append((where, _distribution(visible, _VISIBLE_LE)))
            if metrics.last_at:
                found["streamgauge_last_fact_timestamp_seconds"].append((where, thousandths(metrics.last_at)))
        return found


def _place(snapshot: Snapshot) -> Points:
    """When the state was read, and how far behind the log it is."""
    found: Points = defaultdict(list)
    found["streamgauge_snapshot_timestamp_seconds"].append((_NONE, thousandths(snapshot.at)))
    found["streamgauge_lanes_left_out"].append((_NONE, snapshot.lanes_left_out))
    for partition, lag in sorted(snapshot.lag.items()):
        found["streamgauge_log_lag_facts"].append((labels(("partition", str(partition))), lag))
    for partition, age in sorted(snapshot.lag_ages.items()):
        found["streamgauge_log_lag_seconds"].append((labels(("partition", str(partition))), thousandths(age)))
    return found


def _worker(where: Labels, metrics: WorkerMetrics) -> Points:
    found: Points = defaultdict(list)
    found["streamgauge_commit_seconds"].append((where, _distribution(metrics.commit_seconds, _COMMIT_LE)))
    for name, value in (
        ("streamgauge_worker_facts_total", metrics.facts),
        ("streamgauge_worker_commits_total", metrics.commits),
        ("streamgauge_worker_conflicts_total", metrics.conflicts),
        ("streamgauge_worker_items_found_total", metrics.items_found),
        ("streamgauge_worker_items_read_total", metrics.items_read),
        ("streamgauge_worker_waiting_partitions", metrics.waiting),
        ("streamgauge_worker_start_timestamp_seconds", thousandths(metrics.started_at)),
        ("streamgauge_worker_published_timestamp_seconds", thousandths(metrics.at)),
    ):
        found[name].append((where, value))
    return found


def _distribution(histogram: TimeHistogram, edges: Sequence[str]) -> Distribution:
    return Distribution(edges, histogram.counts, histogram.total)
