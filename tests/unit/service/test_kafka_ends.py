"""Where the log ends is never said to be earlier than this process has written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from aiokafka import TopicPartition

from service.kafka_ends import KafkaEnds


class Broker:
    """Answers what was true when it was asked; `meanwhile` happens before the answer arrives."""

    def __init__(self, ends: dict[int, int], meanwhile: Callable[[], Any] = lambda: None) -> None:
        self._ends = ends
        self._meanwhile = meanwhile

    async def end_offsets(self, places: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        answer = {place: self._ends[place.partition] for place in places}
        self._meanwhile()
        return answer


async def test_what_is_written_while_the_broker_answers_is_not_forgotten() -> None:
    ends = KafkaEnds({}, "facts", 2)
    await ends.ask(Broker({0: 5, 1: 7}, lambda: ends.note({1: 9})))
    assert ends.latest() == {0: 5, 1: 9}


async def test_a_topic_that_was_made_anew_ends_where_it_ends() -> None:
    ends = KafkaEnds({}, "facts", 2)
    ends.note({0: 12})
    await ends.ask(Broker({0: 3, 1: 0}))
    assert ends.latest() == {0: 3, 1: 0}
