"""`streamgauge rebuild`: make a stream's state anew, beside the one that readers see."""

from __future__ import annotations

import asyncio
import os
from enum import StrEnum
from typing import Annotated

import typer

from consumers.rebuild import Rebuild
from flow.definitions import Stream
from flow.errors import NotFound, Reason
from service.command_line.composition import bounds_of, embedded_url, now
from service.command_line.logs import readable_log
from service.command_line.options import DataFolder, StreamsFile
from service.command_line.stream_definitions import read_streams
from service.names import near_names
from service.redis_client import connect
from service.settings import Settings


class Origin(StrEnum):
    """What a rebuild starts from."""

    TIMELINES = "timelines"
    LOG = "log"


def rebuild(
    stream: Annotated[str | None, typer.Argument(help="The stream; all of them when left out.")] = None,
    origin: Annotated[
        Origin, typer.Option("--from", help="`timelines` after a changed definition; `log` when the state is in doubt.")
    ] = Origin.TIMELINES,
    streams: StreamsFile = None,
    data: DataFolder = None,
) -> None:
    """Rebuild the state of a stream, beside live traffic, and switch readers over when it is whole."""
    environment = dict(os.environ)
    for name, value in (("STREAMS", streams), ("DATA", data)):
        if value is not None:
            environment[f"STREAMGAUGE_{name}"] = str(value)
    settings = Settings.load(environment)
    definitions = read_streams(settings.streams)
    if stream is not None and stream not in definitions.streams:
        raise NotFound(Reason.UNKNOWN_STREAM, near_names("stream", stream, definitions.streams))
    chosen = [definitions.streams[stream]] if stream is not None else list(definitions.streams.values())
    asyncio.run(_rebuild(settings, chosen, origin))


async def _rebuild(settings: Settings, chosen: list[Stream], origin: Origin) -> None:
    redis = connect(settings.redis_url() or embedded_url(settings.data))
    try:
        for stream in chosen:
            task = Rebuild(redis, stream, settings.log.partitions, bounds_of(settings), now, settings.dead_letters.keep)
            if origin is Origin.TIMELINES:
                typer.echo(f"{stream.name}: recomputed {await task.from_timelines():,} items")
            else:
                async with readable_log(redis, settings, "rebuild") as log:
                    typer.echo(f"{stream.name}: folded {await task.from_log(log):,} facts")
    finally:
        await redis.aclose()
