"""What readers are told: states, causes and sentences."""

from __future__ import annotations

import re
from dataclasses import replace
from math import log

import pytest

from flow.bottlenecks.cells import hours_of
from flow.bottlenecks.follow import Memory, follow
from flow.bottlenecks.history import Hour, StreamHour
from flow.bottlenecks.stream_watch import Detector, StreamWatch
from flow.bottlenecks.verdict import Live, Said, Verdict, pack_said, short_time, told, unpack_said, verdicts
from flow.cells import Grain, cell_at
from flow.definitions import ServiceLevel, Stage, Stream
from flow.histogram import bin_of
from flow.instants import DAY, HOUR
from flow.vector import ARRIVALS, DEPARTURES, STAGE_TIME_BINS, stage_key

MONDAY = 1_767_571_200_000
STREAM = Stream("web", (Stage("one", "active"), Stage("done", "done")), baseline=14 * DAY)
VISIT = log(6 * HOUR)


def watched(
    a_day: float, days: int, *, arrivals_from: tuple[float, int] = (1e9, 1), stopped: float = 1e9
) -> StreamWatch:
    """Items come and go evenly; from a day on so many times as many come; from another on none goes."""
    found, wip, due, left_due = [], 2, 0.0, 0.0
    for number in range(days * 24):
        day = number / 24
        due += a_day / 24 * (arrivals_from[1] if day >= arrivals_from[0] else 1)
        left_due += a_day / 24 if day < stopped else 0
        came, left = int(due), int(left_due)
        due, left_due, wip = due - came, left_due - left, wip + came - left
        hour = Hour(came, left, wip, left * VISIT, left * VISIT**2)
        found.append(StreamHour(MONDAY + number * HOUR, MONDAY + (number + 1) * HOUR, [hour]))
    watch, _ = follow(Detector(STREAM), Memory(), found)
    assert watch is not None
    return watch


def say(watch: StreamWatch, wip: int = 2, oldest_at: int | None = None, stream: Stream = STREAM) -> Verdict:
    [verdict] = verdicts(Detector(stream), watch, [Live(wip, oldest_at)], watch.through)
    return verdict


def test_of_a_stage_that_works_as_usual_nothing_is_said() -> None:
    verdict = say(watched(8, 20))
    assert (verdict.state, verdict.raised) == ("none", False)
    assert told(verdict) is None


def test_nothing_leaves() -> None:
    verdict = say(watched(8, 22, stopped=20), wip=18)
    assert (verdict.state, verdict.cause, verdict.constrains) == ("stuck", "slowdown", True)
    assert verdict.why.startswith("0 left in 2 days, 1")


def test_more_arrives() -> None:
    verdict = say(watched(8, 30, arrivals_from=(20, 2)), wip=80)
    assert (verdict.state, verdict.cause) == ("not_keeping_up", "overload")
    assert " arrived in " in verdict.why
    assert re.search(r"; about \d+\.\d a day can leave$", verdict.why)


def test_a_backlog_without_an_alarm_is_steady_or_shrinks() -> None:
    watch = watched(8, 20)
    assert say(watch, wip=12).state == "steady_backlog"
    watch.stages[0].recent_departures = watch.stages[0].recent_arrivals + 5
    assert say(watch, wip=12).state == "catching_up"


@pytest.mark.parametrize("a_day", [0.25, 0.5])
def test_where_too_little_leaves_it_says_that_it_can_not_know(a_day: float) -> None:
    verdict = say(watched(a_day, 60, stopped=50), wip=5)
    assert (verdict.state, verdict.raised) == ("insufficient_data", False)
    assert "too little leaves to know" in verdict.why
    assert "slowdown" not in verdict.evidences


def test_where_too_little_leaves_an_item_that_is_far_too_old_is_an_alarm() -> None:
    watch = watched(0.75, 40)
    fresh = say(watch, oldest_at=watch.through - 8 * HOUR)
    assert (fresh.state, fresh.raised) == ("insufficient_data", False)
    old = say(watch, oldest_at=watch.through - 20 * DAY)
    assert (old.state, old.cause, old.raised) == ("stuck", "ageing", True)
    assert old.why.startswith("the oldest item is here for 20 days, and ")


def test_with_next_to_no_visits_the_expectation_of_the_stage_is_the_limit() -> None:
    sle = replace(STREAM, stages=(Stage("one", "active", sle=ServiceLevel(0.85, 2 * DAY)), STREAM.stages[1]))
    watch = watched(0.1, 30)
    assert not say(watch, oldest_at=watch.through - DAY, stream=sle).raised
    assert say(watch, oldest_at=watch.through - 3 * DAY, stream=sle).cause == "ageing"
    assert not say(watch, oldest_at=watch.through - 3 * DAY).raised


def test_of_a_surge_the_stage_with_the_least_room_is_named_with_its_cause() -> None:
    stream = replace(STREAM, stages=(Stage("one", "active"), Stage("two", "active"), STREAM.stages[1]))
    one, two = watched(8, 30, arrivals_from=(20, 2)), watched(8, 30)
    two.stages[0].baseline.service_rates = [0.0, 4.0]
    both = StreamWatch("", one.through, one.rhythm, [one.stages[0], two.stages[0]])
    sees, tight = verdicts(Detector(stream), both, [Live(80, None), Live(3, None)], one.through)
    assert (sees.raised, sees.cause, sees.constrains) == (True, "overload", False)
    assert (tight.raised, tight.cause, tight.constrains) == (True, "overload", True)
    assert (tight.evidence, tight.since) == (sees.evidence, sees.since)
    assert sees.why.endswith("; two constrains the stream")
    assert tight.why == (
        "more arrives in one, and this stage has the least room for it; "
        "no more arrives here than usual by now; about 4.0 a day can leave"
    )


def test_an_alarm_of_a_stage_that_becomes_too_quiet_to_watch_is_still_told() -> None:
    watch = watched(8, 22, stopped=20)
    watch.stages[0].baseline.counted.departures = 5
    verdict = say(watch, wip=18)
    assert (verdict.raised, verdict.cause) == (True, "slowdown")


def test_what_was_never_committed_to_may_be_as_old_as_it_likes() -> None:
    backlog = replace(STREAM, stages=(Stage("one", "queue"), Stage("two", "active"), STREAM.stages[1]))
    watch = watched(0.75, 40)
    both = StreamWatch("", watch.through, watch.rhythm, [watch.stages[0], watch.stages[0]])
    old = Live(9, watch.through - 400 * DAY)
    first, second = verdicts(Detector(backlog), both, [old, old], watch.through)
    assert (first.raised, first.evidences) == (False, {})
    assert (second.raised, second.cause) == (True, "ageing")


def test_a_stage_at_its_limit_is_named_for_the_one_that_it_holds_up() -> None:
    stream = replace(STREAM, stages=(Stage("one", "active"), Stage("two", "active", wip_limit=4), STREAM.stages[1]))
    one, two = watched(8, 22, stopped=20), watched(8, 22)
    both = StreamWatch("", one.through, one.rhythm, [one.stages[0], two.stages[0]])
    held, holds = verdicts(Detector(stream), both, [Live(9, None), Live(4, None)], one.through)
    assert (held.raised, held.constrains, holds.raised, holds.constrains) == (True, False, True, True)
    assert holds.since == held.since
    assert held.why.endswith("; two constrains the stream")
    assert holds.why.startswith("it is at its WIP limit of 4 and holds up one; ")


def test_what_was_said_is_read_back_and_what_another_version_said_is_not() -> None:
    said = Said(5, [say(watched(8, 20))])
    assert unpack_said(pack_said(said)) == said
    assert unpack_said(b"\x92\x05\x01") is None
    assert unpack_said(b"") is None


@pytest.mark.parametrize(
    ("duration", "text"),
    [(0, "0 minutes"), (90_000, "2 minutes"), (HOUR, "1 hour"), (47 * HOUR, "47 hours"), (10 * DAY + HOUR, "10 days")],
)
def test_durations_are_said_in_words(duration: int, text: str) -> None:
    assert short_time(duration) == text


def test_at_an_hours_edge_the_hour_that_begins_is_not_in_the_history() -> None:
    cells = {cell_at(Grain.HOUR, MONDAY + HOUR): {stage_key(0, ARRIVALS): 3}}
    found = hours_of(cells, [0], [5], MONDAY, MONDAY + HOUR)
    assert [(hour.start, hour.end, hour.stages[0].wip) for hour in found] == [(MONDAY, MONDAY + HOUR, 2)]


def test_hours_are_made_from_cells_and_what_is_there_now() -> None:
    visit = stage_key(0, STAGE_TIME_BINS + bin_of(6 * HOUR))
    cells = {
        cell_at(Grain.HOUR, MONDAY): {stage_key(0, ARRIVALS): 3},
        cell_at(Grain.HOUR, MONDAY + 2 * HOUR): {stage_key(0, DEPARTURES): 2, visit: 2, stage_key(1, ARRIVALS): 2},
        cell_at(Grain.HOUR, MONDAY + 5 * HOUR): {stage_key(0, ARRIVALS): 4},  # ahead of the clock
    }
    found = hours_of(cells, [0], [5], MONDAY, MONDAY + 2 * HOUR + 1000)
    assert [hour.stages[0][:3] for hour in found] == [(3, 0, 3), (0, 0, 3), (0, 2, 1)]
    assert [hour.end for hour in found] == [MONDAY + HOUR, MONDAY + 2 * HOUR, MONDAY + 2 * HOUR + 1000]
    assert found[2].stages[0].log_time == pytest.approx(2 * log(6 * HOUR), rel=0.01)
