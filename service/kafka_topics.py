"""The topics of the log on Kafka: whether they are as the settings say, and how they are created."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from flow.errors import SettingsError
from service.kafka_connection import connection_options, kafka_unavailable
from service.kafka_refusals import why_not
from service.kafka_settings import ClusterSettings, KafkaSettings

CREATE_COMMAND: Final = "python deploy/create_topics.py"
LARGEST_LETTER: Final = 32 * 1024 * 1024
"""Bytes of one message of the dead letters: a webhook's whole body, and its headers."""

_WITHIN: Final = 15.0
"""Seconds for the cluster to answer."""

_LOOKS: Final = 75
_LOOK_EVERY: Final = 0.2
_IN_A_ROW: Final = 4
"""A new topic is known when so many looks have found it: each asks any broker, and one may hear of it later."""


@dataclass(frozen=True, slots=True)
class TopicPlan:
    """How topics are created. Retention in milliseconds, -1 for ever."""

    partitions: int
    replication: int = 3
    min_in_sync: int = 2
    retention: int = -1
    letters_retention: int = -1


async def check_topics(settings: KafkaSettings, partitions: int) -> None:
    """Raises SettingsError when a topic is missing or has another number of partitions; Unavailable without Kafka."""
    problems = await topic_problems(settings, partitions)
    if problems:
        raise SettingsError(problems)


async def topic_problems(settings: KafkaSettings, partitions: int) -> list[str]:
    """What is wrong with the topics, a line each. Raises SettingsError, Unavailable."""
    return _problems(settings, await topics_of(settings), partitions)


def _problems(settings: KafkaSettings, found: Mapping[str, int], partitions: int) -> list[str]:
    problems = [
        f"STREAMGAUGE_KAFKA__{name}: Kafka has no topic {topic}: create it with `{CREATE_COMMAND}`"
        for name, topic in (("FACTS_TOPIC", settings.facts_topic), ("DEAD_LETTERS_TOPIC", settings.dead_letters_topic))
        if topic not in found
    ]
    there = found.get(settings.facts_topic, partitions)
    if there != partitions:
        problems.append(
            f"STREAMGAUGE_LOG__PARTITIONS: the topic {settings.facts_topic} has {there} partitions, not {partitions}: "
            f"write {there}; the number can't change once there are facts"
        )
    return problems


async def create_topics(settings: KafkaSettings, plan: TopicPlan) -> list[str]:
    """Create the topics that are not there. Returns what was done, a line each.

    Raises SettingsError when Kafka refuses, or when a topic that is there has another number of partitions;
    Unavailable without Kafka.
    """
    facts, letters = settings.facts_topic, settings.dead_letters_topic
    common = {"min.insync.replicas": str(plan.min_in_sync), "cleanup.policy": "delete"}
    of_facts = common | {"retention.ms": str(plan.retention)}
    of_letters = common | {"retention.ms": str(plan.letters_retention), "max.message.bytes": str(LARGEST_LETTER)}
    topics = [
        NewTopic(facts, plan.partitions, plan.replication, topic_configs=of_facts),
        NewTopic(letters, 1, plan.replication, topic_configs=of_letters),
    ]
    async with _admin(settings) as admin:
        reply = await admin.create_topics(topics)
    done = _told(reply.topic_errors, plan)
    problems = _problems(settings, await _once_known(settings), plan.partitions)
    if problems:
        raise SettingsError(problems)
    return done


async def _once_known(settings: KafkaSettings) -> Mapping[str, int]:
    """Every topic, when all brokers that were asked know of ours, or after some seconds."""
    found: Mapping[str, int] = {}
    known = 0
    for _ in range(_LOOKS):
        found = await topics_of(settings)
        known = known + 1 if {settings.facts_topic, settings.dead_letters_topic} <= found.keys() else 0
        if known == _IN_A_ROW:
            break
        await asyncio.sleep(_LOOK_EVERY if not known else _LOOK_EVERY / 4)
    return found


async def topics_of(settings: ClusterSettings) -> Mapping[str, int]:
    """Every topic of a cluster, and how many partitions it has. Raises SettingsError, Unavailable."""
    async with _admin(settings) as admin:
        return await _partitions_of(admin)


async def cluster_of(settings: ClusterSettings) -> str:
    """The identity that the cluster was formatted with. Raises Unavailable without Kafka."""
    async with _admin(settings) as admin:
        described: dict[str, Any] = await admin.describe_cluster()
    return str(described.get("cluster_id") or "unknown")


def _told(errors: Sequence[Any], plan: TopicPlan) -> list[str]:
    done, problems = [], []
    for topic, code, *said in errors:
        error = for_code(code)
        if not code:
            done.append(f"{topic}: created, {plan.replication} copies")
        elif error is TopicAlreadyExistsError:
            done.append(f"{topic}: was there already, left as it is")
        else:
            problems.append(f"{topic}: Kafka refused it: {error.__name__}{f': {said[0]}' if said and said[0] else ''}")
    if problems:
        raise SettingsError(problems)
    return done


async def _partitions_of(admin: Any) -> Mapping[str, int]:
    """Of every topic. Asked for all: to ask for one by name can create it, where brokers are set up so."""
    topics: list[dict[str, Any]] = await admin.describe_topics()
    return {topic["topic"]: len(topic["partitions"]) for topic in topics}


@contextlib.asynccontextmanager
async def _admin(settings: ClusterSettings) -> AsyncIterator[Any]:
    admin = AIOKafkaAdminClient(**connection_options(settings))
    try:
        async with asyncio.timeout(_WITHIN):
            await admin.start()
            yield admin
    except (KafkaError, OSError, TimeoutError) as error:
        raise await why_not(settings) or kafka_unavailable(error) from None
    finally:
        await admin.close()
