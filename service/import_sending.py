"""Sends the rows of a file as facts: looks all of them through first, then posts them in batches."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from flow.errors import Reason, Rejected, Unavailable
from flow.instants import MINUTE, SECOND
from service.import_rows import Row
from service.imports import RowReader

MOST_BYTES: Final = 512 * 1024
"""Of one batch: well below what the service takes in one request."""
PATIENCE: Final = 10 * MINUTE
"""How long one batch is tried, in milliseconds."""

_FIRST_PAUSE: Final = SECOND // 2
_LONGEST_PAUSE: Final = 30 * SECOND
_LINE: Final = re.compile(r"\bline (\d{1,9})(?=:|$)")


@dataclass(slots=True)
class Survey:
    """What a file holds: how many rows, those that can't be facts by line, and the latest instant (ms)."""

    rows: int = 0
    bad: dict[int, str] = field(default_factory=dict)
    latest: int | None = None


@dataclass(slots=True)
class Batch:
    """Facts to post together. `lines` are where their rows begin in the file; `rows` counts the rows up to here."""

    facts: list[bytes] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    size: int = 0
    rows: int = 0

    def body(self) -> bytes:
        """One fact a line."""
        return b"\n".join(self.facts)


def survey(rows: Iterable[Row], reader: RowReader) -> Survey:
    """Look all rows through. Raises Rejected(invalid_request) for what is wrong with all of them."""
    found = Survey()
    for row in rows:
        found.rows = row.number
        try:
            at = reader.fact(row).at
        except Rejected as error:
            if error.reason != Reason.INVALID_FACT:
                raise Rejected(error.reason, f"line {row.line}: {error.message}") from None
            found.bad[row.line] = error.message
        else:
            found.latest = at if found.latest is None else max(found.latest, at)
    return found


def batches(rows: Iterable[Row], reader: RowReader, *, after: int, shift: int, most: int) -> Iterator[Batch]:
    """The facts behind the first `after` rows, at most `most` in a batch; rows that can't be facts are left out."""
    batch = Batch(rows=after)
    for row in rows:
        if row.number <= after:
            continue
        try:
            fact = reader.fact(row).line(shift)
        except Rejected:
            batch.rows = row.number
            continue
        if batch.facts and (len(batch.facts) >= most or batch.size + len(fact) > MOST_BYTES):
            yield batch
            batch = Batch()
        batch.facts.append(fact)
        batch.lines.append(row.line)
        batch.size += len(fact) + 1
        batch.rows = row.number
    if batch.rows > after:
        yield batch


def send(
    batch: Batch,
    post: Callable[[bytes], None],
    pause: Callable[[float], None],
    waiting: Callable[[str, float], None] = lambda why, seconds: None,
) -> None:
    """Return when the batch is acknowledged. `pause` waits for some seconds; `waiting` is told why.

    Raises Unavailable after PATIENCE, and Rejected with the line of the file for what will never be taken.
    """
    waited, backoff = 0, _FIRST_PAUSE
    while batch.facts:
        try:
            return post(batch.body())
        except Unavailable as error:
            if waited >= PATIENCE:
                raise
            delay = max(backoff, min(error.retry_after * SECOND, PATIENCE))
            waiting(error.message, delay / SECOND)
            pause(delay / SECOND)
            waited += delay
            backoff = min(_LONGEST_PAUSE, backoff * 2)
        except Rejected as error:
            raise _refused(batch, error) from None
    return None


def _refused(batch: Batch, error: Rejected) -> Rejected:
    """The refusal, with lines of the file where it names lines of the batch."""

    def in_file(match: re.Match[str]) -> str:
        number = int(match[1])
        return f"line {batch.lines[number - 1]}" if 0 < number <= len(batch.lines) else match[0]

    problems = [(_LINE.sub(in_file, where), what) for where, what in error.problems]
    lines = f"nothing of lines {batch.lines[0]} to {batch.lines[-1]} was taken"
    return Rejected(error.reason, f"{lines}: {_LINE.sub(in_file, error.message)}", problems)
