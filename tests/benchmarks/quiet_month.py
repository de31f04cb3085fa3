"""A month of stable traffic against the rules: which alerts fire, and for how long.

A value stream of three queues and three active stages, simulated: items arrive by chance (Poisson), work takes a chance
time (exponential), nobody works at night or on weekends, each day some items are blocked, one deployment in ten fails
at a target of 15%, and every night the one process restarts while the other runs on. No bottleneck arises. Prometheus'
own tool evaluates all rules over it; the detector's metrics are left out, so that the rule that stands in for it is
tried too.
"""

from __future__ import annotations

import heapq
import json
import re
import subprocess
import sys
import tempfile
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from random import Random
from typing import Any, Final

from tests.servers.prometheus import PROMTOOL, RULES

STEP: Final = 240
"""Seconds between two samples: the longest that rules which look two and five minutes back can do with."""

DAY: Final = 86_400
LEARNING_DAYS: Final = 8
MONTH_DAYS: Final = 30
WARM_UP_WEEKS: Final = 8
MET: Final = (0.85, 0.95)
ASKED_FOR: Final = ("FlowWipLimitBreached", "FlowItemsAgeing")
"""What the definition asks for: its limits and expectations are passed now and then by the most stable of streams."""

_FIRING: Final = "name:firing_alerts:count"
_BY_NAME: Final = 'count by (name) (label_replace(ALERTS{alertstate="firing"}, "name", "$1", "alertname", "(.*)"))'
_COUNT_FIRING: Final = {"groups": [{"name": "zz-firing", "rules": [{"record": _FIRING, "expr": _BY_NAME}]}]}
_WORKDAY: Final = (8 * 3600, 18 * 3600)
_WORK_WEEK: Final = 5 * (_WORKDAY[1] - _WORKDAY[0])
_ARRIVALS_AN_HOUR: Final = 1.5
_STATIONS: Final = (("develop", 13, 7.0), ("review", 5, 2.5), ("test", 4, 2.0))
"""Name, how many can be worked on at once, hours that one takes: all are busy for 75% of the time or more."""

_BLOCKED: Final = 0.15
_DEPLOYMENTS_A_DAY: Final = 6
_FAILED: Final = 0.1


def calendar(worked: float) -> float:
    """When so many seconds of working time have passed, from a Monday at midnight."""
    weeks, rest = divmod(worked, _WORK_WEEK)
    days, seconds = divmod(rest, _WORKDAY[1] - _WORKDAY[0])
    return weeks * 7 * DAY + days * DAY + _WORKDAY[0] + seconds


@dataclass
class Stage:
    """When items arrived in a stage, left it, and were blocked in it, in seconds of the calendar."""

    name: str
    visits: list[tuple[float, float]] = field(default_factory=list)
    blocked: list[tuple[float, float]] = field(default_factory=list)


def simulate(random: Random, weeks: int) -> dict[str, Stage]:
    """Visits to each stage; before each station items wait in a queue of its own."""
    end, now = weeks * _WORK_WEEK, 0.0
    arrivals = []
    while now < end:
        now += random.expovariate(_ARRIVALS_AN_HOUR / 3600)
        arrivals.append(now)
    stages: dict[str, Stage] = {}
    for name, places, hours in _STATIONS:
        queue, station = (stages.setdefault(each, Stage(each)) for each in (f"{name}-queue", name))
        free, left = [0.0] * places, []
        for arrived in sorted(arrivals):
            began = max(arrived, heapq.heappop(free))
            done = began + random.expovariate(1 / (hours * 3600))
            heapq.heappush(free, done)
            left.append(done)
            queue.visits.append((calendar(arrived), calendar(began)))
            station.visits.append((calendar(began), calendar(done)))
            if random.random() < _BLOCKED:
                station.blocked.append((calendar(began), calendar((began + done) / 2)))
        arrivals = left
    return stages


def series(seed: int, met: float = 0.85) -> Iterator[tuple[str, list[float]]]:
    """Everything that Prometheus would have scraped, by series. `met`: which share really meets the expectation."""
    random = Random(seed)
    start = WARM_UP_WEEKS * 7 * DAY
    times = [start + index * STEP for index in range((LEARNING_DAYS + MONTH_DAYS) * DAY // STEP + 1)]
    weeks = WARM_UP_WEEKS + (LEARNING_DAYS + MONTH_DAYS) // 7 + 2
    stages = simulate(random, weeks)
    for position, stage in enumerate(stages.values()):
        yield from _of_stage(stage, position, times, start, met)
    moves = sorted(arrived for stage in stages.values() for arrived, _ in stage.visits)
    yield 'streamgauge_facts_total{source="jira"}', _counted(moves, times)
    yield (
        'streamgauge_last_fact_timestamp_seconds{source="jira"}',
        [moves[bisect_right(moves, at) - 1] - start for at in times],
    )
    for source in ("jira", "other"):
        yield f'streamgauge_unmapped_statuses_total{{source="{source}"}}', [0] * len(times)
        yield f'streamgauge_dead_letters_total{{source="{source}",reason="no_stream"}}', [0] * len(times)
    yield from _of_lane(random, weeks, times)
    yield "up", [1] * len(times)
    yield "streamgauge_snapshot_timestamp_seconds", [at - start for at in times]
    yield 'streamgauge_worker_published_timestamp_seconds{worker="w-1"}', [at - start for at in times]
    yield 'streamgauge_log_lag_seconds{partition="0"}', [random.choice((0, 0, 0.1)) for _ in times]
    yield "streamgauge_spool_deliveries", [0] * len(times)


def _of_stage(
    stage: Stage, position: int, times: list[int], start: int, met: float
) -> Iterator[tuple[str, list[float]]]:
    where = f'{{stream="checkout",stage="{stage.name}"}}'
    arrived, left = sorted(visit[0] for visit in stage.visits), sorted(visit[1] for visit in stage.visits)
    lengths = sorted(end - begin for begin, end in stage.visits)
    sle = max(3600.0, lengths[int(met * len(lengths))])
    wip = [in_it - gone for in_it, gone in zip(_counted(arrived, times), _counted(left, times), strict=True)]
    blocked = [
        began - ended
        for began, ended in zip(
            *(_counted(sorted(each[side] for each in stage.blocked), times) for side in (0, 1)), strict=True
        )
    ]
    over, oldest = _ages(stage, times, sle)
    yield f"flow_stage_position{where}", [position] * len(times)
    yield f"flow_stage_wip{where}", wip
    yield f"flow_stage_wip_limit{where}", [max(wip) * 0.9 // 1 + 1] * len(times)
    yield f"flow_stage_blocked_items{where}", blocked
    yield f"flow_stage_departures_total{where}", _counted(left, times)
    yield f"flow_stage_items_over_sle{where}", over
    late = sorted(end for begin, end in stage.visits if end - begin > sle)
    yield f"flow_stage_visits_over_sle_total{where}", _counted(late, times)
    yield f"flow_stage_sle_ratio{where}", [0.85] * len(times)
    yield f'flow_stage_sle_seconds{where[:-1]},quantile="0.85"}}', [sle] * len(times)
    yield f"flow_stage_oldest_arrival_timestamp_seconds{where}", [at - start for at in oldest]
    if stage.name.endswith("queue"):
        yield f"flow_stage_queue_depth{where}", wip


def _ages(stage: Stage, times: list[int], sle: float) -> tuple[list[float], list[float]]:
    """At each time how many items are older than the expectation, and when the oldest arrived."""
    coming, present, over, oldest = (
        iter(sorted(stage.visits)),
        list[tuple[float, float]](),
        list[float](),
        list[float](),
    )
    following = next(coming, None)
    for at in times:
        while following is not None and following[0] <= at:
            present.append(following)
            following = next(coming, None)
        present = [visit for visit in present if visit[1] > at]
        over.append(sum(at - arrived > sle for arrived, _ in present))
        oldest.append(min((arrived for arrived, _ in present), default=at))
    return over, oldest


def _of_lane(random: Random, weeks: int, times: list[int]) -> Iterator[tuple[str, list[float]]]:
    lane = 'service="shop",environment="production"'
    count = _DEPLOYMENTS_A_DAY * 5 * weeks
    at = sorted(calendar(random.uniform(0, weeks * _WORK_WEEK)) for _ in range(count))
    yield f'delivery_deployments_total{{{lane},outcome="succeeded"}}', _counted(at, times)
    failed = [each for each in at if random.random() < _FAILED]
    yield f"delivery_failed_changes_total{{{lane}}}", _counted(failed, times)
    yield f"delivery_change_fail_rate_target_ratio{{{lane}}}", [0.15] * len(times)
    yield f"delivery_recovery_target_seconds{{{lane}}}", [14_400] * len(times)
    recovered = sorted(each + random.uniform(600, 9_000) for each in failed)
    still_open = [
        began - ended for began, ended in zip(_counted(failed, times), _counted(recovered, times), strict=True)
    ]
    yield f"delivery_open_failures{{{lane}}}", still_open


def _counted(instants: list[float], times: list[int]) -> list[float]:
    return [bisect_right(instants, at) for at in times]


def _scraped(name: str, values: list[float], instance: str, missing: Callable[[int], bool]) -> dict[str, str]:
    labels = f'job="streamgauge",instance="{instance}"'
    found = name[:-1] + f",{labels}}}" if name.endswith("}") else f"{name}{{{labels}}}"
    told = ("_" if missing(index) else f"{value:.10g}" for index, value in enumerate(values))
    return {"series": found, "values": " ".join(told)}


def fired(seed: int, folder: Path, met: float = 0.85) -> dict[str, float]:
    """Hours for which each alert fired in the month, over all stages; alerts that did not fire are left out."""
    night = DAY // STEP
    scraped = [
        entry
        for name, values in series(seed, met)
        for entry in (
            _scraped(name, values, "a", lambda index: index % night == 45),
            _scraped(name, values, "b", lambda _: False),
        )
    ]
    end = (LEARNING_DAYS + MONTH_DAYS) * DAY
    # Promtool loads no more than 10,000 samples for a query: one alert and half a month at a time.
    queries = [
        {"expr": f'sum_over_time({_FIRING}{{name="{name}"}}[{MONTH_DAYS // 2}d])', "eval_time": f"{at}s"}
        for name in alert_names()
        for at in (end - MONTH_DAYS // 2 * DAY, end)
    ]
    test: dict[str, Any] = {"interval": f"{STEP}s", "input_series": scraped, "promql_expr_test": queries}
    (folder / "firing.yml").write_text(
        json.dumps(_COUNT_FIRING), encoding="utf-8"
    )  # JSON is YAML, and quicker to write
    whole = {"rule_files": [str(RULES / "*.yml"), "firing.yml"], "evaluation_interval": f"{STEP}s", "tests": [test]}
    path = folder / f"month-{seed}.yml"
    path.write_text(json.dumps(whole), encoding="utf-8")
    done = subprocess.run([PROMTOOL, "test", "rules", str(path)], capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    hours: dict[str, float] = {}
    for name, count in re.findall(r'\{name="(\w+)"\} ([\d.Ee+-]+)', said):
        hours[name] = hours.get(name, 0) + float(count) * STEP / 3600
    if round(hours.pop("Watchdog", 0)) != MONTH_DAYS * 24 or "err:" in said:
        raise RuntimeError(f"promtool did not evaluate the whole month: {said[-2000:]}")
    return hours


def alert_names() -> list[str]:
    """Every alert of the rules."""
    return re.findall(r"- alert: (\w+)", "".join(path.read_text(encoding="utf-8") for path in RULES.glob("*.yml")))


def main() -> None:
    """Three months, or those of the seeds that are named, with expectations that are just met and that are met well."""
    figures: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="sg-") as folder:
        for seed, met in product(map(int, sys.argv[1:] or ("1", "2", "3")), MET):
            for name, hours in fired(seed, Path(folder), met).items():
                figures.setdefault(f"{name}, p85 met by {met:.0%}: hours of a stable month", []).append(hours)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
