"""Reads the rows of a file to import: CSV or JSON lines, gzipped or not, from a path or from standard input."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import shutil
import sys
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import IO, Any, Final, Literal, cast

import msgspec

from flow.errors import Reason, Rejected

FileFormat = Literal["csv", "jsonl"]

_GZIP: Final = b"\x1f\x8b"
_ENDINGS: Final[Mapping[str, FileFormat]] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
}
_LONGEST_FIELD: Final = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Row:
    """One row. `number` counts rows from 1, `line` is where it begins in the file, `content` is all that it says.

    `problem` says why the row can't be read; then it has no values.
    """

    number: int
    line: int
    content: bytes
    values: Mapping[str, Any]
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class ImportFile:
    """A file that can be read more than once. `name` is for people, `fingerprint` changes with its content."""

    path: Path
    name: str
    identity: str
    fingerprint: str
    format: FileFormat
    delimiter: str = ","

    def rows(self) -> Iterator[Row]:
        """All rows in order. Raises Rejected (invalid_encoding, invalid_request) when the rest can't be read."""
        with _opened(self.path) as stream, self._readable():
            if self.format == "csv":
                with _text(stream) as text:
                    yield from self._csv_rows(text)
            else:
                yield from _json_rows(stream, self.name)

    def header(self) -> list[str] | None:
        """The columns of a CSV file; None for JSON lines, where each line has its own. Raises as `rows`."""
        if self.format != "csv":
            return None
        with _opened(self.path) as stream, self._readable(), _text(stream) as text:
            return self._header(self._reader(text))

    @contextlib.contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except (gzip.BadGzipFile, EOFError, zlib.error):
            message = f"{self.name}: the gzip data is broken or not whole: get the file anew"
            raise Rejected(Reason.INVALID_ENCODING, message) from None
        except UnicodeDecodeError:
            message = f"{self.name}: not UTF-8: convert it, for example with iconv -t UTF-8"
            raise Rejected(Reason.INVALID_ENCODING, message) from None

    def _reader(self, text: IO[str]) -> Any:
        csv.field_size_limit(_LONGEST_FIELD)
        return csv.reader(text, delimiter=self.delimiter, strict=True)

    def _header(self, reader: Any) -> list[str]:
        try:
            return [name.strip() for name in next(reader)]
        except StopIteration:
            raise Rejected(Reason.INVALID_REQUEST, f"{self.name}: the file is empty") from None
        except csv.Error as error:
            raise Rejected(Reason.INVALID_REQUEST, f"{self.name}: line 1: {error}: is this a CSV file?") from None

    def _csv_rows(self, text: IO[str]) -> Iterator[Row]:
        reader = self._reader(text)
        header = self._header(reader)
        numbers = count(1)
        line = reader.line_num + 1
        try:
            for fields in reader:
                if fields:
                    yield _csv_row(next(numbers), line, fields, header)
                line = reader.line_num + 1
        except csv.Error as error:
            message = f"{self.name}: line {line}: {error}: mend the quotes there"
            raise Rejected(Reason.INVALID_REQUEST, message) from None


@contextlib.contextmanager
def import_file(file: str, form: FileFormat | None, delimiter: str) -> Iterator[ImportFile]:
    """The file of this name; `-` is standard input, which is kept in a temporary file meanwhile.

    Raises Rejected(invalid_request) when it can't be read or its format is not known.
    """
    if file == "-":
        with tempfile.TemporaryDirectory(prefix="streamgauge-import-") as folder:
            path = Path(folder, "input")
            with path.open("wb") as kept:
                shutil.copyfileobj(sys.stdin.buffer, kept)
            digest = _digest(path)
            yield ImportFile(path, "standard input", digest, digest, _format_of(file, form), delimiter)
        return
    path = Path(file).expanduser()
    try:
        stat = path.stat()
        with path.open("rb"):
            pass
    except OSError as error:
        why = error.strerror or str(error)
        raise Rejected(
            Reason.INVALID_REQUEST, f"{file}: {why}: name a file that can be read, or - for standard input"
        ) from None
    print_of_it = f"{stat.st_size}:{stat.st_mtime_ns}"
    yield ImportFile(path, file, str(path.resolve()), print_of_it, _format_of(file, form), delimiter)


def _format_of(file: str, form: FileFormat | None) -> FileFormat:
    if form is not None:
        return form
    path = Path(file.lower())
    ending = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    if ending not in _ENDINGS:
        raise Rejected(Reason.INVALID_REQUEST, f"{file}: is it CSV or JSON lines? Add --format csv or --format jsonl")
    return _ENDINGS[ending]


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    with path.open("rb") as raw:
        if raw.peek(2)[:2] != _GZIP:
            yield raw
            return
        with gzip.GzipFile(fileobj=raw) as unzipped:
            yield cast("IO[bytes]", unzipped)


def _text(stream: IO[bytes]) -> io.TextIOWrapper:
    return io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")


def _digest(path: Path) -> str:
    digest = sha256()
    with path.open("rb") as file:
        while chunk := file.read(1024 * 1024):
            digest.update(chunk)
    return digest.hexdigest()


def _csv_row(number: int, line: int, fields: list[str], header: list[str]) -> Row:
    """A column that the header names twice, as some exports do with labels, has its values joined by commas."""
    content = "\x1f".join(fields).encode()
    if len(fields) > len(header):
        fix = "quote values that hold the delimiter"
        return Row(number, line, content, {}, f"has {len(fields)} fields, and the header {len(header)}: {fix}")
    values: dict[str, str] = {}
    for name, value in zip(header, fields, strict=False):
        values[name] = f"{values[name]},{value}" if values.get(name) and value else values.get(name) or value
    return Row(number, line, content, values)


def _json_rows(stream: IO[bytes], name: str) -> Iterator[Row]:
    numbers = count(1)
    for line, text in enumerate(stream, 1):
        content = text.removeprefix(b"\xef\xbb\xbf").strip() if line == 1 else text.strip()
        if not content:
            continue
        if content[:1] == b"[" and line == 1:
            fix = "write one object a line, for example with jq -c '.[]'"
            raise Rejected(Reason.INVALID_REQUEST, f"{name}: line 1: this is a JSON array: {fix}")
        yield _json_row(next(numbers), line, content)


def _json_row(number: int, line: int, content: bytes) -> Row:
    try:
        values = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Row(number, line, content, {}, "is not JSON: write one object a line")
    if not isinstance(values, dict):
        return Row(number, line, content, {}, "is not a JSON object: write one object a line")
    return Row(number, line, content, values)
