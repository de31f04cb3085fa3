"""How soon the bottleneck detector sees trouble, and how often it cries for nothing: `make bench-detector`.

Every detector sees the same simulated streams. The others are those that teams use: each gets the threshold at which
it cries wolf on as many ordinary streams as Streamgauge does, so that only the delay differs. `--runs N` sets how many
streams are simulated of each family. What it prints goes into docs/bottlenecks.md.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from statistics import median
from typing import Final

from flow.bottlenecks.history import StreamHour
from tests.simulator.recording import OFFICE
from tests.simulator.rivals import RIVALS, Rival
from tests.simulator.streams import ONSET, WATCHED, Case, Family, blocked, definition, leave, ordinary, slowdown, surge
from tests.simulator.watching import Said, Watched, case_of, simulated, watch

NEVER: Final = 9999.0

BUDGET: Final = 1.0
"""False alarms a year that Streamgauge is allowed where detectors are compared: its default."""

TEN: Final = ordinary(10)
THREE: Final = ordinary(3)

HEADLINES: Final[dict[str, tuple[Family, Family]]] = {
    "10 a day, one stage from load 0.70 to 1.10": (TEN, slowdown(TEN, 0.70 / 1.10)),
    "3 a day, one stage from load 0.70 to 1.30": (THREE, slowdown(THREE, 0.70 / 1.30)),
}

TROUBLES: Final[dict[str, Family]] = {
    "10 a day, a ramp of 30 days to speed × 0.5": slowdown(TEN, 0.5, ramp=30),
    "10 a day, a team on leave for 10 days": leave(TEN, 10),
    "10 a day, half of the work blocked for a day": blocked(TEN, 0.5, 1.0),
    "10 a day, WIP limits, speed × 0.5": slowdown(ordinary(10, limits=3), 0.5),
    "10 a day, 10% rework, speed × 0.6": slowdown(ordinary(10, rework=0.1), 0.6),
    "10 a day, office hours, no calendar, speed × 0.64": slowdown(ordinary(10, week=OFFICE), 0.64),
    "10 a day, loads 0.4 to 0.7, arrivals × 1.6": surge(ordinary(10, spread=0.3), 1.6),
    "3 a day, loads 0.4 to 0.7, arrivals × 2": surge(ordinary(3, spread=0.3), 2.0),
    "1 a day, a team on leave for 30 days": leave(ordinary(1), 30),
    "50 a day, speed × 0.64": slowdown(ordinary(50), 0.64),
}

ORDINARY: Final[dict[str, Family]] = {
    "10 a day": TEN,
    "3 a day": THREE,
    "1 a day": ordinary(1),
    "10 a day, office hours, no calendar": ordinary(10, week=OFFICE),
    "10 a day, service times with variation 0.5": ordinary(10, variation=0.5),
    "10 a day, service times with variation 1.5": ordinary(10, variation=1.5),
    "10 a day, service times with variation 2": ordinary(10, variation=2.0),
    "10 a day, arrivals in batches of 3": ordinary(10, batches=3.0, load=0.6),
    "10 a day, 10% rework": ordinary(10, rework=0.1),
    "10 a day, WIP limits": ordinary(10, limits=3),
    "50 a day": ordinary(50),
}


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--only", choices=("headlines", "troubles", "ordinary"), default=None)
    options = parser.parse_args()
    if options.only in (None, "headlines"):
        for name, (usual, trouble) in HEADLINES.items():
            compare(name, usual, trouble, options.runs)
    if options.only in (None, "troubles"):
        print(f"\n| trouble | median delay | p90 | seen in {WATCHED:.0f} days | right stage | right cause |")
        print("|---|---|---|---|---|---|")
        for name, family in TROUBLES.items():
            print(f"| {name} | {' | '.join(seen(family, options.runs))} |", flush=True)
    if options.only in (None, "ordinary"):
        print("\n| ordinary streams, budget 1 a year | false alarms a year | slowdown | overload |\n|---|---|---|---|")
        for name, family in ORDINARY.items():
            print(f"| {name} | {' | '.join(false_alarms(family, options.runs))} |", flush=True)


def first_after(watched: Watched) -> Said | None:
    """The first alarm after the onset; None where an alarm stood already, or none came."""
    return next((said for said in watched.said if said.day > ONSET), None)


def stood(watched: Watched) -> bool:
    """Whether an alarm stood when the trouble began: then nothing can be measured."""
    return any(begin <= ONSET < end for begin, end in watched.standing)


def seen(family: Family, runs: int) -> list[str]:
    """The row of a family with trouble."""
    delays, stages, causes = [], 0, 0
    for seed in range(runs):
        case = case_of(family, seed)
        watched = watch(case, simulated(case, seed), first_after=ONSET)
        if stood(watched):
            continue
        said = first_after(watched)
        delays.append(NEVER if said is None else said.day - ONSET)
        if said is not None:
            stages += said.stage in case.stages
            causes += said.cause == case.cause
    found = sum(delay < NEVER for delay in delays)
    share = [f"{count / max(1, found):.0%}" for count in (stages, causes)]
    return [_days(median(delays)), _days(_p90(delays)), f"{found / len(delays):.0%}", *share]


def false_alarms(family: Family, runs: int) -> list[str]:
    """The row of a family without trouble: alarms a year of the calendar that was watched."""
    causes: Counter[str] = Counter()
    years = 0.0
    for seed in range(runs):
        case = case_of(family, seed)
        hours = simulated(case, seed)
        causes.update(said.cause for said in watch(case, hours).said)
        years += (hours[-1].end - hours[0].start) / (365 * 86_400_000) - 28 / 365
    return [f"{count / years:.2f}" for count in (causes.total(), causes["slowdown"], causes["overload"])]


def compare(name: str, usual: Family, trouble: Family, runs: int) -> None:
    """Streamgauge beside the others, all with its own share of false alarms on the ordinary streams."""
    quiet = [(case, simulated(case, seed)) for seed in range(runs) for case in [case_of(usual, seed)]]
    quiet_runs = (thrifty(*run) for run in quiet)
    cried = sum(first_after(found) is not None or stood(found) for found in quiet_runs)
    cases = [(case, simulated(case, seed)) for seed in range(runs) for case in [case_of(trouble, seed)]]
    found = [thrifty(*run) for run in cases]
    fair = [number for number, watched in enumerate(found) if not stood(watched)]
    firsts = [first_after(found[number]) for number in fair]
    own = [NEVER if said is None else said.day - ONSET for said in firsts]
    right = [(said.stage in cases[number][0].stages, said.cause == "slowdown")
             for number, said in zip(fair, firsts, strict=True) if said is not None]  # fmt: skip
    print(f"\n{name}: {runs} streams; {cried} of {runs} ordinary ones alarm in {WATCHED:.0f} days")
    print(f"right stage {sum(stage for stage, _ in right) / len(right):.0%}, "
          f"right cause {sum(cause for _, cause in right) / len(right):.0%}\n")  # fmt: skip
    print("| detector | median delay | p90 | Streamgauge is ahead in | median / Streamgauge's |\n|---|---|---|---|---|")
    print(f"| Streamgauge | {_days(median(own))} | {_days(_p90(own))} | | |")
    for rival in RIVALS:
        delays = rival_delays(rival, quiet, [cases[number] for number in fair], cried / runs)
        ahead = sum(one < other or one == other == NEVER for one, other in zip(own, delays, strict=True)) / len(own)
        ratio = median(delays) / median(own)
        print(
            f"| {rival.name} | {_days(median(delays))} | {_days(_p90(delays))} | {ahead:.0%} | {ratio:.2f} |",
            flush=True,
        )


def thrifty(case: Case, hours: list[StreamHour]) -> Watched:
    """What Streamgauge says at the budget of the comparison."""
    return watch(case, hours, definition(case, false_alarms_per_year=BUDGET), first_after=ONSET)


def rival_delays(
    rival: Rival,
    quiet: Sequence[tuple[Case, list[StreamHour]]],
    cases: Sequence[tuple[Case, list[StreamHour]]],
    share: float,
) -> list[float]:
    """Its delays, at the threshold that this share of the ordinary streams passes."""
    highest = sorted((max(rival.scores(*run)) for run in quiet), reverse=True)
    threshold = highest[min(len(highest) - 1, round(share * len(highest)))]
    delays = []
    for run in cases:
        passed = (day for day, score in enumerate(rival.scores(*run), start=1) if score > threshold)
        delays.append(float(next(passed, NEVER)))
    return delays


def _p90(delays: Sequence[float]) -> float:
    return sorted(delays)[round(0.9 * (len(delays) - 1))]


def _days(delay: float) -> str:
    return "never" if delay >= NEVER else f"{delay:.1f}"


if __name__ == "__main__":
    main()
