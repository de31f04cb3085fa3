"""Facts as a timeline keeps them, packed with MessagePack: entries one after another, statements apart from them.

An entry is `[at, seq, id, word, flags]`, cut after the last value that is there. A statement is what a fact says about
its item besides its moves.
"""

from __future__ import annotations

from typing import Final

import msgspec


class About(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """What facts say about an item besides its moves. `None`: nothing was said."""

    source: str | None = None
    project: str | None = None
    type: str | None = None
    title: str | None = None
    url: str | None = None
    value: float | None = None
    criticality: float | None = None
    risk_reduction: float | None = None
    size: float | None = None

    def covers(self, other: About) -> bool:
        """Whether this says something on everything that the other says something on."""
        mine, theirs = msgspec.structs.astuple(self), msgspec.structs.astuple(other)
        return all(said is not None or said_there is None for said, said_there in zip(mine, theirs, strict=True))

    def over(self, other: About) -> About:
        """What both say together; this one wins."""
        said = {name: value for name, value in msgspec.structs.asdict(self).items() if value is not None}
        return msgspec.structs.replace(other, **said)


class Flags(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """What a fact says besides a status. `signal`: the entry's word is a signal, not a status."""

    signal: bool = False
    environment: str | None = None
    blocked: bool | None = None
    deleted: bool | None = None
    labels: tuple[str, ...] | None = None
    team: str | None = None


class Entry(msgspec.Struct, array_like=True, gc=False):
    """One fact of a timeline: its place in the order, its word (a status or signal), and what else it says."""

    at: int
    seq: int
    id: str
    word: str | None = None
    flags: Flags | None = None


class Statement(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """What one fact said about the item (a packed `About`), and that fact's place in the order."""

    about: bytes
    at: int
    seq: int
    id: str


class Row(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """A stored timeline. `about` is what its last fact said about the item, `earlier` what others said before."""

    count: int
    last_at: int
    last_seq: int
    last_id: str
    about: bytes
    earlier: list[Statement]
    entries: bytes


encode: Final = msgspec.msgpack.Encoder().encode
decode_about: Final = msgspec.msgpack.Decoder(About).decode
decode_row: Final = msgspec.msgpack.Decoder(Row).decode
_decode_entries: Final = msgspec.msgpack.Decoder(list[Entry]).decode


def unpack_entries(count: int, packed: bytes) -> list[Entry]:
    """The entries in a row. Raises msgspec.DecodeError when they are not as many."""
    return _decode_entries(b"\xdd" + count.to_bytes(4, "big") + packed)
