"""What the log holds, read whole and apart from the product, and what each stream must make of it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from flow.facts import Fact, ItemFact, decode_fact, subject_key
from flow.keys import DELIVERIES
from service.kafka_settings import KafkaSettings
from tests import oracle
from tests.chaos.load import DEFINITIONS, SHOP, STREAMS

_PROJECTS: Final = {name.upper(): name for name in STREAMS} | {"acme/shop": SHOP}


def stream_of(fact: Fact) -> str:
    """Which stream claims it; `@deliveries`, or empty: none does."""
    return _PROJECTS.get(fact.project or "", "") if isinstance(fact, ItemFact) else DELIVERIES


@dataclass
class Applied:
    """What one stream must make of one partition: each fact once, in the order of the log; and what it counts."""

    facts: list[Any] = field(default_factory=list)
    monitor: Counter[str] = field(default_factory=Counter)


@dataclass
class Truth:
    """The whole log. `lines`: by partition, (offset, fact), counted from 1. `letters`: bodies of webhooks."""

    lines: dict[int, list[tuple[int, Fact]]]
    letters: list[bytes]

    @property
    def facts(self) -> list[Fact]:
        """All, duplicates included."""
        return [fact for lines in self.lines.values() for _, fact in lines]

    def ends(self) -> dict[int, int]:
        """The last offset of each partition."""
        return {number: lines[-1][0] if lines else 0 for number, lines in self.lines.items()}

    def refused(self) -> Counter[tuple[int, int, str]]:
        """(partition, offset, reason) of everything that no stream claims."""
        return Counter(
            (number, offset, "no_stream")
            for number, lines in self.lines.items()
            for offset, fact in lines
            if not stream_of(fact)
        )

    def applied(self, name: str) -> dict[int, Applied]:
        """By partition."""
        return {number: _applied(name, (fact for _, fact in lines)) for number, lines in self.lines.items()}


def _applied(name: str, facts: Iterable[Fact]) -> Applied:
    found, known = Applied(), defaultdict[str, dict[str, tuple[int, int, str]]](dict)
    for fact in facts:
        if stream_of(fact) != name:
            continue
        found.monitor[f"facts|{fact.source}"] += 1
        subject, order = known[subject_key(fact)], (fact.at, fact.seq, fact.id)
        if fact.id in subject:
            found.monitor[f"duplicates|{fact.source}"] += 1
            continue
        if subject and order < max(subject.values()) and name != DELIVERIES:
            found.monitor[f"late|{fact.source}"] += 1
        if isinstance(fact, ItemFact) and oracle.says_unmapped(DEFINITIONS.streams[name], fact):
            found.monitor[f"unmapped|{fact.source}|{fact.status}"] += 1
        subject[fact.id] = order
        found.facts.append(fact)
    return found


async def read_log(kafka: KafkaSettings, partitions: int) -> Truth:
    """Read both topics from their beginning to their end."""
    lines: dict[int, list[tuple[int, Fact]]] = {number: [] for number in range(partitions)}
    async for number, offset, value in _records(kafka, kafka.facts_topic, range(partitions)):
        lines[number].append((offset + 1, decode_fact(value)))
    letters = [value async for _, _, value in _records(kafka, kafka.dead_letters_topic, range(1))]
    return Truth(lines, letters)


async def _records(kafka: KafkaSettings, topic: str, partitions: Iterable[int]) -> Any:
    places = [TopicPartition(topic, number) for number in partitions]
    async with AIOKafkaConsumer(
        bootstrap_servers=kafka.bootstrap_servers, enable_auto_commit=False, auto_offset_reset="earliest"
    ) as consumer:
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        await consumer.seek_to_beginning(*places)
        while any([await consumer.position(place) < ends[place] for place in places]):
            for place, records in (await consumer.getmany(*places, timeout_ms=500)).items():
                for record in records:
                    yield place.partition, record.offset, record.value
