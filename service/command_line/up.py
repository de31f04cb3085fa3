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
from service.command_line.composition import definitions_of
from service.embedded import EmbeddedServer, embedded_server
from service.setting_values import is_loopback
from service.settings import Settings
from service.supervisor import Child, Supervisor

_logger = logging.getLogger("streamgauge.up")


def up(
    streams: Annotated[Path | None, typer.Option(help="The file with the stream definitions.")] = None,
    data: Annotated[Path | None, typer.Option(help="The folder that keeps everything.")] = None,
    port: Annotated[int | None, typer.Option(help="The port to listen on, on loopback.")] = None,
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
    definitions_of(settings)
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
            _logger.info("listening on http://%s:%d", settings.http.host, settings.http.port)
            await supervisor.run()
            watching.cancel()


def _child(command: str, environment: dict[str, str]) -> Child:
    return Child(command, (sys.executable, "-m", "service.command_line", command), environment)


async def _watch(server: EmbeddedServer, supervisor: Supervisor) -> None:
    code = await server.wait()
    supervisor.fail(Unavailable(Reason.PROCESS_ENDED, f"Valkey ended with code {code}: its log is in the data folder"))
