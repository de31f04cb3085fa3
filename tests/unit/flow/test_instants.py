"""Instants and durations: what is written is what is read back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flow.instants import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    WEEK,
    format_duration,
    format_instant,
    instant_of,
    parse_duration,
    parse_instant,
)

EARLIEST = instant_of(datetime(1, 1, 2, tzinfo=UTC))
LATEST = instant_of(datetime(9999, 12, 30, tzinfo=UTC))
OFFSETS = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.integers(EARLIEST, LATEST))
@example(-1)
@example(-1001)
@example(0)
@example(EARLIEST)
def test_an_instant_is_read_back_as_it_was_written(instant: int) -> None:
    assert parse_instant(format_instant(instant)) == instant


@given(st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29)), OFFSETS)  # noqa: DTZ001 - the zone is drawn apart
def test_the_offset_does_not_change_the_instant(moment: datetime, offset: timezone) -> None:
    aware = moment.replace(microsecond=moment.microsecond // 1000 * 1000, tzinfo=UTC)
    exact = (aware - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    assert instant_of(aware) == exact
    assert parse_instant(aware.astimezone(offset).isoformat()) == exact


def test_instants_are_written_with_milliseconds_only_where_there_are_any() -> None:
    assert format_instant(1795339800000) == "2026-11-22T09:30:00Z"
    assert format_instant(1795339800007) == "2026-11-22T09:30:00.007Z"
    assert format_instant(-1) == "1969-12-31T23:59:59.999Z"


@pytest.mark.parametrize("text", ["2026-11-22T09:30:00", "2026-11-22"])
def test_an_instant_without_a_time_zone_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="has no time zone: end it with Z"):
        parse_instant(text)


@given(st.text(max_size=40) | st.text(alphabet="0123456789-:TZ+.W", max_size=32))
@example("0001-01-01T00:00:00+23:59")
@example("9999-12-31T23:59:59-23:59")
def test_any_text_is_an_instant_or_a_value_error(text: str) -> None:
    said = ""
    try:
        parse_instant(text)
    except ValueError as error:
        said = str(error)
    assert not said or repr(text) in said


@given(st.integers(0, 10**15))
@example(0)
@example(999)
def test_a_duration_is_read_back_down_to_whole_seconds(duration: int) -> None:
    assert parse_duration(format_duration(duration)) == duration // SECOND * SECOND


@given(st.lists(st.tuples(st.integers(0, 999_999_999), st.sampled_from("smhdw")), min_size=1, max_size=6))
def test_a_duration_is_the_sum_of_its_parts(parts: list[tuple[int, str]]) -> None:
    sizes = {"s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY, "w": WEEK}
    text = "".join(f"{count}{unit}" for count, unit in parts)
    assert parse_duration(text) == sum(count * sizes[unit] for count, unit in parts)


@given(st.integers(1, 10**12))
def test_no_shorter_writing_of_a_duration_uses_a_unit_twice(duration: int) -> None:
    units = [character for character in format_duration(duration) if character.isalpha()]
    assert len(units) == len(set(units))
    assert units == [unit for unit in "dhms" if unit in units]


@pytest.mark.parametrize("text", ["", "3", "d", "1.5d", "-1d", "1y", "1 d", " 1d", "1d ", "1D", "1234567890s", "1d\n"])
def test_what_is_not_a_duration_is_refused_with_the_fix(text: str) -> None:
    with pytest.raises(ValueError, match="write a number and s, m, h, d or w, such as 90s, 4h or 2d") as caught:
        parse_duration(text)
    assert repr(text) in str(caught.value)
