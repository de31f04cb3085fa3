"""Invariants 2, 3 and 4 on a real server: whatever happens to workers, Redis and the order of arrival, what is stored
is what the oracle computes from the log up to the stored position.

A machine appends facts, lets two workers fold and commit them in random bites, crashes them between any two steps, lets
them take over from each other, moves the clock, and loses Redis wholly or back to an earlier moment.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, field
from importlib.resources import files
from itertools import cycle, zip_longest
from typing import Any

import msgspec
import pytest
import redis.asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

import consumers.lane_state
import flow.deployed_service
import flow.timeline
from consumers.commit import Commit
from consumers.log import Batch
from consumers.measurements import Measurements
from consumers.partition import Partition, Work
from consumers.rebuild import Rebuild
from consumers.routing import Sorted
from consumers.stream_state import Bounds
from flow import keys, vector
from flow.cells import Grain, Retention
from flow.definitions import Condition, Definitions, Match, ServiceLevel, Stage, Stream
from flow.deployed_service import DeployedService
from flow.errors import PositionConflict
from flow.facts import ChangeFact, DeploymentFact, Fact, ItemFact, SignalFact, encode_fact, partition_of, subject_key
from flow.fold import Fold
from flow.instants import DAY, HOUR, MINUTE
from flow.keys import DELIVERIES, StateKeys
from flow.lanes import OPEN_FAILURES, OPEN_SINCE, correct, lane_of
from flow.tally import Tally
from flow.timeline import Timeline
from tests import oracle
from tests.briefs import fold_in
from tests.property.readable import figures_of_cell, figures_of_lane, figures_of_totals, not_less, place_of, total
from tests.property.strategies import BASE, DELIVERED, LONG, PLAIN, TOLD, item_fact, lane_fact

PARTITIONS = 2
START = BASE + 50 * DAY
INSTANTS = [START - 45 * DAY, START - 20 * DAY, START - 26 * HOUR, START - HOUR, START - HOUR + 1]
INSTANTS += [START - 61_000, START - 1, START]
ITEMS = ["CHK-0", "CHK-1", "CHK-2", "CHK-4"]
SERVICES = ["shop", "till", "web"]

CHECKOUT = Stream("checkout", PLAIN.stages, Match(project=("CHK",)), targets=PLAIN.targets)
PORTFOLIO = Stream(
    "portfolio",
    (
        Stage("ideas", "queue", (Condition(status="S0"), Condition(label="l0"))),
        Stage("explore", "active", (Condition(status="S1"), Condition(status="S1", label="l1"))),
        Stage("build", "active", (Condition(label="l2"), Condition(signal="change.opened")), commitment=True),
        Stage("ship", "queue", (Condition(signal="change.merged"),), sle=ServiceLevel(0.5, HOUR)),
        Stage("live", "done", (Condition(signal="deployment.succeeded", environment="live"),)),
        Stage("dropped", "done", (Condition(status="S4"),)),
    ),
    Match(source=("acme",)),
    item_keys=(r"CHK-\d+",),
)
DEFINITIONS = Definitions({"checkout": CHECKOUT, "portfolio": PORTFOLIO})
NONSENSE = {
    "not JSON": b"not json",
    "not whole": b'{"subject":"item","id":"1"}',
    "of no subject": b'{"subject":"rumour"}',
    "too deep": b'{"subject":"item","x":' + b"[" * 99_999,
}


def streams_of(fact: Fact) -> list[str]:
    """Routing by hand: by project, by source, and signals by the item's name."""
    if isinstance(fact, ItemFact):
        claims = {"checkout": fact.project == "CHK", "portfolio": fact.source == "acme"}
        return [name for name, claimed in claims.items() if claimed]
    return ["portfolio"] if isinstance(fact, SignalFact) and fact.item.startswith("CHK-") else []


@dataclass
class Read:
    """What one stream, or the deliveries, must make of one partition of the log up to some offset."""

    applied: list[Any] = field(default_factory=list)
    monitor: Counter[str] = field(default_factory=Counter)
    refused: list[int] = field(default_factory=list)
    late: bool = False


def without_sources(monitor: Counter[str]) -> Counter[str]:
    """Counts of the monitor, with unmapped statuses of all sources together."""
    found: Counter[str] = Counter()
    for name, count in monitor.items():
        kind, _, rest = name.partition("|")
        found[f"{kind}|{rest.partition('|')[2]}" if kind == "unmapped" else name] += count
    return found


@dataclass
class LogModel:
    """All that was appended, by partition: line and fact (None where the line is not one), in order of the offsets."""

    most_facts: int
    lines: list[list[tuple[bytes, Fact | None]]] = field(default_factory=lambda: [[] for _ in range(PARTITIONS)])
    received: list[list[int]] = field(default_factory=lambda: [[] for _ in range(PARTITIONS)])

    def facts(self, partition: int, position: int) -> Iterable[tuple[int, Fact]]:
        """Timely facts with their offsets: whenever they are read, what counts is when they came."""
        for offset, (_, fact) in enumerate(self.lines[partition][:position], start=1):
            if fact is not None and 0 <= fact.at <= self.received[partition][offset - 1] + DAY:
                yield offset, fact

    def read(self, name: str, partition: int, position: int) -> Read:
        """Every distinct fact of this stream is applied once, until its timeline is full."""
        result, seen = Read(), {}
        for offset, fact in self.facts(partition, position):
            mine = name in streams_of(fact) if isinstance(fact, ItemFact | SignalFact) else name == DELIVERIES
            if not mine:
                continue
            known = seen.setdefault(subject_key(fact), {})
            result.monitor[f"facts|{fact.source}"] += 1
            order = (fact.at, fact.seq, fact.id)
            if fact.id in known:
                result.monitor[f"duplicates|{fact.source}"] += 1
            elif len(known) >= self.most_facts:
                result.refused.append(offset)
            else:
                if known and order < max(known.values()) and name != DELIVERIES:
                    result.late = True
                    result.monitor[f"late|{fact.source}"] += 1
                if isinstance(fact, ItemFact) and oracle.says_unmapped(DEFINITIONS.streams[name], fact):
                    result.monitor[f"unmapped|{fact.source}|{fact.status}"] += 1
                known[fact.id] = order
                result.applied.append(fact)
        return result

    def letters(self, partition: int, position: int) -> Counter[tuple[int, str]]:
        """(offset, reason) of everything that can't be applied."""
        found: Counter[tuple[int, str]] = Counter()
        timely = dict(self.facts(partition, position))
        for offset, (_, fact) in enumerate(self.lines[partition][:position], start=1):
            if fact is None:
                found[offset, "unreadable"] += 1
            elif offset not in timely:
                found[offset, "at_too_old" if fact.at < 0 else "at_in_future"] += 1
            elif isinstance(fact, ItemFact | SignalFact) and not streams_of(fact):
                found[offset, "no_stream"] += 1
        return found


class ScriptedLog:
    """The same entries that the Redis log reads, without waiting."""

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self._client = client

    async def partitions(self) -> list[int]:
        return list(range(PARTITIONS))

    async def read(self, partition: int, after: int, *, wait: bool = True, entries: int = 1000) -> Batch | None:
        key = keys.log_facts(partition)
        blocks: Any = await self._client.xrange(key, f"0-{after + 1}", count=entries)
        if not blocks:
            return None
        offsets: list[int] = []
        received: list[tuple[int, int]] = []
        for identifier, fields in blocks:
            last = int(identifier.partition(b"-")[2])
            offsets.extend(range(last - int(fields[b"count"]) + 1, last + 1))
            received.append((last, int(fields[b"received_at"])))
        lines = b"\n".join(fields[b"facts"] for _, fields in blocks)
        return Batch(partition, lines, offsets, received[-1][1], received)

    async def committed(self, partition: int, offset: int) -> None:
        """Nothing is trimmed."""


@dataclass
class Hand:
    """One worker's hold on one partition, taking the same steps in the same order as the aggregator.

    `found` was read and is not folded yet; `flying` is folded and sent, but the server has not executed it yet.
    """

    number: int
    work: Work
    log: ScriptedLog
    partition: Partition | None = None
    found: Sorted | None = None
    flying: tuple[list[Commit], Batch] | None = None

    def crash(self) -> None:
        self.partition = self.found = self.flying = None

    @property
    def is_at_the_end(self) -> bool:
        return self.partition is not None and self.found is None and self.flying is None

    async def turn(self, entries: int, cut: int) -> None:
        """Fold what was found, read what follows, wait for the commit that is flying, and send the next one."""
        if self.partition is None:
            self.partition = Partition(self.number, self.work)
            await self.partition.load()
        partition, found = self.partition, self.found or await self.next(entries, cut)
        if found is not None:
            commits = await partition.fold(found)
            self.found = await self.next(entries, cut)
            await self.land()
            if self.partition is partition:
                partition.shrink()
                self.flying = commits, found.batch

    async def next(self, entries: int, cut: int) -> Sorted | None:
        """Read some entries behind the position, not always whole ones."""
        assert self.partition is not None
        batch = await self.log.read(self.number, self.partition.position, entries=entries)
        if batch is None:
            return None
        new = [offset for offset in batch.offsets if offset > self.partition.position]
        return await self.partition.prepare(first_of(batch, len(batch.offsets) - cut % len(new)))

    async def land(self, only: int | None = None) -> None:
        """The server executes what is flying; with `only`, that many of the commits and then the worker is gone."""
        if self.partition is None or self.flying is None:
            return
        (commits, batch), partition = self.flying, self.partition
        self.flying = None
        if only is None:
            await self.refused_only_if_stale(commits, self.sent(partition, commits, batch))
        else:
            await self.refused_only_if_stale(commits[:only], self.committed(partition, commits[:only]))
            self.crash()

    async def sent(self, partition: Partition, commits: list[Commit], batch: Batch) -> None:
        await partition.commit_batch(commits, batch)

    async def committed(self, partition: Partition, commits: list[Commit]) -> None:
        await partition.keep_left_out(commits)
        await partition.commit(commits)

    async def refused_only_if_stale(self, commits: list[Commit], execution: Coroutine[Any, Any, None]) -> None:
        """A commit is refused exactly when the position or the generation is not the one that was read."""
        stale = [commit.stream for commit in commits if not await self.is_next(commit)]
        try:
            await execution
        except PositionConflict as conflict:
            assert any(stream in str(conflict) for stream in stale)  # noqa: PT017  # it may be refused, or not
            self.crash()
        else:
            assert not stale

    async def is_next(self, commit: Commit) -> bool:
        position = await self.work.redis.get(commit.position_key)
        generation = await self.work.redis.get(commit.generation_key)
        expected = None if commit.expected is None else str(commit.expected).encode()
        return position == expected and (generation or b"") == commit.generation.encode()

    async def idle(self) -> None:
        await self.land()
        if self.partition is not None:
            self.found = None
            commits = self.partition.idle_commits()
            await self.refused_only_if_stale(commits, self.partition.commit(commits))


def first_of(batch: Batch, count: int) -> Batch:
    """The batch cut behind this many facts, as Kafka may hand it over."""
    lines = b"\n".join(batch.lines.split(b"\n")[:count])
    return Batch(batch.partition, lines, batch.offsets[:count], batch.received_at, batch.received)


class World:
    """The server, the log and two workers, with everything that can happen to them."""

    def __init__(self, url: str, most_facts: int) -> None:
        self.redis = redis.asyncio.Redis.from_url(url)
        self.now = START
        self.model = LogModel(most_facts)
        self.facts: list[Fact] = []
        self.saved: dict[bytes, bytes] = {}
        self.rebuilt = False
        bounds = Bounds(items_in_memory=1, cells_in_memory=1)
        self.work = Work(self.redis, DEFINITIONS, bounds, 10_000, lambda: self.now, Measurements(self.now))
        log = ScriptedLog(self.redis)
        self.hands = [[Hand(number, self.work, log) for number in range(PARTITIONS)] for _ in range(2)]
        self.append_script = self.redis.register_script(files("service").joinpath("append.lua").read_text())

    async def append_facts(self, facts: list[Fact]) -> None:
        for number in range(PARTITIONS):
            mine = [fact for fact in facts if partition_of(subject_key(fact), PARTITIONS) == number]
            await self.append_lines(number, [(encode_fact(fact), fact) for fact in mine])

    async def arrive(self, facts: list[Any], size: int) -> None:
        """Facts that were not there before, in blocks of this size."""
        self.facts += facts
        for start in range(0, len(facts), size):
            await self.append_facts(facts[start : start + size])

    async def append_lines(self, number: int, lines: list[tuple[bytes, Fact | None]]) -> None:
        if lines:
            self.model.lines[number] += lines
            self.model.received[number] += [self.now] * len(lines)
            block = b"\n".join(line for line, _ in lines)
            where = [keys.log_facts(number), keys.log_end(number)]
            assert await self.append_script(where, [len(lines), block, self.now]) == len(self.model.lines[number])

    async def state_keys(self) -> list[bytes]:
        return [key async for key in self.redis.scan_iter(count=1000) if not key.startswith(b"sg:v1:{@log-")]

    async def remember(self) -> None:
        self.saved = {key: await self.redis.dump(key) for key in await self.state_keys()}

    async def lose(self, back_to: dict[bytes, bytes]) -> None:
        found = await self.state_keys()
        if found:
            await self.redis.delete(*found)
        for key, row in back_to.items():
            await self.redis.restore(key, 0, row)

    async def settle(self, worker: int, afresh: bool) -> None:
        """Let one worker read all that there is: as it is, or begun afresh, so that it knows of what was lost."""
        for hand in self.hands[worker]:
            if afresh:
                hand.crash()
            end = len(self.model.lines[hand.number])
            for _ in range(20):
                await hand.turn(1000, 0)
                if hand.found is None:
                    await hand.land()
                if hand.is_at_the_end and hand.partition.position == end:
                    break
            assert hand.partition is not None
            assert hand.partition.position == end

    async def rebuild(self, name: str, from_log: bool) -> None:
        work = self.work
        rebuild = Rebuild(self.redis, DEFINITIONS.streams[name], PARTITIONS, work.bounds, work.clock)
        if from_log:
            await rebuild.from_log(ScriptedLog(self.redis))
        else:
            self.rebuilt = True
            await rebuild.from_timelines()

    # --- what is stored is what the oracle computes ------------------------------------------------------------------

    async def check(self, to_the_end: bool = False) -> None:
        self.to_the_end = to_the_end
        for stream in DEFINITIONS.streams.values():
            await self.check_stream(stream)
        await self.check_deliveries()
        await self.check_letters()

    async def rows(self, key: str) -> dict[str, bytes]:
        return {name.decode(): row for name, row in (await self.redis.hgetall(key)).items()}

    async def opened(self, name: str) -> tuple[StateKeys, list[Read]]:
        generation = await self.redis.get(keys.generation(name))
        state = StateKeys(name, (generation or b"1").decode())
        positions = [int(await self.redis.get(state.position(number)) or 0) for number in range(PARTITIONS)]
        if self.to_the_end:  # positions lag behind where nothing was left to do
            positions = [len(lines) for lines in self.model.lines]
        return state, [self.model.read(name, number, position) for number, position in enumerate(positions)]

    async def check_stream(self, stream: Stream) -> None:
        state, reads = await self.opened(stream.name)
        told = oracle.stories_of(stream, [fact for read in reads for fact in read.applied])
        await self.check_timelines(state, told)
        await self.check_places(state, stream, told)
        await self.check_monitor(state, reads)
        await self.check_totals(state, stream, reads, told)
        cells = await self.cells(state, vector.unpack)
        found = {place_of(cell): figures_of_cell(stream, vector.total_of(rows)) for cell, rows in cells.items()}
        self.compare_cells(found, [mark for story in told.values() for mark in story.marks()])

    async def check_timelines(self, state: StateKeys, told: dict[str, oracle.ItemStory]) -> None:
        rows = await self.rows(state.timelines)
        assert rows.keys() == told.keys()
        for name, story in told.items():
            timeline = Timeline.unpack(rows[name])
            about = msgspec.structs.asdict(timeline.about())
            assert {key: value for key, value in about.items() if value is not None} == story.described()
            assert [(e.at, e.seq, e.id) for e in timeline.entries()] == [(f.at, f.seq, f.id) for f in story.facts]

    async def check_places(self, state: StateKeys, stream: Stream, told: dict[str, oracle.ItemStory]) -> None:
        places = {name: place for name, story in told.items() if (place := story.place()) is not None}
        for stage in stream.stages:
            members = await self.redis.zrange(state.stage(stage.name), 0, -1, withscores=True)
            expected = {name: since for name, (where, since, *_) in places.items() if where == stage.name}
            assert {name.decode(): int(score) for name, score in members} == expected
            ranked = await self.redis.zrange(state.ranked(stage.name), 0, -1, withscores=True)
            ranks = {name: -rank[1] for name, story in told.items() if (rank := story.rank()) and rank[0] == stage.name}
            assert {name.decode(): score for name, score in ranked} == ranks
        finished = await self.redis.zrange(state.finished, 0, -1)
        assert {name.decode() for name in finished} == {name for name, story in told.items() if story.is_finished()}

    async def check_monitor(self, state: StateKeys, reads: list[Read]) -> None:
        rows = await self.rows(state.monitor)
        for number, read in enumerate(reads):
            row = rows.get(str(number))
            stored = Counter(msgspec.msgpack.decode(row)) if row else Counter()
            if self.rebuilt:  # of the sources that told of an item, its timeline knows the latest
                assert without_sources(stored) == without_sources(read.monitor)
            else:
                assert stored == read.monitor

    async def check_totals(
        self, state: StateKeys, stream: Stream, reads: list[Read], told: dict[str, oracle.ItemStory]
    ) -> None:
        rows = {name: vector.unpack(row) for name, row in (await self.rows(state.totals)).items()}
        counters, gauges = figures_of_totals(stream, vector.total_of(rows.values()))
        assert gauges == oracle.added(story.gauges() for story in told.values())
        least = oracle.added(story.counters() for story in told.values())
        assert not_less(counters, least, ("arrivals", "departures", "rework", "handoffs", "blocked_time"))
        assert total(counters, "completions") >= total(least, "completions")
        assert total(counters, "stage_buckets") == total(counters, "departures")
        if not any(read.late for read in reads) and not self.rebuilt:
            assert counters == least
        for number, read in enumerate(reads):
            if not self.rebuilt:
                assert rows.get(str(number), {}) == undisturbed(stream, read.applied)

    async def check_deliveries(self) -> None:
        state, reads = await self.opened(DELIVERIES)
        facts = [fact for read in reads for fact in read.applied]
        services = {fact.service for fact in facts}
        assert {name.decode() for name in await self.redis.zrange(state.finished, 0, -1)} == services
        for service in services:
            expected = sorted((fact for fact in facts if fact.service == service), key=lambda f: (f.at, f.seq, f.id))
            assert DeployedService.load(await self.rows(state.service(service))).facts() == expected
        await self.check_monitor(state, reads)
        marks = oracle.marks_of_lanes(facts)
        cells = await self.cells(state, decode_lanes)
        totals = {lane_of(name): vector.unpack(row) for name, row in (await self.rows(state.totals)).items()}
        assert totals == undisturbed_lanes(facts)
        assert {lane: gauges_of_lane(counted) for lane, counted in totals.items()} == oracle.open_failures(facts)
        for lane, some in marks.items():
            mine = {cell: vector.total_of(of_lane(lane, rows)) for cell, rows in cells.items()}
            self.compare_cells({place_of(cell): figures_of_lane(row) for cell, row in mine.items() if row}, some)
            check_counters_of_lane(totals[lane], oracle.summed(some))

    async def cells(self, state: StateKeys, decode: Any) -> dict[int, list[Any]]:
        found: dict[int, list[Any]] = {}
        async for key in self.redis.scan_iter(match=state.every.replace("*", "cells:*"), count=1000):
            for name, row in (await self.rows(key.decode())).items():
                cell = int(name.partition(":")[0])
                assert state.cells(cell) == key.decode()
                found.setdefault(cell, []).append(decode(row))
        return found

    def compare_cells(self, found: dict[tuple[str, int], oracle.Figures], marks: list[oracle.Mark]) -> None:
        """Every cell that a window may still be made of."""
        floor = {grain.name.lower(): self.now - Retention().of(grain) for grain in Grain}
        expected = {place: some for place, some in oracle.cells_with(marks).items() if place[1] >= floor[place[0]]}
        assert {place: some for place, some in found.items() if some and place[1] >= floor[place[0]]} == expected

    async def refused(self, partition: int) -> tuple[Counter[tuple[int, str]], Counter[tuple[int, str]]]:
        """Letters of what streams refused: those that must be there, and those that may.

        They are written once each, shortly before what the stream commits up to there.
        """
        found: Counter[tuple[int, str]] = Counter()
        possible: Counter[tuple[int, str]] = Counter()
        for name in (*DEFINITIONS.streams, DELIVERIES):
            generation: Any = await self.redis.get(keys.generation(name))
            state = keys.StateKeys(name, (generation or b"").decode())
            position = int(await self.redis.get(state.position(partition)) or 0)
            found.update((offset, "timeline_full") for offset in self.model.read(name, partition, position).refused)
            end = len(self.model.lines[partition])
            possible.update((offset, "timeline_full") for offset in self.model.read(name, partition, end).refused)
        return found, possible

    async def check_letters(self) -> None:
        letters: list[Counter[tuple[int, str]]] = [Counter() for _ in range(PARTITIONS)]
        counts: Counter[str] = Counter()
        for _, entry in await self.redis.xrange(keys.LETTERS):
            number, offset, reason = int(entry[b"partition"]), int(entry[b"offset"]), entry[b"reason"].decode()
            unreadable = reason in {"malformed_json", "invalid_fact"}
            letters[number][offset, "unreadable" if unreadable else reason] += 1
            counts[f"{entry[b'source'].decode()}|{reason}"] += 1
            line, fact = self.model.lines[number][offset - 1]
            assert entry[b"body"] == line
            assert entry[b"source"].decode() == (fact.source if fact is not None else "unknown")
        for number in range(PARTITIONS):
            position = int(await self.redis.get(keys.letters_position(number)) or 0)
            full = Counter({letter: count for letter, count in letters[number].items() if letter[1] == "timeline_full"})
            assert letters[number] - full == self.model.letters(number, position)
            written, possible = await self.refused(number)
            assert written <= full <= possible
        stored = await self.redis.hgetall(keys.LETTER_COUNTS)
        assert {name.decode(): int(count) for name, count in stored.items()} == counts


decode_lanes = msgspec.msgpack.Decoder(dict[str, dict[int, int]]).decode


def of_lane(lane: tuple[str, str], rows: list[dict[str, vector.Vector]]) -> list[vector.Vector]:
    return [row for lanes in rows for name, row in lanes.items() if lane_of(name) == lane]


def undisturbed(stream: Stream, facts: list[Any]) -> vector.Vector:
    """The totals of one worker that nothing ever happened to: what the counters must hold after any history."""
    fold, items = Fold(stream, Retention()), {}
    fold.begin(START)
    fold_in(fold, items, facts)
    totals: vector.Vector = {}
    vector.add(totals, fold.take().totals)
    return totals


def undisturbed_lanes(facts: list[Any]) -> dict[tuple[str, str], vector.Vector]:
    """As `undisturbed`, of all lanes."""
    services: dict[str, DeployedService] = {}
    tallies: dict[tuple[str, str], Tally] = {}
    for fact in facts:
        service = services.setdefault(fact.service, DeployedService())
        if not isinstance(fact, ChangeFact):
            tallies.setdefault((fact.service, fact.environment), Tally(START, Retention()))
        for environment, (before, after) in service.add(fact).by_environment().items():
            correct(tallies[fact.service, environment], before, after)
    return {lane: tally.observed | services[lane[0]].open_failures(lane[1]) for lane, tally in tallies.items()}


def gauges_of_lane(counted: vector.Vector) -> tuple[int, int]:
    return counted.pop(OPEN_FAILURES, 0), counted.pop(OPEN_SINCE, 0)


def check_counters_of_lane(counted: vector.Vector, least: oracle.Figures) -> None:
    figures = figures_of_lane(counted)
    plain = ("succeeded", "failed", "rolled_back", "failed_changes", "rework", "lead_times", "recoveries")
    assert not_less(figures, least, plain)
    assert sum(count for key, count in counted.items() if 2048 <= key < 3072) == figures["lead_times", "", 0]
    assert sum(count for key, count in counted.items() if key >= 3072) == figures["recoveries", "", 0]


def invented(told: Any, delivered: Any, number: int, instants: list[int]) -> list[Any]:
    """Facts of items and deliveries by turns; most of the items belong to a project."""
    items: list[Any] = [item_fact(drawn, number + place, ITEMS, instants) for place, drawn in enumerate(told)]
    for place, fact in enumerate(items):
        if isinstance(fact, ItemFact) and not fact.id.startswith(("8", "9")):
            items[place] = msgspec.structs.replace(fact, project="CHK")
    number += len(items)
    lanes = [lane_fact(drawn, number + place, SERVICES, instants) for place, drawn in enumerate(delivered)]
    return [fact for pair in zip_longest(items, lanes) for fact in pair if fact is not None]


WORKERS, NUMBERS = st.integers(0, 1), st.integers(0, PARTITIONS - 1)
BITES = st.tuples(st.integers(1, 3), st.integers(0, 3))
"""How many entries of the log are read, and how many facts at their end are left for later."""


class Exactness(RuleBasedStateMachine):
    """Hypothesis draws what happens next; after each commit all that is stored must be right."""

    url = ""

    @initialize(most_facts=st.sampled_from([4, 10_000]))
    def begin(self, most_facts: int) -> None:
        flow.timeline.MAX_FACTS = consumers.lane_state.MAX_FACTS = most_facts  # type: ignore[attr-defined]
        self.runner = asyncio.Runner()
        self.world = World(self.url, most_facts)
        self.do(self.world.redis.flushall())

    def do(self, coroutine: Any) -> Any:
        return self.runner.run(coroutine)

    @rule(told=TOLD[8], delivered=DELIVERED[4], size=st.integers(1, 3))
    def facts_arrive(self, told: Any, delivered: Any, size: int) -> None:
        """In blocks of this size, so that there is much to read in small bites."""
        instants = [*INSTANTS, self.world.now, self.world.now - HOUR, self.world.now + DAY]
        self.do(self.world.arrive(invented(told, delivered, len(self.world.facts), instants), size))

    def arrive(self, facts: list[Any]) -> None:
        self.do(self.world.arrive(facts, 10))

    @precondition(lambda self: self.world.facts)
    @rule(which=st.lists(st.integers(0, 200), min_size=1, max_size=4))
    def the_same_arrives_again(self, which: list[int]) -> None:
        facts = self.world.facts
        self.do(self.world.append_facts([facts[index % len(facts)] for index in which]))

    @rule(what=st.sampled_from(["too old", "in the future", "a moment too early", *NONSENSE]), number=NUMBERS)
    def what_cannot_be_applied_arrives(self, what: str, number: int) -> None:
        if what in NONSENSE:
            self.do(self.world.append_lines(number, [(NONSENSE[what], None)]))
            return
        at = {"too old": -1, "in the future": START + 9000 * DAY}.get(what, self.world.now + DAY + 1)
        fact = ItemFact(f"x{len(self.world.facts)}", "acme", "CHK-0", at, status="S1")
        self.arrive([fact, DeploymentFact(f"y{fact.id}", "forge", "shop", "live", "d1", at, "succeeded")])

    @rule(worker=WORKERS, number=NUMBERS, bites=st.lists(BITES, min_size=1, max_size=6), early=st.booleans())
    def a_worker_goes_on(self, worker: int, number: int, bites: list[tuple[int, int]], early: bool) -> None:
        """`early`: the server executes each commit before the worker takes its next step, else as late as can be."""
        hand = self.world.hands[worker][number]
        for entries, cut in bites:
            self.do(hand.turn(entries, cut))
            if early:
                self.do(hand.land())
            self.do(self.world.check())

    @rule(worker=WORKERS, number=NUMBERS)
    def a_commit_arrives(self, worker: int, number: int) -> None:
        self.do(self.world.hands[worker][number].land())
        self.do(self.world.check())

    @rule(worker=WORKERS, number=NUMBERS, only=st.none() | st.integers(0, 3))
    def a_worker_crashes(self, worker: int, number: int, only: int | None) -> None:
        """Before, within or after a commit of what it has folded."""
        hand = self.world.hands[worker][number]
        self.do(hand.land(only))
        hand.crash()
        self.do(self.world.check())

    @rule(worker=WORKERS, number=NUMBERS)
    def idle_positions_move_up(self, worker: int, number: int) -> None:
        self.do(self.world.hands[worker][number].idle())
        self.do(self.world.check())

    @rule(later=st.sampled_from([MINUTE, 3 * HOUR, 30 * HOUR, 20 * DAY]))
    def time_passes(self, later: int) -> None:
        self.world.now += later

    @rule(what=st.sampled_from(["saved", "lost wholly", "lost in part", "scripts forgotten"]))
    def the_server_is_troubled(self, what: str) -> None:
        """The state is saved, lost, or set back to what was saved; the log is kept."""
        if what == "saved":
            self.do(self.world.remember())
        elif what == "scripts forgotten":
            self.do(self.world.redis.script_flush())
        else:
            self.do(self.world.lose({} if what == "lost wholly" else self.world.saved))
        self.do(self.world.check())

    @rule(
        worker=WORKERS, name=st.sampled_from(list(DEFINITIONS.streams)), from_log=st.booleans(), settled=st.booleans()
    )
    def a_stream_is_rebuilt(self, worker: int, name: str, from_log: bool, settled: bool) -> None:
        """From the log by somebody who knows of what was lost: workers may be behind, but have begun afresh."""
        if from_log and settled:
            self.do(self.world.settle(worker, afresh=True))
        elif from_log:
            for hand in (*self.world.hands[0], *self.world.hands[1]):
                hand.crash()
        self.do(self.world.rebuild(name, from_log))
        self.do(self.world.check())

    @rule(worker=WORKERS)
    def a_worker_reads_everything(self, worker: int) -> None:
        self.do(self.world.settle(worker, afresh=False))
        self.do(self.world.check())

    def teardown(self) -> None:
        if hasattr(self, "world"):
            try:
                self.do(self.world.settle(0, afresh=False))
                self.do(self.world.check())
                self.do(self.world.settle(1, afresh=True))
                self.do(self.world.check(to_the_end=True))
            finally:
                self.do(self.world.redis.aclose())
                self.runner.close()


@pytest.fixture
def hardly_any_memory(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of the server, for workers that let go of whatever they may."""
    for module in (flow.timeline, consumers.lane_state):
        monkeypatch.setattr(module, "MAX_FACTS", 10_000)
    monkeypatch.setattr(flow.deployed_service, "LET_GO", 0.0)
    monkeypatch.setattr(consumers.lane_state, "MOST_FACTS_IN_MEMORY", 0)
    monkeypatch.setattr(consumers.lane_state, "MOST_ROWS_IN_MEMORY", 0)
    return redis_url


UNHURRIED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]


@pytest.mark.needs_server("valkey")
@pytest.mark.timeout(3600)
@settings(suppress_health_check=UNHURRIED)
@given(
    histories=st.lists(st.tuples(LONG, DELIVERED[16]), min_size=1, max_size=2),
    size=st.integers(1, 2),
    bites=st.lists(st.tuples(BITES, st.booleans()), min_size=1, max_size=8),
)
def test_a_worker_with_hardly_any_memory_that_folds_ahead_of_its_commits_is_exact(
    hardly_any_memory: str, histories: Any, size: int, bites: list[tuple[tuple[int, int], bool]]
) -> None:
    async def scenario() -> None:
        world = World(hardly_any_memory, 10_000)
        await world.redis.flushall()
        for told, delivered in histories:
            await world.arrive(invented(told, delivered, len(world.facts), INSTANTS[-4:]), size)
        for hand in world.hands[0]:
            for (entries, cut), early in cycle(bites):
                await hand.turn(entries, cut)
                if early or hand.found is None:
                    await hand.land()
                if hand.is_at_the_end:
                    break
        await world.check(to_the_end=True)
        await world.redis.aclose()

    asyncio.run(scenario())


@pytest.mark.needs_server("valkey")
@pytest.mark.timeout(3600)
def test_whatever_happens_the_state_is_what_the_oracle_computes(
    hardly_any_memory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Exactness, "url", hardly_any_memory)
    chosen = settings(
        max_examples=max(10, settings.default.max_examples // 2),
        stateful_step_count=30,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Exactness, settings=chosen)
