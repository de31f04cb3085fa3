"""From Kafka to committed, fsynced state: one worker, one partition, a real broker and a real Valkey beside it.

Beside it, in the same run, loops on the same client that consume, decode and update plain dicts, with nothing durable
and nothing exact. One counts what the worker counts (`tests.benchmarks.fold.PlainDicts`): the same job without what
makes it hold. Two keep no more than each item's last status: one by the client's own `getmany`, one by batches.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import uvloop
from aiokafka import AIOKafkaConsumer, TopicPartition

from consumers.aggregator import Aggregator, Identity
from consumers.kafka_log import KafkaLog, Membership
from consumers.kafka_records import take, wait_for_fetch
from consumers.log import FACTS_AT_ONCE, Batch
from consumers.measurements import Measurements
from consumers.partition import Work
from consumers.stream_state import Bounds
from flow import keys
from flow.facts import decode_facts
from service.bounds import AppendBounds
from service.command_line.composition import prepare_worker
from service.kafka_connection import connection_options
from service.kafka_log import KafkaLogWriter, Topics
from service.kafka_producer import Producer
from service.kafka_settings import KafkaSettings
from tests.benchmarks.fold import PlainDicts, spread
from tests.benchmarks.valkey import cpu_seconds, valkey
from tests.benchmarks.workload import DEFINITIONS, facts_until
from tests.servers.kafka import KafkaCluster, running_kafka

FACTS: Final = 300_000
IN_APPEND: Final = 500
APPENDS: Final = 64
ROUNDS: Final = 7
TOPIC: Final = "facts"

Count = Callable[[list[Any]], None]
"""What a bare loop does with what it decoded."""


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


async def bare_loop(cluster: KafkaCluster, count: Count) -> tuple[float, float]:
    """The client's `getmany`, decoding, and plain dicts: facts a second, and CPU in µs a fact."""
    async with consumer_of(cluster) as (consumer, place):
        began, cpu_began, read = time.perf_counter(), time.process_time(), 0
        while read < FACTS:
            for records in (await consumer.getmany(place, timeout_ms=250)).values():
                read += len(records)
                count(decode_facts(b"\n".join([record.value for record in records])))
        return FACTS / (time.perf_counter() - began), (time.process_time() - cpu_began) / FACTS * 1e6


async def bare_loop_of_batches(cluster: KafkaCluster, count: Count) -> tuple[float, float]:
    """The same, taking batches as the worker does."""
    async with consumer_of(cluster) as (consumer, place):
        began, cpu_began, read = time.perf_counter(), time.process_time(), 0
        while read < FACTS:
            taken = take(consumer, place, FACTS_AT_ONCE)
            if taken is None:
                await wait_for_fetch(consumer, 0.25)
                continue
            read += taken.count
            count(decode_facts(b"\n".join(taken.blocks)))
        return FACTS / (time.perf_counter() - began), (time.process_time() - cpu_began) / FACTS * 1e6


def last_statuses() -> Count:
    """Keeps where each item was last, and nothing else."""
    statuses: dict[str, tuple[str | None, int]] = {}

    def count(facts: list[Any]) -> None:
        for fact in facts:
            statuses[fact.item] = (fact.status, fact.at)

    return count


class TimedLog(KafkaLog):
    """Notes when the worker first asks for facts: joining a group takes a moment, once."""

    began = cpu_began = 0.0

    async def read(self, partition: int, after: int, *, wait: bool = True) -> Batch | None:
        """As the log of every worker."""
        if not self.began:
            self.began, self.cpu_began = time.perf_counter(), time.process_time()
        return await super().read(partition, after, wait=wait)


async def worker(cluster: KafkaCluster, name: str) -> dict[str, float]:
    """Empty server, full log: how fast is everything in the state?"""
    async with valkey() as client:
        before = await cpu_seconds(client)
        work = Work(client, DEFINITIONS, Bounds(), 1000, now, Measurements(0))
        log = TimedLog(options_of(cluster), TOPIC, Membership(name), client, "aggregator")
        aggregator = Aggregator(log, work, Identity("bench", 1))
        running = asyncio.create_task(aggregator.run())
        while not running.done() and int(await client.hget(keys.log_read(0), "aggregator") or 0) < FACTS:
            await asyncio.sleep(0.02)  # what it costs to look is measured too
        seconds, cpu = time.perf_counter() - log.began, time.process_time() - log.cpu_began
        aggregator.stop()
        await running
        return {
            "worker, facts a second": FACTS / seconds,
            "worker CPU, µs a fact": cpu / FACTS * 1e6,
            "Valkey CPU, µs a fact": (await cpu_seconds(client) - before) / FACTS * 1e6,
        }


async def measure(cluster: KafkaCluster) -> dict[str, list[float]]:
    """Figures of all rounds, each as median, lowest, highest."""
    await cluster.create_topic(TOPIC, 1)
    appended = await fill(cluster)
    await bare_loop(cluster, last_statuses())  # the broker's pages are warm for all that follows
    runs = []
    for number in range(ROUNDS):
        same = await bare_loop(cluster, PlainDicts().count)
        last = await bare_loop(cluster, last_statuses())
        batches = await bare_loop_of_batches(cluster, last_statuses())
        found = await worker(cluster, f"bench-{number}")
        for name, (speed, cpu) in (
            ("bare loop that counts the same", same),
            ("bare loop of last statuses", last),
            ("bare loop of last statuses, by batches", batches),
        ):
            found |= {f"{name}, facts a second": speed, f"{name}, CPU, µs a fact": cpu}
            found[f"worker / {name}"] = found["worker, facts a second"] / speed
        runs.append(found)
    figures = {name: spread([run[name] for run in runs]) for name in runs[0]}
    return {"appended by one writer, facts a second": [appended]} | figures


def main() -> None:
    """Print one JSON object."""
    prepare_worker()
    with running_kafka() as cluster, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(measure(cluster))))


if __name__ == "__main__":
    main()
