"""What is stored, row by row, against the batch computation over the log."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from redis.asyncio import Redis

from flow import keys, vector
from flow.cells import Grain, Retention
from flow.definitions import Stream
from flow.deployed_service import DeployedService
from flow.instants import MINUTE
from flow.keys import DELIVERIES, StateKeys
from flow.lanes import lane_of
from flow.timeline import Timeline
from service.command_line.composition import now
from tests import oracle
from tests.chaos.differences import Differences
from tests.chaos.load import DEFINITIONS
from tests.chaos.truth import Applied, Truth
from tests.integration.several_streams import stored_cells, stored_places
from tests.integration.test_exactness import decode_lanes, undisturbed, undisturbed_lanes
from tests.property.readable import figures_of_lane, figures_of_totals, not_less, place_of

HEALED_WITHIN: Final = 60.0
"""Seconds in which every stored position must reach the end of the log, though nothing new comes."""

Stories = dict[str, dict[str, oracle.ItemStory]]
"""By stream and item."""

PartsOfLog = Mapping[int, Applied]
PlaceOfLane = tuple[tuple[str, str], tuple[str, int]]
"""Service and environment, and the cell."""

_NEVER_LESS: Final = ("arrivals", "departures", "rework", "handoffs", "blocked_time")


def stories_of(truth: Truth) -> Stories:
    """What the oracle makes of the log."""
    return {
        name: oracle.stories_of(stream, [fact for part in truth.applied(name).values() for fact in part.facts])
        for name, stream in DEFINITIONS.streams.items()
    }


async def compare_stored(redis: Redis, truth: Truth, stories: Stories, differences: Differences) -> None:
    """Everything that is stored."""
    await _compare_positions(redis, truth, differences)
    for name, stream in DEFINITIONS.streams.items():
        await _compare_stream(redis, stream, truth.applied(name), stories[name], differences)
    await _compare_deliveries(redis, truth.applied(DELIVERIES), differences)
    await _compare_letters(redis, truth, differences)


async def state_of(redis: Redis, name: str) -> StateKeys:
    """The generation that readers see."""
    generation: Any = await redis.get(keys.generation(name))
    return StateKeys(name, (generation or b"").decode())


async def _compare_positions(redis: Redis, truth: Truth, differences: Differences) -> None:
    names, ends = (*DEFINITIONS.streams, DELIVERIES), truth.ends()
    expected = {(name, number): end for name in names for number, end in ends.items()}
    found: dict[tuple[str, int], int] = {}
    deadline = asyncio.get_running_loop().time() + HEALED_WITHIN
    while found != expected and asyncio.get_running_loop().time() < deadline:
        for name in names:
            state = await state_of(redis, name)
            for number in ends:
                found[name, number] = int(await redis.get(state.position(number)) or 0)
        await asyncio.sleep(0.1)
    differences.equal(f"positions, {HEALED_WITHIN:.0f} s after the lag was zero", found, expected)


async def _compare_stream(
    redis: Redis,
    stream: Stream,
    applied: dict[int, Applied],
    told: dict[str, oracle.ItemStory],
    differences: Differences,
) -> None:
    state, where = await state_of(redis, stream.name), f"stored of {stream.name}"
    rows: Any = await redis.hgetall(state.timelines)
    timelines = {
        name.decode(): [(e.at, e.seq, e.id) for e in Timeline.unpack(row).entries()] for name, row in rows.items()
    }
    expected = {name: [(f.at, f.seq, f.id) for f in story.facts] for name, story in told.items()}
    differences.equal(f"{where}: timelines", timelines, expected)
    places = [(name, *place[:2]) for name, story in told.items() if (place := story.place()) is not None]
    differences.equal(f"{where}: items in stages", await stored_places(redis, state, stream), sorted(places))
    totals = {int(number): vector.unpack(row) for number, row in (await _rows(redis, state.totals)).items()}
    counters, gauges = figures_of_totals(stream, vector.total_of(totals.values()))
    differences.equal(f"{where}: gauges", gauges, oracle.added(story.gauges() for story in told.values()))
    least = oracle.added(story.counters() for story in told.values())
    differences.holds(f"{where}: counters", not_less(counters, least, _NEVER_LESS), "less than what happened")
    clean = {number: undisturbed(stream, part.facts) for number, part in applied.items()}
    for number in applied:
        differences.equal(f"{where}: counters of partition {number}", totals.get(number, {}), clean[number])
    await _compare_monitor(redis, state, applied, differences)
    marks = [mark for story in told.values() for mark in story.marks()]
    floors = _floors()
    stored = _kept(await stored_cells(redis, state, stream), floors)
    differences.equal(f"{where}: cells", stored, _kept(oracle.cells_with(marks), floors))


async def _compare_monitor(redis: Redis, state: StateKeys, applied: PartsOfLog, differences: Differences) -> None:
    rows = await _rows(redis, state.monitor)
    found = {int(number): Counter(msgspec.msgpack.decode(row)) for number, row in rows.items()}
    expected = {number: part.monitor for number, part in applied.items() if part.monitor}
    counted = {number: counts for number, counts in found.items() if counts}
    differences.equal(f"{state.pointer}: counts of the monitor", counted, expected)


async def _compare_deliveries(redis: Redis, applied: PartsOfLog, differences: Differences) -> None:
    state, facts = await state_of(redis, DELIVERIES), [fact for part in applied.values() for fact in part.facts]
    for service in {fact.service for fact in facts}:
        expected = sorted((fact for fact in facts if fact.service == service), key=lambda f: (f.at, f.seq, f.id))
        stored = DeployedService.load(await _rows(redis, state.service(service))).facts()
        differences.equal(f"facts of {service}", [fact.id for fact in stored], [fact.id for fact in expected])
    await _compare_monitor(redis, state, applied, differences)
    totals = {lane_of(name): vector.unpack(row) for name, row in (await _rows(redis, state.totals)).items()}
    in_order = [fact for number in sorted(applied) for fact in applied[number].facts]
    for lane, counted in undisturbed_lanes(in_order).items():
        differences.equal(f"counters of {lane}", totals.get(lane, {}), counted)
    cells, floors = await _cells_of_lanes(redis, state), _floors()
    for lane, marks in oracle.marks_of_lanes(facts).items():
        found = {place: figures for (where, place), figures in cells.items() if where == lane and figures}
        differences.equal(f"cells of {lane}", _kept(found, floors), _kept(oracle.cells_with(marks), floors))


async def _cells_of_lanes(
    redis: Redis, state: StateKeys
) -> dict[tuple[tuple[str, str], tuple[str, int]], oracle.Figures]:
    rows: dict[tuple[tuple[str, str], tuple[str, int]], vector.Vector] = {}
    async for key in redis.scan_iter(match=state.every.replace("*", "cells:*"), count=1000):
        for name, row in (await _rows(redis, key.decode())).items():
            place = place_of(int(name.partition(":")[0]))
            for lane, counted in decode_lanes(row).items():
                vector.add(rows.setdefault((lane_of(lane), place), {}), counted)
    return {where: figures_of_lane(row) for where, row in rows.items()}


async def _compare_letters(redis: Redis, truth: Truth, differences: Differences) -> None:
    """Each once: facts by offset, webhooks by what came."""
    found: Counter[tuple[int, int, str]] = Counter()
    bodies: Counter[bytes] = Counter()
    for _, entry in await redis.xrange(keys.LETTERS):
        if entry[b"kind"] == b"delivery":
            bodies[entry[b"body"]] += 1
        else:
            found[int(entry[b"partition"]), int(entry[b"offset"]), entry[b"reason"].decode()] += 1
    differences.equal("dead letters of facts", found, truth.refused())
    differences.equal("dead letters of webhooks", bodies, Counter(truth.letters))


async def _rows(redis: Redis, key: str) -> dict[str, bytes]:
    found: Any = await redis.hgetall(key)
    return {name.decode(): row for name, row in found.items()}


def _floors() -> dict[str, int]:
    """From when on cells are kept, with a minute for the comparison itself."""
    return {grain.name.lower(): now() - Retention().of(grain) + MINUTE for grain in Grain}


def _kept(cells: Mapping[tuple[str, int], oracle.Figures], floors: Mapping[str, int]) -> dict[Any, oracle.Figures]:
    """Those that a window may still be made of."""
    return {place: figures for place, figures in cells.items() if figures and place[1] >= floors[place[0]]}
