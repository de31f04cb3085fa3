"""The log that the settings name, for writing and for following: on Kafka or in Redis. Chosen here, nowhere else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final

from redis.asyncio import Redis

from consumers.kafka_letters import KafkaLetters
from consumers.kafka_log import KafkaLog, Membership
from consumers.kafka_reader import WholeTopic
from consumers.log import Log, LogReading
from consumers.redis_log import RedisLog
from service.command_line.composition import now
from service.kafka_connection import connection_options
from service.kafka_ends import KafkaEnds
from service.kafka_log import KafkaLogWriter, Topics
from service.kafka_producer import Producer
from service.kafka_topics import check_topics, cluster_of
from service.log import LogWriter, RedisLogWriter, open_log
from service.log_identity import IN_REDIS, settle_log
from service.settings import Settings

READER: Final = "aggregator"
"""The name under which workers note how far they are, in either log."""


def ignore(_: object) -> None:
    """For whoever need not be told."""


def is_on_kafka(settings: Settings) -> bool:
    """Whether the log is on Kafka."""
    return settings.kafka.bootstrap_servers is not None


async def open_log_of(redis: Redis, settings: Settings) -> None:
    """Make sure that the log is there, is as the settings say, and is the one that this Redis was made from.

    Raises SettingsError when it is not, Unavailable while it or Redis can't be reached.
    """
    identity = IN_REDIS
    if is_on_kafka(settings):
        await check_topics(settings.kafka, settings.log.partitions)
        identity = f"{settings.kafka.facts_topic} on Kafka cluster {await cluster_of(settings.kafka)}"
    await settle_log(redis, identity)
    await open_log(redis, settings.log.partitions)


@asynccontextmanager
async def opened_writer(
    redis: Redis,
    settings: Settings,
    observe: Callable[[float], None] = ignore,
    appended: Callable[[Mapping[int, int]], None] = ignore,
) -> AsyncIterator[LogWriter]:
    """The log, for writing. Raises as `open_log_of`."""
    await open_log_of(redis, settings)
    bounds, partitions = settings.append_bounds(), settings.log.partitions
    writer: RedisLogWriter | KafkaLogWriter
    if is_on_kafka(settings):
        kafka = settings.kafka
        producer = Producer(connection_options(kafka), kafka.compression, idempotent=kafka.idempotence)
        topics = Topics(kafka.facts_topic, kafka.dead_letters_topic, partitions)
        writer = KafkaLogWriter(producer, topics, now, bounds, observe=observe, appended=appended)
    else:
        writer = RedisLogWriter(redis, partitions, now, bounds, observe)
    async with writer:
        yield writer


def followed_log(redis: Redis, settings: Settings) -> Log:
    """The log, for a worker that follows it."""
    if is_on_kafka(settings):
        kafka = settings.kafka
        membership = Membership(kafka.group, kafka.session_timeout)
        return KafkaLog(connection_options(kafka), kafka.facts_topic, membership, redis, READER)
    partitions = settings.log.partitions
    return RedisLog(redis, range(partitions), READER, keep_facts=settings.log.keep_facts // partitions)


@asynccontextmanager
async def readable_log(redis: Redis, settings: Settings, reader: str) -> AsyncIterator[LogReading]:
    """The whole log, for reading it beside the workers. `reader` is the name of who reads, in Redis."""
    partitions = range(settings.log.partitions)
    if is_on_kafka(settings):
        async with WholeTopic(connection_options(settings.kafka), settings.kafka.facts_topic, partitions) as log:
            yield log
    else:
        yield RedisLog(redis, partitions, reader, keep_facts=settings.log.keep_facts)


def letters_of(redis: Redis, settings: Settings) -> KafkaLetters | None:
    """What copies dead letters from Kafka to where readers look; None where they are written there at once."""
    if not is_on_kafka(settings):
        return None
    kafka = settings.kafka
    return KafkaLetters(connection_options(kafka), kafka.dead_letters_topic, redis, settings.dead_letters.keep)


def ends_of(settings: Settings) -> KafkaEnds | None:
    """What knows where the log on Kafka ends; None where Redis does."""
    if not is_on_kafka(settings):
        return None
    return KafkaEnds(connection_options(settings.kafka), settings.kafka.facts_topic, settings.log.partitions)
