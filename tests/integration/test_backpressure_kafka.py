"""The same with the log on Kafka: the broker is paused and killed, Redis stays."""

from __future__ import annotations

import pytest

from flow.facts import decode_fact
from tests.integration.receivers import Sent, instants_in, roles
from tests.servers.kafka import running_kafka
from tests.servers.redis_server import run_server

pytestmark = [
    pytest.mark.needs_server("valkey"), pytest.mark.needs_server("apache-kafka"), pytest.mark.timeout(180),
]  # fmt: skip

GITHUB_WAITS = 10.0
"""Seconds. What it was not answered by then it never sends again."""

LETTERS = {"max.message.bytes": "40000000"}


async def logged(kafka):
    """Every fact of the topic, in order within each partition."""
    from aiokafka import AIOKafkaConsumer  # noqa: PLC0415

    topic = "streamgauge.facts.v1"
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=kafka.bootstrap_servers, auto_offset_reset="earliest")
    await consumer.start()
    try:
        ends = await consumer.end_offsets(sorted(consumer.assignment()))
        facts = []
        for place in ends:
            consumer.seek(place, 0)
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            for messages in (await consumer.getmany(timeout_ms=500)).values():
                facts += [decode_fact(message.value) for message in messages]
    finally:
        await consumer.stop()
    return facts


async def test_a_broker_that_is_paused_and_killed_costs_github_nothing(tmp_path):
    with running_kafka() as kafka, run_server(tmp_path / "valkey") as server:
        await kafka.ready()
        await kafka.create_topic("streamgauge.facts.v1", 2)
        await kafka.create_topic("streamgauge.dead-letters.v1", 1, **LETTERS)
        async with roles(tmp_path, server.url, KAFKA__BOOTSTRAP_SERVERS=kafka.bootstrap_servers) as here:
            await here.start("serve")
            github, native = Sent(), Sent()

            async def takes():
                return (await here.native(native, "CHK-1", len(native.answers))).status_code == 202

            await here.until(takes)
            assert (await here.issue(github, 1, 0)).status_code == 202
            await here.until(here.drained)
            kafka.pause()
            for step in range(1, 10):
                assert (await here.issue(github, 1, step)).status_code == 202
            assert not await takes()
            kafka.kill()
            await here.kill("serve")
            await here.start("serve")
            for step in range(10, 15):
                assert (await here.issue(github, 1, step)).status_code == 202
            assert await here.spooled() == 14
            kafka.start()
            await here.until(here.drained)
            await here.until(takes)
            assert github.slowest < GITHUB_WAITS
            found = instants_in(await logged(kafka))
            for sent in (github, native):
                for item, instants in sent.acknowledged.items():
                    assert [at for at in found[item] if at in set(instants)] == instants
