"""Many streams and their facts, and a log that makes them up as it is read: what is measured is the state's cost."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
import statistics
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from redis.asyncio import Redis

from consumers.aggregator import Aggregator, Identity
from consumers.log import Batch, Owner
from consumers.measurements import Measurements
from consumers.partition import Work
from consumers.portions import parted
from consumers.stream_state import Bounds, StreamState
from flow.definitions import Condition, Definitions, Match, ServiceLevel, Stage, Stream
from flow.facts import ItemFact, encode_facts
from flow.instants import DAY
from tests.benchmarks.valkey import cpu_seconds, valkey
from tests.benchmarks.workload import KINDS, NAMES

PATIENCE: Final = 300.0
LAST: Final = len(NAMES) - 1
STAGES: Final = tuple(
    Stage(name, kind, (Condition(status=name.title()),), wip_limit=8, sle=ServiceLevel(0.85, 3 * DAY))  # type: ignore[arg-type]
    if kind != "done"
    else Stage(name, kind, (Condition(status=name.title()),))  # type: ignore[arg-type]
    for name, kind in zip(NAMES, KINDS, strict=True)
)


@contextlib.asynccontextmanager
async def patient_valkey() -> AsyncIterator[Redis]:
    """A server as of `valkey`, which may take long to answer: the made-up log can't be read again."""
    async with valkey() as redis:
        redis.connection_pool.connection_kwargs["socket_timeout"] = PATIENCE
        yield redis


def now() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def stream_name(number: int) -> str:
    """The name of a stream, and of the project that it follows."""
    return f"s{number:04d}"


def definitions(streams: int) -> Definitions:
    """So many streams of six stages, told apart by project."""
    names = map(stream_name, range(streams))
    return Definitions({name: Stream(name, STAGES, Match(source=("jira",), project=(name,))) for name in names})


def definition_text(streams: int) -> str:
    """The same as a file."""
    stages = "".join(
        f"      - {{name: {name}, kind: {kind}, when: [{{status: {name.title()}}}]"
        f"{', wip_limit: 8, sle: {p85: 3d}' if kind != 'done' else ''}}}\n"
        for name, kind in zip(NAMES, KINDS, strict=True)
    )
    return "streams:\n" + "".join(
        f"  {name}:\n    match: {{source: jira, project: {name}}}\n    stages:\n{stages}"
        for name in map(stream_name, range(streams))
    )


def fact(stream: int, item: str, at: int, stage: int, number: int) -> ItemFact:
    """An item is in a stage."""
    return ItemFact(
        id=f"evt-{item}-{number}",
        source="jira",
        item=item,
        at=at,
        seq=number,
        status=NAMES[stage].title(),
        project=stream_name(stream),
        type="bug" if number % 2 else "feature",
        title="A title of the usual length, some forty letters",
        url=f"https://tracker.example/browse/{item}",
    )


def ordinary(streams: int, count: int, partition: int, seed: int = 1, days: float = 0.003) -> Iterator[ItemFact]:
    """Facts as they come: each of another stream in turn, six of an item, one move in twenty goes back."""
    rng = random.Random(seed + partition)
    held: list[list[tuple[str, int]]] = [[] for _ in range(streams)]
    began, step = now() - round(days * DAY), days * DAY / count
    for number in range(count):
        stream = number % streams
        mine = held[stream]
        if mine and rng.random() < 0.83:
            place = rng.randrange(len(mine))
            item, stage = mine[place]
            stage = max(0, stage - 1) if rng.random() < 0.05 else stage + 1
            mine[place] = (item, stage)
            if stage == LAST:
                mine[place] = mine[-1]
                mine.pop()
        else:
            item, stage = f"{stream_name(stream)}-{partition}-{seed}-{number}", 0
            mine.append((item, stage))
        yield fact(stream, item, began + round(number * step), stage, number)


def opened(streams: int, start: int, end: int, partition: int) -> Iterator[ItemFact]:
    """These items begin, each told of once."""
    at = now()
    for number in range(start, end):
        yield fact(number % streams, f"{stream_name(number % streams)}-{partition}-{number}", at, 1, number)


def moved(streams: int, items: int, count: int, partition: int) -> Iterator[ItemFact]:
    """Some of those items, chosen by chance, move on."""
    rng, at = random.Random(partition), now()
    for number in range(count):
        item = rng.randrange(items)
        name = f"{stream_name(item % streams)}-{partition}-{item}"
        yield fact(item % streams, name, at + number // 1000, 2 + number % 3, items + number)


class MadeUpLog:
    """A log whose facts are made when they are read; `spent` is the CPU time (s) that this took."""

    def __init__(self, at_once: int) -> None:
        self.spent = 0.0
        self.ends: dict[int, int] = {}
        self.done: dict[int, int] = {}
        self.all_done = asyncio.Event()
        self._at_once = at_once
        self._facts: dict[int, Iterator[ItemFact]] = {}
        self._not_committed: dict[int, list[Batch]] = {}
        self._partitions: Sequence[int] = ()

    def starts_at(self, positions: Mapping[int, int]) -> None:
        """What the state holds already."""
        self.ends |= positions
        self.done |= positions

    def add(self, counts: Mapping[int, tuple[int, Iterator[ItemFact]]]) -> None:
        """So many more facts, by partition."""
        for number, (count, facts) in counts.items():
            self._facts[number] = facts
            self.ends[number] = self.ends.get(number, 0) + count
            self.done.setdefault(number, 0)
        self._partitions = sorted(self._facts)
        self.all_done.clear()

    async def follow(self, owner: Owner) -> None:
        """All partitions are the owner's."""
        await owner.own(self._partitions)
        await asyncio.Event().wait()

    def expect(self, partition: int, offset: int) -> None:
        """It is as long as it should be."""

    async def partitions(self) -> Sequence[int]:
        """All of them."""
        return self._partitions

    async def read(self, partition: int, after: int, *, wait: bool = True) -> Batch | None:
        """The next facts, or again those that are not committed."""
        for batch in self._not_committed.get(partition, ()):
            if after < batch.offsets[-1]:
                known = after + 1 - batch.offsets[0]
                return parted(batch, known)[1] if known else batch
        left = self.ends[partition] - after
        if not left:
            await asyncio.sleep(0.05 if wait else 0)
            return None
        began = time.process_time()
        count = min(left, self._at_once)
        facts = [next(self._facts[partition]) for _ in range(count)]
        lines = encode_facts(facts).rstrip()
        self.spent += time.process_time() - began
        batch = Batch(partition, lines, range(after + 1, after + 1 + count), now())
        self._not_committed.setdefault(partition, []).append(batch)
        return batch

    async def committed(self, partition: int, offset: int) -> None:
        """It is in the state."""
        self.done[partition] = offset
        self._not_committed[partition] = [each for each in self._not_committed[partition] if each.offsets[-1] > offset]
        if self.done == self.ends:
            self.all_done.set()


class Timed(Measurements):
    """Keeps how long each commit took, in milliseconds."""

    def __init__(self) -> None:
        super().__init__(now())
        self.times: list[float] = []

    def committed(self, facts: int, spent: int, visible_after: int) -> None:
        """One batch was committed."""
        super().committed(facts, spent, visible_after)
        self.times.append(spent)


@dataclass(slots=True)
class Cost:
    """CPU of the worker and of Valkey in µs a fact, commits in ms, and the share of items that were not in memory."""

    worker: float
    valkey: float
    commit_p50: float
    commit_p99: float
    read: float


class Worker:
    """A worker on such a log."""

    def __init__(self, redis: Redis, streams: Definitions, at_once: int, items_in_memory: int = 100_000) -> None:
        self.log = MadeUpLog(at_once)
        self.timed = Timed()
        self.redis = redis
        self.work = Work(redis, streams, Bounds(items_in_memory=items_in_memory), 1000, now, self.timed)
        self._running: asyncio.Task[None] | None = None
        self._aggregator: Aggregator | None = None

    async def take(self, facts: Mapping[int, tuple[int, Iterator[ItemFact]]]) -> Cost:
        """Fold these facts, by partition with their number; return once all are committed."""
        count = sum(number for number, _ in facts.values())
        metrics, first = self.timed.metrics, len(self.timed.times)
        found, read = metrics.items_found, metrics.items_read
        valkey = await cpu_seconds(self.redis)
        cpu, spent = time.process_time(), self.log.spent
        self.log.add(facts)  # only now is there anything to do
        if self._running is None:
            self._aggregator = Aggregator(self.log, self.work, Identity("bench", len(facts)))
            self._running = asyncio.create_task(self._aggregator.run())
        done = asyncio.create_task(self.log.all_done.wait())
        await asyncio.wait({done, self._running}, return_when=asyncio.FIRST_COMPLETED)
        if not done.done():
            self._running.result()
        cpu, spent = time.process_time() - cpu, self.log.spent - spent
        valkey = await cpu_seconds(self.redis) - valkey
        times, known = self.timed.times[first:], metrics.items_found - found + metrics.items_read - read
        high = statistics.quantiles(times, n=100)[98] if len(times) > 1 else times[0]
        return Cost(
            (cpu - spent) / count * 1e6,
            valkey / count * 1e6,
            statistics.median(times),
            high,
            (metrics.items_read - read) / max(known, 1),
        )

    def held(self) -> int:
        """How many items all partitions of this worker hold in memory."""
        states = (state for state in gc.get_objects() if isinstance(state, StreamState))
        return sum(state.held[0] for state in states)

    async def stop(self) -> None:
        """Finish what is in hand."""
        if self._aggregator is not None and self._running is not None:
            self._aggregator.stop()
            await self._running


def resident() -> float:
    """Megabytes of this process in memory."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1000
