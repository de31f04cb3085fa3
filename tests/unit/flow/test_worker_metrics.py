"""What workers publish reads back, adds up, and counts at its buckets' bounds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from flow.worker_metrics import (
    COMMIT_BUCKETS,
    DELAY_BUCKETS,
    SourceMetrics,
    WorkerMetrics,
    empty_histogram,
    pack_worker,
    unpack_worker,
)


def test_a_row_reads_back() -> None:
    metrics = WorkerMetrics(at=2, started_at=1, commits=3, sources={"jira": SourceMetrics(last_at=7)})
    metrics.commit_seconds.observe(COMMIT_BUCKETS, 0.2)
    assert unpack_worker(pack_worker(metrics)) == metrics


def test_a_row_without_sources_reads_too() -> None:
    assert unpack_worker(b'{"at": 5, "facts": 9}') == WorkerMetrics(at=5, facts=9)


def test_an_observation_at_a_bound_counts_below_it() -> None:
    histogram = empty_histogram((1.0, 2.0))
    for seconds in (1.0, 1.5, 2.0, 2.1):
        histogram.observe((1.0, 2.0), seconds)
    assert (histogram.counts, histogram.total) == ([1, 2, 1], 6.6)


@given(st.integers(min_value=0, max_value=10**12), st.lists(st.integers(min_value=0, max_value=10**12)))
def test_many_at_once_count_as_one_by_one(now: int, instants: list[int]) -> None:
    together, single = empty_histogram(DELAY_BUCKETS), empty_histogram(DELAY_BUCKETS)
    together.observe_since(DELAY_BUCKETS, now, instants)
    for instant in instants:
        single.observe(DELAY_BUCKETS, max(0, now - instant) / 1000)
    assert together.counts == single.counts
    assert abs(together.total - single.total) < 1e-6 * (1 + single.total)


def test_an_instant_at_a_bound_counts_below_it() -> None:
    histogram = empty_histogram((0.1, 1.0))
    histogram.observe_since((0.1, 1.0), 2000, [1899, 1900, 1000, 999, 2001])
    assert (histogram.counts, histogram.total) == ([2, 2, 1], 2.202)


def test_sources_add_up_and_keep_the_newest_event() -> None:
    first, second = SourceMetrics(last_at=5), SourceMetrics(last_at=9)
    for source, seconds in ((first, 1.0), (second, 400.0), (second, 1.0)):
        source.delay_seconds.observe(DELAY_BUCKETS, seconds)
    total = first.plus(second)
    assert (total.last_at, sum(total.delay_seconds.counts), total.delay_seconds.total) == (9, 3, 402.0)
    assert sum(first.delay_seconds.counts) == 1
