"""The forecast's answer: what is drawn from, what is said, and what is warned of."""

from __future__ import annotations

from typing import Any

from flow import vector
from flow.definitions import Stage, Stream
from flow.instants import DAY, HOUR
from flow.outlook import ForecastAsked, Past, forecast
from flow.status import StageLive
from flow.vector import Vector, stage_key, type_key

STREAM = Stream("s", (Stage("todo", "queue"), Stage("build", "active"), Stage("done", "done")))
TODAY = 20_776 * DAY  # 2026-11-19


def day(finished: int = 0, started: int | None = None) -> Vector:
    """A day on which items went straight through `build`."""
    started = finished if started is None else started
    return {
        type_key(0, vector.FINISHED): finished,
        stage_key(1, vector.ARRIVALS): started,
        stage_key(1, vector.DEPARTURES): finished,
        stage_key(2, vector.ARRIVALS): finished,
    }


def told(days: list[Vector], wip: int = 0, since: Vector | None = None, **asked: Any) -> dict[str, Any]:
    question = {"now": TODAY + 10 * HOUR, "today": TODAY, "items": 4, "days": 7, "trials": 200, "seed": 1} | asked
    stages = {"todo": StageLive(0, None, 0), "build": StageLive(wip, None, 0)}
    return forecast(STREAM, ForecastAsked(**question), Past(days, since or {}, stages))


def test_the_first_day_that_counts_is_tomorrow():
    found = told([day(1)] * 30)
    assert found["when"] == {"items": 4} | {name: {"date": "2026-11-23", "days": 4} for name in ("p50", "p85", "p95")}
    assert found["how_many"] == {"by": "2026-11-26", "days": 7, "p50": 7, "p85": 7, "p95": 7}
    assert found["assumption"] == "Valid while the future resembles the past."


def test_the_history_is_told_with_its_zero_days():
    found = told([day(2), {}, day(1), {}])["history"]
    assert found == {
        "start": "2026-11-15", "end": "2026-11-18", "days": 4, "closed_days": 0, "zero_days": 2, "items": 3,
        "items_per_day": 0.75,
    }  # fmt: skip


def test_days_before_anything_was_counted_are_not_drawn_but_quiet_days_of_a_stream_that_was_there_are():
    assert told([{}, {}, day(0, started=1), day(1)], wip=1)["history"]["days"] == 2
    assert told([{}, {}, day(1, started=0)], wip=1)["history"]["days"] == 3


def test_all_that_is_in_progress_is_asked_for_unless_a_number_is():
    assert told([day(1)] * 9, wip=6, items=None)["when"]["items"] == 6


def test_what_happened_today_is_no_history():
    """WIP of this morning is today's less what came since."""
    found = told([day(1)] * 30, wip=5, since=day(0, started=5))
    assert (found["stability"]["wip_at_start"], found["stability"]["wip_at_end"]) == (0, 0)
    assert found["history"]["items"] == 30


def test_without_anything_finished_there_is_no_forecast_and_it_says_why():
    found = told([{}] * 9, wip=2)
    assert (found["when"], found["how_many"]) == (None, None)
    assert found["warnings"] == ["nothing was finished in the 9 days of history: there is nothing to draw from"]
    empty = told([])
    assert (empty["history"]["start"], empty["stability"], empty["when"]) == (None, None, None)


def test_it_warns_when_more_arrives_than_leaves():
    found = told([day(1, started=3)] * 30, wip=60)
    assert found["stability"]["balance"] == "more_arrives"
    assert found["warnings"][0].startswith("90 items were started and 30 left: more arrives than leaves")
    assert told([day(1)] * 30)["warnings"] == []


def test_it_warns_when_more_leaves_than_arrives():
    assert "more leaves than arrives" in told([day(2, started=0)] * 30)["warnings"][0]


def test_it_warns_of_a_short_history_and_of_what_no_date_can_be_given_for():
    warnings = told([day(1)] * 10, items=5000)["warnings"]
    assert warnings[0].startswith("the history is short: 10 items in 10 days")
    assert warnings[1] == "where no date is given, more than the chance allows is not done within 366 days"
