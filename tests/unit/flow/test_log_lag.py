"""The age of the oldest fact that is not in the state yet."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from flow.log_lag import MOST_ENDS, LagAges


def test_what_is_read_has_no_age():
    ages = LagAges()
    assert ages.note({0: 5, 1: 0}, {0: 5}, 1000) == {0: 0, 1: 0}
    assert ages.note({0: 5, 1: 0}, {0: 5}, 9000) == {0: 0, 1: 0}


def test_a_fact_ages_from_the_first_look_that_saw_it_until_it_is_read():
    ages = LagAges()
    ages.note({0: 5}, {0: 5}, 1000)
    assert ages.note({0: 7}, {0: 5}, 2000) == {0: 0}
    assert ages.note({0: 9}, {0: 5}, 3000) == {0: 1000}
    assert ages.note({0: 9}, {0: 6}, 4000) == {0: 2000}
    assert ages.note({0: 9}, {0: 7}, 5000) == {0: 2000}
    assert ages.note({0: 9}, {0: 9}, 6000) == {0: 0}


def test_what_was_there_before_the_first_look_ages_from_it():
    ages = LagAges()
    assert ages.note({0: 9}, {}, 1000) == {0: 0}
    assert ages.note({0: 9}, {0: 3}, 2500) == {0: 1500}


def test_partitions_age_by_themselves():
    ages = LagAges()
    ages.note({0: 1, 1: 0}, {}, 1000)
    assert ages.note({0: 1, 1: 1}, {}, 2000) == {0: 1000, 1: 0}


def test_a_log_that_begins_again_forgets_what_it_was():
    ages = LagAges()
    ages.note({0: 100}, {0: 50}, 1000)
    assert ages.note({0: 3}, {0: 0}, 9000) == {0: 0}
    assert ages.note({0: 3}, {0: 0}, 9500) == {0: 500}


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), min_size=1, max_size=60))
def test_no_age_is_more_than_that_of_the_oldest_unread_fact_nor_less_than_one_look_below_it(steps):
    ages, end, read, seen = LagAges(), 0, 0, {}
    for look, (grows, reads) in enumerate(steps):
        now = 1000 * look
        seen |= dict.fromkeys(range(end + 1, end + grows + 1), now)
        end, read = end + grows, min(end + grows, read + reads)
        expected = now - seen[read + 1] if read < end else 0
        assert ages.note({0: end}, {0: read}, now) == {0: expected}


def test_what_is_remembered_is_bounded_and_the_oldest_stays():
    ages, found = LagAges(), {}
    for look in range(20 * MOST_ENDS):
        found = ages.note({0: look + 1}, {}, look)
    assert found == {0: 20 * MOST_ENDS - 1}
    assert len(ages._grown[0]) <= MOST_ENDS
