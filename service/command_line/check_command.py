"""`streamgauge check`: are the settings and the stream definitions right? All mistakes at once."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import typer

from flow.adapters import ADAPTERS
from flow.definitions import Definitions, Stage, Stream
from flow.errors import DefinitionError, SettingsError, Unavailable
from flow.instants import format_duration
from service.command_line.options import StreamsFile
from service.command_line.stream_definitions import read_streams
from service.hydration import unseen
from service.redis_address import parse_address
from service.rereading.sources import REREADINGS
from service.settings import Settings
from service.settings_environment import environment_name

_STREAMS: Final = "STREAMGAUGE_STREAMS"


@dataclass(frozen=True, slots=True)
class Checked:
    """What was read, as far as it could be, and everything that is wrong with it, one line each."""

    settings: Settings | None
    definitions: Definitions | None
    problems: tuple[str, ...]


def check(streams: StreamsFile = None) -> None:
    """Check the stream definitions and the settings. Says all that is wrong and exits 1, or what is set up."""
    checked = checked_environment(os.environ, streams)
    if checked.problems:
        for problem in checked.problems:
            typer.echo(problem, err=True)
        number = len(checked.problems)
        typer.echo(f"{number} problem{'' if number == 1 else 's'}: nothing was started or changed", err=True)
        raise typer.Exit(1)
    assert checked.settings is not None
    assert checked.definitions is not None
    for line in summary(checked.settings, checked.definitions):
        typer.echo(line)


def checked_environment(environ: Mapping[str, str], streams: Path | None) -> Checked:
    """Read the settings, and the definitions that `streams` or else the settings name."""
    problems: list[str] = []
    settings = None
    try:
        settings = Settings.load(environ)
    except SettingsError as error:
        problems += error.problems
    named = environ.get(_STREAMS)
    path = streams or (settings.streams if settings is not None else Path(named) if named else None)
    definitions = None
    try:
        definitions = read_streams(path)
    except (SettingsError, DefinitionError) as error:
        problems += error.problems
    if settings is not None and not problems:
        problems += kafka_problems(settings) + bridge_problems_of(settings)
    return Checked(settings, definitions, tuple(problems))


def kafka_problems(settings: Settings) -> list[str]:
    """What is wrong with the log on Kafka, where it is there."""
    if settings.kafka.bootstrap_servers is None:
        return []
    from service.kafka_topics import topic_problems  # noqa: PLC0415

    try:
        return asyncio.run(topic_problems(settings.kafka, settings.log.partitions))
    except SettingsError as error:
        return list(error.problems)
    except Unavailable as error:
        return [f"{environment_name(('kafka', 'bootstrap_servers'))}: {error.message}"]


def bridge_problems_of(settings: Settings) -> list[str]:
    """What is wrong with the outside topics, where the bridge is to read any."""
    if not settings.bridge.topics:
        return []
    from service.command_line.bridge_command import bridge_topic_problems, outside_cluster  # noqa: PLC0415

    try:
        return asyncio.run(bridge_topic_problems(settings, outside_cluster(settings)))
    except SettingsError as error:
        return list(error.problems)
    except Unavailable as error:
        return [f"{environment_name(('bridge', 'topics'))}: {error.message}"]


def summary(settings: Settings, definitions: Definitions) -> list[str]:
    """What is set up, in lines; no secret among them."""
    lines = ["Streams"]
    for stream in definitions.streams.values():
        lines += _about_stream(stream)
    lines += ["", "Sources"]
    width = max(map(len, ADAPTERS))
    for name in ADAPTERS:
        lines += [
            f"  {word:{width}}  {said}" for word, said in zip((name, ""), _about_source(name, settings), strict=False)
        ]
    lines += ["", "Redis", f"  {_redis(settings)}", "", "Log", f"  {_log(settings)}", "", "Settings"]
    described = settings.describe()
    names, values = max(len(entry.name) for entry in described), max(len(entry.value) for entry in described)
    lines += [f"  {entry.name:{names}}  {entry.value:{min(values, 32)}}  {entry.origin}" for entry in described]
    return lines


def _about_source(name: str, settings: Settings) -> list[str]:
    """Whether a source is on, and then perhaps what is not seen of it."""
    source = settings.sources.get(name)
    if source is None or source.only_asks:
        return [f"off: set {environment_name(('sources', name, 'secret'))}"]
    return ["on", unseen(name)] if name in REREADINGS and source.api_token is None else ["on"]


def _about_stream(stream: Stream) -> list[str]:
    width = max(len(stage.name) for stage in stream.stages)
    heading = f"  {stream.name}: {len(stream.stages)} stages, windows {', '.join(stream.windows)}"
    return [heading, *(f"    {stage.name:{width}}  {_about_stage(stage)}" for stage in stream.stages)]


def _about_stage(stage: Stage) -> str:
    parts = [f"{stage.kind:6}"]
    if stage.wip_limit is not None:
        parts.append(f"WIP limit {stage.wip_limit}")
    if stage.sle is not None:
        parts.append(f"{stage.sle.quantile:.0%} within {format_duration(stage.sle.within)}")
    return "  ".join(parts).rstrip()


def _log(settings: Settings) -> str:
    kafka, partitions = settings.kafka, settings.log.partitions
    if kafka.bootstrap_servers is None:
        return f"in Redis, {partitions} partitions"
    return f"on Kafka, topic {kafka.facts_topic}: {partitions} partitions, as the topic has"


def _redis(settings: Settings) -> str:
    url = settings.redis_url()
    if url is None:
        return f"embedded: `streamgauge up` runs a server with its data in {settings.data}"
    described = parse_address(url).described()
    return f"your own: STREAMGAUGE_REDIS__URL names {described} (the rest is not shown: it may hold a password)"
