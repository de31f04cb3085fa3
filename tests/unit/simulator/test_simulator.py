"""The simulator is what it says: nothing appears or is lost, loads and limits hold, trouble begins when it should."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from flow.instants import DAY, HOUR
from tests.simulator.recording import ALL_DAY, MONDAY, OFFICE, record
from tests.simulator.scenario import Scenario, Station, Trouble
from tests.simulator.simulation import Simulation
from tests.simulator.streams import blocked, leave, ordinary, slowdown, surge

STATIONS = (Station(2, 0.14), Station(1, 0.07), Station(3, 0.2))


def moves_of(scenario: Scenario, seed: int = 1) -> list:
    return Simulation(scenario, seed).run()


def test_the_same_seed_gives_the_same_moves() -> None:
    scenario = Scenario("x", 10, STATIONS, days=40)
    assert moves_of(scenario, 4) == moves_of(scenario, 4)
    assert moves_of(scenario, 4) != moves_of(scenario, 5)


@pytest.mark.parametrize("rework", [0.0, 0.2])
def test_items_go_from_where_they_are_and_time_goes_forward(rework: float) -> None:
    place: dict[int, int] = {}
    last = -1e9
    for move in moves_of(Scenario("x", 10, STATIONS, days=60, rework=rework)):
        assert place.get(move.item, -1) == move.left
        assert move.reached - move.left in ((1, -1) if rework else (1,))
        assert move.day >= last
        place[move.item], last = move.reached, move.day


def test_as_many_arrive_as_were_asked_for_and_stages_are_as_busy() -> None:
    moves = moves_of(Scenario("x", 10, STATIONS, days=2000, warm_up=0))
    assert sum(move.left == -1 for move in moves) / 2000 == pytest.approx(10, rel=0.05)
    wip, idle, last = 0, 0.0, 0.0
    for move in moves:
        if 1 in (move.left, move.reached):
            idle += (move.day - last) * (wip == 0)
            wip += (move.reached == 1) - (move.left == 1)
            last = move.day
    assert 1 - idle / last == pytest.approx(0.7, abs=0.03)


def test_no_stage_holds_more_than_its_limit() -> None:
    stations = (Station(3, 0.2), Station(2, 0.19, limit=3), Station(2, 0.19, limit=4))
    wip: Counter[int] = Counter()
    highest: Counter[int] = Counter()
    for move in moves_of(Scenario("x", 10, stations, days=200)):
        wip[move.left] -= 1
        wip[move.reached] += 1
        highest[move.reached] = max(highest[move.reached], wip[move.reached])
    assert (highest[1], highest[2]) == (3, 4)
    assert highest[0] > 10


@pytest.mark.parametrize(
    ("trouble", "stage", "expected"),
    [
        (Trouble("slowdown", 1, 50, 0.5), 1, 7.1),
        (Trouble("slowdown", 1, 0, 0.0, ramp=200), 1, 6.9),
        (Trouble("leave", 2, 50, 0.0), 2, 0.0),
        (Trouble("surge", 0, 50, 1.3), 0, 13.0),
    ],
)
def test_trouble_begins_when_it_should_and_does_what_it_says(trouble: Trouble, stage: int, expected: float) -> None:
    moves = moves_of(Scenario("x", 10, STATIONS, (trouble,), days=150))
    before = sum(move.left == stage and -50 < move.day < min(50, trouble.begins) for move in moves)
    after = sum(move.left == stage and 51 < move.day < 151 for move in moves) / 99
    if trouble.begins == 50:
        assert before / 100 == pytest.approx(10, rel=0.1)
    assert after == pytest.approx(expected, rel=0.15, abs=0.05)


@pytest.mark.parametrize("week", [ALL_DAY, OFFICE])
def test_recorded_hours_hold_every_move_once(week) -> None:
    scenario = Scenario("x", 10, STATIONS, days=60)
    moves = moves_of(scenario)
    hours = record(moves, 3, week, 0.0, 60.0)
    assert {hour.end - hour.start for hour in hours} == {HOUR}
    assert hours[0].start % HOUR == 0
    assert MONDAY % DAY == 0
    for stage in range(3):
        left = sum(hour.stages[stage].departures for hour in hours)
        assert left == pytest.approx(sum(move.left == stage and 0 <= move.day < 60 for move in moves), abs=2)
        wip = hours[0].stages[stage].wip - hours[0].stages[stage].arrivals + hours[0].stages[stage].departures
        for hour in hours:
            wip += hour.stages[stage].arrivals - hour.stages[stage].departures
            assert hour.stages[stage].wip == wip >= 0


def test_nobody_works_outside_office_hours() -> None:
    hours = record(moves_of(Scenario("x", 10, STATIONS, days=60)), 3, OFFICE, 0.0, 60.0)
    for hour in hours:
        weekday, of_day = (hour.start - MONDAY) // DAY % 7, (hour.start - MONDAY) % DAY // HOUR
        if weekday >= 5 or not 8 <= of_day < 17:
            assert sum(stage.departures for stage in hour.stages) == 0


@pytest.mark.parametrize("family", [slowdown(ordinary(5), 0.5), leave(ordinary(5), 9), blocked(ordinary(5), 0.3, 2)])
def test_a_family_in_trouble_names_its_stage_and_cause(family) -> None:
    case = family(Random(3))
    assert case.stages == (case.scenario.troubles[0].stage,)
    assert case.cause == "slowdown"


def test_of_a_surge_the_tightest_stage_is_right() -> None:
    case = surge(ordinary(5, spread=0.3), 2.0)(Random(3))
    loads = [station.work / station.people for station in case.scenario.stations]
    assert loads.index(max(loads)) in case.stages
