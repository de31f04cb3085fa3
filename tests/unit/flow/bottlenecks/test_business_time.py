"""Which time counts: open hours on any clock, and the rhythm that a stream shows."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flow.bottlenecks.business_time import BusinessCalendar, learn_rhythm, slot_of
from flow.instants import DAY, HOUR, MINUTE, instant_of, parse_instant

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = [ZoneInfo(name) for name in ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata")]
OFFICE = BusinessCalendar((0, 1, 2, 3, 4), ((9 * 60, 17 * 60),), BERLIN, ("2026-12-25",))
MONDAY = parse_instant("2026-01-05T00:00:00Z")


def at(text: str) -> int:
    return parse_instant(text)


@pytest.mark.parametrize(
    ("start", "end", "hours"),
    [
        ("2026-11-23T00:00:00+01:00", "2026-11-24T00:00:00+01:00", 8),  # a Monday
        ("2026-11-21T00:00:00+01:00", "2026-11-23T00:00:00+01:00", 0),  # a weekend
        ("2026-11-23T16:30:00+01:00", "2026-11-24T09:15:00+01:00", 0.75),  # over a night
        ("2026-12-24T00:00:00+01:00", "2026-12-26T00:00:00+01:00", 8),  # Christmas is a holiday
        ("2026-03-23T00:00:00+01:00", "2026-03-30T00:00:00+02:00", 40),  # the clocks go forward on the Sunday
        ("2026-11-23T09:00:00+01:00", "2026-11-23T09:00:00+01:00", 0),
    ],
)
def test_open_hours_are_counted_on_the_local_clock(start: str, end: str, hours: float) -> None:
    assert OFFICE.open_time(at(start), at(end)) == hours * HOUR


def test_a_day_on_which_the_clocks_change_has_as_many_hours_as_it_has() -> None:
    every_hour = BusinessCalendar(zone=BERLIN)
    spring, autumn = at("2026-03-29T00:00:00+01:00"), at("2026-10-25T00:00:00+02:00")
    assert every_hour.open_time(spring, at("2026-03-30T00:00:00+02:00")) == 23 * HOUR
    assert every_hour.open_time(autumn, at("2026-10-26T00:00:00+01:00")) == 25 * HOUR
    night = BusinessCalendar(spans=((60, 240),), zone=BERLIN)
    assert night.open_time(spring, spring + DAY) == 2 * HOUR
    assert night.open_time(autumn, autumn + DAY) == 4 * HOUR


def test_an_hour_that_the_clocks_leave_out_is_not_open() -> None:
    missing = BusinessCalendar(spans=((120, 180),), zone=BERLIN)
    spring = at("2026-03-29T00:00:00+01:00")
    assert missing.open_time(spring, spring + DAY) == 0
    assert missing.open_time(spring - DAY, spring) == HOUR


def test_every_hour_counts_unless_something_else_is_said() -> None:
    assert BusinessCalendar().open_time(MONDAY + 5, MONDAY + 9 * DAY) == 9 * DAY - 5


calendars = st.builds(
    BusinessCalendar,
    days=st.sets(st.integers(0, 6), min_size=1).map(lambda days: tuple(sorted(days))),
    spans=st.lists(st.integers(0, 1440), min_size=2, max_size=6, unique=True).map(
        lambda edges: tuple(zip(sorted(edges)[::2], sorted(edges)[1::2], strict=False))
    ),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]).map(
        ZoneInfo
    ),
    holidays=st.sampled_from([(), ("2026-03-29",), ("2026-10-25", "2026-11-01")]),
)
instants = st.integers(at("2026-03-20T00:00:00Z") // MINUTE, at("2026-11-20T00:00:00Z") // MINUTE).map(
    lambda minute: minute * MINUTE
)


@given(calendars, instants, st.lists(st.integers(0, 3 * DAY), min_size=1, max_size=4))
def test_open_time_adds_up_however_it_is_cut(calendar: BusinessCalendar, start: int, lengths: list[int]) -> None:
    edges = [start]
    for length in lengths:
        edges.append(edges[-1] + length)
    parts = [calendar.open_time(one, two) for one, two in itertools.pairwise(edges)]
    assert sum(parts) == calendar.open_time(edges[0], edges[-1])
    assert all(0 <= part <= length for part, length in zip(parts, lengths, strict=True))


@given(calendars, instants)
def test_open_time_is_what_a_walk_minute_by_minute_counts(calendar: BusinessCalendar, start: int) -> None:
    """But in the hour that occurs twice or never, of which a wall clock can't say which is meant."""
    minutes = [start + minute * MINUTE for minute in range(24 * 60)]
    offsets = {datetime.fromtimestamp(m / 1000, calendar.zone).utcoffset() for m in (start, minutes[-1] + 1)}
    if len(offsets) > 1:
        return
    walked = sum(MINUTE for minute in minutes if is_open(calendar, minute))
    assert calendar.open_time(start, start + DAY) == walked


def is_open(calendar: BusinessCalendar, instant: int) -> bool:
    local = datetime.fromtimestamp(instant / 1000, calendar.zone)
    if local.weekday() not in calendar.days or local.date().isoformat() in calendar.holidays:
        return False
    minute = local.hour * 60 + local.minute
    return any(opens <= minute < closes for opens, closes in calendar.spans)


def test_slots_begin_on_monday() -> None:
    assert slot_of(MONDAY) == 0
    assert slot_of(MONDAY - 1) == 167
    assert slot_of(instant_of(datetime(2026, 1, 6, 13, 30, tzinfo=UTC))) == 37


def test_the_rhythm_of_an_office_is_learned_without_a_calendar() -> None:
    hours = [MONDAY + number * HOUR for number in range(28 * 24)]
    rhythm = learn_rhythm(
        (hour, 3 if slot_of(hour) // 24 < 5 and 8 <= slot_of(hour) % 24 < 17 else 0) for hour in hours
    )
    assert sum(rhythm) == pytest.approx(168)
    office = sum(rhythm[day * 24 + hour] for day in range(5) for hour in range(8, 17))
    assert office / 168 > 0.9
    assert min(rhythm) > 0


@pytest.mark.parametrize("happened", [0, 1])
def test_where_little_happened_the_rhythm_is_near_even(happened: int) -> None:
    rhythm = learn_rhythm((MONDAY + number * HOUR, happened if number == 5 else 0) for number in range(14 * 24))
    assert max(rhythm) < 3
    assert sum(rhythm) == pytest.approx(168)
