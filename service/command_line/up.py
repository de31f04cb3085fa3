"""`streamgauge up`: everything on one machine, with a Valkey server of its own."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from flow.errors import Reason, SettingsError, Unavailable
from service.command_line.options import DataFolder, StreamsFile
from service.command_line.stream_definitions import read_streams
from service.embedded import EmbeddedServer, embedded_server
from service.listening import bound_sockets, close_all
from service.setting_values import is_loopback
from service.settings import Settings
from service.supervisor import Child, Supervisor

_logger = logging.getLogger("streamgauge.up")


def up(
    streams: StreamsFile = None,
    data: DataFolder = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="The port to listen on, on loopback.")] = None,
) -> None:
    """Run everything on this machine: Valkey, receivers and API, aggregator. No token is needed on loopback."""
    environment = dict(os.environ)
    for name, value in (("STREAMS", streams), ("DATA", data), ("HTTP__PORT", port)):
        if value is not None:
            environment[f"STREAMGAUGE_{name}"] = str(value)
    settings = Settings.load(environment)
    if settings.redis.url is not None:
        raise SettingsError(
            ["STREAMGAUGE_REDIS__URL is set: `up` brings its own Redis; unset it, or run `serve` and `aggregate`"]
        )
    read_streams(settings.streams)
    close_all(bound_sockets(settings.http.host, settings.http.port))  # a port in use is told before anything starts
    if (
        "STREAMGAUGE_HTTP__OPEN_ACCESS" not in environment
        and is_loopback(settings.http.host)
        and not settings.api.tokens
    ):
        environment["STREAMGAUGE_HTTP__OPEN_ACCESS"] = "true"
    asyncio.run(_run(settings, environment))


async def _run(settings: Settings, environment: dict[str, str]) -> None:
    async with embedded_server(Path(settings.data), log=_logger) as server:
        environment["STREAMGAUGE_REDIS__URL"] = server.url
        children = [_child("serve", environment), _child("aggregate", environment)]
        supervisor = Supervisor(children, log=_logger)
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(_watch(server, supervisor))
            await supervisor.run()
            watching.cancel()


def _child(command: str, environment: dict[str, str]) -> Child:
    return Child(command, (sys.executable, "-m", "service.command_line", command), environment)


async def _watch(server: EmbeddedServer, supervisor: Supervisor) -> None:
    code = await server.wait()
    supervisor.fail(Unavailable(Reason.PROCESS_ENDED, f"Valkey ended with code {code}: its log is in the data folder"))
