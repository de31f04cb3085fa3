"""From Kafka to committed, fsynced state: one worker, one partition, a real broker and a real Valkey beside it.

Beside it, in the same run, two loops on the same client that consume, decode and put into plain dicts, with nothing
durable: one with the client's own `getmany`, one that takes batches as the worker does.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import time
from collections.abc import AsyncIterator
from typing import Any, Final

import uvloop
from aiokafka import AIOKafkaConsumer, TopicPartition
from redis.asyncio import Redis

from consumers.aggregator import Aggregator, Identity
from consumers.kafka_log import KafkaLog, Membership
from consumers.kafka_reader import FACTS_AT_ONCE
from consumers.kafka_records import take, wait_for_fetch
from consumers.measurements import Measurements
from consumers.partition import Work
from consumers.stream_state import Bounds
from flow import keys
from flow.facts import ItemFact, decode_facts
from service.bounds import AppendBounds
from service.kafka_connection import connection_options
from service.kafka_log import KafkaLogWriter, Topics
from service.kafka_producer import Producer
from service.kafka_settings import KafkaSettings
from tests.benchmarks.fold import spread
from tests.benchmarks.valkey import cpu_seconds, valkey
from tests.benchmarks.workload import DEFINITIONS, facts_until
from tests.servers.kafka import KafkaCluster, running_kafka

FACTS: Final = 300_000
IN_APPEND: Final = 500
APPENDS: Final = 64
ROUNDS: Final = 3
TOPIC: Final = "facts"


def now() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def options_of(cluster: KafkaCluster) -> dict[str, Any]:
    """Those of every client."""
    return connection_options(KafkaSettings(bootstrap_servers=cluster.bootstrap_servers))


async def fill(cluster: KafkaCluster) -> float:
    """Append all facts, many at a time, as a busy receiver does. Returns facts a second."""
    facts = facts_until(now(), FACTS)
    chunks = [facts[start : start + IN_APPEND] for start in range(0, FACTS, IN_APPEND)]
    producer = Producer(options_of(cluster), "lz4")
    async with KafkaLogWriter(producer, Topics(TOPIC, "letters", 1), now, AppendBounds(within=30_000)) as writer:
        began = time.perf_counter()

        async def post(first: int) -> None:
            for chunk in chunks[first::APPENDS]:
                await writer.append(chunk)

        await asyncio.gather(*[post(number) for number in range(APPENDS)])
        return FACTS / (time.perf_counter() - began)


@contextlib.asynccontextmanager
async def consumer_of(cluster: KafkaCluster) -> AsyncIterator[tuple[Any, TopicPartition]]:
    """A consumer at the beginning of the log."""
    consumer, place = AIOKafkaConsumer(**options_of(cluster), auto_offset_reset="earliest"), TopicPartition(TOPIC, 0)
    await consumer.start()
    consumer.assign([place])
    consumer.seek(place, 0)
    yield consumer, place
    await consumer.stop()


async def bare_loop(cluster: KafkaCluster) -> tuple[float, float]:
    """The client's `getmany`, decoding, and plain dicts: facts a second, and CPU in µs a fact."""
    statuses: dict[str, tuple[str | None, int]] = {}
    async with consumer_of(cluster) as (consumer, place):
        began, cpu_began, read = time.perf_counter(), time.process_time(), 0
        while read < FACTS:
            for records in (await consumer.getmany(place, timeout_ms=250)).values():
                read += len(records)
                _apply(b"\n".join([record.value for record in records]), statuses)
        return FACTS / (time.perf_counter() - began), (time.process_time() - cpu_began) / FACTS * 1e6


async def bare_loop_of_batches(cluster: KafkaCluster) -> tuple[float, float]:
    """The same, taking batches as the worker does."""
    statuses: dict[str, tuple[str | None, int]] = {}
    async with consumer_of(cluster) as (consumer, place):
        began, cpu_began, read = time.perf_counter(), time.process_time(), 0
        while read < FACTS:
            taken = take(consumer, place, FACTS_AT_ONCE)
            if taken is None:
                await wait_for_fetch(consumer, 0.25)
                continue
            read += len(taken.values)
            _apply(b"\n".join(taken.values), statuses)  # type: ignore[arg-type]  # each has a value
        return FACTS / (time.perf_counter() - began), (time.process_time() - cpu_began) / FACTS * 1e6


def _apply(lines: bytes, statuses: dict[str, tuple[str | None, int]]) -> None:
    for fact in decode_facts(lines):
        if isinstance(fact, ItemFact):
            statuses[fact.item] = (fact.status, fact.at)


async def worker(cluster: KafkaCluster, name: str) -> dict[str, float]:
    """Empty server, full log: how fast is everything in the state?"""
    async with valkey() as client:
        before = await cpu_seconds(client)
        work = Work(client, DEFINITIONS, Bounds(), 1000, now, Measurements(0))
        log = KafkaLog(options_of(cluster), TOPIC, Membership(name), client, "aggregator")
        aggregator = Aggregator(log, work, Identity("bench", 1))
        running = asyncio.create_task(aggregator.run())
        began, cpu_began, seconds = 0.0, 0.0, 0.0
        while not running.done():
            read: Any = await client.hget(keys.log_read(0), "aggregator")
            if not began and await started(client):
                began, cpu_began = time.perf_counter(), time.process_time()
            if read is not None and int(read) >= FACTS:
                seconds = time.perf_counter() - began
                break
            await asyncio.sleep(0.005)
        cpu = time.process_time() - cpu_began
        aggregator.stop()
        await running
        return {
            "worker, facts a second": FACTS / seconds,
            "worker CPU, µs a fact": cpu / FACTS * 1e6,
            "Valkey CPU, µs a fact": (await cpu_seconds(client) - before) / FACTS * 1e6,
        }


async def started(client: Redis) -> bool:
    """Whether the worker has its partition: joining a group takes a moment, once."""
    return bool(await client.exists(keys.generation("checkout")))


async def measure(cluster: KafkaCluster) -> dict[str, list[float]]:
    """Figures of all rounds, each as median, lowest, highest."""
    await cluster.create_topic(TOPIC, 1)
    appended = await fill(cluster)
    await bare_loop(cluster)  # the broker's pages are warm for all that follows
    runs = []
    for number in range(ROUNDS):
        (bare, bare_cpu), (batches, batches_cpu) = await bare_loop(cluster), await bare_loop_of_batches(cluster)
        found = await worker(cluster, f"bench-{number}")
        runs.append(
            found
            | {
                "bare loop with getmany, facts a second": bare,
                "bare loop with getmany, CPU, µs a fact": bare_cpu,
                "bare loop that takes batches, facts a second": batches,
                "bare loop that takes batches, CPU, µs a fact": batches_cpu,
                "worker / bare loop with getmany": found["worker, facts a second"] / bare,
            }
        )
    figures = {name: spread([run[name] for run in runs]) for name in runs[0]}
    return {"appended by one writer, facts a second": [appended]} | figures


def main() -> None:
    """Print one JSON object."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 1000)
    with running_kafka() as cluster, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(measure(cluster))))


if __name__ == "__main__":
    main()
