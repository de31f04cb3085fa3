"""`streamgauge serve`: receivers, query API and exporter over HTTP."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack

import uvicorn
from prometheus_client import CollectorRegistry
from starlette.routing import Route

from flow.definitions import Definitions
from service.api import build_api
from service.app import App, IngestParts, build_app
from service.authorisation import TokenCheck
from service.command_line.composition import definitions_of, now, redis_url_of, run_forever
from service.exporter import Exporter, metrics_endpoint
from service.http_protocol import OneWriteProtocol
from service.log import LogWriter, RedisLogWriter, open_log
from service.reader import StateReader
from service.redis_client import connect
from service.self_metrics import SelfMetrics
from service.settings import Settings
from service.snapshots import Snapshots
from service.version import version

_STOP_WITHIN = 10
_WAITING_CONNECTIONS = 2048


def serve() -> None:
    """Take facts in and answer questions over HTTP. Runs until it is told to stop."""
    settings = Settings.load(os.environ)
    definitions = definitions_of(settings)
    run_forever(lambda: run_server(settings, definitions))


async def run_server(settings: Settings, definitions: Definitions) -> None:
    """Serve until SIGTERM or SIGINT; requests under way are answered first."""
    registry = CollectorRegistry()
    own = SelfMetrics(sources_of(definitions))
    registry.register(own)
    async with AsyncExitStack() as stack:
        redis = connect(redis_url_of(settings))
        stack.push_async_callback(redis.aclose)
        await open_log(redis, settings.log.partitions)
        writer = RedisLogWriter(redis, settings.log.partitions, now, settings.append_bounds(), own.observe_append)
        await stack.enter_async_context(writer)
        reader = StateReader(redis, definitions, settings.cell_retention(), settings.log.partitions, now)
        snapshots = Snapshots(redis, reader, registry)
        exporter = Exporter(lambda: snapshots.latest, definitions, registry, now, version())
        app = application(settings, writer, reader, exporter, own)
        server = uvicorn.Server(server_config(settings, app))
        async with asyncio.TaskGroup() as group:
            refreshing = group.create_task(snapshots.run())
            await server.serve()
            refreshing.cancel()


def application(
    settings: Settings, writer: LogWriter, reader: StateReader, exporter: Exporter, own: SelfMetrics
) -> App:
    """The ASGI application of these parts."""
    tokens = TokenCheck(settings.api.tokens, settings.http.open_access)
    api = build_api(reader, tokens, version())
    metrics = metrics_endpoint(exporter, tokens, settings.http.public_metrics)
    api.router.routes.append(Route("/metrics", metrics, methods=["GET", "HEAD"]))
    parts = IngestParts(
        writer, reader.definitions, tokens, settings.source_secrets(), settings.ingest_bounds(), now, own
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
