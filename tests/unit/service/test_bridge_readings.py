"""What bridges publish is on the page of metrics, as the catalogue says, and goes when they are silent."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry
from redis.exceptions import ConnectionError as RedisConnectionError

from flow import keys
from flow.bridge_metrics import REASONS, BridgeMetrics, TopicMetrics, pack_bridge
from flow.catalogue import METRICS
from flow.catalogue_monitor import BRIDGES
from flow.instants import MINUTE
from service.bridge_readings import SILENT_AFTER, BridgeReadings

NOW = 1_795_340_000_000


class Redis:
    """Holds what bridges published, or is away."""

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}
        self.away = False

    async def hgetall(self, key: str) -> dict[bytes, bytes]:
        assert key == keys.BRIDGE_METRICS
        if self.away:
            raise RedisConnectionError("away")
        return self.rows


async def shown(redis: Any, now: int = NOW) -> CollectorRegistry:
    registry = CollectorRegistry()
    readings = BridgeReadings(redis, lambda: now)
    registry.register(readings)
    await readings.read()
    return registry


async def test_everything_that_the_catalogue_lists_is_shown_by_bridge_and_topic():
    redis = Redis()
    topic = TopicMetrics(records=9, facts=12, ignored=2, lag=4, lag_age=1500)
    topic.refused["too_large"] = 3
    redis.rows[b"host-1"] = pack_bridge(BridgeMetrics(NOW - 500, NOW - MINUTE, True, {"theirs": topic}))
    registry = await shown(redis)
    where = {"bridge": "host-1", "topic": "theirs"}
    found = {sample.name: sample for family in registry.collect() for sample in family.samples}
    assert set(found) == {metric.name for metric in BRIDGES}
    for name, sample in found.items():
        assert set(sample.labels) == set(METRICS[name].labels)
    values = {
        "records_total": 9, "facts_total": 12, "ignored_records_total": 2, "lag_records": 4, "lag_seconds": 1.5,
    }  # fmt: skip
    for name, value in values.items():
        assert registry.get_sample_value(f"streamgauge_bridge_{name}", where) == value
    refused = {
        reason: registry.get_sample_value("streamgauge_bridge_refused_records_total", where | {"reason": reason})
        for reason in REASONS
    }
    assert refused == dict.fromkeys(REASONS, 0) | {"too_large": 3}
    assert registry.get_sample_value("streamgauge_bridge_waiting", {"bridge": "host-1"}) == 1
    started = registry.get_sample_value("streamgauge_bridge_start_timestamp_seconds", {"bridge": "host-1"})
    assert started == (NOW - MINUTE) / 1000


async def test_a_bridge_that_is_silent_is_no_longer_shown():
    redis = Redis()
    redis.rows[b"host-1"] = pack_bridge(BridgeMetrics(NOW))
    name, where = "streamgauge_bridge_waiting", {"bridge": "host-1"}
    assert (await shown(redis, NOW + SILENT_AFTER)).get_sample_value(name, where) == 0
    assert (await shown(redis, NOW + SILENT_AFTER + 1)).get_sample_value(name, where) is None


async def test_while_redis_is_away_what_was_read_last_stays():
    redis = Redis()
    redis.rows[b"host-1"] = pack_bridge(BridgeMetrics(NOW))
    readings: Any = BridgeReadings(redis, lambda: NOW)  # type: ignore[arg-type]
    await readings.read()
    redis.away = True
    await readings.read()
    assert [sample.value for family in readings.collect() for sample in family.samples if "waiting" in family.name] == [
        0
    ]
