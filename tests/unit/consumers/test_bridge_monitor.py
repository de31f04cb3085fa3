"""What a bridge tells of itself: how far it is behind each topic, whether Kafka and Redis answer or not."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from consumers import bridge_monitor
from consumers.bridge_monitor import BridgeMonitor
from flow import keys
from flow.bridge_metrics import BridgeMetrics, TopicMetrics, pack_bridge, unpack_bridge
from flow.instants import HOUR

NOW = 1_795_340_000_000


class Topics:
    """Says of each topic, by partition, where it ends and how far the bridge is."""

    def __init__(self) -> None:
        self.told: dict[str, dict[int, tuple[int, int]]] = {}
        self.away = False

    async def places(self):
        if self.away:
            await asyncio.Event().wait()
        return self.told


class Redis:
    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}
        self.failures = 0
        self.written = asyncio.Event()

    async def hgetall(self, key):
        assert key == keys.BRIDGE_METRICS
        if self.failures:
            self.failures -= 1
            raise RedisConnectionError("away")
        return self.rows

    async def hdel(self, key, *names):
        for name in names:
            del self.rows[name]

    async def hset(self, key, name, row):
        self.rows[name.encode()] = row
        self.written.set()


class Scene:
    def __init__(self) -> None:
        self.now = NOW
        self.topics = Topics()
        self.redis = Redis()
        self.metrics = BridgeMetrics(started_at=NOW, topics={"a": TopicMetrics(), "b": TopicMetrics()})
        redis: Any = self.redis
        topics: Any = self.topics
        self.monitor = BridgeMonitor(redis, "me", self.metrics, topics, lambda: self.now)

    async def lag(self) -> list[tuple[int, int]]:
        await self.monitor.look()
        return [(each.lag, each.lag_age) for each in self.metrics.topics.values()]


async def test_the_lag_of_a_topic_is_that_of_all_its_partitions_and_as_old_as_the_oldest():
    scene = Scene()
    scene.topics.told = {"a": {0: (10, 10), 1: (5, 5)}}
    assert await scene.lag() == [(0, 0), (0, 0)]
    scene.topics.told = {"a": {0: (13, 10), 1: (5, 5)}}
    assert await scene.lag() == [(3, 0), (0, 0)]
    scene.now += 4000
    scene.topics.told = {"a": {0: (13, 12), 1: (9, 5)}, "b": {0: (2, 0)}}
    assert await scene.lag() == [(5, 4000), (2, 0)]
    scene.topics.told = {"a": {0: (13, 13), 1: (9, 9)}, "b": {0: (2, 2)}}
    assert await scene.lag() == [(0, 0), (0, 0)]


async def test_partitions_that_another_bridge_has_now_are_not_ours_to_count():
    scene = Scene()
    scene.topics.told = {"a": {0: (10, 0)}}
    await scene.lag()
    scene.topics.told = {}
    assert await scene.lag() == [(0, 0), (0, 0)]


async def test_while_kafka_does_not_answer_it_publishes_all_the_same_and_what_is_long_silent_goes(monkeypatch):
    scene = Scene()
    scene.topics.away = True
    scene.redis.rows = {b"old": pack_bridge(BridgeMetrics(NOW - HOUR - 1)), b"other": pack_bridge(BridgeMetrics(NOW))}
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        running = group.create_task(scene.monitor.run())
        await scene.redis.written.wait()
        running.cancel()
    assert set(scene.redis.rows) == {b"me", b"other"}
    assert unpack_bridge(scene.redis.rows[b"me"]) == scene.metrics
    assert scene.metrics.at == NOW


async def test_a_redis_that_is_away_is_said_once_and_ends_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(bridge_monitor, "_PUBLISH_EVERY", 0)
    scene = Scene()
    scene.redis.failures = 3
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        running = group.create_task(scene.monitor.run())
        await scene.redis.written.wait()
        running.cancel()
    assert [record.getMessage() for record in caplog.records] == ["metrics_not_published error=ConnectionError"]
