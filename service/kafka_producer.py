"""Sends groups of messages to Kafka: one idempotent producer, replaced when it has failed for good.

The client's idempotent producer tries again without end, and numbers what it sends. Once a batch has failed, the
numbers of all later ones are wrong and they fail too: the first failure ends that producer, and the next group gets a
new one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

Header = tuple[str, bytes]
Place = tuple[str, int]
"""A topic, and one of its partitions."""

BATCH_BYTES: Final = 512 * 1024
"""Brokers take 1 MB unless told otherwise. A message that is larger than a batch gets one of its own."""

_CLOSE_WITHIN: Final = 1.0
_log: Final = logging.getLogger(__name__)

_FAILURES: Final = (KafkaError, OSError, TimeoutError, AssertionError)
"""The client asserts that it knows the partition: it does not once the topic is gone."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message. `at` is its time in milliseconds."""

    key: bytes
    value: bytes
    at: int
    headers: Sequence[Header] = ()


Messages = Mapping[Place, Sequence[Message]]


class Producer:
    """Connects at the first group. `options` are those of every client, `compression` a codec's name or `none`.

    What it calls durable is on every broker that must have it. Without `idempotent` it may be there twice.
    """

    def __init__(self, options: Mapping[str, Any], compression: str, *, idempotent: bool = True) -> None:
        self._options = dict(options) | {
            "compression_type": None if compression == "none" else compression,
            "enable_idempotence": idempotent,
            "acks": "all",
            "max_batch_size": BATCH_BYTES,
        }
        self._client: Any = None
        self._connecting: asyncio.Task[Any] | None = None
        self._ending: set[asyncio.Task[None]] = set()

    async def send(self, messages: Messages) -> dict[Place, int | None]:
        """Of each place: the offset behind the last message, once all are on every broker that must have them.

        None where it failed: the messages may be there or not. Messages of one place keep their order. When this is
        cancelled, the next call starts anew.
        """
        try:
            client = await self._connected()
            tasks = [_send_to(client, place, each) for place, each in messages.items()]
            found = await asyncio.gather(*tasks, return_exceptions=True)
        except _FAILURES as error:
            _note(error)
            self._drop()
            return dict.fromkeys(messages)
        except BaseException:
            self._drop()
            raise
        failed = [error for error in found if isinstance(error, BaseException)]
        if failed:
            _note(failed[0])
            self._drop()
        ends = [None if isinstance(end, BaseException) else end for end in found]
        return dict(zip(messages, ends, strict=True))

    async def close(self) -> None:
        """Let go of the connections. What is still being connected or closed then has a second."""
        connecting, self._connecting = self._connecting, None
        if connecting is not None:
            await asyncio.wait({connecting}, timeout=_CLOSE_WITHIN)
            connecting.cancel()
            await asyncio.wait({connecting})
            if not connecting.cancelled() and connecting.exception() is None:
                self._client = connecting.result()
        self._drop()
        if self._ending:
            await asyncio.wait(self._ending)

    async def _connected(self) -> Any:
        """The client leaves connections behind when it is cancelled as it connects: whoever comes next waits for it."""
        if self._client is None:
            if self._connecting is None:
                self._connecting = asyncio.create_task(_started(self._options))
                self._connecting.add_done_callback(self._forget_failure)
            self._client = await asyncio.shield(self._connecting)
            self._connecting = None
        return self._client

    def _forget_failure(self, connecting: asyncio.Task[Any]) -> None:
        """Whoever comes later tries anew."""
        if self._connecting is connecting and not connecting.cancelled() and connecting.exception() is not None:
            self._connecting = None

    def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            task = asyncio.create_task(_end(client))
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)


async def _started(options: Mapping[str, Any]) -> Any:
    client = AIOKafkaProducer(**options)
    try:
        await client.start()
    except BaseException:
        await _end(client)
        raise
    return client


async def _end(client: Any) -> None:
    """Its own `stop` would first send all that it holds, however long that takes: it is made to hold nothing."""
    tasks = {task for task in asyncio.all_tasks() if _works_for(task) in {client._sender, client.client}}
    for task in tasks:
        task.cancel()
    try:
        async with asyncio.timeout(_CLOSE_WITHIN):
            if tasks:
                await asyncio.wait(tasks)
            await client.client.close()
    except Exception as error:  # whatever a broken client says when it is closed, nobody needs it any more
        _note(error)
    held = client._message_accumulator
    held._pending_batches.update(batch for queue in held._batches.values() for batch in queue)
    for batch in held._pending_batches:
        batch.done_noack()
    client._closed = True


def _works_for(task: asyncio.Task[Any]) -> Any:
    """Whose method the task runs, where it runs one."""
    frame = getattr(task.get_coro(), "cr_frame", None)
    return None if frame is None else frame.f_locals.get("self")


async def _send_to(client: Any, place: Place, messages: Sequence[Message]) -> int:
    topic, partition = place
    batches = _batches(client, messages)
    sent = [await client.send_batch(batch, topic, partition=partition) for batch in batches]
    done = await asyncio.gather(*sent)
    return int(done[-1].offset) + int(batches[-1].record_count())


def _batches(client: Any, messages: Sequence[Message]) -> list[Any]:
    batches: list[Any] = []
    for message in messages:
        if not batches or not _takes(batches[-1], message):
            batches.append(client.create_batch())
            _takes(batches[-1], message)
    return batches


def _takes(batch: Any, message: Message) -> bool:
    headers = list(message.headers)
    found = batch.append(timestamp=message.at, key=message.key, value=message.value, headers=headers)
    return found is not None


def _note(error: BaseException) -> None:
    """For our log only: the error's text may hold an address."""
    _log.warning("kafka_unavailable error=%s text=%s", type(error).__name__, error)
