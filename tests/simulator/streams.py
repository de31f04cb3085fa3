"""Families of invented streams: ordinary ones, and the same ones in trouble."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random

from flow.definitions import Stage, Stream
from tests.simulator.recording import ALL_DAY, Week
from tests.simulator.scenario import Scenario, Station, Trouble

ONSET = 100.0
"""The day on which trouble begins; what is before is as usual."""

WATCHED = 180.0
"""Days after it that are watched."""


@dataclass(frozen=True, slots=True)
class Case:
    """A scenario, the week that it is worked in, and what a detector should say: the right stages, the cause."""

    scenario: Scenario
    week: Week
    stages: tuple[int, ...] = ()
    cause: str = ""


Family = Callable[[Random], Case]


def ordinary(
    arrivals: float,
    *,
    load: float = 0.7,
    spread: float = 0.0,
    variation: float = 1.0,
    rework: float = 0.0,
    batches: float = 1.0,
    limits: int = 0,
    week: Week = ALL_DAY,
) -> Family:
    """Five stages of one to four people, loaded to `load` or up to `spread` less, with `limits` places more."""

    def make(random: Random) -> Case:
        stations = []
        for _ in range(5):
            people, loaded = random.choice((1, 2, 3, 4)), load - random.random() * spread
            limit = people + limits if limits else None
            stations.append(Station(people, people * loaded / arrivals * (1 - rework), variation, limit))
        name = f"{arrivals:g} a day"
        scenario = Scenario(
            name, arrivals, tuple(stations), rework=rework, batches=batches, days=ONSET + WATCHED, warm_up=60.0
        )
        return Case(scenario, week)

    return make


def slowdown(family: Family, size: float, *, ramp: float = 0.0, ends: float = float("inf")) -> Family:
    """One stage, any of them, works at `size` times its speed."""
    return _trouble(family, lambda stage: Trouble("slowdown", stage, ONSET, size, ramp, ends))


def leave(family: Family, days: float) -> Family:
    """Everybody of one stage is away."""
    return _trouble(family, lambda stage: Trouble("leave", stage, ONSET, 0.0, ends=ONSET + days))


def blocked(family: Family, share: float, wait: float) -> Family:
    """This share of what one stage begins waits for somebody else."""
    return _trouble(family, lambda stage: Trouble("blocked", stage, ONSET, share, wait=wait))


def surge(family: Family, size: float) -> Family:
    """So many times the work arrives. Right is the stage that has the least room for it, or nearly so."""

    def make(random: Random) -> Case:
        case = family(random)
        scenario = replace(case.scenario, troubles=(Trouble("surge", 0, ONSET, size),))
        loads = [station.work / station.people for station in scenario.stations]
        tightest = tuple(stage for stage, load in enumerate(loads) if load >= 0.95 * max(loads))
        return replace(case, scenario=scenario, stages=tightest, cause="overload")

    return make


def _trouble(family: Family, trouble: Callable[[int], Trouble]) -> Family:
    def make(random: Random) -> Case:
        case = family(random)
        stage = random.randrange(len(case.scenario.stations))
        scenario = replace(case.scenario, troubles=(trouble(stage),))
        return replace(case, scenario=scenario, stages=(stage,), cause="slowdown")

    return make


def definition(case: Case, **settings: object) -> Stream:
    """The stream's definition, as its owner would write it."""
    stages = [
        Stage(f"stage-{number}", "active", wip_limit=station.limit)
        for number, station in enumerate(case.scenario.stations)
    ]
    return Stream("simulated", (*stages, Stage("done", "done")), **settings)  # type: ignore[arg-type]
