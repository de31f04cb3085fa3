"""Whatever ends a producer, it leaves nothing behind: no task, no connection, nothing that the loop complains of."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import pytest

from service.kafka_producer import Message, Place, Producer
from tests.servers.kafka import KafkaCluster, running_kafka

pytestmark = [pytest.mark.needs_server("apache-kafka"), pytest.mark.timeout(120)]

TOPIC: Final = "facts"
MESSAGES: Final[dict[Place, list[Message]]] = {
    (TOPIC, 0): [Message(b"k", b"value", 1)] * 10,
    (TOPIC, 1): [Message(b"k", b"value", 1)],
}


@pytest.fixture(scope="module")
def kafka() -> Iterator[KafkaCluster]:
    with running_kafka() as found:
        asyncio.run(found.create_topic(TOPIC, 2))
        yield found


@pytest.fixture(autouse=True)
async def nothing_is_left() -> AsyncIterator[None]:
    """What the loop complains of, and tasks that outlive the producer, fail the test."""
    complaints: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(str(context["message"])))
    before = asyncio.all_tasks()
    yield
    for _ in range(3):
        gc.collect()
        await asyncio.sleep(0)
    assert [str(task) for task in asyncio.all_tasks() - before - {asyncio.current_task()}] == []
    assert complaints == []


def producer_of(kafka: KafkaCluster, timeout: int = 20_000) -> Producer:
    options = {"bootstrap_servers": kafka.bootstrap_servers, "request_timeout_ms": timeout}
    return Producer(options, "lz4")


async def cancelled(producer: Producer, after: float, times: int = 1) -> None:
    """Send, and be cancelled so many seconds later."""
    sending = asyncio.create_task(producer.send(MESSAGES))
    await asyncio.sleep(after)
    for _ in range(times):
        sending.cancel()
        await asyncio.sleep(0)
    await asyncio.wait({sending})


async def whole(producer: Producer) -> bool:
    return None not in (await producer.send(MESSAGES)).values()


async def test_after_it_has_sent(kafka: KafkaCluster) -> None:
    producer = producer_of(kafka)
    assert await whole(producer)
    await producer.close()


@pytest.mark.parametrize("after", [0.0, 0.001, 0.003, 0.01, 0.03, 0.1])
async def test_when_it_is_cancelled_as_it_connects(kafka: KafkaCluster, after: float) -> None:
    producer = producer_of(kafka)
    await cancelled(producer, after)
    assert await whole(producer)
    await cancelled(producer, after)
    await producer.close()


async def test_when_the_topic_is_not_there(kafka: KafkaCluster) -> None:
    producer = producer_of(kafka, 1000)
    strange = ("nobody", 0)
    assert await producer.send({strange: [Message(b"k", b"value", 1)]}) == {strange: None}
    assert await until_whole(producer)
    await producer.close()


@pytest.mark.parametrize("times", [1, 2])
async def test_when_it_is_cancelled_while_the_broker_hangs(kafka: KafkaCluster, times: int) -> None:
    producer = producer_of(kafka)
    assert await whole(producer)
    kafka.pause()
    try:
        await cancelled(producer, 0.2, times)
        await cancelled(producer, 0.2, times)
    finally:
        kafka.resume()
    assert await until_whole(producer)
    await producer.close()


async def test_when_it_is_closed_while_the_broker_hangs(kafka: KafkaCluster) -> None:
    for connected in (True, False):
        producer = producer_of(kafka)
        assert not connected or await whole(producer)
        kafka.pause()
        try:
            sending: asyncio.Task[Any] = asyncio.create_task(producer.send(MESSAGES))
            await asyncio.sleep(0.1)
            async with asyncio.timeout(10):
                await producer.close()
                await asyncio.wait({sending})
        finally:
            kafka.resume()


async def test_when_the_broker_was_killed(kafka: KafkaCluster) -> None:
    producer = producer_of(kafka)
    assert await whole(producer)
    kafka.kill()
    try:
        await cancelled(producer, 0.2)
        assert not await whole(producer)
    finally:
        kafka.start()
        await kafka.ready()
    assert await until_whole(producer)
    await producer.close()


async def until_whole(producer: Producer) -> bool:
    """Whether it comes to send again."""
    async with asyncio.timeout(60):
        while not await whole(producer):
            pass
    return True
