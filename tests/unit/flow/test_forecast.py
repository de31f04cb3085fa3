"""Monte Carlo against the exact distribution of the same draws, which convolution gives."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.bottlenecks.business_time import BusinessCalendar
from flow.forecast import (
    CHANCES,
    HORIZON,
    SLICE,
    History,
    days_until,
    history_of,
    is_open,
    items_within,
    open_days_ahead,
)
from flow.instants import DAY

TRIALS = 2000
NOISE = 5 * (0.25 / TRIALS) ** 0.5
"""Five standard deviations of a share of the trials."""
MONDAY = 20_773 * DAY
WORKING_WEEK = BusinessCalendar(days=(0, 1, 2, 3, 4), spans=((9 * 60, 17 * 60),), zone=ZoneInfo("Europe/Berlin"))

COUNTS = st.lists(st.integers(0, 6), min_size=1, max_size=20).map(tuple)


def sums_of(history: History, ahead: tuple[bool, ...]) -> dict[int, float]:
    """Every sum of drawn days with its probability."""
    sums = {0: 1.0}
    for open_ in ahead:
        days = (history.open_days if open_ else history.closed_days) or (0,)
        more: dict[int, float] = {}
        for total, chance in sums.items():
            for count in days:
                more[total + count] = more.get(total + count, 0.0) + chance / len(days)
        sums = more
    return sums


def chance_of(history: History, ahead: tuple[bool, ...], items: int) -> float:
    return sum(chance for total, chance in sums_of(history, ahead).items() if total >= items)


@settings(max_examples=40, deadline=None)
@given(COUNTS, COUNTS, st.lists(st.booleans(), min_size=1, max_size=8).map(tuple), st.integers(0, 2**32 - 1))
def test_so_many_items_are_finished_with_the_chance_that_is_said(open_days, closed_days, ahead, seed):
    history = History(open_days, closed_days)
    found = items_within(history, ahead, TRIALS, seed)
    for name, chance in CHANCES.items():
        assert chance_of(history, ahead, found[name]) >= chance - NOISE
        assert chance_of(history, ahead, found[name] + 1) <= chance + NOISE


@settings(max_examples=40, deadline=None)
@given(
    COUNTS, COUNTS, st.lists(st.booleans(), min_size=1, max_size=8).map(tuple), st.integers(1, 25), st.integers(0, 99)
)
def test_the_days_are_enough_with_the_chance_that_is_said(open_days, closed_days, ahead, items, seed):
    history = History(open_days, closed_days)
    found = days_until(history, ahead, items, TRIALS, seed)
    for name, chance in CHANCES.items():
        days = found[name]
        if days is None:
            assert chance_of(history, ahead, items) <= chance + NOISE
        else:
            assert chance_of(history, ahead[:days], items) >= chance - NOISE
            assert chance_of(history, ahead[: days - 1], items) <= chance + NOISE


def test_the_same_seed_gives_the_same_answers_and_another_one_others():
    history, ahead = History((0, 1, 5, 0, 9)), (True,) * HORIZON
    days_until.cache_clear()
    first = days_until(history, ahead, 333, 500, 1)
    days_until.cache_clear()
    assert days_until(history, ahead, 333, 500, 1) == first
    assert any(days_until(history, ahead, 333, 500, seed) != first for seed in range(2, 12))


def test_a_large_number_of_items_is_reached_after_many_bites():
    assert days_until(History((10,)), (True,) * 100, 995, 100, 1)["p95"] == 100
    assert days_until(History((10,)), (True,) * 99, 995, 100, 1)["p95"] is None


def test_what_one_bite_of_days_began_the_next_one_goes_on_with():
    """One day in twenty finishes a hundred items, so that two such days are often far apart."""
    found = days_until(History((100, *[0] * 19)), (True,) * HORIZON, 101, 4000, 1)
    less_than_two = [0.95**days + days * 0.05 * 0.95 ** (days - 1) for days in range(HORIZON)]
    for name, chance in CHANCES.items():
        days = found[name]
        assert days is not None
        assert less_than_two[days] == pytest.approx(1 - chance, abs=0.03)


def test_more_certainty_never_promises_more():
    history, ahead = History((0, 0, 1, 2, 7)), (True,) * 60
    days, items = days_until(history, ahead, 30, TRIALS, 1), items_within(history, ahead, TRIALS, 1)
    assert list(days.values()) == sorted(days.values())  # type: ignore[type-var]
    assert list(items.values()) == sorted(items.values(), reverse=True)


def test_nothing_to_do_is_done_today():
    assert days_until(History((0,)), (True,), 0, 100, 1) == {"p50": 0, "p85": 0, "p95": 0}


def test_what_never_happened_has_no_date():
    assert days_until(History((0, 0)), (True,) * HORIZON, 1, 100, 1) == {"p50": None, "p85": None, "p95": None}


def test_closed_days_are_drawn_from_closed_days_only():
    week = (True,) * 5 + (False,) * 2
    assert items_within(History((2, 2), (0, 0)), week, 200, 1) == {"p50": 10, "p85": 10, "p95": 10}
    assert items_within(History((2, 2), (1,)), week, 200, 1) == {"p50": 12, "p85": 12, "p95": 12}
    assert items_within(History((2,), ()), week, 200, 1)["p50"] == 10
    assert days_until(History((2,), (0,)), week, 11, 200, 1)["p50"] is None


@pytest.mark.parametrize(("day", "is_it"), [(0, True), (4, True), (5, False), (6, False), (7, True)])
def test_a_day_is_open_when_half_of_a_working_day_falls_into_it(day, is_it):
    assert is_open(WORKING_WEEK, MONDAY + day * DAY) is is_it
    whole_days = BusinessCalendar(days=(0, 1, 2, 3, 4), zone=ZoneInfo("Europe/Berlin"))
    assert is_open(whole_days, MONDAY + day * DAY) is is_it
    assert is_open(None, MONDAY + day * DAY)


def test_exactly_half_of_a_working_day_is_enough():
    mondays_half_a_day_ahead_of_utc = BusinessCalendar(days=(0,), zone=ZoneInfo("Etc/GMT-12"))
    opened = [is_open(mondays_half_a_day_ahead_of_utc, MONDAY + day * DAY) for day in (-2, -1, 0, 1)]
    assert opened == [False, True, True, False]


def test_history_is_sorted_by_the_calendar_and_a_day_never_counts_less_than_nothing():
    found = history_of([3, 1, -1, 0, 2, 1, 0], MONDAY, WORKING_WEEK)
    assert found == History((3, 1, 0, 0, 2), (1, 0))
    assert open_days_ahead(WORKING_WEEK, MONDAY + 4 * DAY, 4) == (True, False, False, True)


@pytest.mark.parametrize("count", [days_until, items_within])
def test_it_pauses_often_and_says_the_same(count):
    pauses = []
    question = (History((0, 1, 3)), (True,) * 300, *((500,) if count is days_until else ()), 1_000, 3)
    assert count(*question, pause=lambda: pauses.append(1)) == count(*question)
    assert len(pauses) >= 1_000 * 100 // SLICE
