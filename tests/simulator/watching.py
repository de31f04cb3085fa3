"""A detector beside a simulation: when it first says what, and what it says by the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from flow.bottlenecks.follow import learned_at_once
from flow.bottlenecks.history import StreamHour
from flow.bottlenecks.stream_watch import Detector, StreamWatch
from flow.bottlenecks.verdict import Live, Verdict, verdicts
from flow.definitions import Stream
from flow.instants import DAY
from tests.simulator.recording import MONDAY, record
from tests.simulator.scenario import FOREVER
from tests.simulator.simulation import Simulation
from tests.simulator.streams import Case, Family, definition


@dataclass(frozen=True, slots=True)
class Said:
    """An alarm began: the working day, the stage that was named, the cause."""

    day: float
    stage: int
    cause: str


@dataclass(slots=True)
class Watched:
    """One run: the hours that were seen, and the alarms, each with the day on which the last stage left its alarm."""

    hours: list[StreamHour]
    said: list[Said] = field(default_factory=list)
    standing: list[tuple[float, float]] = field(default_factory=list)
    watch: StreamWatch | None = None


def simulated(case: Case, seed: int, first_day: float = 0.0) -> list[StreamHour]:
    """The hours of one run."""
    scenario = case.scenario
    moves = Simulation(scenario, seed).run()
    return record(moves, len(scenario.stations), case.week, first_day, scenario.days)


def watch(
    case: Case, hours: list[StreamHour], stream: Stream | None = None, *, first_after: float = FOREVER
) -> Watched:
    """Let the detector see a run, hour by hour, until an alarm begins after day `first_after`.

    As in service, nothing is said before a whole baseline is there, and an alarm that stands then is said then.
    """
    detector = Detector(stream or definition(case))
    learned = sum(hour.end <= hours[0].start + learned_at_once(detector) for hour in hours)
    state = detector.learn(hours[:learned])
    found = Watched(hours, watch=state)
    began: float | None = None
    for hour in hours[learned:]:
        detector.step(state, hour)
        if hour.end < hours[0].start + detector.stream.baseline:
            continue
        raised = any(stage.raised for stage in state.stages)
        if raised and began is None:
            began = working_day(case, hour.end)
            verdict = next(v for v in told(detector, state, hour) if v.constrains)
            place = [stage.name for stage in detector.stream.stages].index(verdict.stage)
            found.said.append(Said(began, place, verdict.cause or ""))
            if began > first_after:
                break
        elif not raised and began is not None:
            found.standing.append((began, working_day(case, hour.end)))
            began = None
    if began is not None:
        found.standing.append((began, case.scenario.days))
    return found


def told(detector: Detector, state: StreamWatch, hour: StreamHour) -> list[Verdict]:
    """What is said after this hour; ages are not known here."""
    return verdicts(detector, state, [Live(stage.wip, None) for stage in hour.stages], hour.end)


def working_day(case: Case, instant: int) -> float:
    """The inverse of `Week.instant`, for instants within open hours."""
    week = case.week
    days, rest = divmod(instant - MONDAY, DAY)
    weeks, weekday = divmod(days, 7)
    hours = min(max(rest / 3_600_000 - week.opens, 0), week.hours) / week.hours
    return weeks * week.days + min(weekday, week.days) + (hours if weekday < week.days else 0)


def case_of(family: Family, seed: int) -> Case:
    """The seed's case of a family."""
    return family(Random(seed))
