"""Dead letters as they are stored: what could not be applied, whole, with the reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

LETTER_COLUMNS: Final = ("kind", "source", "reason", "message", "at", "partition", "offset", "headers", "body")
"""Fields of an entry. `kind` is `fact` (a line of the log) or `delivery` (a webhook as it came); `at` in ms."""


@dataclass(frozen=True, slots=True)
class StoredLetter:
    """One entry. `partition` and `offset` say where in the log it was; a delivery never was; it has `headers`."""

    id: str
    kind: str
    source: str
    reason: str
    message: str
    at: int
    partition: int | None
    offset: int | None
    headers: bytes
    body: bytes


def read_letter(identifier: bytes, fields: Mapping[bytes, bytes]) -> StoredLetter:
    """An entry of the stream, with what it lacks left empty."""
    value = {name: fields.get(name.encode(), b"") for name in LETTER_COLUMNS}
    text = {name: value[name].decode(errors="replace") for name in ("kind", "source", "reason", "message")}
    return StoredLetter(
        id=identifier.decode(),
        **text,
        at=int(value["at"] or 0),
        partition=int(value["partition"]) if value["partition"] else None,
        offset=int(value["offset"]) if value["offset"] else None,
        headers=value["headers"],
        body=value["body"],
    )
