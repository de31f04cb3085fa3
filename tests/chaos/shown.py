"""What the API tells, against the batch computation over the log."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from typing import Any, Final
from urllib.parse import quote

from flow.cells import Retention, Window, window_ending
from flow.cumulative_flow import steps_of
from flow.instants import DAY, HOUR, format_instant, parse_duration, parse_instant
from service.command_line.composition import now
from tests import oracle
from tests.chaos.differences import Differences
from tests.chaos.installation import CaredFor
from tests.chaos.load import DEFINITIONS
from tests.chaos.stored import Stories
from tests.chaos.truth import Truth
from tests.oracle import Figures, Mark

WINDOWS: Final = ("24h", "7d", "30d", "90d")
ITEMS_ASKED_FOR: Final = 8
"""Of each stream, drawn by lot: the timelines of all are compared as they are stored."""

_POINTS: Final = 30
_MOVES: Final = ("arrivals", "departures", "rework")
_OFF: Final = 0.05
_SHARES: Final = {"p50": 0.5, "p85": 0.85, "p95": 0.95}


async def compare_shown(
    installation: CaredFor, truth: Truth, stories: Stories, seed: int, differences: Differences
) -> None:
    """Status over several windows, stages, items with timelines, cumulative flow, deliveries, counts of letters."""
    rng = random.Random(f"asked {seed}")
    for name, told in stories.items():
        marks = [mark for story in told.values() for mark in story.marks()]
        for window in WINDOWS:
            shown = await installation.answer(f"/v1/streams/{name}", window=window)
            _compare_status(shown, told, marks, differences)
        await _compare_past(installation, name, marks, differences)
        await _compare_stages(installation, name, told, differences)
        for item in rng.sample(sorted(told), min(len(told), ITEMS_ASKED_FOR)):
            await _compare_item(installation, name, told[item], item, differences)
        await _compare_cumulative_flow(installation, name, marks, differences)
    await _compare_deliveries(installation, truth, differences)
    await _compare_letters(installation, truth, differences)


def _compare_status(
    shown: Mapping[str, Any], told: Mapping[str, oracle.ItemStory], marks: Sequence[Mark], differences: Differences
) -> None:
    name, text = shown["stream"], shown["window"]
    at = parse_instant(shown["at"])
    window = window_ending(at, parse_duration(text), at, Retention())
    inside = [mark for mark in marks if window.start <= mark.at < window.end]
    figures, where = oracle.summed(inside), f"/v1/streams/{name}?window={text}"
    differences.equal(where, _counts_shown(shown), _counts_of(name, figures))
    places = [place for story in told.values() if (place := story.place()) is not None and not story.is_finished()]
    differences.equal(f"{where} wip", shown["wip"], len(places))
    for measure in ("cycle_time", "lead_time"):
        times = [mark.count for mark in inside if mark.measure == measure]
        _compare_times(f"{where} {measure}", shown[measure], times, differences)
    for stage in shown["stages"]:
        of_stage = [mark for mark in inside if mark.of == stage["stage"]]
        counted, here = oracle.summed(of_stage), [place for place in places if place[0] == stage["stage"]]
        expected: dict[str, Any] = {
            word: counted[word, stage["stage"], 0] for word in ("arrivals", "departures", "rework")
        }
        expected["blocked_time"] = counted["blocked_time", stage["stage"], 0] / 1000
        if stage["kind"] != "done":
            expected |= {"wip": len(here), "blocked": sum(place[2] for place in here)}
            oldest = max(((at - place[1]) / 1000 for place in here), default=None)
            _compare_age(f"{where} {stage['stage']} oldest_age", stage["oldest_age"], oldest, differences)
        differences.equal(f"{where} {stage['stage']}", {word: stage[word] for word in expected}, expected)
        times = [mark.count for mark in of_stage if mark.measure == "stage_time"]
        _compare_times(f"{where} {stage['stage']} time", stage["time"], times, differences)


def _counts_shown(shown: Mapping[str, Any]) -> dict[str, Any]:
    found = {word: shown[word] for word in ("throughput", "reopened", "value_delivered", "flow_efficiency", "handoffs")}
    return found | {name: entry["throughput"] for name, entry in shown["by_type"].items()}


def _counts_of(name: str, figures: Figures) -> dict[str, Any]:
    stream = DEFINITIONS.streams[name]
    done = [stage.name for stage in stream.stages if stage.kind == "done"]
    sums = {word: sum(count for key, count in figures.items() if key[0] == word) for word in _SUMMED}
    return {
        "throughput": sums["finished"],
        "reopened": sum(figures["departures", stage, 0] for stage in done),
        "value_delivered": sums["value"] / 1000,
        "flow_efficiency": sums["active_time"] / sums["cycle_time"] if sums["cycle_time"] else None,
        "handoffs": sums["handoffs"],
    } | {item_type: figures["finished", item_type, 0] for item_type in stream.item_types}


_SUMMED: Final = ("finished", "value", "active_time", "cycle_time", "handoffs")


def _compare_times(where: str, shown: Mapping[str, Any], times: Iterable[int], differences: Differences) -> None:
    """Count and mean exactly, quantiles within a bin."""
    ordered = sorted(times)
    mean = sum(ordered) / len(ordered) / 1000 if ordered else None
    differences.equal(where, {word: shown[word] for word in ("count", "mean")}, {"count": len(ordered), "mean": mean})
    for word, share in _SHARES.items():
        exact = ordered[ceil(share * len(ordered)) - 1] / 1000 if ordered else None
        near = shown[word] == exact or (
            exact is not None and shown[word] is not None and abs(shown[word] - exact) <= _OFF * exact + 0.001
        )
        differences.holds(f"{where} {word}", near, f"{shown[word]}, not near {exact}")


def _compare_age(where: str, shown: float | None, expected: float | None, differences: Differences) -> None:
    """The instant of an answer is told in whole seconds."""
    near = shown == expected or (shown is not None and expected is not None and abs(shown - expected) <= 1)
    differences.holds(where, near, f"{shown}, not {expected}")


async def _compare_past(installation: CaredFor, name: str, marks: Sequence[Mark], differences: Differences) -> None:
    """Six days ago: what was in progress then is known too."""
    at = (now() - 6 * DAY) // HOUR * HOUR
    shown = await installation.answer(f"/v1/streams/{name}", window="7d", at=format_instant(at))
    figures, since = oracle.summed_between(marks, at - 7 * DAY, at), oracle.summed_between(marks, 0, at)
    differences.equal(f"/v1/streams/{name} six days ago", _counts_shown(shown), _counts_of(name, figures))
    expected = {
        stage["stage"]: since["arrivals", stage["stage"], 0] - since["departures", stage["stage"], 0]
        for stage in shown["stages"]
        if stage["kind"] != "done"
    }
    found = {stage["stage"]: stage["wip"] for stage in shown["stages"] if stage["kind"] != "done"}
    differences.equal(f"/v1/streams/{name} six days ago: wip", found, expected)


async def _compare_stages(
    installation: CaredFor, name: str, told: Mapping[str, oracle.ItemStory], differences: Differences
) -> None:
    for stage in DEFINITIONS.streams[name].stages:
        expected = {
            item: format_instant(place[1])
            for item, story in told.items()
            if (place := story.place()) is not None and place[0] == stage.name
        }
        found: dict[str, str] = {}
        cursor: dict[str, object] = {}
        while True:
            page = await installation.answer(f"/v1/streams/{name}/items", stage=stage.name, limit=500, **cursor)
            found |= {row["item"]: row["since"] for row in page["items"]}
            if page["next_cursor"] is None:
                break
            cursor = {"cursor": page["next_cursor"]}
        differences.equal(f"/v1/streams/{name}/items?stage={stage.name}", found, expected)


async def _compare_item(
    installation: CaredFor, name: str, story: oracle.ItemStory, item: str, differences: Differences
) -> None:
    shown = await installation.answer(f"/v1/streams/{name}/items/{quote(item, safe='')}")
    stages = DEFINITIONS.streams[name].stages
    visits = [
        (
            stages[visit.stage].name,
            format_instant(visit.start),
            None if visit.end is None else format_instant(visit.end),
        )
        for visit in story.visits
    ]
    found = [(visit["stage"], visit["arrived_at"], visit["departed_at"]) for visit in shown["visits"]]
    differences.equal(f"/v1/streams/{name}/items/{item} visits", found, visits)
    facts = [(fact.id, format_instant(fact.at), fact.seq, getattr(fact, "status", None)) for fact in story.facts]
    told = [(fact["id"], fact["at"], fact["seq"], fact["status"]) for fact in shown["facts"]]
    differences.equal(f"/v1/streams/{name}/items/{item} facts", told, facts)


async def _compare_cumulative_flow(
    installation: CaredFor, name: str, marks: Sequence[Mark], differences: Differences
) -> None:
    shown = await installation.answer(f"/v1/streams/{name}/cumulative-flow", window="30d", points=_POINTS)
    at = parse_instant(shown["at"])
    window = window_ending(at, 30 * DAY, at, Retention())
    edges = list(steps_of(window, _POINTS).edges)
    where = f"/v1/streams/{name}/cumulative-flow"
    differences.equal(f"{where} points", [point["at"] for point in shown["points"]], [format_instant(e) for e in edges])
    for point in shown["points"]:
        edge = parse_instant(point["at"])
        since, all_before = oracle.summed_between(marks, window.start, edge), oracle.summed_between(marks, 0, edge)
        for stage, counted in point["stages"].items():
            expected: dict[str, Any] = {word: since[word, stage, 0] for word in _MOVES}
            if counted["wip"] is not None:
                expected["wip"] = all_before["arrivals", stage, 0] - all_before["departures", stage, 0]
            differences.equal(f"{where} {stage} at {point['at']}", {word: counted[word] for word in expected}, expected)


async def _compare_deliveries(installation: CaredFor, truth: Truth, differences: Differences) -> None:
    facts = [fact for part in truth.applied("@deliveries").values() for fact in part.facts]
    lanes = oracle.marks_of_lanes(facts)
    for text in WINDOWS:
        shown = await installation.answer("/v1/deliveries", window=text, limit=500)
        at = parse_instant(shown["at"])
        window = window_ending(at, parse_duration(text), at, Retention())
        found = {(lane["service"], lane["environment"]): lane for lane in shown["lanes"]}
        differences.equal(f"/v1/deliveries?window={text} lanes", sorted(found), sorted(lanes))
        for lane in found.keys() & lanes.keys():
            _compare_lane(
                f"/v1/deliveries?window={text} {'/'.join(lane)}", found[lane], lanes[lane], window, differences
            )


def _compare_lane(
    where: str, shown: Mapping[str, Any], marks: Sequence[Mark], window: Window, differences: Differences
) -> None:
    figures = oracle.summed_between(marks, window.start, window.end)
    succeeded = figures["succeeded", "", 0]
    expected = {
        "deployments": succeeded,
        "failed_deployments": figures["failed", "", 0],
        "rolled_back_deployments": figures["rolled_back", "", 0],
        "deployment_frequency": succeeded * DAY / (window.end - window.start),
        "change_fail_rate": figures["failed_changes", "", 0] / succeeded if succeeded else None,
        "deployment_rework_rate": figures["rework", "", 0] / succeeded if succeeded else None,
    }
    differences.equal(where, {word: shown[word] for word in expected}, expected)
    for word, measure in (("change_lead_time", "lead_time"), ("failed_deployment_recovery_time", "recovery_time")):
        times = [mark.count for mark in marks if mark.measure == measure and window.start <= mark.at < window.end]
        _compare_times(f"{where} {word}", shown[word], times, differences)


async def _compare_letters(installation: CaredFor, truth: Truth, differences: Differences) -> None:
    shown = await installation.answer("/v1/dead-letters")
    found = {(entry["source"], entry["reason"]): entry["count"] for entry in shown["counts"]}
    expected = {("acme", "no_stream"): truth.refused().total(), ("github", "malformed_json"): len(truth.letters)}
    differences.equal("/v1/dead-letters counts", found, {key: count for key, count in expected.items() if count})
