"""What readers pay with a thousand streams: the snapshot, a scrape, the API, the detector; and a rebuild."""

from __future__ import annotations

import gzip
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import httpx
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from consumers.detector import DetectorRunner
from consumers.generations import FIRST
from consumers.log import FACTS_AT_ONCE
from consumers.rebuild import Rebuild
from consumers.stream_reading import changes_of
from consumers.stream_state import Bounds
from flow.cells import Retention
from flow.definition_file import read_definitions
from flow.definitions import Definitions
from flow.keys import StateKeys
from service.api import build_api
from service.authorisation import TokenCheck
from service.exporter import Exporter
from service.reader import StateReader
from service.reader_bottlenecks import BottleneckReader
from service.snapshots import Snapshots
from tests.benchmarks.fold import spread
from tests.benchmarks.scale_load import Worker, definition_text, now, ordinary, stream_name
from tests.benchmarks.scale_writing import Figures
from tests.benchmarks.valkey import cpu_seconds

OLD_DAYS: Final = 400
OLD_FACTS: Final = 40_000
REQUESTS: Final = 15
ROUTES: Final = (
    "/v1/streams",
    "/v1/streams/{stream}?window=1d",
    "/v1/streams/{stream}?window=7d",
    "/v1/streams/{stream}?window=30d",
    "/v1/streams/{stream}?window=365d",
    "/v1/streams/{stream}/items?limit=100",
    "/v1/streams/{stream}/items?stage=develop&limit=100",
    "/v1/streams/{stream}/cumulative-flow?window=365d",
)


class Spent:
    """Wall time, CPU of this process, CPU of Valkey: in ms, since it was made."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def of(self, work: Callable[[], Awaitable[object]]) -> list[float]:
        """Of some work."""
        server, cpu, wall = await cpu_seconds(self._redis), time.process_time(), time.perf_counter()
        await work()
        found = [time.perf_counter() - wall, time.process_time() - cpu]
        return [1000 * each for each in (*found, await cpu_seconds(self._redis) - server)]


def reading_definitions(streams: int) -> Figures:
    """Reading the file of the definitions: once at each start of a process."""
    cpu = time.process_time()
    assert len(read_definitions(definition_text(streams), "streams.yaml").streams) == streams
    return {f"definitions of {streams:,} streams read, CPU s": [time.process_time() - cpu]}


async def one_old_stream(worker: Worker, partitions: int) -> None:
    """The first stream gets facts of more than a year: its windows have all their rows."""
    each = OLD_FACTS // partitions
    await worker.take({n: (each, ordinary(1, each, n, seed=3, days=OLD_DAYS)) for n in range(partitions)})


async def exporter(redis: Redis, streams: Definitions, worker: Worker, partitions: int) -> Figures:
    """The task that refreshes the snapshot, and a scrape."""
    count, registry, spent = len(streams.streams), CollectorRegistry(), Spent(redis)
    reader = StateReader(redis, streams, Retention(), partitions, now)
    snapshots = Snapshots(redis, reader, registry, alarms=BottleneckReader(reader).alarms)
    page = Exporter(lambda: snapshots.latest, streams, registry, now, "bench")
    name = f"{count:,} streams, {partitions} partitions"
    columns = "wall ms, CPU ms, Valkey CPU ms"
    found: Figures = {f"{name}: first snapshot: {columns}": await spent.of(snapshots.turn)}
    found[f"{name}: scrape of a new page, CPU ms"] = [_cpu_ms(lambda: page.render(openmetrics=False))]
    found[f"{name}: snapshot when nothing changed: {columns}"] = await spent.of(snapshots.turn)
    for changed in (count // 10, count):
        facts = {n: (changed, ordinary(changed, changed, n, seed=50 + changed)) for n in range(partitions)}
        await worker.take(facts)
        found[f"{name}: snapshot when {changed:,} streams changed: {columns}"] = await spent.of(snapshots.turn)
        rendered = _cpu_ms(lambda: page.render(openmetrics=False))
        found[f"{name}: scrape when {changed:,} streams changed, CPU ms"] = [rendered]
    text = page.render(openmetrics=False)
    samples = sum(not line.startswith(b"#") for line in text.splitlines())
    found[f"{name}: samples on the page"] = [samples]
    found[f"{name}: page, MB; gzipped, MB"] = [len(text) / 1e6, len(gzip.compress(text, 1)) / 1e6]
    again = await spent.of(lambda: page.page(openmetrics=False, compressed=True))
    found[f"{name}: scrape of the same page, gzipped, CPU ms"] = again[1:2]
    return found


async def api(redis: Redis, streams: Definitions, partitions: int) -> Figures:
    """Requests in this process, without a network: CPU and wall time, of the stream with a year of facts."""
    reader, spent = StateReader(redis, streams, Retention(), partitions, now), Spent(redis)
    app = build_api(reader, TokenCheck({}, True), "bench")
    found: Figures = {}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://bench") as client:
        for route in ROUTES:
            url = route.format(stream=stream_name(0))

            async def ask(url: str = url) -> None:
                (await client.get(url)).raise_for_status()

            await ask()
            runs = [await spent.of(ask) for _ in range(REQUESTS)]
            found[f"GET {route}: CPU ms"] = spread([run[1] for run in runs])
            found[f"GET {route}: wall ms"] = spread([run[0] for run in runs])
            found[f"GET {route}: Valkey CPU ms"] = [statistics.fmean(run[2] for run in runs)]
    return found


async def detector(redis: Redis, streams: Definitions) -> Figures:
    """One turn of the detector over all streams, the first and a later one."""
    clock, spent = [now()], Spent(redis)
    runner = DetectorRunner(redis, streams, Retention(), lambda: clock[0])
    names, columns = list(streams.streams), "wall ms, CPU ms, Valkey CPU ms"

    async def changes() -> None:
        await changes_of(redis, names)

    found: Figures = {f"detector asks what changed: {columns}": await spent.of(changes)}
    found[f"detector looks at all for the first time: {columns}"] = await spent.of(runner.turn)
    clock[0] += 61_000
    found[f"detector looks at all again: {columns}"] = await spent.of(runner.turn)
    await runner.lease.release()
    return found


async def rebuilding(redis: Redis, streams: Definitions, partitions: int) -> Figures:
    """One stream from its timelines, with all keys of the others beside it."""
    name = stream_name(0)
    rebuild = Rebuild(redis, streams.streams[name], partitions, Bounds(), now)
    items = 0

    async def run() -> None:
        nonlocal items
        items = await rebuild.from_timelines()

    columns = await Spent(redis).of(run)

    async def walk() -> None:
        async for _ in redis.scan_iter(match="sg:v1:{nothing}*", count=1000):
            pass

    walked = await Spent(redis).of(walk)
    return {
        "rebuild, items of the stream": [items],
        "rebuild, µs an item: wall, CPU, Valkey CPU": [1000 * each / max(items, 1) for each in columns],
        "keys that a rebuild walks over, twice": [await redis.dbsize()],
        "one walk over them: wall ms, CPU ms, Valkey CPU ms": walked,
    }


def _cpu_ms(work: Callable[[], object]) -> float:
    cpu = time.process_time()
    work()
    return 1000 * (time.process_time() - cpu)


async def reading(redis: Redis, streams: Definitions, partitions: int, found: Figures) -> None:
    """Everything, on a state that is there already."""
    worker = Worker(redis, streams, FACTS_AT_ONCE // partitions)
    worker.log.starts_at({n: await _position(redis, n) for n in range(partitions)})
    await one_old_stream(worker, partitions)
    found |= await exporter(redis, streams, worker, partitions)
    await worker.stop()
    found |= await api(redis, streams, partitions)
    found |= await detector(redis, streams)
    found |= await rebuilding(redis, streams, partitions)


async def _position(redis: Redis, partition: int) -> int:
    position: Any = await redis.get(StateKeys(stream_name(0), FIRST).position(partition))
    return int(position)
