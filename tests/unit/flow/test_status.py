from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flow import vector
from flow.cells import Grain, Window, start_of
from flow.definitions import ServiceLevel, Stage, Stream
from flow.histogram import bin_of
from flow.instants import DAY, HOUR, MINUTE
from flow.status import Asked, Reading, StageLive, cells_after, percent_complete_accurate, status, thousandths, times
from flow.vector import Vector, stage_key, type_key

NOW = 20_000 * DAY + 10 * HOUR + 30 * MINUTE
STAGES = (
    Stage("backlog", "queue"),
    Stage("review", "active", wip_limit=4, sle=ServiceLevel(0.85, DAY)),
    Stage("done", "done"),
)
REVIEW = 1


def asked_at(at: int, window: Window) -> Asked:
    return Asked(at, "7d", window, NOW)


LIVE_WINDOW = Window(NOW - NOW % HOUR + HOUR - 7 * DAY, NOW - NOW % HOUR + HOUR, Grain.HOUR)
EMPTY = {"backlog": StageLive(0, None, 0), "review": StageLive(0, None, 0)}


def told(stream: Stream, counted: Vector, after: Vector | None = None, **changed: Any) -> dict[str, Any]:
    reading: dict[str, Any] = {"stages": EMPTY, "totals": {}, "counted": counted, "after": after, **changed}
    return status(stream, asked_at(NOW, LIVE_WINDOW), Reading(**reading))


def test_nothing_is_said_of_nothing():
    found = told(Stream("s", STAGES), {})
    nothing = {"count": 0, "mean": None, "p50": None, "p85": None, "p95": None}
    assert (found["cycle_time"], found["lead_time"], found["flow_efficiency"]) == (nothing, nothing, None)
    assert (found["wip"], found["throughput"], found["value_delivered"], found["targets"]) == (0, 0, 0, {})
    review = found["stages"][REVIEW]
    assert (review["oldest_age"], review["percent_complete_accurate"], review["time"]) == (None, None, nothing)
    assert (review["items_over_sle"], found["stages"][0]["items_over_sle"]) == (0, None)


def test_the_answer_has_the_keys_of_the_contract_in_its_order():
    found = told(Stream("s", STAGES), {})
    assert list(found) == [
        "stream", "at", "window", "wip", "throughput", "reopened", "cycle_time", "lead_time", "flow_efficiency",
        "value_delivered", "percent_complete_accurate", "handoffs", "by_type", "targets", "stages",
    ]  # fmt: skip
    assert list(found["stages"][0]) == [
        "stage", "kind", "wip", "wip_limit", "queue_depth", "blocked", "oldest_age", "items_over_sle", "arrivals",
        "departures", "rework", "percent_complete_accurate", "handoffs", "blocked_time", "time", "bottleneck",
        "value_waiting", "cost_of_delay", "valued_items",
    ]  # fmt: skip


def test_types_add_up_to_the_stream_and_are_told_apart():
    counted = {
        type_key(0, vector.FINISHED): 3, type_key(1, vector.FINISHED): 1,
        type_key(0, vector.CYCLE_TIME): 3000, type_key(1, vector.CYCLE_TIME): 5000,
        type_key(0, vector.ACTIVE_TIME): 2000, type_key(0, vector.VALUE): 1500,
        type_key(0, vector.CYCLE_TIME_BINS + bin_of(1000)): 3, type_key(1, vector.CYCLE_TIME_BINS + bin_of(5000)): 1,
        type_key(1, vector.LEAD_TIME_BINS + bin_of(9000)): 4, type_key(0, vector.LEAD_TIME): 36_000,
    }  # fmt: skip
    found = told(Stream("s", STAGES), counted, totals={type_key(1, vector.TYPE_WIP): 2})
    assert (found["throughput"], found["flow_efficiency"], found["value_delivered"]) == (4, 0.25, 1.5)
    assert (found["cycle_time"]["count"], found["cycle_time"]["mean"]) == (4, 2.0)
    assert found["cycle_time"]["p50"] == pytest.approx(1, rel=1 / 32)
    assert found["cycle_time"]["p95"] == pytest.approx(5, rel=1 / 32)
    assert found["lead_time"]["p50"] == pytest.approx(9, rel=1 / 32)
    assert found["by_type"]["defect"]["cycle_time"]["mean"] == 5.0
    assert [found["by_type"][name]["wip"] for name in ("feature", "defect")] == [0, 2]


def test_reopened_are_departures_of_every_done_stage():
    stream = Stream("s", (*STAGES, Stage("dropped", "done")))
    counted = {
        stage_key(2, vector.DEPARTURES): 2,
        stage_key(3, vector.DEPARTURES): 1,
        stage_key(1, vector.DEPARTURES): 5,
    }
    assert told(stream, counted)["reopened"] == 3


def test_wip_of_the_past_takes_back_what_came_since_and_adds_what_went():
    stages = {"backlog": StageLive(5, NOW - DAY, 0), "review": StageLive(2, NOW - HOUR, 1)}
    after = {stage_key(0, vector.ARRIVALS): 4, stage_key(0, vector.DEPARTURES): 1, stage_key(1, vector.ARRIVALS): 1}
    found = told(Stream("s", STAGES), {}, after, stages=stages, totals={stage_key(1, vector.BLOCKED_ITEMS): 1})
    assert [stage["wip"] for stage in found["stages"]] == [2, 1, None]
    assert (found["wip"], found["stages"][0]["queue_depth"]) == (3, 2)
    unknown = [found["stages"][REVIEW][name] for name in ("blocked", "oldest_age", "items_over_sle")]
    assert unknown == [None, None, None]
    live = told(Stream("s", STAGES), {}, None, stages=stages, totals={stage_key(1, vector.BLOCKED_ITEMS): 1})
    known = [live["stages"][REVIEW][name] for name in ("wip", "blocked", "oldest_age", "items_over_sle")]
    assert known == [2, 1, HOUR / 1000, 1]


def test_an_arrival_ahead_of_the_clock_has_no_negative_age():
    stages = EMPTY | {"review": StageLive(1, NOW + HOUR, 0)}
    assert told(Stream("s", STAGES), {}, stages=stages)["stages"][REVIEW]["oldest_age"] == 0


@pytest.mark.parametrize(
    ("name", "target", "met"),
    [
        ("cycle_time_p50", 4000, True), ("cycle_time_p50", 900, False), ("lead_time_p85", 1000, None),
        ("wip", 3, True), ("wip", 2, False), ("flow_efficiency", 0.5, True), ("flow_efficiency", 0.6, False),
        ("throughput_per_week", 2, True), ("throughput_per_week", 3, False),
    ],
)  # fmt: skip
def test_a_target_is_met_at_its_own_side(name, target, met):
    counted = {
        type_key(0, vector.FINISHED): 2,
        type_key(0, vector.CYCLE_TIME): 2000,
        type_key(0, vector.ACTIVE_TIME): 1000,
        type_key(0, vector.CYCLE_TIME_BINS + bin_of(1000)): 2,
    }
    stages = EMPTY | {"review": StageLive(3, NOW, 0)}
    found = told(Stream("s", STAGES, targets={name: target}), counted, stages=stages)["targets"]
    assert found[name]["met"] is met
    assert found[name]["target"] == (target / 1000 if "time" in name else target)


def test_throughput_per_week_is_scaled_from_the_window():
    window = Window(NOW - DAY, NOW, Grain.MINUTE)
    reading = Reading(EMPTY, {}, {type_key(0, vector.FINISHED): 2}, None)
    stream = Stream("s", STAGES, targets={"throughput_per_week": 12})
    assert status(stream, asked_at(NOW, window), reading)["targets"]["throughput_per_week"]["actual"] == 14


@pytest.mark.parametrize(
    ("departures", "rework", "removed", "returned", "share"),
    [(10, 2, 1, 0, 1.0), (10, 2, 1, 7, 0.0), (11, 1, 0, 2, 0.8), (3, 2, 1, 0, None), (0, 0, 0, 0, None)],
)
def test_percent_complete_and_accurate_is_of_forward_moves(departures, rework, removed, returned, share):
    codes = (vector.DEPARTURES, vector.REWORK, vector.REMOVED, vector.RETURNED)
    counted = {
        stage_key(1, code): count for code, count in zip(codes, (departures, rework, removed, returned), strict=True)
    }
    assert percent_complete_accurate(counted, 1) == share


@given(st.lists(st.integers(0, 400 * DAY), min_size=1, max_size=50))
def test_times_have_an_exact_mean_and_quantiles_within_a_bin(durations):
    histogram: dict[int, int] = {}
    for duration in durations:
        histogram[bin_of(duration)] = histogram.get(bin_of(duration), 0) + 1
    found = times(len(durations), sum(durations), histogram)
    assert found["mean"] == pytest.approx(sum(durations) / len(durations) / 1000)
    ranked = sorted(durations)
    for name, share in (("p50", 50), ("p85", 85), ("p95", 95)):
        nearest = ranked[-(-share * len(ranked) // 100) - 1]
        assert found[name] == pytest.approx(nearest / 1000, rel=0.05, abs=0.001)


@pytest.mark.parametrize(("count", "value"), [(0, 0), (55_000, 55), (1_500, 1.5), (-1_000, -1)])
def test_a_whole_value_is_a_whole_number(count, value):
    assert (thousandths(count), type(thousandths(count))) == (value, type(value))


@given(
    ago=st.integers(0, 40 * DAY),
    grain=st.sampled_from(Grain),
    counted_at=st.integers(-41 * DAY, DAY),
)
def test_the_cells_after_a_window_hold_each_later_instant_exactly_once(ago, grain, counted_at):
    length = grain.length
    end = -(-(NOW - ago) // length) * length
    window = Window(end - length, end, grain)
    cells = cells_after(window, NOW)
    if end >= NOW:
        assert cells == []
        return
    instant = NOW + counted_at
    holding = [cell for cell in cells if start_of(cell) <= instant < start_of(cell) + Grain(cell >> 40).length]
    assert len(holding) == (instant >= end)
