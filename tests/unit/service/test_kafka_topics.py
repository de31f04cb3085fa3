"""Topics that are created are there for every broker before anybody is told so."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from flow.errors import SettingsError
from service import kafka_topics
from service.kafka_settings import KafkaSettings
from service.kafka_topics import TopicPlan, create_topics

SETTINGS = KafkaSettings(bootstrap_servers="kafka:9092", facts_topic="facts", dead_letters_topic="letters")
THERE: Mapping[str, int] = {"facts": 12, "letters": 1}


class Brokers:
    """Answer by turns, the last one for ever."""

    def __init__(self, *answers: Mapping[str, int]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def topics_of(self, _: object) -> Mapping[str, int]:
        self.asked += 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    @contextlib.asynccontextmanager
    async def admin(self, _: object) -> AsyncIterator[Any]:
        yield self

    async def create_topics(self, topics: list[Any]) -> Any:
        return SimpleNamespace(topic_errors=[(topic.name, 0, None) for topic in topics])


def among(brokers: Brokers, monkeypatch: pytest.MonkeyPatch) -> Brokers:
    monkeypatch.setattr(kafka_topics, "topics_of", brokers.topics_of)
    monkeypatch.setattr(kafka_topics, "_admin", brokers.admin)
    monkeypatch.setattr(kafka_topics, "_LOOK_EVERY", 0)
    return brokers


async def test_a_broker_that_has_not_heard_of_a_topic_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    brokers = among(Brokers({}, THERE, {"facts": 12}, THERE, THERE, {}, THERE), monkeypatch)
    assert await create_topics(SETTINGS, TopicPlan(12)) == ["facts: created, 3 copies", "letters: created, 3 copies"]
    assert brokers.asked == 10


async def test_a_topic_that_does_not_come_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    among(Brokers(THERE, {"letters": 1}), monkeypatch)
    with pytest.raises(SettingsError, match="Kafka has no topic facts"):
        await create_topics(SETTINGS, TopicPlan(12))


async def test_another_number_of_partitions_is_told_without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    brokers = among(Brokers({"facts": 6, "letters": 1}), monkeypatch)
    with pytest.raises(SettingsError, match="has 6 partitions, not 12"):
        await create_topics(SETTINGS, TopicPlan(12))
    assert brokers.asked == 4
