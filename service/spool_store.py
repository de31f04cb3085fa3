"""One file of spooled deliveries: a queue in SQLite, durable before `add` returns.

One thread at a time may use a store, and one process: whoever opens it holds its lock (`service.spool_folder`). What
is stored is what is needed to append: facts as the log holds them, or a dead letter, whole.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MOST_ROWS: Final = 500
MOST_BYTES: Final = 1_000_000
"""Bounds of what is read at once, so that a full spool is not read into memory. One row alone may be larger."""

_VERSION: Final = 1
_PAGE: Final = 4096
_SPARE: Final = 1000 * _PAGE
"""A larger file is made small when it is empty. That costs some milliseconds, which an outage may cost."""

_TABLE: Final = """
CREATE TABLE IF NOT EXISTS deliveries (
    id INTEGER PRIMARY KEY, source TEXT NOT NULL, at INTEGER NOT NULL, kind INTEGER NOT NULL, body BLOB NOT NULL
) STRICT
"""


FACTS: Final = 0
LETTER: Final = 1
"""What a row's body can be."""


@dataclass(frozen=True, slots=True)
class Row:
    """One delivery. `at` is when it was spooled, in milliseconds; `id` is 0 until it is stored, then ascending."""

    source: str
    at: int
    kind: int
    body: bytes
    id: int = 0


@dataclass(frozen=True, slots=True)
class Fill:
    """How much is in a store: deliveries, when the oldest was spooled (ms), and bytes in use."""

    deliveries: int
    oldest: int | None
    used: int


class Damaged(Exception):
    """The file is not one of ours, or not whole. The text says what SQLite says."""


class Store:
    """An open file. `most` bounds its size in bytes; its write-ahead log, some megabytes, comes on top.

    Raises Damaged, or sqlite3.Error when the file can't be opened or made just now. Every method raises the same.
    """

    def __init__(self, path: Path, most: int) -> None:
        self.path = path
        self._most = max(most // _PAGE, 16)
        with _telling_damage():
            # Its own transactions, in whichever thread is its turn.
            self._file = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            try:
                self._prepare()
                self._deliveries = int(self._one("SELECT count(*) FROM deliveries"))
            except BaseException:
                self._file.close()
                raise

    def _prepare(self) -> None:
        run = self._file.execute
        # Nobody else may open the file: so no shared memory is needed, and any file system will do.
        run("PRAGMA locking_mode = EXCLUSIVE")
        run(f"PRAGMA page_size = {_PAGE}")
        run("PRAGMA journal_mode = WAL")
        # An fsync for every transaction, on macOS one that reaches the disk.
        run("PRAGMA synchronous = FULL")
        run("PRAGMA fullfsync = ON")
        run(f"PRAGMA journal_size_limit = {_SPARE}")
        run(f"PRAGMA max_page_count = {self._most}")
        [said] = run("PRAGMA quick_check(1)").fetchone()
        if said != "ok":
            raise Damaged(said)
        version = int(self._one("PRAGMA user_version"))
        if version not in {0, _VERSION}:
            raise Damaged(f"its version is {version}, not {_VERSION}: another version of Streamgauge wrote it")
        run(_TABLE)
        run(f"PRAGMA user_version = {_VERSION}")

    def add(self, rows: Sequence[Row]) -> list[bool]:
        """Store the rows in order, and say of each whether it is durable now: one that does not fit is not."""
        with _telling_damage():
            try:
                self._insert(rows)
            except sqlite3.OperationalError as error:
                if not _is_full(error) or len(rows) == 1:
                    raise
                return [self._fits(row) for row in rows]
        return [True] * len(rows)

    def _fits(self, row: Row) -> bool:
        try:
            self._insert([row])
        except sqlite3.OperationalError as error:
            if not _is_full(error):
                raise
            return False
        return True

    def _insert(self, rows: Sequence[Row]) -> None:
        with self._transaction():
            values = [(row.source, row.at, row.kind, row.body) for row in rows]
            self._file.executemany("INSERT INTO deliveries (source, at, kind, body) VALUES (?, ?, ?, ?)", values)
        self._deliveries += len(rows)

    def first(self) -> list[Row]:
        """The oldest rows, in order: as many as should be in memory at once."""
        found: list[Row] = []
        size = 0
        with _telling_damage():
            query = "SELECT source, at, kind, body, id FROM deliveries ORDER BY id LIMIT ?"
            for source, at, kind, body, identifier in self._file.execute(query, (MOST_ROWS,)):
                size += len(body)
                if found and size > MOST_BYTES:
                    break
                found.append(Row(source, at, kind, body, identifier))
        return found

    def remove(self, last: int) -> None:
        """Remove the rows up to this id."""
        with _telling_damage():
            with self._transaction():
                removed = self._file.execute("DELETE FROM deliveries WHERE id <= ?", (last,)).rowcount
            self._deliveries -= removed
            if not self._deliveries:
                self._shrink()

    def fill(self) -> Fill:
        """How much is in it."""
        with _telling_damage():
            oldest = self._file.execute("SELECT at FROM deliveries ORDER BY id LIMIT 1").fetchone()
            pages = int(self._one("PRAGMA page_count")) - int(self._one("PRAGMA freelist_count"))
        return Fill(self._deliveries, oldest[0] if oldest else None, pages * _PAGE)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _shrink(self) -> None:
        """Give the disk back, and leave nothing of what people wrote in unused pages."""
        with contextlib.suppress(sqlite3.OperationalError):  # a full disk has no room for it; there is another time
            if int(self._one("PRAGMA page_count")) * _PAGE > _SPARE:
                self._file.execute("VACUUM")
                self._file.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._file.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._file.execute("COMMIT")
        except BaseException:
            if self._file.in_transaction:
                self._file.execute("ROLLBACK")
            raise

    def _one(self, query: str) -> int:
        value: int = self._file.execute(query).fetchone()[0]
        return value


def is_used(path: Path) -> bool:
    """Whether a file holds more than an empty store. Looks only at sizes, so it may be asked of a file in use."""
    log = path.with_name(path.name + "-wal")
    return any(each.exists() and each.stat().st_size for each in (path, log))


def _is_full(error: sqlite3.OperationalError) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL


@contextlib.contextmanager
def _telling_damage() -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
            raise Damaged(str(error)) from None
        raise
