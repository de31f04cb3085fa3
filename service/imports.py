"""Rows of a log as native facts: which column says what, under which id, at which instant. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from hashlib import blake2b
from typing import Any, Final

import msgspec

from flow.errors import Reason, Rejected
from flow.instants import format_instant, instant_of, parse_instant
from flow.native_problems import problems_of
from service.import_rows import Row
from service.names import near_names

_END_OF_TIME: Final = parse_instant("9999-12-31T23:59:59Z")
_INSTANTS: Final = ("at", "committed_at")


@dataclass(frozen=True, slots=True)
class Columns:
    """The column that holds each property. `labels` may name several; a value may hold several, split at commas."""

    item: str
    at: str
    status: str | None = None
    id: str | None = None
    seq: str | None = None
    type: str | None = None
    title: str | None = None
    team: str | None = None
    labels: tuple[str, ...] = ()

    def named(self) -> list[str]:
        """All columns that are used."""
        single = (self.item, self.at, self.status, self.id, self.seq, self.type, self.title, self.team)
        return [name for name in (*single, *self.labels) if name is not None]


@dataclass(frozen=True, slots=True)
class Clock:
    """How the instants of a file are written. `format` is None (ISO 8601), `epoch`, `epoch-ms`, or as strptime's."""

    format: str | None = None
    zone: tzinfo | None = None


@dataclass(frozen=True, slots=True)
class Mapped:
    """A native fact as JSON would have it, but for its instants: these are in milliseconds."""

    fields: Mapping[str, Any]
    at: int

    def line(self, shift: int) -> bytes:
        """The fact on one line, with its instants moved by `shift` milliseconds."""
        moved = {name: format_instant(self.fields[name] + shift) for name in _INSTANTS if name in self.fields}
        return msgspec.json.encode({**self.fields, **moved})


class NativeRows:
    """Rows that are native facts already."""

    def fact(self, row: Row) -> Mapped:
        """The row as it is. Raises Rejected(invalid_fact) with everything that is wrong with it."""
        problems = [row.problem] if row.problem else [text for _, text in problems_of(row.content, _END_OF_TIME)]
        if problems:
            raise Rejected(Reason.INVALID_FACT, "; ".join(problems))
        instants = {name: parse_instant(row.values[name]) for name in _INSTANTS if row.values.get(name) is not None}
        return Mapped({**row.values, **instants}, instants["at"])


class MappedRows:
    """Rows whose columns say what the facts are."""

    def __init__(
        self,
        columns: Columns,
        *,
        source: str,
        project: str | None = None,
        item_prefix: str = "",
        clock: Clock = Clock(),
        seq_is_row: bool = False,
    ) -> None:
        self._columns = columns
        self._said = {"subject": "item", "source": source} | ({"project": project} if project else {})
        self._source = source
        self._item_prefix = item_prefix
        self._clock = clock
        self._seq_is_row = seq_is_row

    def fact(self, row: Row) -> Mapped:
        """Raises Rejected: invalid_fact when this row can't be mapped, invalid_request when no row can."""
        if row.problem:
            raise Rejected(Reason.INVALID_FACT, row.problem)
        columns = self._columns
        item = _text(row, columns.item)
        if not item:
            raise Rejected(Reason.INVALID_FACT, f"names no item: column {columns.item!r} is empty")
        at = _instant(_text(row, columns.at), self._clock, columns.at)
        fields = {
            **self._said,
            "id": self._id(row),
            "item": self._item_prefix + item,
            "at": at,
            "seq": self._seq(row),
            "labels": _labels(row, columns.labels),
        }
        for name in ("status", "type", "title", "team"):
            fields[name] = _text(row, getattr(columns, name))
        mapped = Mapped({name: value for name, value in fields.items() if value not in (None, "", [])}, at)
        problems = [text for _, text in problems_of(mapped.line(0), _END_OF_TIME)]
        if problems:
            raise Rejected(Reason.INVALID_FACT, "; ".join(problems))
        return mapped

    def _id(self, row: Row) -> str:
        """The given column's, or one made of the source, the row's number and all that the row says."""
        if self._columns.id is not None:
            given = _text(row, self._columns.id)
            if not given:
                raise Rejected(Reason.INVALID_FACT, f"has no id: column {self._columns.id!r} is empty")
            return given
        said = b"\x00".join((self._source.encode(), str(row.number).encode(), row.content))
        return f"row-{row.number}-{blake2b(said, digest_size=8).hexdigest()}"

    def _seq(self, row: Row) -> int | None:
        if self._seq_is_row:
            return row.number
        text = _text(row, self._columns.seq)
        if not text:
            return None
        try:
            return int(text)
        except ValueError:
            raise Rejected(
                Reason.INVALID_FACT, f"column {self._columns.seq!r}: {_short(text)} is not a whole number"
            ) from None


RowReader = NativeRows | MappedRows


def check_columns(wanted: Iterable[str], header: list[str]) -> None:
    """Raises Rejected(invalid_request) with every column that the file doesn't have, and those that come near."""
    missing = [near_names("column", name, header) for name in dict.fromkeys(wanted) if name not in header]
    if missing:
        raise Rejected(Reason.INVALID_REQUEST, "\n".join(missing))


def _text(row: Row, column: str | None) -> str:
    """What the column says, without the space around it; a number or a list of JSON as text."""
    value = None if column is None else row.values.get(column)
    if value is None or isinstance(value, dict):
        return ""
    if isinstance(value, list):
        return ",".join(str(part) for part in value)
    return str(value).strip()


def _labels(row: Row, columns: Iterable[str]) -> list[str]:
    found = (part.strip() for column in columns for part in _text(row, column).split(","))
    return list(dict.fromkeys(part for part in found if part))


def _instant(text: str, clock: Clock, column: str) -> int:
    if not text:
        raise Rejected(Reason.INVALID_FACT, f"says no time: column {column!r} is empty")
    try:
        moment = _moment(text, clock.format)
        if isinstance(moment, int):
            return moment
        if moment.tzinfo is None:
            if clock.zone is None:
                raise _without_zone(text, column)
            moment = moment.replace(tzinfo=clock.zone)
        return instant_of(moment)
    except (ValueError, OverflowError):
        fix = "write ISO 8601, or name the format with --at-format"
        wanted = fix if clock.format is None else f"it is not of the format {clock.format}"
        raise Rejected(Reason.INVALID_FACT, f"column {column!r}: {_short(text)} is not a time: {wanted}") from None


def _moment(text: str, form: str | None) -> datetime | int:
    """Milliseconds since the epoch, or a calendar time that may lack its zone. Raises ValueError."""
    if form == "epoch":
        return round(float(text) * 1000)
    if form == "epoch-ms":
        return int(text)
    if form is not None:
        return datetime.strptime(text, form)  # noqa: DTZ007  (whether it has a zone is checked by the caller)
    return datetime.fromisoformat(f"{text[:-3].rstrip()}Z" if text.upper().endswith("UTC") else text)


def _without_zone(text: str, column: str) -> Rejected:
    fix = "say in which zone these times are, with --timezone UTC or a name such as Europe/Lisbon"
    return Rejected(Reason.INVALID_REQUEST, f"column {column!r}: {_short(text)} has no time zone: {fix}")


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:60]}…")
