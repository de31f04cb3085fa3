"""`streamgauge bridge`: what outside topics of Kafka carry goes into the log."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, Final

from aiokafka.errors import KafkaError

from consumers.bridge import Bridge
from consumers.bridge_monitor import BridgeMonitor
from consumers.bridge_topics import BridgeGroup, OutsideTopics, start_at_end
from consumers.unavailable import when_reached
from flow.adapters import Delivery
from flow.definitions import Definitions
from flow.errors import Rejected, SettingsError
from flow.facts import Fact
from flow.matching import Router
from flow.records import RecordReader
from service.bridge_settings import clashes, cluster_of_bridge
from service.command_line.composition import embedded_url, now, run_forever
from service.command_line.logs import opened_writer
from service.command_line.stream_definitions import read_streams
from service.hydration import Hydration
from service.kafka_connection import connection_options, kafka_unavailable
from service.kafka_settings import ClusterSettings
from service.kafka_topics import cluster_of, topics_of
from service.late_log import LateLog
from service.log import LogWriter, with_signals
from service.provider_access import access_of
from service.provider_client import ProviderClient
from service.redis_client import connect
from service.rereading.sources import REREADINGS
from service.settings import Settings
from service.webhooks import letter_of

_logger = logging.getLogger("streamgauge.bridge")

_DRAIN_WITHIN: Final = 4.0
"""Seconds to finish what is in hand. What supervises us kills us soon after; and what is not noted is read again."""


def bridge() -> None:
    """Read your own Kafka topics into the log. Runs until it is told to stop."""
    settings = Settings.load(os.environ)
    definitions = read_streams(settings.streams)
    cluster = outside_cluster(settings)
    connection_options(cluster)  # certificates that can't be used end it here
    run_forever(lambda: run_bridge(settings, definitions, cluster))


def outside_cluster(settings: Settings) -> ClusterSettings:
    """Where the outside topics are. Raises SettingsError when nobody said, or named no topic."""
    problems = []
    if not settings.bridge.topics:
        problems.append("STREAMGAUGE_BRIDGE__TOPICS: name your topics and what is in them, as in jira.events:jira")
    cluster = cluster_of_bridge(settings.bridge, settings.kafka)
    if cluster is None:
        problems.append("STREAMGAUGE_BRIDGE__BOOTSTRAP_SERVERS: say where your topics are, such as kafka-1:9092")
    if cluster is None or problems:
        raise SettingsError(problems)
    return cluster


async def bridge_topic_problems(settings: Settings, cluster: ClusterSettings) -> list[str]:
    """What is wrong with the outside topics, a line each. Raises SettingsError, Unavailable."""
    there, kafka = await topics_of(cluster), settings.kafka
    problems: list[str] = []
    if kafka.bootstrap_servers is not None and await cluster_of(cluster) == await cluster_of(kafka):
        problems += clashes(settings.bridge, kafka)  # under whatever addresses
    return problems + [
        f"STREAMGAUGE_BRIDGE__TOPICS: Kafka has no topic {topic}: create it, mend its name, or take it out"
        for topic in settings.bridge.topics
        if topic not in there
    ]


async def run_bridge(settings: Settings, definitions: Definitions, cluster: ClusterSettings) -> None:
    """Run until SIGTERM or SIGINT; then finish what is in hand, within a deadline."""
    redis = connect(settings.redis_url() or embedded_url(settings.data))
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    try:
        await when_reached(lambda: _prepare(settings, cluster))
        async with AsyncExitStack() as stack:
            writer = await stack.enter_async_context(LateLog(lambda: opened_writer(redis, settings)))
            hydration = await stack.enter_async_context(_hydration(settings, definitions, writer))
            group = await stack.enter_async_context(asyncio.TaskGroup())
            topics = OutsideTopics(connection_options(cluster), settings.bridge.topics, _group(settings))
            found = _bridge(settings, definitions, topics, writer, hydration)
            monitor = BridgeMonitor(redis, f"{socket.gethostname()}-{os.getpid()}", found.metrics, topics, now)
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, stopping.set)
            running = group.create_task(found.run())
            beside = [group.create_task(_stop_when(stopping, found, running)), group.create_task(monitor.run())]
            await asyncio.wait({running})
            for task in beside:
                task.cancel()
    finally:
        await redis.aclose()


async def _prepare(settings: Settings, cluster: ClusterSettings) -> None:
    """Raises SettingsError when a topic is missing, Unavailable while Kafka is away."""
    problems = await bridge_topic_problems(settings, cluster)
    if problems:
        raise SettingsError(problems)
    if settings.bridge.start == "latest":
        there = await topics_of(cluster)
        topics = {topic: there[topic] for topic in settings.bridge.topics}
        try:
            await start_at_end(connection_options(cluster), _group(settings), topics)
        except KafkaError as error:
            raise kafka_unavailable(error) from None


def _hydration(settings: Settings, definitions: Definitions, writer: LogWriter) -> Hydration:
    """Reads what records leave out, of the sources that have a token."""
    router = Router(definitions)

    async def record(facts: Sequence[Fact]) -> None:
        await writer.append(with_signals(facts, router))

    clients = {
        name: ProviderClient(access_of(name, source), clock=now)
        for name, source in settings.sources.items()
        if name in REREADINGS and source.api_token is not None
    }
    return Hydration(clients, record=record, item_names=router.items_named_in, clock=now)


def _bridge(
    settings: Settings, definitions: Definitions, topics: OutsideTopics, writer: LogWriter, hydration: Hydration
) -> Bridge:
    router = Router(definitions)
    reader = RecordReader(
        router.items_named_in,
        settings.ingest.future_tolerance,
        settings.bridge.source_header,
        partial(with_signals, router=router),
    )
    kinds, intake = settings.bridge.topics, LogIntake(writer)
    return Bridge(topics, kinds, reader, intake, clock=now, unread=hydration.want)


def _group(settings: Settings) -> BridgeGroup:
    return BridgeGroup(settings.bridge.group, settings.bridge.session_timeout)


class LogIntake:
    """The log, as the bridge writes to it."""

    def __init__(self, writer: LogWriter) -> None:
        self._writer = writer

    async def append(self, facts: Sequence[Fact]) -> None:
        """Return when all of them are durable. Raises Unavailable: append them again."""
        await self._writer.append(facts)

    async def keep(self, delivery: Delivery, error: Rejected) -> None:
        """Return when the delivery is a durable dead letter. Raises Unavailable as `append`."""
        await self._writer.append_letter(letter_of(delivery, error))


async def _stop_when(stopping: asyncio.Event, found: Bridge, running: asyncio.Task[Any]) -> None:
    await stopping.wait()
    _logger.info("stopping: finishing what is in hand")
    found.stop()
    await asyncio.sleep(_DRAIN_WITHIN)
    _logger.warning("drain_deadline_passed: what is in hand is read again by the next bridge")
    running.cancel()
