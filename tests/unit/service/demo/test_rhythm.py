"""The days of the simulated organisation: most of the work is done around the hour at which its story begins."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from flow.instants import DAY, HOUR, MINUTE
from service.demo.rhythm import BUSY, BUSY_BEFORE, QUIET_PACE, Rhythm

START = 1_795_339_800_000
A_DAY_OF_WORK = BUSY + QUIET_PACE * (DAY - BUSY)
INSTANTS = some.integers(START - 3 * DAY, START + 80 * DAY)


def test_work_goes_at_full_pace_when_the_story_begins_and_on_every_later_day_at_that_hour():
    rhythm = Rhythm(START)
    for day in range(50):
        at = START + day * DAY
        assert rhythm.after(at, 30 * MINUTE) == at + 30 * MINUTE


def test_by_night_everything_takes_longer():
    evening = START - START % HOUR - BUSY_BEFORE + BUSY
    assert Rhythm(START).after(evening, 6 * MINUTE) == evening + 60 * MINUTE


@given(INSTANTS)
def test_a_day_holds_a_day_of_work_wherever_it_begins(at):
    assert Rhythm(START).after(at, A_DAY_OF_WORK) == pytest.approx(at + DAY, abs=1)


@given(INSTANTS, some.floats(0, 2 * DAY), some.floats(0, 2 * DAY))
def test_more_work_takes_longer_and_none_at_all_takes_an_instant(at, one, other):
    rhythm = Rhythm(START)
    assert at < rhythm.after(at, min(one, other)) <= rhythm.after(at, max(one, other))
