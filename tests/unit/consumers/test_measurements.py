"""What a worker measures of its batches."""

from __future__ import annotations

from consumers.measurements import MOST_SOURCES, Measurements
from flow.worker_metrics import DELAY_BUCKETS, VISIBLE_BUCKETS, unpack_worker


def test_a_batch_counts_its_facts_and_how_long_it_took() -> None:
    measurements = Measurements(started_at=1000)
    measurements.committed(facts=3, spent=20, visible_after=200)
    measurements.conflicted()
    metrics = unpack_worker(measurements.pack(2000))
    assert (metrics.started_at, metrics.at, metrics.commits, metrics.facts, metrics.conflicts) == (1000, 2000, 1, 3, 1)
    assert metrics.visible_seconds.counts[VISIBLE_BUCKETS.index(0.25)] == 3


def test_each_source_has_its_own_delays() -> None:
    measurements = Measurements(started_at=0)
    measurements.shown({"jira": [900, 0], "github": [500]}, visible_at=1000, visible_after=5)
    jira, github = measurements.metrics.sources["jira"], measurements.metrics.sources["github"]
    assert (jira.last_at, jira.delay_seconds.total, sum(jira.visible_seconds.counts)) == (900, 1.1, 2)
    assert (github.last_at, github.delay_seconds.counts[DELAY_BUCKETS.index(0.5)]) == (500, 1)


def test_an_event_ahead_of_the_clock_has_no_negative_delay() -> None:
    measurements = Measurements(started_at=0)
    measurements.shown({"jira": [5000]}, visible_at=1000, visible_after=-3)
    source = measurements.metrics.sources["jira"]
    assert (source.delay_seconds.total, source.visible_seconds.total) == (0.0, 0.0)


def test_sources_beyond_the_bound_are_one() -> None:
    measurements = Measurements(started_at=0)
    measurements.shown({f"source-{n}": [n] for n in range(MOST_SOURCES + 5)}, visible_at=1000, visible_after=0)
    sources = measurements.metrics.sources
    assert len(sources) == MOST_SOURCES + 1
    assert sum(sources["other"].delay_seconds.counts) == 5
