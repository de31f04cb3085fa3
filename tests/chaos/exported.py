"""What /metrics exports, against the batch computation over the log."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any, Final

import httpx
from prometheus_client.parser import text_string_to_metric_families

from flow import lanes, vector
from flow.keys import DELIVERIES
from tests import oracle
from tests.chaos.differences import Differences
from tests.chaos.installation import CaredFor
from tests.chaos.load import DEFINITIONS
from tests.chaos.stored import Stories
from tests.chaos.truth import Truth
from tests.integration.test_exactness import undisturbed, undisturbed_lanes

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]

SHOWN_WITHIN: Final = 30.0
"""Seconds in which the exporter must have read what is stored."""

_STAGE_COUNTERS: Final = {
    "flow_stage_arrivals_total": vector.ARRIVALS,
    "flow_stage_departures_total": vector.DEPARTURES,
    "flow_stage_rework_total": vector.REWORK,
}
_TYPE_COUNTERS: Final = {
    "flow_completed_items_total": vector.COMPLETIONS,
    "flow_reopened_items_total": vector.REOPENED,
}
_OUTCOMES: Final = {"succeeded": lanes.SUCCEEDED, "failed": lanes.FAILED, "rolled_back": lanes.ROLLED_BACK}
_MONITOR: Final = {
    "facts": "streamgauge_facts_total",
    "late": "streamgauge_facts_late_total",
    "duplicates": "streamgauge_facts_duplicate_total",
    "unmapped": "streamgauge_unmapped_statuses_total",
}


async def compare_exported(installation: CaredFor, truth: Truth, stories: Stories, differences: Differences) -> None:
    """Gauges, counters, what the monitor counts of itself; the exporter may take a moment to read what is stored."""
    expected = _expected(truth, stories)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + SHOWN_WITHIN
    while True:
        found = await _samples(installation.client)
        shown = {key: found.get(key) for key in expected}
        if shown == expected or loop.time() > deadline:
            break
        await asyncio.sleep(0.5)
    differences.equal("/metrics", shown, expected)


async def _samples(client: httpx.AsyncClient) -> Samples:
    text = (await client.get("/metrics")).text
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def _key(name: str, **labels: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    return name, tuple(sorted(labels.items()))


def _expected(truth: Truth, stories: Stories) -> Samples:
    found: Samples = {}
    monitor: Counter[tuple[str, str]] = Counter()
    for name in (*DEFINITIONS.streams, DELIVERIES):
        applied = truth.applied(name).values()
        for part in applied:
            for counted, count in part.monitor.items():
                kind, _, rest = counted.partition("|")
                monitor[kind, rest.partition("|")[0]] += count
        if name != DELIVERIES:
            found |= _gauges(name, stories[name]) | _counters(name, [part.facts for part in applied])
        else:
            found |= _of_lanes([fact for part in applied for fact in part.facts])
    for (kind, source), count in monitor.items():
        found[_key(_MONITOR[kind], source=source)] = count
    for number in truth.lines:
        found[_key("streamgauge_log_lag_facts", partition=str(number))] = 0
    no_stream, unreadable = truth.refused().total(), len(truth.letters)
    found[_key("streamgauge_dead_letters_total", source="acme", reason="no_stream")] = no_stream
    found[_key("streamgauge_dead_letters_total", source="github", reason="malformed_json")] = unreadable
    return found


def _gauges(name: str, told: dict[str, oracle.ItemStory]) -> Samples:
    found: Samples = {}
    places = [place for story in told.values() if (place := story.place()) is not None]
    for stage in DEFINITIONS.streams[name].stages:
        if stage.kind == "done":
            continue
        here = [place for place in places if place[0] == stage.name]
        found[_key("flow_stage_wip", stream=name, stage=stage.name)] = len(here)
        found[_key("flow_stage_blocked_items", stream=name, stage=stage.name)] = sum(place[2] for place in here)
        if stage.kind == "queue":
            found[_key("flow_stage_queue_depth", stream=name, stage=stage.name)] = len(here)
        if here:
            oldest = min(place[1] for place in here) / 1000
            found[_key("flow_stage_oldest_arrival_timestamp_seconds", stream=name, stage=stage.name)] = oldest
    return found


def _counters(name: str, parts: list[list[Any]]) -> Samples:
    """What one worker would have counted that nothing ever happened to."""
    stream, found = DEFINITIONS.streams[name], Samples()
    totals = vector.total_of(undisturbed(stream, facts) for facts in parts)
    for index, stage in enumerate(stream.stages):
        for metric, code in _STAGE_COUNTERS.items():
            found[_key(metric, stream=name, stage=stage.name)] = totals.get(vector.stage_key(index, code), 0)
        if stage.kind != "done":
            spent = totals.get(vector.stage_key(index, vector.STAGE_TIME), 0) / 1000
            found[_key("flow_stage_time_seconds_sum", stream=name, stage=stage.name)] = spent
            left = totals.get(vector.stage_key(index, vector.DEPARTURES), 0)
            found[_key("flow_stage_time_seconds_count", stream=name, stage=stage.name)] = left
    for index, item_type in enumerate(stream.item_types):
        for metric, code in _TYPE_COUNTERS.items():
            found[_key(metric, stream=name, item_type=item_type)] = totals.get(vector.type_key(index, code), 0)
    return found


def _of_lanes(facts: list[Any]) -> Samples:
    found: Samples = {}
    for (service, environment), counted in undisturbed_lanes(facts).items():
        where = {"service": service, "environment": environment}
        for outcome, code in _OUTCOMES.items():
            found[_key("delivery_deployments_total", outcome=outcome, **where)] = counted.get(code, 0)
        found[_key("delivery_open_failures", **where)] = counted.get(lanes.OPEN_FAILURES, 0)
    return found
