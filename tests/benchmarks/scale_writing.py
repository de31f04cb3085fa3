"""What a fact costs, and a row takes, as streams, partitions, batches and open items grow."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any, Final

from redis.asyncio import Redis

from consumers.log import FACTS_AT_ONCE
from consumers.partition import Partition
from flow.keys import StateKeys
from tests.benchmarks.fold import spread
from tests.benchmarks.scale_load import (
    Worker,
    definitions,
    moved,
    opened,
    ordinary,
    patient_valkey,
    resident,
    stream_name,
)
from tests.benchmarks.valkey import cpu_seconds, memory

Figures = dict[str, list[float]]

FACTS: Final = FACTS_AT_ONCE
CHOSEN: Final = 32_000
"""Facts of items that are chosen by chance."""

ROUNDS: Final = int(os.environ.get("STREAMGAUGE_BENCH_ROUNDS", "3"))
STREAMS: Final = (1, 10, 100, 1000)
BATCHES: Final = (1_000, FACTS_AT_ONCE)
PARTITIONS: Final = (1, 4, 16)
ITEMS: Final = (10_000, 100_000, 300_000, 1_000_000)
MOST: Final = 1000


async def _cost(streams: int, batch: int, partitions: int = 1, facts: int = FACTS) -> dict[str, float]:
    """Everything of one fresh server."""
    async with patient_valkey() as redis:
        worker = Worker(redis, definitions(streams), batch)
        first = {n: (streams, ordinary(streams, streams, n, seed=2)) for n in range(partitions)}
        await worker.take(first)  # what is created once is not what a fact costs
        each = facts // partitions
        cost = await worker.take({n: (each, ordinary(streams, each, n)) for n in range(partitions)})
        await worker.stop()
        return {
            "worker CPU, µs a fact": cost.worker,
            "Valkey CPU, µs a fact": cost.valkey,
            "commit p50, ms": cost.commit_p50,
            "commit p99, ms": cost.commit_p99,
        }


async def by_streams() -> Figures:
    """Cost of a fact by streams and by facts in a batch."""
    found: Figures = {}
    for batch in BATCHES:
        for streams in STREAMS:
            facts = FACTS if batch == FACTS_AT_ONCE else FACTS // 8
            runs = [await _cost(streams, batch, facts=facts) for _ in range(ROUNDS)]
            for name in runs[0]:
                found[f"{streams:,} streams, batches of {batch:,}: {name}"] = spread([run[name] for run in runs])
    return found


async def by_partitions() -> Figures:
    """Cost of a fact by partitions that one worker follows."""
    found: Figures = {}
    for partitions in PARTITIONS:
        runs = [await _cost(100, 4_000, partitions) for _ in range(ROUNDS)]
        for name in runs[0]:
            found[f"{partitions} partitions, 100 streams: {name}"] = spread([run[name] for run in runs])
    return found


async def rows() -> Figures:
    """What a stream takes before it has items, and each of its rows."""
    async with patient_valkey() as redis:
        empty = await memory(redis)
        partition = Partition(0, Worker(redis, definitions(MOST), FACTS_AT_ONCE).work)
        await partition.load()
        declared = await memory(redis)
        worker = Worker(redis, definitions(MOST), FACTS_AT_ONCE)
        await worker.take({0: (60 * MOST, ordinary(MOST, 60 * MOST, 0))})
        await worker.stop()
        state = StateKeys(stream_name(0), "1")
        names = [key.decode() async for key in redis.scan_iter(match=state.every.replace("{", "\\{"), count=1000)]
        sizes = {name.removeprefix(state.every[:-1]): await _size(redis, name) for name in names}
        cells = [size / count for name, (size, count) in sizes.items() if name.startswith("cells:minute")]
        keys: Any = await redis.dbsize()
        return {
            "keys a stream": [keys / MOST],
            "bytes a stream that is only declared": [(declared - empty) / MOST],
            "bytes of a stream's totals and counts, a partition": [sizes["totals"][0] + sizes["monitor"][0]],
            "bytes a cell and partition, few facts in it": spread(cells),
            "bytes a stage, for each item in it": spread(
                [size / count for name, (size, count) in sizes.items() if name.startswith("stage:") and count > 1]
            ),
        }


async def _size(redis: Redis, name: str) -> tuple[int, int]:
    """Bytes of a key, and how many fields or members it has."""
    size: Any = await redis.execute_command("MEMORY USAGE", name, "SAMPLES", "0")
    kind: Any = await redis.type(name)
    counts: dict[bytes, Any] = {b"hash": redis.hlen, b"zset": redis.zcard}
    return size, await counts[kind](name) if kind in counts else 1


async def open_items(redis: Redis, partitions: int, found: Figures) -> None:
    """Open items grow to a million in a thousand streams: memory of the worker and of Valkey, cost of a fact."""
    streams = definitions(MOST)
    worker, empty, told = Worker(redis, streams, FACTS_AT_ONCE // partitions), await memory(redis), 0
    found["worker, MB resident before the first"] = [resident()]
    for size in ITEMS:
        each = (size - told) // partitions
        first = told // partitions
        await worker.take({n: (each, opened(MOST, first, first + each, n)) for n in range(partitions)})
        told = size
        await asyncio.sleep(2.5)  # idle partitions let go of what is beyond their share at their next chores
        held = worker.held()
        found[f"{size:,} items: worker, MB resident"] = [resident()]
        found[f"{size:,} items: held in memory"] = [held]
        found[f"{size:,} items: bytes an item in Valkey"] = [(await memory(redis) - empty) / size]
        share = CHOSEN // partitions
        cost = await worker.take({n: (share, moved(MOST, size // partitions, share, n)) for n in range(partitions)})
        found[f"{size:,} items: worker CPU, µs a fact"] = [cost.worker]
        found[f"{size:,} items: Valkey CPU, µs a fact"] = [cost.valkey]
        found[f"{size:,} items: share of items read again"] = [cost.read]
        found[f"{size:,} items: commit p99, ms"] = [cost.commit_p99]
    found["worker, MB resident at the end"] = [resident()]
    await worker.stop()


async def beginning(redis: Redis, streams: int) -> Figures:
    """What one partition of a worker reads before its first fact, and what it does every two seconds."""
    work = Worker(redis, definitions(streams), FACTS_AT_ONCE).work
    partition = Partition(0, work)
    began, cpu, server = time.perf_counter(), time.process_time(), await cpu_seconds(redis)
    await partition.load()
    load = [time.perf_counter() - began, time.process_time() - cpu, await cpu_seconds(redis) - server]
    partition.position += 1
    cpu, server = time.process_time(), await cpu_seconds(redis)
    commits = partition.idle_commits()
    await partition.commit(commits)
    idle = [time.process_time() - cpu, await cpu_seconds(redis) - server]
    cpu, server = time.process_time(), await cpu_seconds(redis)
    await partition.expiry_commits(lambda _: True)
    expiry = [time.process_time() - cpu, await cpu_seconds(redis) - server]
    return {
        "a partition begins: s, worker CPU s, Valkey CPU s": load,
        "positions of idle streams move up: commits": [len(commits)],
        "positions of idle streams move up: worker CPU s, Valkey CPU s": idle,
        "looking for what expires: worker CPU s, Valkey CPU s": expiry,
    }
