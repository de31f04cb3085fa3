"""What a definition file says of the detector: read, and every mistake named with its line and the fix."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from flow.bottlenecks.business_time import BusinessCalendar
from flow.definition_file import read_definitions
from flow.definitions import Stream
from flow.errors import DefinitionError
from flow.instants import DAY

FILE = """\
streams:
  web:
    match: {project: WEB}
    stages:
      - {name: develop, kind: active, when: [{status: Doing}]}
      - {name: done, kind: done, when: [{status: Done}]}
"""


def read(line: str) -> Stream:
    return read_definitions(f"{FILE}    {line}\n", zones=ZoneInfo).streams["web"]


def problem(line: str) -> str:
    with pytest.raises(DefinitionError) as caught:
        read(line)
    [message] = caught.value.problems
    assert message.startswith("streams.yaml:7: ")
    return message.removeprefix("streams.yaml:7: ")


def test_everything_can_be_left_out() -> None:
    stream = read_definitions(FILE).streams["web"]
    assert (stream.calendar, stream.false_alarms_per_year) == (None, 1.0)
    assert (stream.baseline, stream.relearn_after) == (28 * DAY, 30 * DAY)


def test_a_whole_calendar_is_read() -> None:
    stream = read(
        "calendar: {days: [mon, tue, fri], hours: 09:00-17:30, zone: Europe/Berlin, holidays: [2026-12-25, 2026-01-01]}"
    )
    holidays = ("2026-01-01", "2026-12-25")
    assert stream.calendar == BusinessCalendar((0, 1, 4), ((540, 1050),), ZoneInfo("Europe/Berlin"), holidays)


def test_without_time_zones_at_hand_only_utc_is_known() -> None:
    line = "    calendar: {{zone: {}}}\n"
    assert read_definitions(FILE + line.format("UTC")).streams["web"].calendar == BusinessCalendar()
    with pytest.raises(DefinitionError, match="is not a time zone"):
        read_definitions(FILE + line.format("Europe/Berlin"))


def test_hours_may_have_a_break_and_a_night() -> None:
    found = read("calendar: {hours: [00:00-06:00, 8:15-12:00, 22:00-24:00]}").calendar
    assert found is not None
    assert found.spans == ((0, 360), (495, 720), (1320, 1440))
    assert found.days == (0, 1, 2, 3, 4, 5, 6)


def test_budget_and_lengths_are_read() -> None:
    assert read("false_alarms_per_year: 0.5").false_alarms_per_year == 0.5
    assert read("baseline: 21d").baseline == 21 * DAY
    assert read("relearn_after: 2w").relearn_after == 14 * DAY


def test_the_detectors_settings_ask_for_no_recomputation_of_the_state() -> None:
    assert read("calendar: {days: [mon]}").fingerprint == read("false_alarms_per_year: 9").fingerprint


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "calendar: 9-17",
            "calendar of stream 'web' must be a map, not the text '9-17'; "
            "write keys and values; the keys are days, hours, zone, holidays",
        ),
        (
            "calendar: {}",
            "calendar of stream 'web' is empty; "
            "write days, hours, zone or holidays; write 09:00-17:00, or [08:00-12:00, 13:00-17:00]",
        ),
        ("calendar: {day: [mon]}", "unknown key 'day' in calendar of stream 'web'; write days"),
        (
            "calendar: {days: [monday]}",
            "an entry of days in calendar of stream 'web' can't be 'monday'; write mon",
        ),
        ("calendar: {days: [mon, mon]}", "days in calendar of stream 'web' has mon twice; keep one of them"),
        (
            "calendar: {days: []}",
            "days in calendar of stream 'web' is an empty list; write [mon, tue, wed, thu, fri]",
        ),
        (
            "calendar: {hours: 9 to 5}",
            "hours in calendar of stream 'web': '9 to 5' is not a span of hours; "
            "write 09:00-17:00, or [08:00-12:00, 13:00-17:00]",
        ),
        (
            "calendar: {hours: 09:00-25:00}",
            "hours in calendar of stream 'web': '09:00-25:00' is not a span of hours; "
            "write 09:00-17:00, or [08:00-12:00, 13:00-17:00]",
        ),
        (
            "calendar: {hours: 09:00-24:30}",
            "hours in calendar of stream 'web': '09:00-24:30' is not a span of hours; "
            "write 09:00-17:00, or [08:00-12:00, 13:00-17:00]",
        ),
        (
            "calendar: {hours: 22:00-06:00}",
            "hours in calendar of stream 'web': '22:00-06:00' ends before it begins; "
            "write two spans for a night: [00:00-06:00, 22:00-24:00]",
        ),
        (
            "calendar: {hours: [08:00-12:00, 11:00-17:00]}",
            "hours in calendar of stream 'web': '11:00-17:00' begins before the span in front of it ends; order them",
        ),
        (
            "calendar: {zone: Europe/Berlln}",
            "zone in calendar of stream 'web': 'Europe/Berlln' is not a time zone of the tz database; "
            "write Europe/Berlin",
        ),
        (
            "calendar: {zone: ../passwd}",
            "zone in calendar of stream 'web': '../passwd' is not a time zone of the tz database; "
            "write one of UTC, Europe/Berlin, Europe/London, America/New_York, Asia/Kolkata, Asia/Tokyo",
        ),
        (
            "calendar: {holidays: [25.12.2026]}",
            "holidays in calendar of stream 'web': '25.12.2026' is not a date; "
            "write year, month and day, such as 2026-12-25",
        ),
        (
            "calendar: {holidays: [2026-02-30]}",
            "holidays in calendar of stream 'web': '2026-02-30' is not a date; "
            "write year, month and day, such as 2026-12-25",
        ),
        (
            "false_alarms_per_year: 0",
            "false_alarms_per_year of stream 'web' must be from 0.01 to 52; "
            "write 1 for one a year; without any chance of a false alarm nothing is seen",
        ),
        (
            "false_alarms_per_year: often",
            "false_alarms_per_year of stream 'web' must be a number from 0, not the text 'often'; write one such as 1",
        ),
        ("baseline: 3d", "baseline of stream 'web' can't be '3d'; write a duration from 14d to 30d"),
        ("baseline: 90d", "baseline of stream 'web' can't be '90d'; write a duration from 14d to 30d"),
        ("relearn_after: 1h", "relearn_after of stream 'web' can't be '1h'; write a duration from 1d to 366d"),
    ],
)
def test_every_mistake_is_named_with_its_fix(line: str, message: str) -> None:
    assert problem(line) == message
