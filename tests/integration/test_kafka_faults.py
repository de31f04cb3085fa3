"""Brokers that die, topics that are not as they should be, letters that take the way over Kafka."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest
from redis.asyncio import Redis

from flow import keys
from tests.integration.kafka_installation import ROOT, KafkaInstallation
from tests.integration.test_crash import DEFINITIONS, assert_equal_to_oracle
from tests.integration.test_kafka_exactness import STREAM, Load, until_more_is_read
from tests.servers.kafka import KafkaCluster, running_kafka

pytestmark = [pytest.mark.needs_server("valkey"), pytest.mark.timeout(180)]

SECRET: Final = "not-a-real-secret"


@pytest.fixture
async def installation(tmp_path: Path, kafka_cluster: KafkaCluster, redis_url: str) -> AsyncIterator[KafkaInstallation]:
    found = KafkaInstallation(
        tmp_path, kafka_cluster, redis_url, DEFINITIONS, STREAMGAUGE_SOURCES__GITHUB__SECRET=SECRET
    )
    yield found
    await found.close()


@pytest.mark.needs_server("apache-kafka")
async def test_nothing_is_lost_and_nothing_counts_twice_while_brokers_die(
    tmp_path: Path, redis_url: str, redis: Redis
) -> None:
    with running_kafka(3) as cluster:
        installation = KafkaInstallation(tmp_path, cluster, redis_url, DEFINITIONS)
        try:
            await installation.create_topics()
            await installation.start_worker(1)
            await installation.serve()
            load = Load(installation, 4)
            async with asyncio.TaskGroup() as group:
                group.create_task(load.run())
                await until_more_is_read(redis, 500)
                cluster.kill(1)
                await until_more_is_read(redis, 500)
                cluster.start(1)
                await cluster.ready()
                cluster.kill(2)
                await until_more_is_read(redis, 500)
                load.stop()
            await installation.settled()
            await assert_equal_to_oracle(redis, STREAM, load.facts)
            assert await installation.stop_worker(1) == 0
        finally:
            await installation.close()


@pytest.mark.needs_server("apache-kafka")
async def test_all_goes_on_by_itself_after_the_only_broker_was_restarted(
    tmp_path: Path, redis_url: str, redis: Redis
) -> None:
    with running_kafka() as cluster:
        installation = KafkaInstallation(tmp_path, cluster, redis_url, DEFINITIONS)
        try:
            await installation.create_topics()
            await installation.start_worker(1)
            await installation.serve()
            load = Load(installation, 5)
            async with asyncio.TaskGroup() as group:
                group.create_task(load.run())
                await until_more_is_read(redis, 500)
                cluster.kill()
                await asyncio.sleep(1)
                cluster.start()
                await until_more_is_read(redis, 500)
                load.stop()
            await installation.settled()
            await assert_equal_to_oracle(redis, STREAM, load.facts)
        finally:
            await installation.close()


@pytest.mark.needs_server("whole-kafka")
async def test_redis_that_was_emptied_is_filled_again_from_the_log(
    installation: KafkaInstallation, redis: Redis
) -> None:
    await installation.create_topics()
    await installation.start_worker(1)
    await installation.serve()
    load = Load(installation, 6)
    await load.post(1000)
    await installation.settled()
    await redis.flushall()
    await installation.settled()  # nothing new came, and as long as the state lacks anything the lag says so
    await assert_equal_to_oracle(redis, STREAM, load.facts)
    await redis.flushall()
    await load.post(500)
    await installation.settled()
    await assert_equal_to_oracle(redis, STREAM, load.facts)
    assert await installation.stop_worker(1) == 0


@pytest.mark.needs_server("kafka")
@pytest.mark.parametrize("command", ["serve", "aggregate"])
async def test_a_missing_topic_is_told_with_the_command_that_creates_it(
    installation: KafkaInstallation, command: str
) -> None:
    code, said = await installation.run(command)
    assert code == 78
    for topic in (installation.kafka.facts_topic, installation.kafka.dead_letters_topic):
        assert f"Kafka has no topic {topic}: create it with `python deploy/create_topics.py`" in said
    async with installation.cluster.admin() as admin:
        assert installation.kafka.facts_topic not in await admin.list_topics()


@pytest.mark.needs_server("kafka")
@pytest.mark.parametrize("command", ["serve", "aggregate", "check"])
async def test_another_number_of_partitions_is_refused(installation: KafkaInstallation, command: str) -> None:
    await installation.create_topics()
    code, said = await installation.run(command, STREAMGAUGE_LOG__PARTITIONS="3")
    assert code == (1 if command == "check" else 78)
    assert f"the topic {installation.kafka.facts_topic} has 4 partitions, not 3: write 4" in said


@pytest.mark.needs_server("kafka")
async def test_a_redis_that_follows_another_log_is_refused(installation: KafkaInstallation, redis: Redis) -> None:
    await installation.create_topics()
    await redis.set(keys.LOG_PARTITIONS, 4)
    code, said = await installation.run("aggregate")
    assert code == 78
    assert "this Redis holds the state of the log in Redis itself, not of the topic" in said


@pytest.mark.needs_server("whole-kafka")
async def test_a_topic_that_was_made_anew_is_refused(installation: KafkaInstallation, redis: Redis) -> None:
    """Also by a worker that stopped before those parts of its state that no fact concerned were moved up."""
    await installation.create_topics()
    await installation.serve()
    await installation.start_worker(1)
    await Load(installation, 7).post(200)
    await installation.settled()
    assert await installation.stop_worker(1) == 0
    for place in (keys.letters_position(number) for number in range(4)):
        await redis.delete(place)
    await installation.cluster.delete_topic(installation.kafka.facts_topic)
    await installation.create_topics()
    code, said = await installation.run("aggregate")
    assert code == 1
    assert "the topic was made anew, or lost data" in said


def create_topics(installation: KafkaInstallation, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "deploy/create_topics.py", *words],
        cwd=ROOT,
        env=os.environ | installation.environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.needs_server("kafka")
async def test_the_command_creates_the_topics_once(installation: KafkaInstallation) -> None:
    impossible = create_topics(installation, "--replication", "1", "--min-in-sync", "2")
    assert (impossible.returncode, impossible.stdout) == (1, "")
    assert "--min-in-sync 2: write 1 to 1, the number of copies" in impossible.stderr
    words = ("--replication", "1", "--letters-retention", "90d")
    first, second = create_topics(installation, *words), create_topics(installation, *words)
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert f"{installation.kafka.facts_topic}: created" in first.stdout
    assert f"{installation.kafka.facts_topic}: was there already" in second.stdout
    code, said = await installation.run("check")
    assert code == 0, said
    assert "4 partitions, as the topic has" in said
    wrong = create_topics(installation, "--retention", "soon")
    assert wrong.returncode == 2
    assert "--retention" in wrong.stderr


@pytest.mark.needs_server("whole-kafka")
async def test_a_delivery_that_is_not_understood_is_kept_in_kafka_shown_and_replayed(
    installation: KafkaInstallation, redis: Redis
) -> None:
    await installation.create_topics()
    await installation.start_worker(1)
    await installation.serve()
    await installation.start_worker(2)
    for number in range(3):
        await deliver(installation, b'{"number": %d' % number)
    await until_letters(redis, 3)
    page = (await installation.client.get("/v1/dead-letters")).json()
    assert [letter["kind"] for letter in page["letters"]] == ["delivery"] * 3
    assert {letter["source"] for letter in page["letters"]} == {"github"}
    assert sum(count["count"] for count in page["counts"]) == 3
    await redis.delete(keys.LETTERS, keys.LETTER_COUNTS, keys.deliveries_position(0))
    await until_letters(redis, 3)  # Kafka has them: a Redis that was emptied is filled again
    stray = {"subject": "item", "id": "stray", "source": "acme", "item": "CHK-1", "at": "2020-01-01T00:00:00Z"}
    await installation.post("/v1/facts", stray)
    await installation.settled()
    await until_letters(redis, 4)
    wider = DEFINITIONS.replace("{source: acme, project: CHK}", "{source: acme}")
    (installation.folder / "streams.yaml").write_text(wider)
    code, said = await installation.run("dead-letters", "replay", "--all")
    assert code == 0, said
    assert "1 sent to the log again" in said
    assert "3 kept: " in said


async def deliver(installation: KafkaInstallation, body: bytes) -> None:
    """An authentic webhook that is no JSON."""
    signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    headers = {"X-Hub-Signature-256": f"sha256={signature}", "X-GitHub-Event": "issues", "X-GitHub-Delivery": "1"}
    answer = await installation.client.post("/webhooks/github", content=body, headers=headers)
    assert answer.status_code < 500, answer.text


async def until_letters(redis: Redis, count: int) -> None:
    async with asyncio.timeout(60):
        while await redis.xlen(keys.LETTERS) != count:
            await asyncio.sleep(0.05)
    counted: Any = await redis.hvals(keys.LETTER_COUNTS)
    assert sum(map(int, counted)) == count
