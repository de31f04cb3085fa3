"""What a bridge tells of itself, published to Redis for the exporter to show (`flow.bridge_metrics`)."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable
from typing import Any, Final

from aiokafka.errors import KafkaError
from redis.asyncio import Redis

from consumers.bridge_topics import OutsideTopics
from consumers.unavailable import PASSING, passes
from flow import keys
from flow.bridge_metrics import BridgeMetrics, pack_bridge, unpack_bridge
from flow.instants import HOUR
from flow.log_lag import LagAges

_logger = logging.getLogger("streamgauge.bridge")

_PUBLISH_EVERY: Final = 1.0
_LOOK_EVERY: Final = 2.0
_LOOK_WITHIN: Final = 10.0
_SILENT_AFTER: Final = HOUR


class BridgeMonitor:
    """Looks how far the bridge is behind, and publishes its metrics under `name`. `clock` gives milliseconds.

    While Kafka does not say where the topics end, the lag stays what it was; while Redis is away nothing is published.
    """

    def __init__(
        self, redis: Redis, name: str, metrics: BridgeMetrics, topics: OutsideTopics, clock: Callable[[], int]
    ) -> None:
        self._redis = redis
        self._name = name
        self._metrics = metrics
        self._topics = topics
        self._clock = clock
        self._ages: dict[str, LagAges] = defaultdict(LagAges)
        self._told = False

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._look_now_and_then())
            task = asyncio.current_task()
            while task is None or not task.cancelling():  # the Redis client sometimes swallows a cancellation
                await self._publish()
                await asyncio.sleep(_PUBLISH_EVERY)

    async def _look_now_and_then(self) -> None:
        while True:
            try:
                async with asyncio.timeout(_LOOK_WITHIN):
                    await self.look()
            except (KafkaError, OSError) as error:
                _logger.debug("lag_not_known error=%s", type(error).__name__)
            await asyncio.sleep(_LOOK_EVERY)

    async def look(self) -> None:
        """Note how far behind each topic is. Raises KafkaError."""
        places, now = await self._topics.places(), self._clock()
        for topic, metrics in self._metrics.topics.items():
            here = places.get(topic, {})
            ages = self._ages[topic].note(
                {number: end for number, (end, _) in here.items()},
                {number: at for number, (_, at) in here.items()},
                now,
            )
            metrics.lag = sum(max(0, end - at) for end, at in here.values())
            metrics.lag_age = max(ages.values(), default=0)

    async def _publish(self) -> None:
        """What is long silent goes."""
        self._metrics.at = now = self._clock()
        try:
            rows: Any = await self._redis.hgetall(keys.BRIDGE_METRICS)
            silent = [name for name, row in rows.items() if unpack_bridge(row).at < now - _SILENT_AFTER]
            if silent:
                await self._redis.hdel(keys.BRIDGE_METRICS, *silent)
            await self._redis.hset(keys.BRIDGE_METRICS, self._name, pack_bridge(self._metrics))
        except PASSING as error:
            if not passes(error):
                raise
            if not self._told:
                _logger.warning("metrics_not_published error=%s", type(error).__name__)
            self._told = True
        else:
            self._told = False
