"""Copies dead letters from their Kafka topic to where readers look: deliveries that could not be understood.

Receivers write such a delivery to the topic before they answer. The copy and the place in the topic are one commit,
with the fence of every commit: several workers may copy at once, and each letter is copied once.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from redis.asyncio import Redis

from consumers.commit import Commit, Committer
from consumers.kafka_client import stop
from consumers.unavailable import PASSING, passes
from flow import keys
from flow.errors import PositionConflict

_logger = logging.getLogger("streamgauge.kafka")

_PARTITION: Final = 0
"""Receivers write to this one. Letters need no order and come seldom."""

_AT_ONCE: Final = 100
_WAIT: Final = 1000
_AGAIN_AFTER: Final = 1.0
_START_WITHIN: Final = 30.0
_MOST_EMPTY: Final = 5
"""So many reads in a row may bring nothing although there is something; then the client starts anew."""

_FIELDS: Final = ("kind", "source", "reason", "message", "at", "headers")


class KafkaLetters:
    """Copies for as long as it runs. `keep` is about how many letters are kept where readers look."""

    def __init__(self, options: Mapping[str, Any], topic: str, redis: Redis, keep: int) -> None:
        self._options = dict(options)
        self._place = TopicPartition(topic, _PARTITION)
        self._redis = redis
        self._keep = keep
        self._committer = Committer(redis)

    async def run(self) -> None:
        """Copy until cancelled. While Kafka or Redis is away, wait for it."""
        while True:
            try:
                await self._copy()
            except PositionConflict:
                continue  # another worker was faster
            except (KafkaError, *PASSING) as error:
                if not isinstance(error, KafkaError) and not passes(error):
                    raise
                _logger.warning("letters_not_copied error=%s: trying again", type(error).__name__)
            await asyncio.sleep(_AGAIN_AFTER)

    async def _copy(self) -> None:
        """Copy from the stored place on. Raises PositionConflict when another worker copied meanwhile, TimeoutError."""
        consumer = AIOKafkaConsumer(
            **self._options, enable_auto_commit=False, auto_offset_reset="earliest", max_poll_records=_AT_ONCE
        )
        try:
            async with asyncio.timeout(_START_WITHIN):
                await consumer.start()
            await self._copy_from(consumer)
        finally:
            await stop(consumer)

    async def _copy_from(self, consumer: Any) -> None:
        consumer.assign([self._place])
        position = await self._stored()
        consumer.seek(self._place, position or 0)
        empty = 0
        while True:
            found = await consumer.getmany(self._place, timeout_ms=_WAIT)
            records = found.get(self._place, ())
            if records:
                empty = 0
                commit = self._commit(records, position)
                await self._committer.execute([commit])
                position = commit.position
            elif await self._stored() != position:
                raise PositionConflict("another worker copied letters, or Redis lost some: read again from its place")
            elif await self._is_behind(consumer):
                empty += 1
                if empty >= _MOST_EMPTY:
                    raise TimeoutError("there are letters, and the client brings none")
            else:
                empty = 0

    async def _is_behind(self, consumer: Any) -> bool:
        """Whether the topic has letters that were not read."""
        async with asyncio.timeout(_START_WITHIN):
            ends = await consumer.end_offsets([self._place])
            return bool(await consumer.position(self._place) < ends[self._place])

    async def _stored(self) -> int | None:
        stored: Any = await self._redis.get(keys.deliveries_position(_PARTITION))
        return None if stored is None else int(stored)

    def _commit(self, records: Sequence[Any], position: int | None) -> Commit:
        pointer = keys.generation(keys.DEAD_LETTERS)
        place, behind = keys.deliveries_position(_PARTITION), records[-1].offset + 1
        commit = Commit(keys.DEAD_LETTERS, place, pointer, "", position, behind)
        counts: Counter[str] = Counter()
        for record in records:
            fields = letter_fields(record.headers, record.value)
            counts[f"{fields['source'].decode()}|{fields['reason'].decode()}"] += 1
            words = [word for pair in fields.items() for word in pair]
            commit.write(keys.LETTERS, "XADD", ["MAXLEN", "~", self._keep, "*", *words])
        for name, count in counts.items():
            commit.write(keys.LETTER_COUNTS, "HINCRBY", [name, count])
        return commit


def letter_fields(headers: Sequence[tuple[str, bytes | None]], body: bytes | None) -> dict[str, bytes]:
    """The fields of a letter where readers look. What somebody else put into the topic is shown as far as it goes."""
    told = {name: value for name, value in headers if value is not None}
    unknown = {"kind": b"delivery", "source": b"unknown", "reason": b"not_understood", "message": b"", "at": b"0"}
    fields = {name: told.get(name, unknown.get(name, b"{}")) for name in _FIELDS}
    if not fields["at"].isdigit():
        fields["at"] = b"0"
    for name in ("source", "reason"):
        fields[name] = fields[name].decode(errors="replace").encode()
    return fields | {"body": body or b""}
