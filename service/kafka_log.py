"""The writing side of the log on Kafka: an append returns when its facts are on every broker that must have them.

What the log writers have in common is in `service.group_commit`; here a group is one batch a partition. Each fact is a
message, keyed by its subject, in the partition that `flow.facts.partition_of` says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from flow.facts import Fact, encode_fact, partition_of, subject_key
from flow.instants import SECOND
from service.bounds import AppendBounds
from service.dead_letters import DeliveryLetter
from service.group_commit import Append, GroupCommit, fail, unwritable
from service.kafka_producer import Message, Place, Producer

_LOOK_EVERY: Final = 0.1
"""Seconds between two looks for appends that have waited too long."""


@dataclass(frozen=True, slots=True)
class Topics:
    """What the topics are called, and how many partitions that of the facts has."""

    facts: str
    dead_letters: str
    partitions: int


@dataclass(slots=True, eq=False)
class _Append(Append):
    """An append of messages. It waits until `deadline` (the loop's clock)."""

    messages: Sequence[tuple[Place, Message]]
    deadline: float


class KafkaLogWriter(GroupCommit[_Append]):
    """Appends to the topics that `consumers.kafka_log` reads. Use it as an async context: it drains at the end.

    `clock` gives milliseconds since the epoch; `observe` is told the seconds that each round trip took, `appended` of
    each partition that it wrote the offset of the last fact, as readers count.
    """

    def __init__(
        self,
        producer: Producer,
        topics: Topics,
        clock: Callable[[], int],
        bounds: AppendBounds,
        *,
        observe: Callable[[float], None] = lambda seconds: None,
        appended: Callable[[Mapping[int, int]], None] = lambda ends: None,
    ) -> None:
        super().__init__(bounds, observe)
        self._producer = producer
        self._topics = topics
        self._clock = clock
        self._appended = appended

    async def append(self, facts: Sequence[Fact]) -> None:
        """Return when all of them are durable. Raises Unavailable (log_unavailable, overloaded): send them again."""
        if facts:
            now, topic, partitions = self._clock(), self._topics.facts, self._topics.partitions
            messages = []
            for fact in facts:
                key = subject_key(fact)
                place = (topic, partition_of(key, partitions))
                messages.append((place, Message(key.encode(), encode_fact(fact), now)))
            await self._enqueue(self._append_of(messages))

    async def append_letter(self, letter: DeliveryLetter) -> None:
        """Return when the letter is durable. Raises Unavailable as `append`."""
        await self._enqueue(self._append_of([((self._topics.dead_letters, 0), _letter_message(letter))]))

    def _append_of(self, messages: Sequence[tuple[Place, Message]]) -> _Append:
        loop = asyncio.get_running_loop()
        size = sum(len(message.value) for _, message in messages)
        return _Append(loop.create_future(), len(messages), size, messages, loop.time() + self._bounds.within / SECOND)

    async def _close(self) -> None:
        await self._producer.close()

    async def _write(self, group: Sequence[_Append]) -> None:
        """One round trip for a group. While it is under way, whoever has waited too long is told so.

        Once nobody waits any more it is given up: the client would try to send it for ever.
        """
        messages = _by_place(group)
        if not messages:
            return
        sending = asyncio.create_task(self._producer.send(messages))
        try:
            while not sending.done() and not all(append.waiting.done() for append in group):
                await asyncio.wait({sending}, timeout=_LOOK_EVERY)
                self._give_up_the_late(group)
        finally:
            sending.cancel()
            await asyncio.wait({sending})
        if sending.cancelled():
            return
        ends = sending.result()
        self._appended({place[1]: end for place, end in ends.items() if place[0] == self._topics.facts and end})
        failed = {place for place, end in ends.items() if end is None}
        for append in group:
            _settle(append, failed)

    def _give_up_the_late(self, group: Sequence[_Append]) -> None:
        now = asyncio.get_running_loop().time()
        fail((append for append in group if append.deadline <= now), unwritable)
        self._give_up(lambda append: append.deadline <= now)


def _by_place(group: Iterable[_Append]) -> dict[Place, list[Message]]:
    found: dict[Place, list[Message]] = {}
    for append in group:
        if append.waiting.done():  # whoever asked for it went away
            continue
        for place, message in append.messages:
            if place in found:
                found[place].append(message)
            else:
                found[place] = [message]
    return found


def _settle(append: _Append, failed: set[Place]) -> None:
    if append.waiting.done():
        return
    if failed and any(place in failed for place, _ in append.messages):
        append.waiting.set_exception(unwritable())
    else:
        append.waiting.set_result(None)


def _letter_message(letter: DeliveryLetter) -> Message:
    """The delivery's body as it came; all else of it as headers."""
    fields = letter.fields()
    body = fields.pop("body")
    assert isinstance(body, bytes)
    headers = [
        (str(name), value if isinstance(value, bytes) else str(value).encode()) for name, value in fields.items()
    ]
    return Message(letter.source.encode(), body, letter.at, headers)
