"""The log on Kafka: appended by the writer, read from anywhere, refused when it is not the log that the state is of."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import RecordsToDelete

from consumers.kafka_reader import KafkaReader, WholeTopic
from consumers.kafka_records import take, wait_for_fetch
from consumers.log import Batch
from consumers.routing import sort_batch
from flow.definitions import Definitions
from flow.errors import LogReplaced, Reason, Unavailable
from flow.facts import ItemFact, decode_fact, decode_facts, encode_fact, partition_of
from flow.matching import Router
from service.bounds import AppendBounds
from service.dead_letters import DeliveryLetter
from service.kafka_connection import connection_options
from service.kafka_log import KafkaLogWriter, Topics
from service.kafka_producer import Message, Producer
from service.kafka_settings import KafkaSettings
from tests.servers.kafka import KafkaCluster, running_kafka

pytestmark = [pytest.mark.needs_server("kafka"), pytest.mark.timeout(120)]

TOLD_WITHIN: Final = 4.5
"""Seconds within which an append that may take one is refused: less than the five that it may take otherwise."""

NOW: Final = 1_700_000_000_000


def options_of(servers: str) -> dict[str, Any]:
    return connection_options(KafkaSettings(bootstrap_servers=servers))


@pytest.fixture
async def topic(kafka_cluster: KafkaCluster) -> str:
    """A new topic of two partitions."""
    name = f"facts-{uuid4().hex[:8]}"
    await kafka_cluster.create_topic(name, 2)
    return name


@asynccontextmanager
async def writer_to(
    cluster: KafkaCluster, topic: str, *, compression: str = "lz4", within: int = 30_000, **more: Any
) -> AsyncIterator[KafkaLogWriter]:
    options = options_of(cluster.bootstrap_servers)
    producer = Producer(options, compression, idempotent=cluster.is_whole)
    bounds = AppendBounds(within=within)
    async with KafkaLogWriter(producer, Topics(topic, f"{topic}-letters", 2), lambda: NOW, bounds, **more) as writer:
        yield writer


def facts_of(count: int, item: str = "CHK-{}", first: int = 0) -> list[ItemFact]:
    return [
        ItemFact(id=f"evt-{number}", source="acme", item=item.format(number % 7), at=number)
        for number in range(first, first + count)
    ]


async def read_all(servers: str, topic: str, partition: int, after: int = 0) -> list[Batch]:
    async with WholeTopic(options_of(servers), topic, [partition]) as log:
        batches: list[Batch] = []
        while (batch := await log.read(partition, batches[-1].offsets[-1] if batches else after)) is not None:
            batches.append(batch)
        return batches


async def put(servers: str, topic: str, values: Sequence[bytes | None], key: bytes | None = b"k", **more: Any) -> None:
    """Write values as any other program would, to partition 0."""
    producer = AIOKafkaProducer(bootstrap_servers=servers, **more)
    await producer.start()
    for value in values:
        await producer.send_and_wait(topic, value, key=key, partition=0)
    await producer.stop()


@pytest.mark.parametrize("compression", ["none", "gzip", "lz4", "zstd"])
async def test_what_is_appended_is_read_in_the_order_of_each_subject(
    kafka_cluster: KafkaCluster, kafka: str, topic: str, compression: str
) -> None:
    facts, ends = facts_of(500), {}
    async with writer_to(kafka_cluster, topic, compression=compression, appended=ends.update) as writer:
        await asyncio.gather(*[writer.append(facts[start : start + 50]) for start in range(0, 500, 50)])
    read: list[ItemFact] = []
    for partition in range(2):
        batches = await read_all(kafka, topic, partition)
        offsets = [offset for batch in batches for offset in batch.offsets]
        assert offsets == list(range(1, ends[partition] + 1))
        assert {instant for batch in batches for _, instant in batch.received} == {NOW}
        read += [fact for batch in batches for fact in decode_facts(batch.lines)]
        assert {partition_of(fact.item, 2) for fact in decode_facts(batches[0].lines)} == {partition}
    for item in {fact.item for fact in facts}:
        assert [fact for fact in read if fact.item == item] == [fact for fact in facts if fact.item == item]


async def test_messages_are_keyed_by_subject_one_a_fact(kafka_cluster: KafkaCluster, kafka: str, topic: str) -> None:
    async with writer_to(kafka_cluster, topic) as writer:
        await writer.append(facts_of(3, item="CHK-1"))
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, auto_offset_reset="earliest")
    await consumer.start()
    place = TopicPartition(topic, partition_of("CHK-1", 2))
    consumer.assign([place])
    records = (await consumer.getmany(place, timeout_ms=60_000))[place]
    await consumer.stop()
    assert [(record.key, record.value, record.timestamp) for record in records] == [
        (b"CHK-1", encode_fact(fact), NOW) for fact in facts_of(3, item="CHK-1")
    ]


@pytest.mark.needs_server("whole-kafka")
async def test_reading_goes_on_behind_any_fact_also_in_the_midst_of_a_batch(
    kafka_cluster: KafkaCluster, kafka: str, topic: str
) -> None:
    async with writer_to(kafka_cluster, topic) as writer:
        for first in (0, 20, 40):
            await writer.append(facts_of(20, item="CHK-1", first=first))
    partition = partition_of("CHK-1", 2)
    for after in (0, 1, 19, 20, 21, 39, 57, 59):
        batches = await read_all(kafka, topic, partition, after)
        assert [offset for batch in batches for offset in batch.offsets] == list(range(after + 1, 61))
        assert [int(fact.id[4:]) for batch in batches for fact in decode_facts(batch.lines)] == list(range(after, 60))
    assert await read_all(kafka, topic, partition, 60) == []


async def test_a_batch_ends_where_enough_facts_are_read(kafka_cluster: KafkaCluster, kafka: str, topic: str) -> None:
    async with writer_to(kafka_cluster, topic) as writer:
        for first in range(0, 100, 10):
            await writer.append(facts_of(10, item="CHK-1", first=first))
    partition = partition_of("CHK-1", 2)
    for partitions, at_once in ([partition], 25), ([0, 1], 50):  # they share what may be read at once
        async with KafkaReader(options_of(kafka), topic, partitions, at_once=at_once) as log:
            found = [await what_follows(log, partition, after) for after in (0, 30, 60, 90)]
        assert [list(batch.offsets) for batch in found] == [
            list(range(first, min(first + 30, 101))) for first in (1, 31, 61, 91)
        ]


async def what_follows(log: KafkaReader, partition: int, after: int) -> Batch:
    """The next batch, however long Kafka takes to bring it: a single read waits for a quarter of a second only."""
    while (batch := await log.read(partition, after)) is None:
        pass
    return batch


async def test_taking_batches_gives_what_the_client_itself_gives(kafka: str, topic: str) -> None:
    """The one place that knows the client's inside: it must see what `getmany` sees, and leave it in the same state."""
    await put(kafka, topic, [b"%d" % number for number in range(200)], linger_ms=1)
    place = TopicPartition(topic, 0)
    found: list[list[tuple[int, bytes]]] = []
    for reads in (_by_client, _by_us):
        consumer = AIOKafkaConsumer(bootstrap_servers=kafka, auto_offset_reset="none")
        await consumer.start()
        consumer.assign([place])
        consumer.seek(place, 7)
        read: list[tuple[int, bytes]] = []
        while len(read) < 193:
            read += await reads(consumer, place)
            assert await consumer.position(place) == read[-1][0] + 1 if read else True
        consumer.seek(place, 199)
        while not (last := await reads(consumer, place)):
            pass
        found.append(read + last)
        await consumer.stop()
    assert found[0] == found[1]
    assert [offset for offset, _ in found[1]] == [*range(7, 200), 199]


async def _by_client(consumer: Any, place: TopicPartition) -> list[tuple[int, bytes]]:
    found = await consumer.getmany(place, timeout_ms=250)
    return [(record.offset, record.value) for record in found.get(place, ())]


async def _by_us(consumer: Any, place: TopicPartition) -> list[tuple[int, bytes]]:
    taken = take(consumer, place, 50)
    if taken is None:
        await wait_for_fetch(consumer, 0.25)
        return []
    return list(zip(taken.offsets, b"\n".join(taken.blocks).split(b"\n"), strict=True))


async def test_a_value_that_is_no_fact_becomes_one_letter_and_shifts_nothing(kafka: str, topic: str) -> None:
    good = [encode_fact(fact) for fact in facts_of(3, item="CHK-1")]
    spread = good[1].replace(b",", b",\n", 1)
    await put(kafka, topic, [good[0], b"no\njson\n", None, spread, b"", b"\xff\xfe", good[2], b'{"subject":"item"}'])
    [batch] = await read_all(kafka, topic, 0)
    found = sort_batch(batch, Router(Definitions({})), {})
    unclaimed = [letter for letter in found.letters if letter.reason is Reason.NO_STREAM]
    assert [(decode_fact(letter.body).id, letter.offset) for letter in unclaimed] == [
        ("evt-0", 1),
        ("evt-1", 4),
        ("evt-2", 7),
    ]
    undecoded = [letter for letter in found.letters if letter.reason is not Reason.NO_STREAM]
    assert [letter.offset for letter in undecoded] == [2, 3, 5, 6, 8]
    assert undecoded[0].body == b"no json "


async def test_an_empty_partition_gives_nothing_and_is_not_waited_for_long(kafka: str, topic: str) -> None:
    async with KafkaReader(options_of(kafka), topic, [0, 1]) as log:
        started = time.monotonic()
        assert await log.read(0, 0) is None
        assert await log.read(0, 0, wait=False) is None
        assert time.monotonic() - started < 20
        await put(kafka, topic, [b"{}"])
        assert list((await what_follows(log, 0, 0)).offsets) == [1]


@pytest.mark.needs_server("whole-kafka")
async def test_facts_that_retention_removed_are_told_of_and_reading_goes_on(
    kafka_cluster: KafkaCluster, topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    servers = kafka_cluster.bootstrap_servers
    await put(servers, topic, [b"%d" % number for number in range(10)])
    async with kafka_cluster.admin() as admin:
        await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(before_offset=6)})
    with caplog.at_level(logging.WARNING, "streamgauge"):
        [batch] = await read_all(servers, topic, 0, after=2)
    assert list(batch.offsets) == [7, 8, 9, 10]
    assert "log_begins_later partition=0 state=2 first=7" in caplog.text
    assert "removed 4 facts" in caplog.text


async def test_a_log_that_ends_before_what_the_state_has_is_refused(kafka: str, topic: str) -> None:
    await put(kafka, topic, [b"{}"])
    async with KafkaReader(options_of(kafka), topic, [0]) as log:
        with pytest.raises(LogReplaced, match=r"partition 0 .* ends at 1, and the state has read up to 5"):
            await log.read(0, 5)


async def test_too_much_that_waits_is_refused_and_the_rest_is_written(kafka: str, topic: str) -> None:
    producer = Producer(options_of(kafka), "none", idempotent=False)
    bounds = AppendBounds(most_pending=10, within=30_000)
    async with KafkaLogWriter(producer, Topics(topic, "letters", 2), lambda: NOW, bounds) as writer:
        waiting = [asyncio.ensure_future(writer.append(facts_of(4))) for _ in range(4)]
        done = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(each) for each in done] == [type(None), type(None), Unavailable, Unavailable]
    assert {each.reason for each in done if isinstance(each, Unavailable)} == {Reason.OVERLOADED}


async def test_a_letter_is_kept_whole_with_all_that_is_known_of_it(kafka_cluster: KafkaCluster, topic: str) -> None:
    servers = kafka_cluster.bootstrap_servers
    await kafka_cluster.create_topic(f"{topic}-letters", 1, **{"max.message.bytes": str(32 * 1024 * 1024)})
    body = bytes(range(256)) * 40_000  # ten megabytes
    letter = DeliveryLetter("jira", Reason.NOT_UNDERSTOOD, "no — idea", 5, {"x": "y", "authorization": "s"}, body)
    async with writer_to(kafka_cluster, topic) as writer:
        await writer.append_letter(letter)
    consumer = AIOKafkaConsumer(bootstrap_servers=servers, auto_offset_reset="earliest")
    await consumer.start()
    consumer.assign([TopicPartition(f"{topic}-letters", 0)])
    record = await asyncio.wait_for(consumer.getone(), 60)
    await consumer.stop()
    assert record.value == body
    assert dict(record.headers) == {
        "kind": b"delivery",
        "source": b"jira",
        "reason": b"not_understood",
        "message": "no — idea".encode(),
        "at": b"5",
        "headers": b'{"x":"y"}',
    }


async def test_without_a_broker_an_append_is_refused_in_time(caplog: pytest.LogCaptureFixture) -> None:
    async with writer_to(KafkaCluster([], "nowhere", "127.0.0.1:1"), "facts", within=1000) as writer:
        started = time.monotonic()
        with pytest.raises(Unavailable) as refused:
            await writer.append(facts_of(1))
        assert refused.value.reason is Reason.LOG_UNAVAILABLE
        assert time.monotonic() - started < TOLD_WITHIN


async def outcome(call: Callable[[], Any]) -> str:
    """`done`, or the reason why not, soon after a bound of one second."""
    started = time.monotonic()
    try:
        await call()
    except Unavailable as error:
        assert time.monotonic() - started < TOLD_WITHIN
        return error.reason.value
    return "done"


@pytest.mark.needs_server("apache-kafka")
async def test_a_broker_that_dies_and_one_that_hangs_are_told_in_time_and_written_to_when_they_are_back() -> None:
    with running_kafka() as cluster:
        await cluster.create_topic("facts", 2)
        servers = cluster.bootstrap_servers
        async with writer_to(cluster, "facts", within=1000) as writer:
            number = 0
            done = []

            async def append() -> None:
                nonlocal number
                number += 1
                await writer.append(facts_of(5, first=5 * number))

            async def append_until_done() -> None:
                async with asyncio.timeout(30):
                    while await outcome(append) != "done":
                        pass
                done.extend(facts_of(5, first=5 * number))

            await append_until_done()
            cluster.pause()
            assert await outcome(append) == "log_unavailable"
            assert await outcome(append) == "log_unavailable"
            cluster.resume()
            await append_until_done()
            cluster.kill()
            assert await outcome(append) == "log_unavailable"
            assert await outcome(append) == "log_unavailable"
            cluster.start()
            await cluster.ready()
            await append_until_done()
        read: set[str] = set()
        for partition in range(2):
            for batch in await read_all(servers, "facts", partition):
                read |= {fact.id for fact in decode_facts(batch.lines)}
        assert {fact.id for fact in done} <= read


@pytest.mark.needs_server("whole-kafka")
async def test_a_producer_that_has_failed_for_good_is_replaced(kafka: str, topic: str) -> None:
    """A broker that refuses the numbers of an idempotent producer refuses all that it sends from then on."""
    producer = Producer(options_of(kafka), "none")
    place = (topic, 0)
    message = Message(b"k", b"{}", NOW)
    assert await producer.send({place: [message]}) == {place: 1}
    numbers = producer._client._txn_manager._sequence_numbers
    numbers[TopicPartition(topic, 0)] += 1000
    assert await producer.send({place: [message]}) == {place: None}
    assert await producer.send({place: [message, message]}) == {place: 3}
    await producer.close()
