"""Real workers on a real Kafka: memory of one while items grow to a million, and what two cost against one.

`python -m tests.benchmarks kafka_workers`: takes minutes, so it is not among those that run unasked.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sys
import tempfile
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import uvloop
from redis.asyncio import Redis

from flow import keys
from flow.facts import ItemFact
from service.bounds import AppendBounds
from service.command_line.composition import now
from service.embedded import embedded_server
from service.kafka_log import KafkaLogWriter, Topics
from service.kafka_producer import Producer
from service.kafka_settings import KafkaSettings
from service.kafka_topics import TopicPlan, create_topics
from service.redis_client import connect
from tests.benchmarks.kafka import options_of
from tests.benchmarks.workload import NAMES, facts_until
from tests.servers.kafka import KafkaCluster, running_kafka

ROOT: Final = Path(__file__).parents[2]
PARTITIONS: Final = 4
SIZES: Final = (10_000, 100_000, 300_000, 1_000_000)
FACTS: Final = 200_000
IN_APPEND: Final = 1000
HELD_FOR: Final = 8_000
"""Milliseconds after which Redis takes commits again in any case: less than a worker waits for an answer."""

TICKS: Final = os.sysconf("SC_CLK_TCK")

STREAMS: Final = """
streams:
  checkout:
    match: {source: jira, project: CHK}
    stages:
""" + "".join(
    f"      - {{name: {name}, kind: {kind}, when: [{{status: {name.title()}}}]}}\n"
    for name, kind in zip(NAMES, ("queue", "active", "active", "active", "queue", "done"), strict=True)
)


@dataclass(frozen=True, slots=True)
class Scene:
    """A broker with topics of one name, an empty Redis, and what workers are started with."""

    cluster: KafkaCluster
    redis: Redis
    settings: KafkaSettings
    environment: dict[str, str]

    async def append(self, facts: Sequence[ItemFact]) -> None:
        """Append in the order of the list."""
        topics = Topics(self.settings.facts_topic, self.settings.dead_letters_topic, PARTITIONS)
        producer = Producer(options_of(self.cluster), "lz4")
        async with KafkaLogWriter(producer, topics, now, AppendBounds(within=30_000)) as writer:
            for start in range(0, len(facts), IN_APPEND):
                await writer.append(facts[start : start + IN_APPEND])

    async def until_read(self, count: int) -> None:
        """Return once the workers have committed so many facts in all."""
        while True:
            read: list[Any] = [await self.redis.hget(keys.log_read(n), "aggregator") for n in range(PARTITIONS)]
            if sum(int(offset or 0) for offset in read) >= count:
                return
            await asyncio.sleep(0.05)

    @contextlib.asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """While the context is open nothing is committed, so that workers have a log to catch up with after it."""
        await self.redis.client_pause(HELD_FOR, all=False)
        yield
        await self.redis.client_unpause()

    async def start_worker(self) -> Process:
        """A worker that follows the log."""
        words = (sys.executable, "-m", "service.command_line", "aggregate")
        return await asyncio.create_subprocess_exec(*words, cwd=ROOT, env=os.environ | self.environment)


@contextlib.asynccontextmanager
async def scene(cluster: KafkaCluster, name: str) -> AsyncIterator[Scene]:
    """Topics of this name, and a Redis that fsyncs."""
    settings = KafkaSettings(
        bootstrap_servers=cluster.bootstrap_servers, facts_topic=name, dead_letters_topic=f"{name}.letters", group=name
    )
    await create_topics(settings, TopicPlan(PARTITIONS, 1, 1))
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "streams.yaml").write_text(STREAMS)
        async with embedded_server(Path(folder) / "data", log=logging.getLogger("bench")) as server:
            redis = connect(server.url)
            environment = {
                "STREAMGAUGE_STREAMS": str(Path(folder) / "streams.yaml"),
                "STREAMGAUGE_REDIS__URL": server.url,
                "STREAMGAUGE_LOG__PARTITIONS": str(PARTITIONS),
                "STREAMGAUGE_KAFKA__BOOTSTRAP_SERVERS": cluster.bootstrap_servers,
                "STREAMGAUGE_KAFKA__FACTS_TOPIC": name,
                "STREAMGAUGE_KAFKA__DEAD_LETTERS_TOPIC": f"{name}.letters",
                "STREAMGAUGE_KAFKA__GROUP": name,
                "PYTHONPATH": os.environ.get("PYTHONPATH", str(ROOT)),
            }
            yield Scene(cluster, redis, settings, environment)
            await redis.aclose()


async def memory(cluster: KafkaCluster) -> dict[str, list[float]]:
    """Resident megabytes of a worker after so many open items, each told of once."""
    found: dict[str, list[float]] = {}
    async with scene(cluster, "memory") as place:
        worker, told = await place.start_worker(), 0
        for size in SIZES:
            while told < size:
                await place.append([_opened(number) for number in range(told, min(size, told + 50_000))])
                told = min(size, told + 50_000)
            await place.until_read(size)
            found[f"worker, MB resident at {size:,} items"] = [_resident(worker.pid)]
        await _end([worker])
    return found


async def workers(cluster: KafkaCluster, count: int) -> float:
    """CPU of so many workers in µs a fact, catching up once each has its partitions: with less to do they take less at
    once, and a fact costs more."""
    async with scene(cluster, f"workers-{count}") as place:
        running = [await place.start_worker() for _ in range(count)]
        facts = facts_until(now(), FACTS + 20_000)
        await place.append(facts[:20_000])
        await place.until_read(20_000)
        await asyncio.sleep(15)  # until all have joined: what a rebalance costs is not what is measured
        before = sum(_cpu(worker.pid) for worker in running)
        async with place.held():
            await place.append(facts[20_000:])
        await place.until_read(FACTS + 20_000)
        spent = sum(_cpu(worker.pid) for worker in running) - before
        await _end(running)
        return spent / FACTS * 1e6


async def measure(cluster: KafkaCluster) -> dict[str, list[float]]:
    """All figures."""
    one, two = await workers(cluster, 1), await workers(cluster, 2)
    found = {"one worker, CPU, µs a fact": [one], "two workers, CPU of both, µs a fact": [two]}
    return found | {"two workers against one, by CPU": [2 * one / two]} | await memory(cluster)


def _opened(number: int) -> ItemFact:
    item, at = f"CHK-{number}", now()
    return ItemFact(id=f"open-{number}", source="jira", item=item, at=at, status="Develop", project="CHK", type="bug")


def _resident(pid: int) -> float:
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1000


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


async def _end(processes: Sequence[Process]) -> None:
    for process in processes:
        process.terminate()
        await process.wait()


def main() -> None:
    """Print one JSON object."""
    with running_kafka() as cluster, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(measure(cluster))))


if __name__ == "__main__":
    main()
