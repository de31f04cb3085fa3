"""`streamgauge aggregate`: the worker that follows the log and keeps the live state."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from typing import Final

from redis.asyncio import Redis

from consumers.aggregator import Aggregator, Identity
from consumers.detector import DetectorRunner
from consumers.generations import open_generations, outdated
from consumers.measurements import Measurements
from consumers.partition import Work
from consumers.rebuild import Rebuild
from consumers.unavailable import when_reached
from flow.definitions import Definitions
from flow.errors import PositionConflict
from service.command_line.composition import bounds_of, now, redis_url_of, run_forever
from service.command_line.logs import followed_log, letters_of, open_log_of
from service.command_line.stream_definitions import read_streams
from service.redis_client import connect
from service.settings import Settings

_logger = logging.getLogger("streamgauge.aggregate")

_DRAIN_WITHIN: Final = 4.0
"""Seconds to finish what is in hand. What supervises us kills us soon after; and what is not committed is not lost."""

_AGAIN_AFTER: Final = 1.0


def aggregate() -> None:
    """Follow the log and keep the live state in Redis. Runs until it is told to stop."""
    settings = Settings.load(os.environ)
    definitions = read_streams(settings.streams)
    run_forever(lambda: run_aggregator(settings, definitions), as_worker=True)


async def run_aggregator(settings: Settings, definitions: Definitions) -> None:
    """Run until SIGTERM or SIGINT; then finish the batch in hand, within a deadline."""
    redis = connect(redis_url_of(settings))
    try:
        await when_reached(lambda: open_log_of(redis, settings))
        await when_reached(lambda: recompute_outdated(redis, settings, definitions))
        aggregator = _aggregator(redis, settings, definitions)
        loop = asyncio.get_running_loop()
        stopping = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(aggregator.run())
            beside = [group.create_task(_stop_when(stopping, aggregator, running))]
            letters = letters_of(redis, settings)
            if letters is not None:
                beside.append(group.create_task(letters.run()))
            detector = DetectorRunner(redis, definitions, settings.cell_retention(), now)
            beside.append(group.create_task(detector.run()))
            await asyncio.wait({running})
            for task in beside:
                task.cancel()
    finally:
        await redis.aclose()


async def recompute_outdated(redis: Redis, settings: Settings, definitions: Definitions) -> None:
    """Recompute, from their timelines, the streams whose definition changed since their rows were made."""
    while True:
        opened = await open_generations(redis, definitions)
        names = await outdated(redis, definitions, opened)
        if not names:
            return
        for name in names:
            stream = definitions.streams[name]
            rebuild = Rebuild(
                redis, stream, settings.log.partitions, bounds_of(settings), now, settings.dead_letters.keep
            )
            try:
                items = await rebuild.from_timelines()
                _logger.info("definition_changed stream=%s items=%d", name, items)
            except PositionConflict as conflict:
                _logger.info("rebuilt_elsewhere stream=%s %s", name, conflict)
                await asyncio.sleep(_AGAIN_AFTER)


def _aggregator(redis: Redis, settings: Settings, definitions: Definitions) -> Aggregator:
    log = followed_log(redis, settings)
    work = Work(redis, definitions, bounds_of(settings), settings.dead_letters.keep, now, Measurements(now()))
    return Aggregator(log, work, Identity(f"{socket.gethostname()}-{os.getpid()}", settings.log.partitions))


async def _stop_when(stopping: asyncio.Event, aggregator: Aggregator, running: asyncio.Task[None]) -> None:
    await stopping.wait()
    _logger.info("stopping: finishing the batch in hand")
    aggregator.stop()
    await asyncio.sleep(_DRAIN_WITHIN)
    _logger.warning("drain_deadline_passed: what is not committed is read again at the next start")
    running.cancel()
