"""Sums of evidence, one stage's watch, and a whole stream's: against a computation written apart, and as they act."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flow.bottlenecks.business_time import BusinessCalendar
from flow.bottlenecks.cusum import MOST_EVIDENCE, Cusum
from flow.bottlenecks.follow import (
    KEPT,
    Memory,
    follow,
    learned_at,
    learned_at_once,
    pack_memory,
    start_of_reading,
    unpack_memory,
)
from flow.bottlenecks.gaps import Gaps
from flow.bottlenecks.history import Hour, StreamHour
from flow.bottlenecks.stage_watch import CLEARED_AT, USUAL_TO
from flow.bottlenecks.stream_watch import Detector, pack_watch, unpack_watch
from flow.definitions import Stage, Stream
from flow.instants import DAY, HOUR

MONDAY = 1_767_571_200_000
STREAM = Stream("web", (Stage("one", "active"), Stage("two", "active"), Stage("done", "done")), baseline=14 * DAY)

steps = st.lists(st.tuples(st.floats(0, 5), st.integers(0, 6)), max_size=60)


@given(st.sampled_from([0.35, 0.65, 1.4, 2.0]), steps)
def test_a_sum_is_the_highest_likelihood_ratio_of_any_latest_span(
    factor: float, found: list[tuple[float, int]]
) -> None:
    """The sum never below 0 is max over the spans that end now of Σ (seen · ln factor − (factor − 1) · expected)."""
    cusum = Cusum(factor)
    for end, (expected, seen) in enumerate(found, start=1):
        cusum.step(expected, seen, end)
    gains = [seen * math.log(factor) - (factor - 1) * expected for expected, seen in found]
    direct = max([0.0, *(math.fsum(gains[start:]) for start in range(len(gains)))])
    assert cusum.value == pytest.approx(direct, abs=1e-9)
    since = cusum.since
    if cusum.value > 0:
        assert cusum.expected == pytest.approx(sum(expected for expected, _ in found[since:]))
        assert cusum.seen == sum(seen for _, seen in found[since:])


@given(steps)
def test_more_departures_never_are_more_evidence_of_a_slowdown(found: list[tuple[float, int]]) -> None:
    fewer, more = Cusum(0.65), Cusum(0.65)
    for end, (expected, seen) in enumerate(found, start=1):
        fewer.step(expected, seen, end)
        more.step(expected, seen + end % 2, end)
        assert more.value <= fewer.value


def test_evidence_is_not_piled_up_beyond_its_bound() -> None:
    cusum = Cusum(0.65, threshold=4.0)
    for end in range(1000):
        cusum.step(1.0, 0, end)
    assert cusum.evidence == MOST_EVIDENCE


def hours(days: int, *, a_day: int = 8, leaves_two: float = 1e9, start: int = MONDAY) -> list[StreamHour]:
    """So many items a day go through both stages, evenly; from a day on none leaves the second."""
    found, wip = [], [1, 1]
    every = 24 // a_day
    for number in range(days * 24):
        moves = number % every == 0
        first = Hour(int(moves), int(moves), wip[0])
        left = int(moves and number / 24 < leaves_two)
        wip[1] += int(moves) - left
        found.append(
            StreamHour(start + number * HOUR, start + (number + 1) * HOUR, [first, Hour(int(moves), left, wip[1])])
        )
    return found


def test_a_stage_that_nothing_leaves_is_in_alarm_within_days_and_only_that_one() -> None:
    watch, _ = follow(Detector(STREAM), Memory(), hours(23, leaves_two=20))
    assert watch is not None
    assert [stage.raised for stage in watch.stages] == ["", "slowdown"]
    assert MONDAY + 20 * DAY < watch.stages[1].raised_at < MONDAY + 22.5 * DAY
    assert watch.stages[1].slowdown.since == pytest.approx(MONDAY + 20 * DAY, abs=6 * HOUR)


def test_closed_hours_are_no_evidence() -> None:
    stopped = hours(17)
    weekend = [StreamHour(h.start, h.end, [Hour(0, 0, 9), Hour(0, 0, 9)]) for h in hours(40, start=stopped[-1].end)]
    always_closed = BusinessCalendar(days=(0,), holidays=tuple(f"2026-01-{day:02}" for day in (19, 26)))
    detector = Detector(replace(STREAM, calendar=always_closed))
    watch, _ = follow(detector, Memory(), stopped + weekend[: 14 * 24])
    assert watch is not None
    assert [stage.raised for stage in watch.stages] == ["", ""]
    with_hours, _ = follow(Detector(STREAM), Memory(), stopped + weekend[: 14 * 24])
    assert with_hours is not None
    assert [stage.raised for stage in with_hours.stages] == ["slowdown", "slowdown"]


def test_while_an_alarm_stands_nothing_is_learned_and_after_a_while_it_is_what_is_usual() -> None:
    detector = Detector(replace(STREAM, relearn_after=10 * DAY))
    slow = hours(20) + [
        StreamHour(h.start, h.end, [h.stages[0], Hour(h.stages[1].arrivals, int(n % 12 == 0), 20 + n)])
        for n, h in enumerate(hours(40, start=MONDAY + 20 * DAY))
    ]
    in_alarm, _ = follow(detector, Memory(), slow[: 28 * 24])
    assert in_alarm is not None
    assert in_alarm.stages[1].raised == "slowdown"
    assert in_alarm.stages[1].baseline.most_a_day == pytest.approx(8, rel=0.15)
    later, _ = follow(detector, Memory(), slow)
    assert later is not None
    assert later.stages[1].raised == ""
    assert later.stages[1].baseline.most_a_day == pytest.approx(2, rel=0.3)


def test_a_stage_that_nothing_leaves_for_months_stays_in_alarm() -> None:
    watch, _ = follow(Detector(STREAM), Memory(), hours(120, leaves_two=20))
    assert watch is not None
    assert watch.stages[1].raised == "slowdown"
    assert watch.stages[1].baseline.most_a_day == pytest.approx(8, rel=0.15)


def test_a_surge_is_not_learned_while_its_alarm_stands() -> None:
    """The stage keeps up: as many leave as arrive, so that nothing but the alarm keeps it from being learned."""
    surge = [StreamHour(h.start, h.end, [Hour(1, 1, 1), Hour(1, 1, 1)]) for h in hours(20, start=MONDAY + 20 * DAY)]
    watch, _ = follow(Detector(STREAM), Memory(), hours(20) + surge)
    assert watch is not None
    assert watch.stages[0].raised == "overload"
    assert watch.stages[0].baseline.arrival_rate == pytest.approx(8, rel=0.15)


def test_where_long_gaps_are_usual_one_more_is_less_evidence() -> None:
    detector, every = Detector(STREAM), hours(17, leaves_two=15)
    even, _ = follow(detector, Memory(), every[: 15 * 24])
    assert even is not None
    uneven = unpack_watch(pack_watch(even))
    uneven.stages[1].baseline.gaps = Gaps(apart=100.0, within=40.0, ended=5.0)
    for hour in every[15 * 24 :]:
        detector.step(even, hour)
        detector.step(uneven, hour)
    assert 0.2 < uneven.stages[1].slowdown.value / even.stages[1].slowdown.value < 0.6


@pytest.mark.parametrize(("backlog", "raised"), [(60, ["", ""]), (0, ["", "overload"])])
def test_what_comes_out_of_a_backlog_of_the_stage_before_is_no_overload(backlog: int, raised: list[str]) -> None:
    """The second stage gets 24 a day instead of 8; with a backlog before it, as many as the first one can do."""
    known = hours(20)
    quick = [
        StreamHour(h.start, h.end, [Hour(h.stages[0].arrivals, h.stages[0].departures, 1), h.stages[1]]) for h in known
    ]
    detector = Detector(STREAM)
    watch = detector.learn(quick)
    watch.stages[0].baseline.service_rates = [0.0, 24.0]
    for number in range(48):
        start = quick[-1].end + number * HOUR
        first = Hour(0 if backlog else 1, 1, max(1, backlog - number))
        detector.step(watch, StreamHour(start, start + HOUR, [first, Hour(1, 1, 1)]))
        watch.stages[0].more[0].reset(start)
    assert [stage.raised for stage in watch.stages] == raised


def test_an_alarm_ends_with_the_evidence_of_its_own_cause() -> None:
    """Items leave again, more of them arrive than before: the slowdown is over, and an overload is told as one."""
    watch, _ = follow(Detector(STREAM), Memory(), hours(23, leaves_two=20))
    assert watch is not None
    stage = watch.stages[1]
    assert stage.raised == "slowdown"
    for cusum in stage.slower:
        cusum.reset(watch.through)
    stage.more[0].value = 0.8 * stage.more[0].threshold
    quiet = StreamHour(watch.through, watch.through + HOUR, [Hour(0, 0, 1), Hour(0, 0, 18)])
    calm = Detector(STREAM).after(watch, quiet).stages[1]
    assert (calm.raised, calm.overload.evidence > CLEARED_AT) == ("", True)
    stage.more[0].value = 1.4 * stage.more[0].threshold
    flooded = Detector(STREAM).after(watch, quiet).stages[1]
    assert (flooded.raised, flooded.raised_at) == ("overload", quiet.end)


def test_days_with_a_little_evidence_are_learned_and_days_with_much_are_not() -> None:
    watch, _ = follow(Detector(STREAM), Memory(), hours(20))
    assert watch is not None
    stage = watch.stages[1]
    stage.pending.days = 3.0
    learned = {}
    for share in (0.9 * USUAL_TO, 1.2 * USUAL_TO):
        stage.slower[1].value = share * stage.slower[1].threshold
        quiet = StreamHour(watch.through, watch.through + HOUR, [Hour(0, 0, 1), Hour(0, 0, 0)])
        learned[share] = Detector(STREAM).after(watch, quiet).stages[1].pending.days
    few, much = learned.values()
    assert (few, much > 3) == (0.0, True)


@pytest.mark.parametrize(("baseline", "learned"), [(14, 14), (28, 21), (30, 22.5)])
def test_three_quarters_of_the_baseline_are_learned_at_once_and_two_weeks_at_least(
    baseline: int, learned: float
) -> None:
    assert learned_at_once(Detector(replace(STREAM, baseline=baseline * DAY))) == learned * DAY


@given(st.integers(14 * 24, 30 * 24 - 1), st.integers(1, 8))
def test_a_restart_changes_nothing_wherever_it_comes(cut: int, days_back: int) -> None:
    detector, every = Detector(STREAM), hours(30, leaves_two=26)
    whole, remembered = follow(detector, Memory(), every)
    _, before = follow(detector, Memory(), every[:cut])
    stored = unpack_memory(pack_memory(before))
    if not stored.days:
        return
    start = stored.days[-min(days_back, len(stored.days))].through
    again, memory = follow(detector, stored, [hour for hour in every if hour.start >= start])
    assert whole is not None
    assert again is not None
    assert pack_watch(again) == pack_watch(whole)
    assert pack_memory(memory) == pack_memory(remembered)


def test_reading_goes_back_a_day_or_as_far_as_anything_is_remembered() -> None:
    detector, every = Detector(STREAM), hours(30)
    _, memory = follow(detector, Memory(), every)
    now = every[-1].end + 5 * HOUR
    assert len(memory.days) == KEPT
    assert start_of_reading(detector, memory, now, kept_from=0, counted={}) == MONDAY + 29 * DAY
    for day, start in ((29, 29), (27, 27), (23, 23), (20, 29)):
        late = {MONDAY + day * DAY: 1}
        assert start_of_reading(detector, memory, now, kept_from=0, counted=late) == MONDAY + start * DAY
    assert start_of_reading(detector, Memory(), now, kept_from=MONDAY + 5, counted={}) == MONDAY + HOUR
    changed = Detector(replace(STREAM, baseline=15 * DAY))
    assert start_of_reading(changed, memory, now, kept_from=MONDAY, counted={}) == MONDAY
    beyond = MONDAY + 60 * DAY
    assert start_of_reading(detector, memory, beyond + DAY, kept_from=beyond, counted={}) == beyond


def test_history_begins_with_the_first_hour_in_which_something_happened() -> None:
    detector = Detector(STREAM)
    empty = [StreamHour(MONDAY - n * HOUR, MONDAY - (n - 1) * HOUR, [Hour(0, 0, 0)] * 2) for n in range(48, 0, -1)]
    assert learned_at(detector, empty + hours(5)) == MONDAY + 14 * DAY
    assert follow(detector, Memory(), empty + hours(13)) == (None, Memory())
    assert follow(detector, Memory(), empty + hours(15))[0] is not None


def test_trouble_at_the_end_of_imported_history_is_seen_and_not_learned_as_usual() -> None:
    watch, _ = follow(Detector(replace(STREAM, baseline=28 * DAY)), Memory(), hours(34, leaves_two=24))
    assert watch is not None
    assert [stage.raised for stage in watch.stages] == ["", "slowdown"]
    assert watch.stages[1].slowdown.since == pytest.approx(MONDAY + 24 * DAY, abs=DAY)


def test_what_was_learned_is_outdated_when_more_than_a_tenth_of_it_changed() -> None:
    _, memory = follow(Detector(STREAM), Memory(), hours(30))
    learned = {MONDAY + day * DAY: 32 for day in range(30)}
    memory = memory.with_counted(learned, MONDAY, {}, MONDAY)
    one, two = ({MONDAY + day * DAY: 32} for day in (40, 25))
    assert not memory.is_outdated(learned | {MONDAY: 64}, MONDAY)
    assert memory.is_outdated(learned | {MONDAY: 320}, MONDAY)
    assert not memory.is_outdated(learned | {MONDAY: 320}, MONDAY + DAY), "that day is not kept any more"
    assert not memory.is_outdated(learned | one | dict.fromkeys(two, 1000), MONDAY), "that is gone through again"


def test_what_is_counted_of_days_that_were_not_gone_through_stays_as_it_was() -> None:
    counted = {MONDAY: 5, MONDAY + DAY: 6}
    before = {MONDAY - DAY: 2, MONDAY: 3, MONDAY + DAY: 4}
    memory = Memory().with_counted(counted, MONDAY + DAY + 7 * HOUR, before, since=MONDAY)
    assert memory.counted == {MONDAY: 3, MONDAY + DAY: 6}


def test_what_another_version_stored_is_forgotten() -> None:
    assert unpack_memory(b"\x81\xa1a\x01") == Memory()
    assert unpack_memory(b"") == Memory()
