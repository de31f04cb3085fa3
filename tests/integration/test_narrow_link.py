"""A Redis that large commits never reach in time: the worker takes less of the log, until they do."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from consumers import aggregator
from consumers.aggregator import Aggregator, Identity
from consumers.measurements import Measurements
from consumers.partition import Work
from consumers.redis_log import RedisLog
from consumers.stream_state import Bounds
from flow import keys
from flow.instants import HOUR
from service.bounds import AppendBounds
from service.command_line.composition import now
from service.log import RedisLogWriter
from service.redis_client import connect
from tests.integration.several_streams import DEFINITIONS, assert_all_equal_to_oracle, item_facts
from tests.servers.narrow_link import narrow_link
from tests.servers.redis_server import HOST, run_server

pytestmark = [pytest.mark.needs_server("valkey"), pytest.mark.timeout(120)]

FACTS = 4_000
CARRIED = 100_000
"""Bytes: a tenth of what a commit of all these facts has."""


async def test_a_commit_that_is_too_large_for_the_link_is_made_in_smaller_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "streamgauge.aggregator")
    monkeypatch.setattr(aggregator, "_LONGEST_PAUSE", 0.01)
    facts = item_facts(11, FACTS, now() - HOUR)
    with run_server(tmp_path) as server:
        async with aclosing(connect(server.url)) as direct, narrow_link(HOST, server.port, CARRIED) as (link, port):
            async with RedisLogWriter(direct, 1, now, AppendBounds()) as writer:
                await writer.append(facts)
            async with aclosing(connect(f"redis://{HOST}:{port}?socket_timeout=0.5")) as redis:
                measured = Measurements(now())
                log = RedisLog(redis, [0], "aggregator", keep_facts=10 * FACTS)
                worker = Aggregator(log, Work(redis, DEFINITIONS, Bounds(), 100, now, measured), Identity("one", 1))
                running = asyncio.create_task(worker.run())
                async with asyncio.timeout(60):
                    while not (await read_all(direct) and said(caplog)[-1:] == ["going_on partition=0"]):
                        assert not running.done()
                        await asyncio.sleep(0.02)
                worker.stop()
                await running
            await assert_all_equal_to_oracle(direct, facts)
    assert link.stuck >= 3
    assert measured.metrics.commits >= FACTS * 100 // CARRIED
    assert "waiting partition=0" in said(caplog)


async def read_all(redis: Redis) -> bool:
    """Whether the worker has committed all facts. It hears of its last commit a moment later than we."""
    read: Any = await redis.hget(keys.log_read(0), "aggregator")
    return int(read or 0) == FACTS


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged of the partition, without the reasons."""
    messages = [record.getMessage() for record in caplog.records]
    return [message.split(" for=")[0] for message in messages if "partition=0" in message]
