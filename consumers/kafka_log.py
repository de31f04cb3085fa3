"""The log on Kafka: workers share its partitions as one consumer group.

Two clients: a member of the group that reads nothing, and a reader that belongs to no group. So a partition that stays
with this worker through a rebalance is read on without a break. The client library rebalances eagerly: every member
gives all up, then the leader of the group hands out, with the sticky assignor, which moves as few as it can. What is
given up is therefore only held: commits under way are finished, none is sent until it is known whose the partition is.

Where reading starts is what the state says. The group's offsets are for tools that watch its lag.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import KafkaError
from redis.asyncio import Redis

from consumers.kafka_client import stop
from consumers.kafka_reader import KafkaReader
from consumers.log import FACTS_AT_ONCE, Batch, Owner
from flow import keys
from flow.instants import SECOND

_logger = logging.getLogger("streamgauge.kafka")

_NEVER: Final = 2**31 - 1
_REBALANCE_WITHIN: Final = 30 * SECOND
_LOOK_EVERY: Final = 1.0
_TELL_EVERY: Final = 5.0
_AGAIN_AFTER: Final = 1.0


@dataclass(frozen=True, slots=True)
class Membership:
    """Which group to join. `session_timeout` in ms: how long a member may be silent."""

    group: str
    session_timeout: int = 10 * SECOND


class KafkaLog:
    """The partitions of one topic that the group hands to this worker. `reader` is the name to note positions under."""

    def __init__(
        self,
        options: Mapping[str, Any],
        topic: str,
        membership: Membership,
        redis: Redis,
        reader: str,
        *,
        at_once: int = FACTS_AT_ONCE,
    ) -> None:
        self._options = dict(options)
        self._topic = topic
        self._membership = membership
        self._redis = redis
        self._name = reader
        self._reader = KafkaReader(options, topic, at_once=at_once)
        self._committed: dict[int, int] = {}

    async def follow(self, owner: Owner) -> None:
        """Be a member of the group, and read, until cancelled; then leave at once, so that others take over."""
        while True:
            try:
                async with self._reader:
                    await self._as_member(owner)
            except (KafkaError, OSError) as error:
                _logger.warning("kafka_unavailable error=%s: joining the group again", type(error).__name__)
            await owner.hold()
            await asyncio.sleep(_AGAIN_AFTER)

    async def partitions(self) -> list[int]:
        """The partitions that this worker reads."""
        return list(await self._reader.partitions())

    async def read(self, partition: int, after: int, *, wait: bool = True) -> Batch | None:
        """The facts after this offset, waiting a moment for the first if asked to; None when there are none."""
        return await self._reader.read(partition, after, wait=wait)

    def expect(self, partition: int, offset: int) -> None:
        """The state has facts up to this offset: where the log ends before it, `read` raises LogReplaced."""
        self._reader.expect(partition, offset)

    async def committed(self, partition: int, offset: int) -> None:
        """Note how far the state is, for whoever measures the lag. The log trims itself, by its retention."""
        self._committed[partition] = offset
        await self._redis.hset(keys.log_read(partition), self._name, str(offset))

    async def _as_member(self, owner: Owner) -> None:
        """Raises KafkaError when membership is lost for good."""
        timeout = self._membership.session_timeout
        member = AIOKafkaConsumer(
            **self._options,
            group_id=self._membership.group,
            enable_auto_commit=False,
            partition_assignment_strategy=(StickyPartitionAssignor,),
            session_timeout_ms=timeout,
            heartbeat_interval_ms=max(timeout // 5, 100),
            rebalance_timeout_ms=max(timeout, _REBALANCE_WITHIN),
            max_poll_interval_ms=_NEVER,  # it never polls: to be alive is to send heartbeats
        )
        rebalances = _Rebalances(member, self._reader, owner)
        member.subscribe([self._topic], listener=rebalances)
        try:
            await member.start()
            told: dict[int, int] = {}
            loop = asyncio.get_running_loop()
            tell_at = loop.time() + _TELL_EVERY
            while True:
                await asyncio.sleep(_LOOK_EVERY)
                await member.getmany()  # reads nothing, as all is paused, but raises what went wrong
                if rebalances.failed is not None:
                    raise rebalances.failed
                if loop.time() >= tell_at:
                    tell_at = loop.time() + _TELL_EVERY
                    await self._tell(member, told)
        finally:
            await stop(member)

    async def _tell(self, member: Any, told: dict[int, int]) -> None:
        """Commit the group's offsets, which nothing here reads."""
        mine = {place.partition for place in member.assignment()}
        new = {number: offset for number, offset in self._committed.items() if number in mine}
        new = {number: offset for number, offset in new.items() if told.get(number) != offset}
        if new:
            with contextlib.suppress(KafkaError, TimeoutError):
                async with asyncio.timeout(_TELL_EVERY):
                    await member.commit({TopicPartition(self._topic, number): at for number, at in new.items()})
                told |= new


class _Rebalances(ConsumerRebalanceListener):  # type: ignore[misc]  # the client has no types
    """What the group does with our partitions. The client passes over what is raised here: it is kept in `failed`."""

    def __init__(self, member: Any, reader: KafkaReader, owner: Owner) -> None:
        self.failed: Exception | None = None
        self._member = member
        self._reader = reader
        self._owner = owner

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Before the group decides anew. Until this returns, nobody else is given our partitions."""
        await self._owner.hold()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """The group has decided."""
        try:
            self._member.pause(*assigned)
            partitions = sorted(place.partition for place in assigned)
            self._reader.assign(partitions)
            await self._owner.own(partitions)
        except Exception as error:
            self.failed = error
