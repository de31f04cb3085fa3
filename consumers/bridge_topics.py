"""Outside topics of Kafka, as a member of a consumer group reads them: at least once.

What was taken is in hand until it is done with or dropped. When the group decides anew, what is in hand is waited for a
moment; later it is somebody else's, who reads it again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import KafkaError

from consumers.kafka_client import stop
from flow.instants import SECOND
from flow.records import Record

_logger = logging.getLogger("streamgauge.bridge")

RECORDS_AT_ONCE: Final = 1_000
_WAIT: Final = 250
"""Milliseconds to wait for the first record."""

_FETCH_BYTES: Final = 8 * 1024 * 1024
_PARTITION_BYTES: Final = 1024 * 1024
"""What is fetched ahead: of a broker, and of a partition."""

_NEVER: Final = 2**31 - 1
_REBALANCE_WITHIN: Final = 30 * SECOND
_GIVE_UP_WITHIN: Final = 5.0
_COMMIT_WITHIN: Final = 5.0


@dataclass(frozen=True, slots=True)
class BridgeGroup:
    """Which group to join. `session_timeout` in ms: how long a member may be silent."""

    name: str
    session_timeout: int = 10 * SECOND


class OutsideTopics:
    """The partitions of these topics that the group hands to this bridge. Use it as an async context, again and again.

    Of a partition whose position the group has not noted, or no longer holds, reading starts at the beginning.
    """

    def __init__(self, options: Mapping[str, Any], topics: Iterable[str], group: BridgeGroup) -> None:
        self._options = dict(options)
        self._topics = sorted(topics)
        self._group = group
        self._client: Any = None
        self._free = asyncio.Event()
        self._free.set()
        self._in_hand: dict[TopicPartition, int] = {}
        self.turn = 0
        """Grows when what is in hand was given to somebody else."""

    async def __aenter__(self) -> Self:
        timeout = self._group.session_timeout
        self._client = AIOKafkaConsumer(
            **self._options,
            group_id=self._group.name,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            partition_assignment_strategy=(StickyPartitionAssignor,),
            session_timeout_ms=timeout,
            heartbeat_interval_ms=max(timeout // 5, 100),
            rebalance_timeout_ms=max(timeout, _REBALANCE_WITHIN),
            max_poll_interval_ms=_NEVER,  # it doesn't read while the log is away, and is alive all the same
            fetch_max_bytes=_FETCH_BYTES,
            max_partition_fetch_bytes=_PARTITION_BYTES,
        )
        self._client.subscribe(self._topics, listener=_Rebalances(self))
        try:
            await self._client.start()
        except BaseException:
            await stop(self._client)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._let_go()
        await stop(self._client)

    async def take(self) -> list[Record]:
        """The next records, of each partition in its order; none after a moment. Raises KafkaError.

        They are in hand until `finish` or `drop`.
        """
        found = await self._client.getmany(timeout_ms=_WAIT, max_records=RECORDS_AT_ONCE)
        if not found:
            return []
        self._free.clear()
        self._in_hand = {place: records[0].offset for place, records in found.items()}
        return [_record(each) for records in found.values() for each in records]

    async def finish(self, records: Sequence[Record]) -> None:
        """All that they told is durable: the group need not see them again."""
        ends = {TopicPartition(record.topic, record.partition): record.offset + 1 for record in records}
        try:
            async with asyncio.timeout(_COMMIT_WITHIN):
                await self._client.commit(ends)
        except (KafkaError, TimeoutError) as error:
            _logger.warning("offsets_not_committed error=%s: some records may be read again", type(error).__name__)
        finally:
            self._let_go()

    def drop(self) -> None:
        """What is in hand is left: whoever has its partition next reads it again."""
        self._let_go()

    def _let_go(self) -> None:
        self._in_hand = {}
        self._free.set()

    async def places(self) -> dict[str, dict[int, tuple[int, int]]]:
        """Of each topic, by partition that is ours: where it ends, and up to where we are done. Raises KafkaError."""
        found: dict[str, dict[int, tuple[int, int]]] = {}
        if self._client is not None:
            ours = self._client.assignment()
            for place, end in (await self._client.end_offsets(ours) if ours else {}).items():
                at = await self._client.position(place)
                found.setdefault(place.topic, {})[place.partition] = (end, self._in_hand.get(place, at))
        return found

    async def free(self) -> None:
        """Return when nothing is in hand."""
        await self._free.wait()

    async def give_up(self) -> None:
        """Return when nothing is in hand, or it was waited for long enough: then it is not ours any more."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GIVE_UP_WITHIN):
                await self._free.wait()
        self.turn += 1


class _Rebalances(ConsumerRebalanceListener):  # type: ignore[misc]  # the client has no types
    """What the group does with our partitions."""

    def __init__(self, topics: OutsideTopics) -> None:
        self._topics = topics

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Before the group decides anew. Until this returns, nobody else is given our partitions."""
        await self._topics.give_up()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """The group has decided."""
        mine = sorted(f"{place.topic}-{place.partition}" for place in assigned)
        _logger.info("partitions count=%d assigned=%s", len(mine), mine[:50])


async def start_at_end(options: Mapping[str, Any], group: BridgeGroup, topics: Mapping[str, int]) -> None:
    """Let a group that has read nothing of a topic yet begin at its end. Raises KafkaError.

    The place is noted at once, so that what comes while no bridge runs is not passed over. `topics` holds how many
    partitions each has.
    """
    client = AIOKafkaConsumer(**options, group_id=group.name, enable_auto_commit=False)
    try:
        await client.start()
        for topic, partitions in topics.items():
            places = [TopicPartition(topic, number) for number in range(partitions)]
            client.assign(places)
            client.pause(*places)
            noted = [await client.committed(place) for place in places]
            if all(offset is None for offset in noted):
                try:
                    await client.commit(await client.end_offsets(places))
                except KafkaError:  # a member of the group is already there: it noted where it began
                    _logger.info("start_not_noted topic=%s: the group is at work already", topic)
    finally:
        await client.stop()


def _record(found: Any) -> Record:
    return Record(found.topic, found.partition, found.offset, found.timestamp or 0, found.headers, found.value)
