"""`streamgauge import`: the history of a tracker, from CSV or JSON lines, into a running Streamgauge."""

from __future__ import annotations

import os
import time
from dataclasses import asdict, dataclass
from datetime import UTC, tzinfo
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from flow.errors import Reason, Rejected
from flow.instants import format_duration
from service.api_client import DEFAULT_URL, ApiClient
from service.command_line import INTERRUPTED
from service.command_line.api_token import ApiToken
from service.command_line.options import ServerUrl
from service.import_position import Position, PositionFile
from service.import_rows import FileFormat, ImportFile, import_file
from service.import_sending import Survey, batches, send, survey
from service.imports import Clock, Columns, MappedRows, NativeRows, RowReader, check_columns

MOST_BAD_SHOWN: Final = 1000


def _column(what: str, *names: str) -> Any:
    return typer.Option(*names, metavar="COLUMN", help=f"Column with {what}")


@dataclass(frozen=True, slots=True)
class Options:
    """What decides which facts are made of a file: with other options it is another import."""

    url: str
    source: str | None
    project: str | None
    columns: Columns | None
    item_prefix: str
    at_format: str | None
    timezone: str | None
    seq_is_row: bool
    shift_to_now: bool


def import_(  # noqa: PLR0917  (the command line passes all by name)
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="CSV or JSON lines, may be gzipped; - is standard input.")
    ],
    url: ServerUrl = DEFAULT_URL,
    token: ApiToken = None,
    form: Annotated[str | None, typer.Option("--format", metavar="csv|jsonl", help="If the name doesn't say.")] = None,
    delimiter: Annotated[str, typer.Option(help="Between the values of a CSV file.")] = ",",
    source: Annotated[str | None, typer.Option(help="Name of the tool that the log is from.")] = None,
    project: Annotated[str | None, typer.Option(help="Project of all its items.")] = None,
    item: Annotated[str | None, _column("the item's name. Without it, lines are native facts.")] = None,
    at: Annotated[str | None, _column("the time.")] = None,
    status: Annotated[str | None, _column("the status.")] = None,
    id_: Annotated[str | None, _column("a unique id. Default: made of the row.", "--id")] = None,
    seq: Annotated[str | None, _column("the order at one instant; row: the rows' own (CSV), or none.")] = None,
    type_: Annotated[str | None, _column("the type of the item.", "--type")] = None,
    title: Annotated[str | None, _column("the title.")] = None,
    team: Annotated[str | None, _column("the team.")] = None,
    label: Annotated[list[str] | None, _column("labels, with commas between them; may be repeated.")] = None,
    item_prefix: Annotated[str, typer.Option(help="Put before every item's name.")] = "",
    at_format: Annotated[str | None, typer.Option(metavar="FORMAT", help="epoch, epoch-ms, or as strptime's.")] = None,
    timezone: Annotated[str | None, typer.Option(metavar="ZONE", help="Of times without one: UTC, Asia/Tokyo…")] = None,
    shift_to_now: Annotated[bool, typer.Option("--shift-to-now", help="Move all times: the last is now.")] = False,
    batch: Annotated[int, typer.Option(min=1, max=10_000, help="Facts in one request.")] = 500,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave out rows that can't be facts.")] = False,
    restart: Annotated[bool, typer.Option("--restart", help="Forget an earlier import, and its shift.")] = False,
) -> None:
    """Import a log of what happened. Safe to interrupt and to repeat: each row is one fact, and counts once."""
    columns = checked_columns(item, at, source)
    if columns is not None:
        seq_column = None if seq in {None, "row", "none"} else seq
        columns = Columns(columns.item, columns.at, status, id_, seq_column, type_, title, team, tuple(label or ()))
    with import_file(file, checked_format(form), delimiter) as opened, ApiClient(url, token) as client:
        seq_is_row = seq == "row" or (seq is None and opened.format == "csv")
        options = Options(
            client.url, source, project, columns, item_prefix, at_format, timezone, seq_is_row, shift_to_now
        )
        position = PositionFile(opened, asdict(options), os.environ)
        if restart:
            position.forget()
        Import(opened, options, client, position, Console(stderr=True)).run(most=batch, skip_bad=skip_bad)


class Import:
    """One import, told to a terminal."""

    def __init__(
        self, file: ImportFile, options: Options, client: ApiClient, position: PositionFile, console: Console
    ) -> None:
        self._file = file
        self._options = options
        self._client = client
        self._kept = position
        self._console = console
        self._reader = reader_of(options, file)

    def run(self, *, most: int, skip_bad: bool) -> None:
        """Look the file through, then send it. Raises Rejected when it has bad rows and they are not to be skipped."""
        with self._console.status(f"Looking through {self._file.name}"):
            found = survey(self._file.rows(), self._reader)
        self._say_bad(found)
        if found.bad and not skip_bad:
            message = f"{len(found.bad)} of {found.rows} rows can't be facts: nothing was sent"
            raise Rejected(Reason.INVALID_FACT, f"{message}: mend them, or leave them out with --skip-bad")
        position = self._kept.load()
        if self._options.shift_to_now and position.shift is None and found.latest is not None:
            position.shift = time.time_ns() // 1_000_000 - found.latest
        try:
            self._send(found, position, most)
        except KeyboardInterrupt:
            self._say(f"Stopped behind row {position.rows} of {found.rows}. The same command goes on there.")
            raise typer.Exit(INTERRUPTED) from None
        self._say_sent(found, position)

    def _send(self, found: Survey, position: Position, most: int) -> None:
        if position.rows:
            self._say(f"Going on behind row {position.rows}; --restart begins anew.")
        self._kept.save(position)
        with self._progress() as progress:
            task = progress.add_task(self._file.name, total=found.rows, completed=position.rows)

            def waiting(why: str, seconds: float) -> None:
                self._say(f"Waiting {seconds:g} s: {why}")

            rows = self._file.rows()
            for batch in batches(rows, self._reader, after=position.rows, shift=position.shift or 0, most=most):
                send(batch, self._client.post_facts, time.sleep, waiting)
                position.rows = batch.rows
                self._kept.save(position)
                progress.update(task, completed=batch.rows)
        position.whole = True
        self._kept.save(position)

    def _say(self, text: str) -> None:
        """One line, however narrow the terminal; above the progress bar while there is one."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _progress(self) -> Progress:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        return Progress(*columns, console=self._console, disable=not self._console.is_terminal)

    def _say_bad(self, found: Survey) -> None:
        for line, problem in list(found.bad.items())[:MOST_BAD_SHOWN]:
            self._say(f"{self._file.name}: line {line}: {problem}")
        if len(found.bad) > MOST_BAD_SHOWN:
            self._say(f"… and {len(found.bad) - MOST_BAD_SHOWN} more")

    def _say_sent(self, found: Survey, position: Position) -> None:
        facts = found.rows - len(found.bad)
        left_out = f", {len(found.bad)} left out" if found.bad else ""
        are = "fact is" if facts == 1 else "facts are"
        self._say(f"{facts} {are} in the log{left_out}. Facts that were there before count once.")
        if position.shift is not None:
            moved = f"{'' if position.shift >= 0 else '-'}{format_duration(abs(position.shift))}"
            self._say(f"All times were moved by {moved}; a repeated import uses the same shift.")


def reader_of(options: Options, file: ImportFile) -> RowReader:
    """What makes facts of the file's rows. Raises Rejected(invalid_request) when its columns or options don't fit."""
    if options.columns is None:
        if file.format == "csv":
            raise _missing("a CSV file needs --source, --item and --at, and most often --status")
        return NativeRows()
    header = file.header()
    if header is not None:
        check_columns(options.columns.named(), header)
    return MappedRows(
        options.columns,
        source=options.source or "",
        project=options.project,
        item_prefix=options.item_prefix,
        clock=Clock(options.at_format, zone_of(options.timezone)),
        seq_is_row=options.seq_is_row,
    )


def checked_format(text: str | None) -> FileFormat | None:
    """The value of --format. Raises Rejected(invalid_request)."""
    match text:
        case None | "csv" | "jsonl":
            return text
    raise _missing(f"--format: {text!r} is not known: write csv or jsonl")


def checked_columns(item: str | None, at: str | None, source: str | None) -> Columns | None:
    """The columns that every mapped row needs; None when none is named. Raises Rejected(invalid_request)."""
    given: dict[str, Any] = {"--item": item, "--at": at, "--source": source}
    if item is None and at is None:
        return None
    missing = [name for name, value in given.items() if not value]
    if missing:
        raise _missing(f"{', '.join(missing)} is missing: rows become facts only with all of {', '.join(given)}")
    return Columns(str(item), str(at))


def zone_of(name: str | None) -> tzinfo | None:
    """The value of --timezone. Raises Rejected(invalid_request) for a zone that this machine does not know."""
    if name is None:
        return None
    if name.upper() in {"UTC", "Z"}:
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # ZoneInfoNotFoundError is a KeyError
        raise _missing(f"--timezone: no zone is called {name!r}: write UTC, or a name such as Europe/Lisbon") from None


def _missing(message: str) -> Rejected:
    return Rejected(Reason.INVALID_REQUEST, message)
