"""Where the log on Kafka ends, asked now and then, so that its lag can be told whether workers run or not."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

_logger = logging.getLogger("streamgauge.kafka")

INTERVAL: Final = 0.5
_AGAIN_AFTER: Final = 1.0


class KafkaEnds:
    """Knows how many facts each partition of a topic held when Kafka was last asked, or this process last wrote."""

    def __init__(self, options: Mapping[str, Any], topic: str, partitions: int) -> None:
        self._options = dict(options)
        self._places = [TopicPartition(topic, number) for number in range(partitions)]
        self._ends: dict[int, int] = {}
        self._written: dict[int, int] = {}

    def latest(self) -> Mapping[int, int]:
        """The offset of the last fact of each partition, as the state counts; those that are known yet."""
        return self._ends

    def note(self, ends: Mapping[int, int]) -> None:
        """What this process has written is known at once."""
        for known in (self._ends, self._written):
            known |= {number: end for number, end in ends.items() if end > known.get(number, 0)}

    async def ask(self, consumer: Any) -> None:
        """Ask once. A topic that was made anew may end earlier; what is written meanwhile, the answer may not know."""
        self._written = {}
        found = await consumer.end_offsets(self._places)
        self._ends = {place.partition: max(end, self._written.get(place.partition, 0)) for place, end in found.items()}

    async def run(self) -> None:
        """Ask until cancelled. While Kafka is away the ends stay what they were."""
        while True:
            consumer = AIOKafkaConsumer(**self._options, enable_auto_commit=False)
            try:
                await consumer.start()
                while True:
                    await self.ask(consumer)
                    await asyncio.sleep(INTERVAL)
            except (KafkaError, OSError) as error:
                _logger.warning("log_end_unknown error=%s: asking again", type(error).__name__)
            finally:
                await consumer.stop()
            await asyncio.sleep(_AGAIN_AFTER)
