"""From the log (Redis streams) to committed, fsynced state: one worker, one partition, a real Valkey beside it."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from typing import Any, Final

import uvloop
from redis.asyncio import Redis

from consumers.aggregator import Aggregator, Identity
from consumers.log import FACTS_AT_ONCE
from consumers.measurements import Measurements
from consumers.partition import Work
from consumers.redis_log import RedisLog
from consumers.stream_state import Bounds
from flow import keys
from flow.facts import encode_facts
from service.command_line.composition import prepare_worker
from service.log import _APPEND
from tests.benchmarks.fold import spread
from tests.benchmarks.valkey import cpu_seconds, memory, valkey
from tests.benchmarks.workload import DEFINITIONS, facts_until

FACTS: Final = 300_000
IN_BLOCK: Final = 100
ROUNDS: Final = 3


class Timed(Measurements):
    """Keeps how long each commit took, in milliseconds."""

    def __init__(self) -> None:
        super().__init__(0)
        self.times: list[float] = []

    def committed(self, facts: int, spent: int, visible_after: int) -> None:
        """One batch was committed."""
        super().committed(facts, spent, visible_after)
        self.times.append(spent)


def now() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


async def fill(client: Redis) -> None:
    """Append all facts to partition 0, in blocks as one POST gives them."""
    append = client.register_script(_APPEND)
    facts = facts_until(now(), FACTS)
    names = [keys.log_facts(0), keys.log_end(0)]
    for start in range(0, FACTS, IN_BLOCK):
        block = facts[start : start + IN_BLOCK]
        await append(names, [len(block), encode_facts(block).rstrip(), now()])


async def one_run(at_once: int) -> dict[str, float]:
    """Empty server, full log: how fast is everything in the state?"""
    async with valkey() as client:
        await fill(client)
        before, memory_before = await cpu_seconds(client), await memory(client)
        timed = Timed()
        work = Work(client, DEFINITIONS, Bounds(), 1000, now, timed)
        log = RedisLog(client, [0], "aggregator", keep_facts=10 * FACTS, at_once=at_once)
        aggregator = Aggregator(log, work, Identity("bench", 1))
        began, cpu_began = time.perf_counter(), time.process_time()
        running = asyncio.create_task(aggregator.run())
        await caught_up(client, running)
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu_began
        aggregator.stop()
        await running
        state = keys.StateKeys("checkout", "1")
        items = await client.hlen(state.timelines)
        return {
            "facts a second": FACTS / seconds,
            "worker CPU, µs a fact": cpu / FACTS * 1e6,
            "Valkey CPU, µs a fact": (await cpu_seconds(client) - before) / FACTS * 1e6,
            "bytes an item": (await memory(client) - memory_before) / items,
            "commit p99, ms": statistics.quantiles(timed.times, n=100)[98],
        }


async def caught_up(client: Redis, running: asyncio.Task[None]) -> None:
    """Return once the reader has committed everything, or the aggregator has ended."""
    while not running.done():
        read: Any = await client.hget(keys.log_read(0), "aggregator")
        if read is not None and int(read) >= FACTS:
            return
        await asyncio.sleep(0.01)


async def measure() -> dict[str, list[float]]:
    """Figures of all rounds, each as median, lowest, highest."""
    runs = [await one_run(FACTS_AT_ONCE) for _ in range(ROUNDS)]
    small = [await one_run(1000) for _ in range(ROUNDS)]
    found = {name: spread([run[name] for run in runs]) for name in runs[0]}
    found["commit p99 at batches of 1,000, ms"] = spread([run["commit p99, ms"] for run in small])
    return found


def main() -> None:
    """Print one JSON object."""
    prepare_worker()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(measure())))


if __name__ == "__main__":
    main()
