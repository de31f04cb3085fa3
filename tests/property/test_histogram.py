"""Histograms: bins agree with the oracle's, quantiles are within 5%, and adding and subtracting is exact."""

from __future__ import annotations

from collections import Counter
from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from flow import vector
from flow.histogram import bin_of, bounds_of, middle_of, quantile
from flow.instants import DAY
from tests import oracle

DURATIONS = st.integers(0, 100) | st.integers(0, 4000 * DAY) | st.integers(0, 43).map(lambda power: 2**power)
SAMPLES = st.lists(DURATIONS, min_size=1, max_size=50)
SHARES = st.sampled_from([0.05, 0.5, 0.85, 0.95, 1.0]) | st.floats(0.001, 1)


def histogram(durations):
    return dict(Counter(map(bin_of, durations)))


@given(DURATIONS)
def test_a_duration_is_in_the_bounds_of_its_bin_and_within_5_percent_of_its_middle(duration) -> None:
    low, next_low = bounds_of(bin_of(duration))
    assert low <= duration < next_low
    assert bin_of(duration) == oracle.bin_of(duration)
    assert abs(middle_of(bin_of(duration)) - duration) <= 0.05 * duration


@given(st.integers(0, 700))
def test_bins_follow_each_other(index) -> None:
    assert bounds_of(index)[1] == bounds_of(index + 1)[0]
    assert bin_of(bounds_of(index)[0]) == index
    assert bin_of(bounds_of(index)[1] - 1) == index


@given(SAMPLES, SHARES)
def test_a_quantile_is_within_5_percent_of_the_exact_one(durations, share) -> None:
    exact = sorted(durations)[max(1, ceil(share * len(durations))) - 1]
    found = quantile(histogram(durations), share)
    assert found is not None
    assert abs(found - exact) <= 0.05 * exact


@given(SAMPLES, SAMPLES)
def test_merging_is_counting_together_and_subtracting_takes_it_back(some, others) -> None:
    merged = histogram(some)
    vector.add(merged, histogram(others))
    assert merged == histogram(some + others)
    vector.subtract(merged, histogram(others))
    assert merged == histogram(some)


@given(st.lists(st.dictionaries(st.integers(0, 10**7), st.integers(-(2**40), 2**40)), max_size=4))
def test_rows_keep_what_was_packed_and_add_up_in_any_order(rows) -> None:
    kept = [vector.unpack(vector.pack(row)) for row in rows]
    assert kept == rows
    assert vector.total_of(kept) == vector.total_of(kept[::-1])


def test_nothing_has_no_quantile() -> None:
    assert quantile({}, 0.5) is None
    assert quantile({10: 1, 12: -1}, 0.5) is None
