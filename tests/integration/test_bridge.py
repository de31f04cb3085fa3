"""The bridge from outside topics: every format, every malformed record, and whatever is killed: nothing lost, and what
is stored is what the oracle computes."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from redis.asyncio import Redis

from flow import keys
from flow.facts import Fact, ItemFact, decode_fact, subject_key
from flow.records import MOST_BYTES
from service.command_line.composition import now
from service.kafka_topics import LARGEST_LETTER
from tests.integration.installation import Installation
from tests.integration.kafka_installation import PATIENCE, ROOT, KafkaInstallation
from tests.integration.test_crash import DEFINITIONS, STATUSES, assert_equal_to_oracle, native
from tests.integration.test_kafka_exactness import STREAM
from tests.integration.walking_items import WalkingItems
from tests.servers.kafka import KafkaCluster
from tests.servers.redis_server import run_server

pytestmark = [pytest.mark.needs_server("valkey"), pytest.mark.needs_server("whole-kafka"), pytest.mark.timeout(300)]

ITEMS: Final = 300
PARTITIONS: Final = 4
SOON: Final = "2s"
"""After how long the partitions of a bridge that was killed move, where nothing depends on who reads what how often."""

Headers = Sequence[tuple[str, bytes]]


class Outside:
    """An outside topic with a producer of its own, and what was put into it."""

    def __init__(self, cluster: KafkaCluster, seed: int = 1) -> None:
        self.cluster = cluster
        self.topic = f"{uuid4().hex[:8]}.events"
        self._items = WalkingItems(ITEMS, STATUSES, seed, now())
        self._producer: Any = None

    @property
    def facts(self) -> list[ItemFact]:
        """All that was put into it."""
        return self._items.facts

    async def open(self) -> None:
        await self.cluster.create_topic(self.topic, PARTITIONS, **{"max.message.bytes": str(LARGEST_LETTER)})
        options = {"linger_ms": 2, "max_request_size": LARGEST_LETTER}
        self._producer = AIOKafkaProducer(bootstrap_servers=self.cluster.bootstrap_servers, **options)
        await self._producer.start()

    async def close(self) -> None:
        await self._producer.stop()

    async def put(self, value: Any, headers: Headers = (), *, key: str = "", partition: int | None = None) -> None:
        """One record, durable when this returns."""
        await (await self._send(value, headers, key=key, partition=partition))

    async def put_facts(self, count: int) -> None:
        """So many facts of items that walk through the stages; those of an item in one partition, in order."""
        facts = self._items.tell(count)
        sent = [await self._send(native(fact), key=fact.item) for fact in facts]
        await asyncio.gather(*sent)

    async def put_again(self, facts: Sequence[ItemFact]) -> None:
        sent = [await self._send(native(fact), key=fact.item) for fact in facts]
        await asyncio.gather(*sent)

    async def left(self, group: str) -> int:
        """How many records the group has not noted as read."""
        client = AIOKafkaConsumer(bootstrap_servers=self.cluster.bootstrap_servers, group_id=group)
        await client.start()
        try:
            places = [TopicPartition(self.topic, number) for number in range(PARTITIONS)]
            ends = await client.end_offsets(places)
            return sum([end - (await client.committed(place) or 0) for place, end in ends.items()])
        finally:
            await client.stop()

    async def until_read(self, group: str, left: int = 0) -> None:
        async with asyncio.timeout(PATIENCE):
            while await self.left(group) > left:
                await asyncio.sleep(0.1)

    async def _send(self, value: Any, headers: Headers = (), *, key: str = "", partition: int | None = None) -> Any:
        body = value if isinstance(value, bytes) or value is None else json.dumps(value).encode()
        options = {"headers": list(headers), "key": key.encode() or None, "partition": partition}
        return await self._producer.send(self.topic, body, **options)


@pytest.fixture
async def outside(kafka_cluster: KafkaCluster) -> AsyncIterator[Outside]:
    found = Outside(kafka_cluster)
    await found.open()
    yield found
    await found.close()


def settings_for(outside: Outside, kind: str = "facts", **more: str) -> dict[str, str]:
    return {
        "STREAMGAUGE_BRIDGE__TOPICS": f"{outside.topic}:{kind}",
        "STREAMGAUGE_BRIDGE__GROUP": f"bridge-{outside.topic}",
        "STREAMGAUGE_BRIDGE__SESSION_TIMEOUT": "20s",  # one that only had to wait must not be taken for dead
    } | more


@pytest.fixture
async def installation(
    tmp_path: Path, kafka_cluster: KafkaCluster, redis_url: str, outside: Outside
) -> AsyncIterator[KafkaInstallation]:
    found = KafkaInstallation(tmp_path, kafka_cluster, redis_url, DEFINITIONS, **settings_for(outside))
    await found.create_topics()
    yield found
    await found.close()


def group_of(outside: Outside) -> str:
    return f"bridge-{outside.topic}"


async def putting(outside: Outside, stopping: asyncio.Event) -> None:
    while not stopping.is_set():
        await outside.put_facts(50)
        await asyncio.sleep(0.1)


async def until_read_more(installation: KafkaInstallation, redis: Redis, count: int) -> None:
    """Return once so many facts more are in the state."""
    wanted = await facts_read(redis, installation.partitions) + count
    deadline = time.monotonic() + 2 * PATIENCE
    while await facts_read(redis, installation.partitions) < wanted:
        assert time.monotonic() < deadline, {
            log.name: log.read_text(encoding="utf-8")[-1500:] for log in installation.folder.glob("*.log")
        }
        await asyncio.sleep(0.02)


async def until_all_is_in_the_state(installation: KafkaInstallation, outside: Outside, redis: Redis) -> None:
    """Return once it is. What the receiver says of the lag may be older than the last facts that a bridge passed on."""
    await outside.until_read(group_of(outside))
    client = AIOKafkaConsumer(bootstrap_servers=outside.cluster.bootstrap_servers)
    await client.start()
    try:
        topic = installation.kafka.facts_topic
        ends = await client.end_offsets([TopicPartition(topic, number) for number in range(installation.partitions)])
    finally:
        await client.stop()
    async with asyncio.timeout(PATIENCE):
        while await facts_read(redis, installation.partitions) < sum(ends.values()):
            await asyncio.sleep(0.05)


async def facts_read(redis: Redis, partitions: int) -> int:
    offsets: list[Any] = [await redis.hget(keys.log_read(number), "aggregator") for number in range(partitions)]
    return sum(int(offset or 0) for offset in offsets)


async def test_facts_of_an_outside_topic_are_in_the_state_and_duplicates_count_once(
    installation: KafkaInstallation, outside: Outside, redis: Redis
) -> None:
    await installation.start_worker(1)
    await installation.serve()
    await outside.put_facts(1500)
    await installation.start_bridge(1)
    await outside.put_facts(1500)
    await outside.put_again(outside.facts[500:1500])
    await until_all_is_in_the_state(installation, outside, redis)
    assert await facts_read(redis, installation.partitions) == 4000
    await assert_equal_to_oracle(redis, STREAM, outside.facts)
    assert await installation.stop_bridge(1) == 0
    passed = f"passed topic={outside.topic} records=4000 facts=4000 ignored=0 kept=0"
    assert passed in installation.logged("bridge-1")


def newest_first_dropped(facts: Sequence[Fact]) -> dict[str, list[int]]:
    """By subject, the sequence numbers of its facts in the order in which each first came."""
    found: dict[str, dict[int, None]] = {}
    for fact in facts:
        found.setdefault(subject_key(fact), {})[fact.seq] = None
    return {subject: list(numbers) for subject, numbers in found.items()}


async def messages_of(installation: KafkaInstallation, topic: str) -> list[Any]:
    """Every message that is in a topic now, in order within each partition."""
    client = AIOKafkaConsumer(bootstrap_servers=installation.cluster.bootstrap_servers, auto_offset_reset="earliest")
    await client.start()
    try:
        await client.topics()
        numbers = range(installation.partitions if topic == installation.kafka.facts_topic else 1)
        places = [TopicPartition(topic, number) for number in numbers]
        client.assign(places)
        ends = await client.end_offsets(places)
        found: list[Any] = []
        while any([await client.position(place) < end for place, end in ends.items()]):
            for messages in (await client.getmany(timeout_ms=500)).values():
                found += messages
    finally:
        await client.stop()
    return found


async def logged_facts(installation: KafkaInstallation) -> list[Fact]:
    messages = await messages_of(installation, installation.kafka.facts_topic)
    return [decode_fact(message.value) for message in messages]


async def assert_order_kept(installation: KafkaInstallation, outside: Outside) -> None:
    logged = newest_first_dropped(await logged_facts(installation))
    assert logged == newest_first_dropped(outside.facts)


JIRA: Final = {
    "webhookEvent": "jira:issue_created",
    "timestamp": 1_795_340_000_000,
    "issue": {"key": "CHK-12", "fields": {"status": {"name": "To Do"}, "project": {"key": "CHK"}}},
}
CDEVENT: Final[dict[str, Any]] = {
    "context": {
        "specversion": "0.5.1",
        "id": "e-1",
        "source": "/acme/ci",
        "type": "dev.cdevents.service.deployed.0.2.0",
        "timestamp": "2026-11-22T09:30:00Z",
    },
    "subject": {"id": "shop", "content": {"environment": {"id": "production"}, "artifactId": "pkg:oci/shop@1"}},
}
EVENT: Final = {"specversion": "1.0", "id": "e-2", "source": "/acme/ci", "type": "dev.cdevents.service.deployed.0.2.0"}
BINARY: Final = [(f"ce_{name}", value.encode()) for name, value in EVENT.items()]


def item(name: str) -> dict[str, str]:
    return {"subject": "item", "id": name, "source": "acme", "item": f"CHK-{name}", "at": "2026-11-20T09:30:00Z"}


def with_id(name: str) -> dict[str, Any]:
    return {**CDEVENT, "context": {**CDEVENT["context"], "id": name}}


def said(source: str, *more: tuple[str, bytes]) -> Headers:
    return [("source", source.encode()), *more]


UNDERSTOOD: Final[Sequence[tuple[Any, Headers]]] = [
    (JIRA, said("jira")),
    (with_id("bare"), said("cdevents")),
    ({**EVENT, "data": with_id("structured")}, said("cloudevents", ("content-type", b"application/cloudevents+json"))),
    (with_id("binary"), said("cloudevents", ("content-type", b"application/json"), *BINARY)),
    (item("binary"), said("cloudevents", *BINARY[:-1], ("ce_type", b"acme.fact"))),
    (item("object"), said("facts")),
    ([item("array-1"), item("array-2")], said("facts")),
    ("\n".join(json.dumps(item(name)) for name in ("line-1", "line-2")).encode(), said("facts")),
]
XML: Final = ("content-type", b"application/cloudevents+xml")
REFUSED: Final[Sequence[tuple[bytes, Headers, str, str]]] = [
    (b"{", said("jira"), "jira", "malformed_json"),
    (b"\xff\xfe", said("facts"), "facts", "malformed_json"),
    (b"", said("facts"), "facts", "malformed_json"),
    (b'{"subject": "item"}', said("facts"), "facts", "invalid_fact"),
    (json.dumps({**item("x"), "at": "2999-01-01T00:00:00Z"}).encode(), said("facts"), "facts", "at_in_future"),
    (json.dumps(JIRA).encode(), [], "unknown", "unknown_source"),
    (b"{}", said("nobody"), "unknown", "unknown_source"),
    (b"[" * 100_000, said("facts"), "facts", "malformed_json"),
    (b"{}", said("cloudevents", *BINARY[1:]), "cloudevents", "not_understood"),
    (b"<xml/>", said("cloudevents", XML), "cloudevents", "unsupported_media_type"),
]  # fmt: skip


async def test_every_format_comes_through_and_what_is_malformed_is_kept_whole_with_its_reason(
    tmp_path: Path, kafka_cluster: KafkaCluster, redis_url: str, outside: Outside
) -> None:
    settings = settings_for(outside, "header")
    installation = KafkaInstallation(tmp_path, kafka_cluster, redis_url, DEFINITIONS, **settings)
    try:
        await installation.create_topics()
        mixed = [pair for pairs in zip_longest(UNDERSTOOD, REFUSED) for pair in pairs if pair is not None]
        for value, headers, *_ in mixed:
            await outside.put(value, headers, partition=0)
        await outside.put(None, said("jira"), key="gone", partition=0)
        await installation.start_bridge(1)
        await outside.until_read(group_of(outside))
        facts = await logged_facts(installation)
        letters = await messages_of(installation, installation.kafka.dead_letters_topic)
        assert await installation.stop_bridge(1) == 0
    finally:
        await installation.close()
    native_ids = {"binary", "object", "array-1", "array-2", "line-1", "line-2"}
    told = {"issue:CHK-12:created", *(f"/acme/ci/{name}" for name in ("bare", "structured", "binary"))}
    assert {fact.id for fact in facts} == native_ids | told
    assert len(facts) == len(native_ids | told)
    kept = [(dict(letter.headers), letter.value) for letter in letters]
    assert [(h["source"].decode(), h["reason"].decode(), body) for h, body in kept] == [
        (source, reason, body) for body, _, source, reason in REFUSED
    ]
    assert all(f"topic {outside.topic}, partition 0, offset " in h["message"].decode() for h, _ in kept)
    assert "records=19 facts=10 ignored=1 kept=10" in installation.logged("bridge-1")


async def shown(installation: KafkaInstallation, outside: Outside, **wanted: float) -> bool:
    """Whether /metrics comes to say so of the topic, all bridges together."""
    async with asyncio.timeout(PATIENCE):
        while True:
            metrics = {name: await installation.metric(f"streamgauge_bridge_{name}") for name in wanted}
            if wanted == {name: sum(each.values()) for name, each in metrics.items() if each}:
                assert all(f'topic="{outside.topic}"' in labels for each in metrics.values() for labels in each)
                return True
            await asyncio.sleep(0.1)


async def test_metrics_say_what_was_read_and_refused_and_how_far_the_bridge_is_behind(
    installation: KafkaInstallation, outside: Outside, redis: Redis
) -> None:
    await installation.serve()
    await outside.put_facts(40)
    for value in (b"{", b"{", b'{"subject": "item"}', None):
        await outside.put(value, key="x")
    await installation.start_bridge(1)
    told = {"records_total": 44.0, "facts_total": 40.0, "ignored_records_total": 1.0, "refused_records_total": 3.0}
    assert await shown(installation, outside, **told, lag_records=0, lag_seconds=0)
    refused = await installation.metric("streamgauge_bridge_refused_records_total")
    by_reason = {labels.split('reason="')[1].split('"')[0]: count for labels, count in refused.items()}
    assert {reason: count for reason, count in by_reason.items() if count} == {"malformed_json": 2, "invalid_fact": 1}
    code, said = await run_health_check(installation)
    assert (code, said) == (0, "")
    await redis.delete(keys.BRIDGE_METRICS)
    await installation.kill_bridge(1)
    await redis.delete(keys.BRIDGE_METRICS)
    code, said = await run_health_check(installation)
    assert code == 1
    assert said.startswith("no bridge of ")


async def run_health_check(installation: KafkaInstallation) -> tuple[int, str]:
    """As the container does: the exit code, and what it says."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "service.health_check", "bridge"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=ROOT,
        env=os.environ | installation.environment,
    )
    said, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
    return process.returncode or 0, said.decode()


async def test_the_largest_record_is_kept_whole_and_a_larger_one_in_part_and_neither_stops_what_follows(
    installation: KafkaInstallation, outside: Outside
) -> None:
    for size in (MOST_BYTES, MOST_BYTES + 1):
        await outside.put(b"x" * size, partition=0)
    await outside.put(item("behind"), partition=0)
    await installation.start_bridge(1)
    await outside.until_read(group_of(outside))
    letters = await messages_of(installation, installation.kafka.dead_letters_topic)
    assert [len(letter.value) for letter in letters] == [MOST_BYTES, 1024 * 1024]
    assert [dict(letter.headers)["reason"] for letter in letters] == [b"malformed_json", b"too_large"]
    assert [fact.id for fact in await logged_facts(installation)] == ["behind"]


async def test_nothing_is_lost_and_nothing_counts_twice_while_the_bridge_is_killed_under_load(
    installation: KafkaInstallation, outside: Outside, redis: Redis
) -> None:
    installation.environment["STREAMGAUGE_BRIDGE__SESSION_TIMEOUT"] = SOON
    await installation.start_worker(1)
    await installation.serve()
    stopping = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(putting(outside, stopping))
        for _ in range(3):
            await installation.start_bridge(1)
            await until_read_more(installation, redis, 400)
            await installation.kill_bridge(1)
        await installation.start_bridge(1)
        await until_read_more(installation, redis, 400)
        stopping.set()
    await until_all_is_in_the_state(installation, outside, redis)
    await assert_equal_to_oracle(redis, STREAM, outside.facts)
    await assert_order_kept(installation, outside)


async def test_bridges_share_the_partitions_and_take_over_from_each_other(
    installation: KafkaInstallation, outside: Outside, redis: Redis
) -> None:
    installation.environment["STREAMGAUGE_BRIDGE__SESSION_TIMEOUT"] = SOON
    await installation.start_worker(1)
    await installation.serve()
    stopping = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(putting(outside, stopping))
        await installation.start_bridge(1)
        await installation.until_logged("bridge-1", "partitions count=4 ")
        await until_read_more(installation, redis, 300)
        await installation.start_bridge(2)
        await installation.until_logged("bridge-2", "partitions count=2 ")
        await until_read_more(installation, redis, 300)
        assert await installation.stop_bridge(1) == 0
        await installation.until_logged("bridge-2", "partitions count=4 ")
        await until_read_more(installation, redis, 300)
        await installation.start_bridge(3)
        await installation.until_logged("bridge-3", "partitions count=2 ")
        await installation.kill_bridge(2)
        await installation.until_logged("bridge-3", "partitions count=4 ")
        await until_read_more(installation, redis, 300)
        stopping.set()
    await until_all_is_in_the_state(installation, outside, redis)
    await assert_equal_to_oracle(redis, STREAM, outside.facts)
    await assert_order_kept(installation, outside)


async def test_a_log_in_redis_that_is_away_for_a_while_is_waited_for(
    tmp_path: Path, kafka_cluster: KafkaCluster, outside: Outside
) -> None:
    with run_server(tmp_path / "valkey") as server:
        settings = settings_for(outside, STREAMGAUGE_BRIDGE__BOOTSTRAP_SERVERS=kafka_cluster.bootstrap_servers)
        installation = KafkaInstallation(tmp_path, kafka_cluster, server.url, DEFINITIONS, **settings)
        take_out(installation, "STREAMGAUGE_KAFKA__")  # the log is in Redis
        try:
            await installation.start_worker(1)
            await installation.serve()
            await installation.start_bridge(1)
            await outside.put_facts(500)
            await outside.until_read(group_of(outside))
            server.pause()
            await outside.put_facts(2500)
            await installation.until_logged("bridge-1", "waiting reason=log_unavailable")
            assert await outside.left(group_of(outside)) == 2500
            server.resume()
            await installation.until_logged("bridge-1", "going_on")
            await outside.until_read(group_of(outside))
            assert await shown(installation, outside, records_total=3000, facts_total=3000, lag_records=0)
            server.pause()
            await outside.put_facts(200)
            await installation.until_logged("bridge-1", "(?s)going_on.*waiting reason=log_unavailable")
            assert await installation.stop_bridge(1) == 0
            assert await outside.left(group_of(outside)) == 200
            server.resume()
            await installation.start_bridge(2)
            await outside.until_read(group_of(outside))
            await installation.settled()
            async with Redis.from_url(server.url) as redis:
                await assert_equal_to_oracle(redis, STREAM, outside.facts)
        finally:
            await installation.close()


def take_out(installation: KafkaInstallation, prefix: str) -> None:
    for name in [name for name in installation.environment if name.startswith(prefix)]:
        del installation.environment[name]


async def test_the_log_may_be_the_embedded_one(tmp_path: Path, kafka_cluster: KafkaCluster, outside: Outside) -> None:
    embedded = Installation(tmp_path, DEFINITIONS)
    settings = settings_for(outside, STREAMGAUGE_BRIDGE__BOOTSTRAP_SERVERS=kafka_cluster.bootstrap_servers)
    installation = KafkaInstallation(tmp_path, kafka_cluster, "", DEFINITIONS, **settings)
    for prefix in ("STREAMGAUGE_KAFKA__", "STREAMGAUGE_REDIS__", "STREAMGAUGE_LOG__"):
        take_out(installation, prefix)
    try:
        code, told = await installation.run("bridge")
        assert (code, "no embedded server runs there" in told) == (78, True)
        await embedded.start()
        await installation.start_bridge(1)
        await outside.put_facts(300)
        await outside.until_read(group_of(outside))
        await embedded.settled()
        async with embedded.redis() as redis:
            await assert_equal_to_oracle(redis, STREAM, outside.facts)
        assert await installation.stop_bridge(1) == 0
    finally:
        await installation.close()
        await embedded.close()


async def test_from_the_latest_means_what_comes_after_the_first_start_also_while_no_bridge_runs(
    installation: KafkaInstallation, outside: Outside
) -> None:
    installation.environment["STREAMGAUGE_BRIDGE__START"] = "latest"
    installation.environment["STREAMGAUGE_BRIDGE__SESSION_TIMEOUT"] = SOON
    await outside.put_facts(50)
    await installation.start_bridge(1)
    await installation.until_logged("bridge-1", "partitions count=4 ")
    await installation.kill_bridge(1)
    await outside.put_facts(70)
    await installation.start_bridge(1)
    await outside.until_read(group_of(outside))
    assert {fact.id for fact in await logged_facts(installation)} == {fact.id for fact in outside.facts[50:]}


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"BRIDGE__TOPICS": "no.such.topic:jira"}, "STREAMGAUGE_BRIDGE__TOPICS: Kafka has no topic no.such.topic: "),
        ({"BRIDGE__GROUP": "workers", "KAFKA__GROUP": "workers"}, "STREAMGAUGE_BRIDGE__GROUP: is the group of the log"),
        (
            {"BRIDGE__TOPICS": "a.b:jirra"},
            "STREAMGAUGE_BRIDGE__TOPICS: entry 1: there is no kind 'jirra': did you",
        ),
    ],
)
async def test_a_mistake_is_told_at_the_start(
    installation: KafkaInstallation, settings: dict[str, str], problem: str
) -> None:
    variables = {f"STREAMGAUGE_{name}": value for name, value in settings.items()}
    both = (installation.run(command, **variables) for command in ("bridge", "check"))
    for code, told in await asyncio.gather(*both):
        assert code in {1, 78}
        assert problem in told


async def test_the_bridge_never_reads_the_log_itself_under_whatever_address(installation: KafkaInstallation) -> None:
    letters = installation.kafka.dead_letters_topic
    other_name = installation.cluster.bootstrap_servers.replace("127.0.0.1", "localhost")
    settings = {
        "STREAMGAUGE_BRIDGE__TOPICS": f"{letters}:header",
        "STREAMGAUGE_BRIDGE__BOOTSTRAP_SERVERS": other_name,
    }
    code, told = await installation.run("bridge", **settings)
    assert (code, f"STREAMGAUGE_BRIDGE__TOPICS: {letters} is a topic of the log itself" in told) == (78, True)
