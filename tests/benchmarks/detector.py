"""How soon the bottleneck detector sees trouble, and how often it cries for nothing: `make bench-detector`.

Every detector sees the same simulated streams. The others are those that teams use: each gets the threshold at which
it cries wolf on as many ordinary streams as Streamgauge does, so that only the delay differs. `--runs N` sets how many
streams are simulated of each family, `--seed N` which ones. What it prints goes into docs/bottlenecks.md.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from random import Random
from statistics import median
from typing import Final

from flow.bottlenecks.business_time import BusinessCalendar
from tests.simulator.recording import OFFICE
from tests.simulator.rivals import RIVALS
from tests.simulator.streams import ONSET, WATCHED, Case, Family, blocked, definition, leave, ordinary, slowdown, surge
from tests.simulator.watching import Said, Watched, case_of, simulated, watch

NEVER: Final = 9999.0

DRAWS: Final = 400

TEN: Final = ordinary(10)
THREE: Final = ordinary(3)
IN_OFFICE: Final = ordinary(10, week=OFFICE)
UNEVEN: Final = ordinary(10, variation=2.0)
ROOMY: Final = partial(ordinary, spread=0.3)

HEADLINES: Final[dict[str, tuple[Family, Family]]] = {
    "10 a day, one stage from load 0.70 to 1.10": (TEN, slowdown(TEN, 0.70 / 1.10)),
    "3 a day, one stage from load 0.70 to 1.30": (THREE, slowdown(THREE, 0.70 / 1.30)),
}

TROUBLES: Final[dict[str, Family]] = {
    "50 a day, speed × 0.64": slowdown(ordinary(50), 0.64),
    "10 a day, a ramp of 30 days to speed × 0.5": slowdown(TEN, 0.5, ramp=30),
    "10 a day, a team on leave for 10 days": leave(TEN, 10),
    "1 a day, a team on leave for 30 days": leave(ordinary(1), 30),
    "10 a day, half of the work blocked for a day": blocked(TEN, 0.5, 1.0),
    "10 a day, WIP limits, speed × 0.5": slowdown(ordinary(10, limits=3), 0.5),
    "10 a day, 10% rework, speed × 0.6": slowdown(ordinary(10, rework=0.1), 0.6),
    "10 a day, work with variation 1.5, speed × 0.5": slowdown(ordinary(10, variation=1.5), 0.5),
    "10 a day, work with variation 2, speed × 0.5": slowdown(UNEVEN, 0.5),
    "10 a day, office hours, no calendar, speed × 0.64": slowdown(IN_OFFICE, 0.64),
    "10 a day, office hours, calendar, speed × 0.64": slowdown(IN_OFFICE, 0.64),
    "30 a day, loads 0.4 to 0.7, arrivals × 1.5": surge(ROOMY(30), 1.5),
    "10 a day, loads 0.4 to 0.7, arrivals × 1.6": surge(ROOMY(10), 1.6),
    "3 a day, loads 0.4 to 0.7, arrivals × 2": surge(ROOMY(3), 2.0),
}

ORDINARY: Final[dict[str, Family]] = {
    "50 a day": ordinary(50),
    "10 a day": TEN,
    "3 a day": THREE,
    "1 a day": ordinary(1),
    "0.5 a day": ordinary(0.5),
    "10 a day, office hours, no calendar": IN_OFFICE,
    "10 a day, office hours, calendar": IN_OFFICE,
    "10 a day, work with variation 0.5": ordinary(10, variation=0.5),
    "10 a day, work with variation 1.5": ordinary(10, variation=1.5),
    "10 a day, work with variation 2": UNEVEN,
    "3 a day, work with variation 1.5": ordinary(3, variation=1.5),
    "10 a day, arrivals in batches of 3": ordinary(10, batches=3.0, load=0.6),
    "10 a day, 10% rework": ordinary(10, rework=0.1),
    "10 a day, WIP limits": ordinary(10, limits=3),
}


@dataclass(frozen=True, slots=True)
class Run:
    """What was seen in one stream. `first`: the first alarm after the onset; None where one stood then, or none came.

    `scores`: of every rival, day by day after the onset; empty where nobody compares.
    """

    case: Case
    first: Said | None
    stood: bool
    causes: Counter[str]
    years: float
    scores: list[list[float]]

    @property
    def delay(self) -> float:
        """Working days from the onset to the alarm."""
        return NEVER if self.first is None else self.first.day - ONSET

    @property
    def right_stage(self) -> bool:
        """Whether the first alarm names it."""
        return self.first is not None and self.first.stage in self.case.stages

    @property
    def right_cause(self) -> bool:
        """Whether the first alarm names it."""
        return self.first is not None and self.first.cause == self.case.cause


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=("headlines", "troubles", "ordinary"), default=None)
    options = parser.parse_args()
    seeds = range(options.seed, options.seed + options.runs)
    with ProcessPoolExecutor() as pool:
        if options.only in (None, "headlines"):
            for name in HEADLINES:
                usual = list(pool.map(partial(headline, name, 0), seeds))
                compare(name, usual, list(pool.map(partial(headline, name, 1), seeds)))
        if options.only in (None, "troubles"):
            print(f"\n| trouble | median delay | p90 | seen in {WATCHED:.0f} days | right stage | right cause |")
            print("|---|---|---|---|---|---|")
            for name in TROUBLES:
                print(f"| {name} | {' | '.join(seen(list(pool.map(partial(trouble, name), seeds))))} |", flush=True)
        if options.only in (None, "ordinary"):
            print("\n| ordinary streams, budget 1 a year | false alarms a year | slowdown | overload |")
            print("|---|---|---|---|")
            for name in ORDINARY:
                found = list(pool.map(partial(uneventful, name), seeds))
                print(f"| {name} | {' | '.join(false_alarms(found))} |", flush=True)


def headline(name: str, which: int, seed: int) -> Run:
    """One stream of a headline: 0 the ordinary one, 1 the one in trouble."""
    return _run(case_of(HEADLINES[name][which], seed), seed, name, first_after=ONSET, compared=True)


def trouble(name: str, seed: int) -> Run:
    """One stream in trouble."""
    return _run(case_of(TROUBLES[name], seed), seed, name, first_after=ONSET)


def uneventful(name: str, seed: int) -> Run:
    """One ordinary stream, seen to its end."""
    return _run(case_of(ORDINARY[name], seed), seed, name, first_after=NEVER)


def _run(case: Case, seed: int, name: str, *, first_after: float, compared: bool = False) -> Run:
    hours = simulated(case, seed)
    settings = {"calendar": BusinessCalendar((0, 1, 2, 3, 4), ((480, 1020),))} if ", calendar" in name else {}
    stream = definition(case, **settings)
    found = watch(case, hours, stream, first_after=first_after)
    years = (hours[-1].end - hours[0].start - stream.baseline) / (365 * 86_400_000)
    scores = [rival.scores(case, hours) for rival in RIVALS] if compared else []
    return Run(case, _first_after(found), _stood(found), Counter(said.cause for said in found.said), years, scores)


def _first_after(watched: Watched) -> Said | None:
    return next((said for said in watched.said if said.day > ONSET), None)


def _stood(watched: Watched) -> bool:
    """Whether an alarm stood when the trouble began: then nothing can be measured."""
    return any(begin <= ONSET < end for begin, end in watched.standing)


def seen(runs: Sequence[Run]) -> list[str]:
    """The row of a family with trouble."""
    fair = [run for run in runs if not run.stood]
    delays, told = [run.delay for run in fair], [run for run in fair if run.first]
    share = [_share(run.right_stage for run in told), _share(run.right_cause for run in told)]
    return [_days(median(delays)), _days(_p90(delays)), _share(bool(run.first) for run in fair), *share]


def false_alarms(runs: Sequence[Run]) -> list[str]:
    """The row of a family without trouble: alarms a year of the calendar that was watched."""
    causes = sum((run.causes for run in runs), Counter[str]())
    years = sum(run.years for run in runs)
    return [f"{count / years:.2f}" for count in (causes.total(), causes["slowdown"], causes["overload"])]


def compare(name: str, usual: Sequence[Run], runs: Sequence[Run]) -> None:
    """Streamgauge beside the others, all with its own share of false alarms on the ordinary streams."""
    fair = [run for run in runs if not run.stood]
    told, own = [run for run in fair if run.first], [run.delay for run in fair]
    print(f"\n{name}: {len(runs)} streams; {alarmed(usual)} of {len(usual)} ordinary ones alarm in {WATCHED:.0f} days")
    print(f"right stage {_share(run.right_stage for run in told)}, right cause {_share(r.right_cause for r in told)}\n")
    print("| detector | median delay | p90 | Streamgauge is ahead in | median / Streamgauge's |\n|---|---|---|---|---|")
    print(f"| Streamgauge | {_days(median(own))} | {_days(_p90(own))} | | |")
    for place, rival in enumerate(RIVALS):
        delays = rival_delays(place, usual, fair, alarmed(usual))
        ahead = _share(one < other or one == other == NEVER for one, other in zip(own, delays, strict=True))
        times = f"{median(delays) / median(own):.2f} ({times_slower(place, usual, runs)})"
        print(f"| {rival.name} | {_days(median(delays))} | {_days(_p90(delays))} | {ahead} | {times} |", flush=True)


def alarmed(usual: Sequence[Run]) -> int:
    """How many ordinary streams alarm."""
    return sum(run.first is not None or run.stood for run in usual)


def times_slower(place: int, usual: Sequence[Run], runs: Sequence[Run]) -> str:
    """Between what the ratio of the medians lies in nine of ten draws of as many streams, with replacement."""
    random, ratios, pairs = Random(0), [], list(zip(usual, runs, strict=True))
    for _ in range(DRAWS):
        drawn = random.choices(pairs, k=len(pairs))
        others, fair = [run for run, _ in drawn], [run for _, run in drawn if not run.stood]
        delays = rival_delays(place, others, fair, alarmed(others))
        ratios.append(median(delays) / median(run.delay for run in fair))
    ratios.sort()
    return f"{ratios[DRAWS // 20]:.2f} to {ratios[-DRAWS // 20]:.2f}"


def rival_delays(place: int, usual: Sequence[Run], runs: Sequence[Run], cried: int) -> list[float]:
    """Its delays, at the threshold that so many of the ordinary streams pass."""
    highest = sorted((max(run.scores[place]) for run in usual), reverse=True)
    threshold = highest[min(len(highest) - 1, cried)]
    delays = []
    for run in runs:
        passed = (day for day, score in enumerate(run.scores[place], start=1) if score > threshold)
        delays.append(float(next(passed, NEVER)))
    return delays


def _share(found: Iterable[bool]) -> str:
    answers = list(found)
    return f"{sum(answers) / max(1, len(answers)):.0%}"


def _p90(delays: Sequence[float]) -> float:
    return sorted(delays)[round(0.9 * (len(delays) - 1))]


def _days(delay: float) -> str:
    return "never" if delay >= NEVER else f"{delay:.1f}"


if __name__ == "__main__":
    main()
