"""What a snapshot says of deliveries and of the monitor itself, as points. No input or output."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Final

from flow import lanes
from flow.adapters import ADAPTERS
from flow.buckets import COMMON
from flow.definitions import Definitions
from flow.errors import Reason
from flow.lanes import lane_of
from flow.status import thousandths
from flow.vector import Vector
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

_OUTCOMES: Final = {"succeeded": lanes.SUCCEEDED, "failed": lanes.FAILED, "rolled_back": lanes.ROLLED_BACK}
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
_COMMON_LE: Final = le_of(edge / 1000 for edge in COMMON)
_COMMIT_LE: Final = le_of(COMMIT_BUCKETS)
_DELAY_LE: Final = le_of(DELAY_BUCKETS)
_VISIBLE_LE: Final = le_of(VISIBLE_BUCKETS)
_NONE: Final = labels()


class MonitorLayout:
    """Makes the points that belong to no stream. Sources are bounded: those that definitions name, and providers."""

    def __init__(self, definitions: Definitions, version: str) -> None:
        self._named = dict.fromkeys(source for stream in definitions.streams.values() for source in stream.match.source)
        self._known = dict.fromkeys((*self._named, *ADAPTERS, OTHER))
        self._version = labels(("version", version))
        self._targets_of = definitions.targets_of_lane

    def always(self) -> Points:
        """What is shown though nothing was read yet."""
        found: Points = defaultdict(list)
        found["streamgauge_build_info"].append((self._version, 1))
        return found

    def points(self, snapshot: Snapshot) -> Points:
        """All points that belong to no stream."""
        found = self.always()
        found["streamgauge_snapshot_timestamp_seconds"].append((_NONE, thousandths(snapshot.at)))
        found["streamgauge_lanes_left_out"].append((_NONE, snapshot.lanes_left_out))
        for partition, lag in sorted(snapshot.lag.items()):
            found["streamgauge_log_lag_facts"].append((labels(("partition", str(partition))), lag))
        for partition, age in sorted(snapshot.lag_ages.items()):
            found["streamgauge_log_lag_seconds"].append((labels(("partition", str(partition))), thousandths(age)))
        self._count_facts(found, snapshot.monitor)
        self._count_letters(found, snapshot.letters)
        self._show_sources(found, snapshot.sources)
        for worker, metrics in snapshot.workers.items():
            _show_worker(found, labels(("worker", worker)), metrics)
        for lane, counts in snapshot.lanes.items():
            self._show_lane(found, lane, counts)
        return found

    def _show_lane(self, found: Points, lane: str, counts: Vector) -> None:
        service, environment = lane_of(lane)
        where = labels(("service", service), ("environment", environment))
        _count_lane(found, where, counts)
        found["delivery_open_failures"].append((where, counts.get(lanes.OPEN_FAILURES, 0)))
        since, targets = counts.get(lanes.OPEN_SINCE), self._targets_of(service, environment)
        rate, recovery = targets.change_fail_rate, targets.failed_deployment_recovery_time
        if since is not None:
            found["delivery_oldest_open_failure_timestamp_seconds"].append((where, thousandths(since)))
        if rate is not None:
            found["delivery_change_fail_rate_target_ratio"].append((where, rate))
        if recovery is not None:
            found["delivery_recovery_target_seconds"].append((where, thousandths(recovery)))

    def _source(self, name: str) -> str:
        return name if name in self._known else OTHER

    def _count_facts(self, found: Points, monitor: Mapping[str, Counts]) -> None:
        for kind, metric in _COUNTERS.items():
            counts = Counter(dict.fromkeys(self._known, 0))
            for counted in monitor.values():
                for name, count in counted.counts.items():
                    what, _, rest = name.partition("|")
                    if what == kind:
                        source = rest.partition("|")[0] if kind == "unmapped" else rest
                        counts[self._source(source)] += count
            found[metric] += [(labels(("source", source)), count) for source, count in counts.items()]

    def _count_letters(self, found: Points, letters: Mapping[str, int]) -> None:
        counts = Counter(dict.fromkeys(product(self._known, _REASONS_OF_LETTERS), 0))
        for name, count in letters.items():
            source, _, reason = name.rpartition("|")
            counts[self._source(source), reason if reason in _REASONS else OTHER] += count
        found["streamgauge_dead_letters_total"] += [
            (labels(("source", source), ("reason", reason)), count) for (source, reason), count in counts.items()
        ]

    def _show_sources(self, found: Points, sources: Mapping[str, SourceMetrics]) -> None:
        bounded = {name: SourceMetrics() for name in self._named}
        for name, metrics in sources.items():
            known = self._source(name)
            bounded[known] = bounded[known].plus(metrics) if known in bounded else metrics
        for name, metrics in bounded.items():
            where = labels(("source", name))
            delays, visible = metrics.delay_seconds, metrics.visible_seconds
            found["streamgauge_event_delay_seconds"].append((where, _distribution(delays, _DELAY_LE)))
            found["streamgauge_ingest_to_visible_seconds"].append((where, _distribution(visible, _VISIBLE_LE)))
            if metrics.last_at:
                found["streamgauge_last_fact_timestamp_seconds"].append((where, thousandths(metrics.last_at)))


def _show_worker(found: Points, where: Labels, metrics: WorkerMetrics) -> None:
    found["streamgauge_commit_seconds"].append((where, _distribution(metrics.commit_seconds, _COMMIT_LE)))
    for name, value in (
        ("streamgauge_worker_facts_total", metrics.facts),
        ("streamgauge_worker_commits_total", metrics.commits),
        ("streamgauge_worker_conflicts_total", metrics.conflicts),
        ("streamgauge_worker_items_found_total", metrics.items_found),
        ("streamgauge_worker_items_read_total", metrics.items_read),
        ("streamgauge_worker_start_timestamp_seconds", thousandths(metrics.started_at)),
        ("streamgauge_worker_published_timestamp_seconds", thousandths(metrics.at)),
    ):
        found[name].append((where, value))


def _count_lane(found: Points, where: Labels, counts: Vector) -> None:
    for outcome, code in _OUTCOMES.items():
        found["delivery_deployments_total"].append((where.plus("outcome", outcome), counts.get(code, 0)))
    found["delivery_failed_changes_total"].append((where, counts.get(lanes.FAILED_CHANGES, 0)))
    found["delivery_rework_deployments_total"].append((where, counts.get(lanes.REWORK, 0)))
    for name, first, total in (
        ("delivery_change_lead_time_seconds", lanes.LEAD_TIME_BUCKETS, lanes.LEAD_TIME),
        ("delivery_failed_deployment_recovery_seconds", lanes.RECOVERY_BUCKETS, lanes.RECOVERY_TIME),
    ):
        buckets = [counts.get(key, 0) for key in range(first, first + len(COMMON) + 1)]
        found[name].append((where, Distribution(_COMMON_LE, buckets, thousandths(counts.get(total, 0)))))


def _distribution(histogram: TimeHistogram, edges: Sequence[str]) -> Distribution:
    return Distribution(edges, histogram.counts, histogram.total)
