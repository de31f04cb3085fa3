"""Reads partitions of a Kafka topic from any offset on, as batches of facts.

Kafka counts a partition's records from 0, and the state says how many of them it has: 0 is none. So the offset of a
record, as everything outside this module and `consumers.kafka_log` knows it, is Kafka's plus one; and "after offset n"
is where Kafka's record n lies.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, OffsetOutOfRangeError

from consumers.kafka_client import stop
from consumers.kafka_records import Taken, take, wait_for_fetch
from consumers.log import FACTS_AT_ONCE, Batch
from flow.errors import LogReplaced, Reason, Unavailable

_logger = logging.getLogger("streamgauge.kafka")

_WAIT: Final = 0.25
"""Seconds to wait for the first fact: bounds how late a request to stop is noticed."""

_FETCH_WAIT: Final = 250
_FETCH_BYTES: Final = 4 * 1024 * 1024
_ASK_WITHIN: Final = 10_000
_SETTLE_WITHIN: Final = 5.0
"""Seconds that a new leader may take to know where the log ends."""


class KafkaReader:
    """Reads the partitions that it is given, beside any consumer group. Use it as an async context.

    `options` are what every client of the cluster takes; `at_once` is about how many facts the batches of all
    partitions may have together.
    """

    def __init__(
        self, options: Mapping[str, Any], topic: str, partitions: Sequence[int] = (), *, at_once: int = FACTS_AT_ONCE
    ) -> None:
        self.topic = topic
        self._options = dict(options)
        self._partitions: Sequence[int] = ()
        self._first_partitions = partitions
        self._at_once = at_once
        self._next: dict[int, int] = {}
        self._expected: dict[int, int] = {}
        self._client: Any = None

    async def __aenter__(self) -> Self:
        self._client = AIOKafkaConsumer(
            **self._options,
            enable_auto_commit=False,
            auto_offset_reset="none",
            fetch_max_wait_ms=_FETCH_WAIT,
            max_partition_fetch_bytes=_FETCH_BYTES,
        )
        try:
            await self._client.start()
        except BaseException:
            await stop(self._client)
            raise
        self.assign(self._first_partitions)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._partitions = ()
        self._next.clear()
        await stop(self._client)

    def assign(self, partitions: Iterable[int]) -> None:
        """Read these partitions and no others."""
        found = sorted(partitions)
        if found != self._partitions:
            self._partitions = found
            self._next.clear()
            self._client.assign([TopicPartition(self.topic, number) for number in found])
            for number in found:
                self._client.pause(TopicPartition(self.topic, number))  # until it is known from where to read

    def expect(self, partition: int, offset: int) -> None:
        """The log must not end before this offset."""
        self._expected[partition] = offset

    async def partitions(self) -> Sequence[int]:
        """The partitions that are read here."""
        return self._partitions

    @property
    def _share(self) -> int:
        """About how many facts a batch of one partition may have."""
        return max(1, self._at_once // max(1, len(self._partitions)))

    async def read(self, partition: int, after: int, *, wait: bool = True) -> Batch | None:
        """The facts after this offset, waiting a moment for the first if asked to; None when there are none.

        While Kafka does not answer there are none. Raises LogReplaced when the log ends before this offset, or before
        the one that is expected.
        """
        if partition not in self._partitions:
            await asyncio.sleep(_WAIT if wait else 0)
            return None
        try:
            taken = await self._take(TopicPartition(self.topic, partition), after, wait)
        except OffsetOutOfRangeError:
            self._next.pop(partition, None)  # the next read looks where the log begins and ends
            return None
        except (KafkaError, OSError) as error:
            _logger.warning("kafka_unavailable partition=%d error=%s", partition, type(error).__name__)
            await asyncio.sleep(_WAIT if wait else 0)
            return None
        return None if taken is None else self._batch(partition, taken)

    async def _take(self, place: TopicPartition, after: int, wait: bool) -> Taken | None:
        number = place.partition
        if self._next.get(number) != after and not await self._seek(place, after):
            return None
        taken = take(self._client, place, self._share)
        if taken is None and wait:
            deadline = asyncio.get_running_loop().time() + _WAIT
            while taken is None and (left := deadline - asyncio.get_running_loop().time()) > 0:
                await wait_for_fetch(self._client, left)
                if number not in self._next:  # the assignment changed meanwhile
                    return None
                taken = take(self._client, place, self._share)
        return taken

    async def _seek(self, place: TopicPartition, after: int) -> bool:
        """Whether reading goes on behind this offset, or behind what retention has left."""
        begin, end = await self._bounds(place)
        waited, known = 0.0, max(after, self._expected.get(place.partition, 0))
        while known > end and waited < _SETTLE_WITHIN:
            await asyncio.sleep(_WAIT)
            waited += _WAIT
            begin, end = await self._bounds(place)
        if known > end:
            raise LogReplaced(
                f"partition {place.partition} of topic {self.topic} ends at {end}, and the state has read up to "
                f"{known}: the topic was made anew, or lost data. Flush this Redis to build the state from what the "
                "topic holds now, or point STREAMGAUGE_KAFKA__FACTS_TOPIC to the right topic"
            )
        if after < begin:
            _logger.warning(
                "log_begins_later partition=%d state=%d first=%d: the topic's retention removed %d facts before they "
                "were read",
                *(place.partition, after, begin + 1, begin - after),
            )
        if place not in self._client.assignment():
            return False
        self._client.seek(place, max(begin, after))
        self._client.resume(place)
        self._next[place.partition] = after
        return True

    async def _bounds(self, place: TopicPartition) -> tuple[int, int]:
        """Where Kafka's first record is, and the one behind the last. Raises KafkaError."""
        begins = await self._client.beginning_offsets([place])
        ends = await self._client.end_offsets([place])
        return begins[place], ends[place]

    def _batch(self, partition: int, taken: Taken) -> Batch:
        offsets = taken.offsets
        if isinstance(offsets, range):
            ours: Sequence[int] = range(offsets.start + 1, offsets.stop + 1)
        else:
            ours = [offset + 1 for offset in offsets]
        self._next[partition] = ours[-1]
        received = [(last + 1, at) for last, at in taken.times]
        return Batch(partition, b"\n".join(taken.blocks), ours, received[-1][1], received)


class WholeTopic(KafkaReader):
    """Reads up to where the log ends, for whoever wants all of it once: None means that there is no more."""

    async def read(self, partition: int, after: int, *, wait: bool = True) -> Batch | None:
        """The facts after this offset; None at the end. Raises Unavailable while Kafka does not answer."""
        batch = await super().read(partition, after, wait=wait)
        try:
            while batch is None and after < (await self._bounds(TopicPartition(self.topic, partition)))[1]:
                batch = await super().read(partition, after)
        except (KafkaError, OSError) as error:
            message = f"Kafka does not answer ({type(error).__name__}): start again when it does"
            raise Unavailable(Reason.LOG_UNAVAILABLE, message) from None
        return batch
