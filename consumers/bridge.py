"""The bridge: what outside topics of Kafka carry goes into the log, as facts.

Offsets are committed only when the log has all facts of the records, and the dead letters all that could not be
understood. So a record may come twice, never not at all; its facts count once, by their ids. While the log is away
nothing more is read: what waits is what was fetched ahead.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Final, Protocol

from aiokafka.errors import KafkaError

from consumers.bridge_topics import OutsideTopics
from flow.adapters import Delivery
from flow.bridge_metrics import BridgeMetrics, TopicMetrics
from flow.errors import Rejected, Unavailable
from flow.facts import Fact
from flow.records import Record, RecordReader, Told

_logger = logging.getLogger("streamgauge.bridge")

FACTS_AT_ONCE: Final = 2_000
"""In one append: what many records tell must not take longer to write than an append may."""

_BREATHE_EVERY: Final = 50
_LETTERS_AT_ONCE: Final = 20
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 5.0
_TELL_EVERY: Final = 60.0


class Intake(Protocol):
    """The way into the log."""

    async def append(self, facts: Sequence[Fact]) -> None:
        """Return when all of them are durable. Raises Unavailable: append them again."""

    async def keep(self, delivery: Delivery, error: Rejected) -> None:
        """Return when the delivery is a durable dead letter. Raises Unavailable as `append`."""


class Bridge:
    """Runs until asked to stop; then finishes what is in hand. `kinds` says of each topic what its records are.

    `clock` gives milliseconds. `unread` is told, by source, of what changed without a record saying to what.
    """

    def __init__(
        self,
        topics: OutsideTopics,
        kinds: Mapping[str, str],
        reader: RecordReader,
        intake: Intake,
        *,
        clock: Callable[[], int],
        unread: Callable[[str, Collection[str]], None] = lambda source, names: None,
    ) -> None:
        self._topics = topics
        self._kinds = kinds
        self._reader = reader
        self._intake = intake
        self._clock = clock
        self._unread = unread
        self._stopping = asyncio.Event()
        self.metrics = BridgeMetrics(started_at=clock(), topics={topic: TopicMetrics() for topic in kinds})

    def stop(self) -> None:
        """Finish what is in hand and return from `run`. While the log is away it is left for the next bridge."""
        self._stopping.set()

    async def run(self) -> None:
        """Read what the group hands to us. While Kafka or the log is away, wait for it."""
        async with asyncio.TaskGroup() as group:
            following = group.create_task(self._follow())
            telling = group.create_task(self._tell_now_and_then())
            await self._stopping.wait()
            await self._topics.free()
            following.cancel()
            telling.cancel()
        self._tell()

    async def _follow(self) -> None:
        pause = _FIRST_PAUSE
        while not self._stopping.is_set():
            try:
                async with self._topics:
                    while not self._stopping.is_set():
                        await self._pass_on(await self._topics.take())
                        pause = _FIRST_PAUSE
            except (KafkaError, OSError) as error:
                _logger.warning("kafka_unavailable error=%s: joining the group again", type(error).__name__)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _pass_on(self, records: Sequence[Record]) -> None:
        if not records:
            return
        turn = self._topics.turn
        try:
            told = await self._read(records)
            durable = await self._write(told, turn)
        except BaseException:
            self._topics.drop()
            raise
        if not durable:
            self._topics.drop()
            return
        await self._topics.finish(records)
        kept = []
        for record, each in zip(records, told, strict=True):
            _count(self.metrics.topics[record.topic], each)
            if each.unread:
                self._unread(each.delivery.source, each.unread)
            if each.refused is not None:
                kept.append((each.refused.reason, record))
        if kept:
            reason, first = kept[0]
            place = (first.topic, first.partition, first.offset)
            _logger.warning(
                "records_kept count=%d first_reason=%s first_at=%s/%d/%d", *(len(kept), reason.value, *place)
            )

    async def _read(self, records: Sequence[Record]) -> list[Told]:
        found = []
        for number, record in enumerate(records):
            if number % _BREATHE_EVERY == 0:
                await asyncio.sleep(0)  # heartbeats must go out meanwhile
            found.append(self._reader.read(record, self._kinds[record.topic], self._clock()))
        return found

    async def _write(self, told: Sequence[Told], turn: int) -> bool:
        """Whether all of it is durable. Facts of one subject go in their order, one append after the other."""
        facts = [fact for each in told for fact in each.facts]
        for start in range(0, len(facts), FACTS_AT_ONCE):
            some = facts[start : start + FACTS_AT_ONCE]
            if not await self._durable(partial(self._intake.append, some), turn):
                return False
        keeping = [partial(self._intake.keep, each.delivery, each.refused) for each in told if each.refused is not None]
        for start in range(0, len(keeping), _LETTERS_AT_ONCE):
            writes = [self._durable(keep, turn) for keep in keeping[start : start + _LETTERS_AT_ONCE]]
            if not all(await asyncio.gather(*writes)):
                return False
        return True

    async def _durable(self, write: Callable[[], Awaitable[None]], turn: int) -> bool:
        """Write until it is durable; False when it is not ours to write any more, or not now."""
        pause, waiting = _FIRST_PAUSE, False
        while True:
            try:
                await write()
            except Unavailable as error:
                if not waiting:
                    _logger.warning("waiting reason=%s %s", error.reason, error.message)
                    waiting = self.metrics.waiting = True
            else:
                if waiting:
                    _logger.info("going_on: the log takes facts again")
                self.metrics.waiting = False
                return True
            if self._stopping.is_set() or self._topics.turn != turn:
                return False
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._stopping.wait()
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _tell_now_and_then(self) -> None:
        told: dict[str, int] = {}
        while True:
            await asyncio.sleep(_TELL_EVERY)
            now = {topic: passed.records for topic, passed in self.metrics.topics.items()}
            if now != told:
                self._tell()
            told = now

    def _tell(self) -> None:
        for topic, passed in sorted(self.metrics.topics.items()):
            _logger.info(
                "passed topic=%s records=%d facts=%d ignored=%d kept=%d",
                *(topic, passed.records, passed.facts, passed.ignored, passed.kept),
            )


def _count(metrics: TopicMetrics, told: Told) -> None:
    """One more record is durable."""
    metrics.records += 1
    metrics.facts += len(told.facts)
    if told.refused is not None:
        reason = told.refused.reason.value
        metrics.refused[reason] = metrics.refused.get(reason, 0) + 1
    elif not told.facts:
        metrics.ignored += 1
