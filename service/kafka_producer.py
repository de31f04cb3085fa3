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
            await self._drop()
            return dict.fromkeys(messages)
        except BaseException:
            await self._drop()
            raise
        failed = [error for error in found if isinstance(error, BaseException)]
        if failed:
            _note(failed[0])
            await self._drop()
        ends = [None if isinstance(end, BaseException) else end for end in found]
        return dict(zip(messages, ends, strict=True))

    async def close(self) -> None:
        """Let go of the connections."""
        await self._drop()

    async def _connected(self) -> Any:
        if self._client is None:
            self._client = AIOKafkaProducer(**self._options)
            await self._client.start()
        return self._client

    async def _drop(self) -> None:
        client, self._client = self._client, None
        if client is None:
            return
        # Its own `stop` would first send all that it holds, however long that takes: it is made to hold nothing.
        await client.client.close()
        try:
            async with asyncio.timeout(_CLOSE_WITHIN):
                await client._sender.close()
        except Exception as error:  # whatever a broken client says when it is closed, nobody needs it any more
            _note(error)
        held = client._message_accumulator
        held._pending_batches.update(batch for queue in held._batches.values() for batch in queue)
        for batch in held._pending_batches:
            batch.done_noack()
        client._closed = True


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
