"""`streamgauge dead-letters`: look at what could not be applied, and send it again."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Annotated, Any

import typer
from redis.asyncio import Redis
from redis.exceptions import RedisError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flow import keys
from flow.definitions import Definitions
from flow.errors import Reason, Rejected, SettingsError, Unavailable
from flow.matching import Router
from service.api_client import DEFAULT_URL, ApiClient
from service.command_line.api_token import ApiToken
from service.command_line.composition import embedded_url
from service.command_line.logs import is_on_kafka, opened_writer
from service.command_line.options import DataFolder, ServerUrl, StreamsFile
from service.command_line.stream_definitions import read_streams
from service.log import LogWriter, RedisLogWriter
from service.redis_client import connect
from service.replay import Outcome, Replay, Wanted
from service.settings import Settings
from service.terminal_text import shown

_PAGE = 100

dead_letters = typer.Typer(
    help="What could not be applied: look at it, and send it again.", no_args_is_help=True, add_completion=False
)


@dead_letters.command("list")
def list_letters(
    reason: Annotated[str | None, typer.Option(help="Only letters with this reason.")] = None,
    source: Annotated[str | None, typer.Option(help="Only letters of this source.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="The most letters to list.")] = 20,
    url: ServerUrl = DEFAULT_URL,
    token: ApiToken = None,
) -> None:
    """List dead letters, newest first, and how many there ever were for each reason."""
    with ApiClient(url, token) as client:
        letters, counts = read_letters(client, limit, reason, source)
    console = Console()
    console.print(letters_table(letters))
    for count in counts:
        console.print(f"{count['source']}: {count['count']} with reason {count['reason']} so far", markup=False)
    if not letters:
        console.print("No dead letters." if not counts else "None of them is kept that you asked for.")


@dead_letters.command("replay")
def replay_letters(
    reason: Annotated[str | None, typer.Option(help="Only letters with this reason.")] = None,
    source: Annotated[str | None, typer.Option(help="Only letters of this source.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All letters.")] = False,
    streams: StreamsFile = None,
    data: DataFolder = None,
) -> None:
    """Send dead letters again. What the log takes is removed; what would be refused again stays."""
    if not everything and reason is None and source is None:
        message = "which letters? Name them with --reason or --source, or take --all"
        raise Rejected(Reason.INVALID_REQUEST, message)
    settings = Settings.load(os.environ)
    definitions = read_streams(streams or settings.streams)
    url = settings.redis_url() or embedded_url(data or settings.data)
    outcomes = asyncio.run(replay(url, settings, definitions, Wanted(reason, source)))
    for line in told(outcomes):
        typer.echo(line)


def read_letters(
    client: ApiClient, limit: int, reason: str | None, source: str | None
) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """Up to `limit` letters, newest first, page by page; and the counts of all."""
    letters: list[Mapping[str, Any]] = []
    cursor: str | None = None
    while True:
        page = client.get(
            "/v1/dead-letters", limit=min(_PAGE, limit - len(letters)), cursor=cursor, reason=reason, source=source
        )
        letters += page["letters"]
        cursor = page["next_cursor"]
        if cursor is None or len(letters) >= limit:
            return letters, page["counts"]


def letters_table(letters: list[Mapping[str, Any]]) -> Table:
    """One row a letter. What senders wrote is shown, and nothing in it acts on the terminal."""
    table = Table("at", "source", "reason", "kind", "message", box=None, pad_edge=False)
    for letter in letters:
        table.add_row(*(Text(shown(str(letter[name]))) for name in ("at", "source", "reason", "kind", "message")))
    return table


async def replay(url: str, settings: Settings, definitions: Definitions, wanted: Wanted) -> Counter[Outcome]:
    """Replay the letters of the Redis at this URL. Raises Unavailable when it doesn't answer."""
    redis = connect(url)
    try:
        writer: LogWriter
        async with AsyncExitStack() as stack:
            if is_on_kafka(settings):
                writer = await stack.enter_async_context(opened_writer(redis, settings))
            else:
                partitions = await partitions_of_log(redis)
                own = RedisLogWriter(redis, partitions, _now, settings.append_bounds())
                writer = await stack.enter_async_context(own)
            tolerance = settings.ingest.future_tolerance
            found = Replay(redis, writer, Router(definitions), clock=_now, future_tolerance=tolerance)
            return await found.run(wanted)
    finally:
        await redis.aclose()


async def partitions_of_log(redis: Redis) -> int:
    """As the log was opened with. Raises Unavailable, or SettingsError when there is no log in this Redis."""
    try:
        partitions = await redis.get(keys.LOG_PARTITIONS)
    except (RedisError, OSError) as error:
        message = f"Redis does not answer ({type(error).__name__}): check that it runs where the settings say"
        raise Unavailable(Reason.STATE_UNAVAILABLE, message) from None
    if partitions is None:
        raise SettingsError(["there is no log in this Redis: start `streamgauge up` or `serve` on it first"])
    return int(partitions)


def told(outcomes: Counter[Outcome]) -> list[str]:
    """What became of the letters, in lines."""
    sent = sum(count for outcome, count in outcomes.items() if outcome.sent and not outcome.why)
    ignored = sum(count for outcome, count in outcomes.items() if outcome.sent and outcome.why)
    lines = [f"{sent} sent to the log again"]
    if ignored:
        lines.append(f"{ignored} removed: understood now, and of no meaning here")
    kept = sorted((outcome.why, count) for outcome, count in outcomes.items() if not outcome.sent)
    return lines + [f"{count} kept: {why}" for why, count in kept]


def _now() -> int:
    return time.time_ns() // 1_000_000
