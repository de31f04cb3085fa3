"""What the bridges tell of themselves, as this HTTP process shows it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from redis.asyncio import Redis
from redis.exceptions import RedisError

from flow import keys
from flow.bridge_metrics import BridgeMetrics, TopicMetrics, unpack_bridge
from flow.catalogue import METRICS
from flow.instants import MINUTE, SECOND

SILENT_AFTER: Final = MINUTE
"""A bridge that published nothing for so long (ms) is no longer shown."""

_EVERY: Final = 1.0
_OF_BRIDGE: Final[Mapping[str, Callable[[BridgeMetrics], float]]] = {
    "streamgauge_bridge_waiting": lambda metrics: metrics.waiting,
    "streamgauge_bridge_start_timestamp_seconds": lambda metrics: metrics.started_at / SECOND,
    "streamgauge_bridge_published_timestamp_seconds": lambda metrics: metrics.at / SECOND,
}
_OF_TOPIC: Final[Mapping[str, Callable[[TopicMetrics], float]]] = {
    "streamgauge_bridge_records_total": lambda metrics: metrics.records,
    "streamgauge_bridge_facts_total": lambda metrics: metrics.facts,
    "streamgauge_bridge_ignored_records_total": lambda metrics: metrics.ignored,
    "streamgauge_bridge_lag_records": lambda metrics: metrics.lag,
    "streamgauge_bridge_lag_seconds": lambda metrics: metrics.lag_age / SECOND,
}
_REFUSED: Final = "streamgauge_bridge_refused_records_total"


class BridgeReadings(Collector):
    """Register it in a registry of your own, and `run` it. `clock` gives milliseconds."""

    def __init__(self, redis: Redis, clock: Callable[[], int]) -> None:
        self._redis = redis
        self._clock = clock
        self._seen: Mapping[str, BridgeMetrics] = {}

    async def run(self) -> None:
        """Read until cancelled. While Redis is away, what was read last grows old."""
        task = asyncio.current_task()
        while task is None or not task.cancelling():  # the Redis client sometimes swallows a cancellation
            await self.read()
            await asyncio.sleep(_EVERY)

    async def read(self) -> None:
        """Read once, if Redis answers."""
        try:
            rows: Any = await self._redis.hgetall(keys.BRIDGE_METRICS)
        except (RedisError, OSError):
            return  # the snapshots say so already
        self._seen = {name.decode(): unpack_bridge(row) for name, row in rows.items()}

    def collect(self) -> Iterator[Metric]:
        """What a scrape sees."""
        oldest = self._clock() - SILENT_AFTER
        shown = {name: metrics for name, metrics in self._seen.items() if metrics.at >= oldest}
        for metric, value in _OF_BRIDGE.items():
            family = _family(metric)
            for name, bridge in shown.items():
                family.add_metric([name], value(bridge))
            yield family
        topics = [(name, topic, each) for name, bridge in shown.items() for topic, each in bridge.topics.items()]
        for metric, of_topic in _OF_TOPIC.items():
            family = _family(metric)
            for name, topic, each in topics:
                family.add_metric([name, topic], of_topic(each))
            yield family
        refused = _family(_REFUSED)
        for name, topic, each in topics:
            for reason, count in each.refused.items():
                refused.add_metric([name, topic, reason], count)
        yield refused


def _family(name: str) -> GaugeMetricFamily | CounterMetricFamily:
    described = METRICS[name]
    kind = CounterMetricFamily if described.kind == "counter" else GaugeMetricFamily
    return kind(name, described.help, labels=described.labels)
