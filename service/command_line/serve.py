"""`streamgauge serve`: receivers, query API and exporter over HTTP."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Collection
from contextlib import AsyncExitStack
from socket import socket

import uvicorn
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis
from starlette.routing import Route

from flow.definitions import Definitions
from service.api import build_api
from service.app import App, IngestParts, build_app
from service.authorisation import TokenCheck
from service.bridge_readings import BridgeReadings
from service.command_line.composition import now, redis_url_of, run_forever
from service.command_line.hydrating import hydration_of
from service.command_line.logs import ends_of, ignore, opened_writer
from service.command_line.spooling import spooling
from service.command_line.stream_definitions import read_streams
from service.exporter import Exporter, metrics_endpoint
from service.handshakes import Handshakes
from service.http_protocol import OneWriteProtocol
from service.late_log import LateLog
from service.listening import address_of, bound_sockets
from service.live import Live
from service.log import LogWriter
from service.reader import StateReader
from service.reader_bottlenecks import BottleneckReader
from service.redis_client import connect
from service.self_metrics import SelfMetrics
from service.settings import Settings
from service.snapshots import Snapshots
from service.spool import Spool
from service.version import version

_logger = logging.getLogger("streamgauge.serve")

Unread = Callable[[str, Collection[str]], None]

_STOP_WITHIN = 10
_WAITING_CONNECTIONS = 2048


def serve() -> None:
    """Take facts in and answer questions over HTTP. Runs until it is told to stop."""
    settings = Settings.load(os.environ)
    definitions = read_streams(settings.streams)
    sockets = bound_sockets(settings.http.host, settings.http.port)
    run_forever(lambda: run_server(settings, definitions, sockets))


class LiveServer(uvicorn.Server):
    """Ends the live pages before it waits for the requests under way: they would never end by themselves."""

    def __init__(self, config: uvicorn.Config, live: Live) -> None:
        super().__init__(config)
        self._live = live

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Start as uvicorn does, and say where once it answers."""
        await super().startup(sockets)
        if self.started:
            _logger.info("listening on %s", address_of(self.config.host, self.servers[0].sockets[0].getsockname()[1]))

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """Stop as uvicorn does."""
        self._live.close()
        await super().shutdown(sockets)


async def run_server(settings: Settings, definitions: Definitions, sockets: list[socket]) -> None:
    """Serve on these sockets until SIGTERM or SIGINT; requests under way are answered first."""
    registry = CollectorRegistry()
    own = SelfMetrics(sources_of(definitions))
    registry.register(own)
    async with AsyncExitStack() as stack:
        redis = connect(redis_url_of(settings))
        stack.push_async_callback(redis.aclose)
        bridges = BridgeReadings(redis, now)
        registry.register(bridges)
        ends = ends_of(settings)
        appended = ends.note if ends is not None else ignore
        writer = await stack.enter_async_context(
            LateLog(lambda: opened_writer(redis, settings, own.observe_append, appended))
        )
        spool = await stack.enter_async_context(spooling(settings, writer, registry))
        hydration = await stack.enter_async_context(hydration_of(settings, definitions, writer, own, registry))
        reader = StateReader(redis, definitions, settings.cell_retention(), settings.log.partitions, now)
        reader.log_ends = ends.latest if ends is not None else None
        live = Live(definitions, now, version())
        snapshots = Snapshots(redis, reader, registry, alarms=BottleneckReader(reader).alarms, heard=live.hear)
        live.snapshot = lambda: snapshots.latest
        exporter = Exporter(lambda: snapshots.latest, definitions, registry, now, version())
        app = application(
            settings, writer, reader, exporter, own, redis=redis, spool=spool, live=live, unread=hydration.want
        )
        server = LiveServer(server_config(settings, app), live)
        async with asyncio.TaskGroup() as group:
            refreshing = [group.create_task(each.run()) for each in (snapshots, live, bridges)]
            if ends is not None:
                refreshing.append(group.create_task(ends.run()))
            await server.serve(sockets)
            for task in refreshing:
                task.cancel()


def application(
    settings: Settings,
    writer: LogWriter,
    reader: StateReader,
    exporter: Exporter,
    own: SelfMetrics,
    *,
    redis: Redis,
    spool: Spool | None = None,
    live: Live | None = None,
    unread: Unread = lambda source, keys: None,
) -> App:
    """The ASGI application of these parts."""
    tokens = TokenCheck(settings.api.tokens, settings.http.open_access)
    api = build_api(reader, tokens, version(), spool, live)
    metrics = metrics_endpoint(exporter, tokens, settings.http.public_metrics)
    api.router.routes.append(Route("/metrics", metrics, methods=["GET", "HEAD"]))
    parts = IngestParts(
        writer,
        reader.definitions,
        tokens,
        settings.source_secrets(),
        settings.ingest_bounds(),
        now,
        own,
        spool,
        settings.source_schemes(),
        Handshakes(redis, settings.handshake_tokens(), now),
        unread,
    )
    return build_app(api, parts)


def server_config(settings: Settings, app: App) -> uvicorn.Config:
    """How uvicorn runs the application."""
    return uvicorn.Config(
        app,
        host=settings.http.host,
        port=settings.http.port,
        http=OneWriteProtocol,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        backlog=_WAITING_CONNECTIONS,
        timeout_graceful_shutdown=_STOP_WITHIN,
    )


def sources_of(definitions: Definitions) -> list[str]:
    """The sources that the definitions name: they are known before anything comes."""
    return sorted({source for stream in definitions.streams.values() for source in stream.match.source})
