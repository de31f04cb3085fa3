"""`streamgauge backfill`: what a tracker or code host knows of the past, into a running Streamgauge."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from flow.errors import Reason, Rejected
from flow.instants import instant_of, parse_duration
from flow.matching import Router
from service.api_client import DEFAULT_URL, ApiClient
from service.backfill import Backfill, Watcher
from service.backfill_position import BackfillFile, BackfillPosition
from service.command_line import INTERRUPTED
from service.command_line.api_token import ApiToken
from service.command_line.composition import now
from service.command_line.options import ServerUrl, StreamsFile
from service.command_line.stream_definitions import read_streams
from service.histories.pages import KINDS, Kind, Wanted
from service.histories.sources import HISTORIES, History, history_of
from service.provider_access import access_of
from service.provider_client import Access, ProviderClient
from service.settings import Settings

_SOURCES: Final = ", ".join(HISTORIES)


def backfill(  # noqa: PLR0917  (the command line passes all by name)
    source: Annotated[str, typer.Argument(metavar="SOURCE", help=f"Where to read: {_SOURCES}.")],
    names: Annotated[list[str], typer.Argument(metavar="NAME…", help="Projects, repositories or teams to read.")],
    since: Annotated[
        str | None, typer.Option(metavar="DAY|DURATION", help="Leave out what ended before: 2026-01-31, or 90d.")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(metavar="KIND", help=f"Only {', '.join(KINDS)}; repeatable.")
    ] = None,
    streams: StreamsFile = None,
    url: ServerUrl = DEFAULT_URL,
    token: ApiToken = None,
    restart: Annotated[bool, typer.Option("--restart", help="Forget how far an earlier one came.")] = False,
) -> None:
    """Read the history of a provider through its API. Safe to interrupt, to repeat, and beside its webhooks.

    The token is a setting: STREAMGAUGE_SOURCES__<SOURCE>__API_TOKEN, or …_API_TOKEN_FILE; its address …__API_URL.
    """
    history = history_of(source, names)
    kinds = checked_kinds(only)
    from_instant = since_of(since, now())
    settings = Settings.load(os.environ)
    definitions = read_streams(streams or settings.streams)
    access = access_of(history.source, settings.sources.get(history.source))
    with ApiClient(url, token) as client:
        options = {
            "url": client.url, "source": source, "api": access.url, "names": sorted(names), "since": since,
            "kinds": sorted(kinds),
        }  # fmt: skip
        kept = BackfillFile(options, os.environ)
        if restart:
            kept.forget()
        position = kept.load()
        fresh = position is None
        position = position or BackfillPosition(since=from_instant)
        wanted = Wanted(tuple(names), kinds, position.since, Router(definitions).items_named_in)
        run = _Run(history, access, wanted, client, kept=kept, position=position)
        if not fresh:
            run.say("Going on where an earlier backfill stopped; --restart begins anew.")
        run.run()


@dataclass(slots=True)
class _Told:
    task: TaskID
    name: str


class _Run:
    """One backfill, told to a terminal."""

    def __init__(
        self,
        history: History,
        access: Access,
        wanted: Wanted,
        client: ApiClient,
        *,
        kept: BackfillFile,
        position: BackfillPosition,
    ) -> None:
        self._history = history
        self._access = access
        self._wanted = wanted
        self._client = client
        self._kept = kept
        self._position = position
        self._console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=self._console, disable=not self._console.is_terminal)
        self._told: _Told | None = None

    def run(self) -> None:
        """Read and post all of it. Raises the errors of the provider and of Streamgauge; the position is kept."""
        try:
            with self._progress:
                asyncio.run(self._read())
        except KeyboardInterrupt:
            self.say("Stopped. The same command goes on where it was.")
            raise typer.Exit(INTERRUPTED) from None
        position = self._position
        left_out = f", {position.left_out} left out" if position.left_out else ""
        self.say(f"{position.facts} facts are in the log{left_out}. Facts that were there before count once.")

    def say(self, text: str) -> None:
        """One line, however narrow the terminal; above the progress bar while there is one."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    async def _read(self) -> None:
        async with ProviderClient(self._access, clock=now, waiting=self._waiting) as provider:
            steps = await self._history.steps(provider, self._wanted)
            await Backfill(
                steps,
                self._position,
                post=self._client.post_facts,
                save=self._kept.save,
                watcher=Watcher(self._at, self.say),
                clock=now,
            ).run()

    def _waiting(self, why: str, seconds: float) -> None:
        self.say(f"Waiting {seconds:.0f} s: {why}")

    def _at(self, name: str, read: int, total: int | None) -> None:
        if self._told is None or self._told.name != name:
            self._told = _Told(self._progress.add_task(name, total=total), name)
        self._progress.update(self._told.task, completed=read, total=total)


def checked_kinds(only: list[str] | None) -> frozenset[Kind]:
    """The values of --only; all kinds without one. Raises Rejected (invalid_request)."""
    wrong = [kind for kind in only or () if kind not in KINDS]
    if wrong:
        raise Rejected(Reason.INVALID_REQUEST, f"--only: {wrong[0]!r} is not known: write {', '.join(KINDS)}")
    return frozenset(kind for kind in KINDS if not only or kind in only)


def since_of(text: str | None, at: int) -> int | None:
    """The value of --since in milliseconds: a day in UTC, or how long before `at`. Raises Rejected."""
    if text is None:
        return None
    try:
        return instant_of(datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC))
    except ValueError:
        pass
    try:
        return at - parse_duration(text)
    except ValueError:
        fix = "write a day such as 2026-01-31, or how long ago, such as 90d"
        raise Rejected(Reason.INVALID_REQUEST, f"--since: {text!r} is neither a day nor a duration: {fix}") from None
