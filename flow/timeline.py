"""Timelines of items: grow-only sets of facts, ordered by event time.

The order is (at, seq, id): facts of one item at the same instant are ordered by the source's own sequence number, then
by fact id. A fact that is there already, by its id, changes nothing. Of what facts say *about* their item (title, type,
value…) only the latest statements are kept: earlier ones could never show.

In memory a timeline is its packed entries: most facts arrive in order, and appending some bytes touches far less
memory than a list of objects would. Only late facts unpack it.
"""

from __future__ import annotations

from bisect import insort
from typing import Any, Final

from mypy_extensions import i64, mypyc_attr

from flow.entries import About, Entry, Flags, Statement, decode_about, decode_row, encode, unpack_entries

MAX_FACTS: Final = 5_000
"""The most facts that one timeline takes: a loop at the sender must not grow one row without end."""

NOTHING_SAID: Final = b""
"""Stands for a packed `About` where a fact says nothing about its item."""

APPENDED: Final = 0
LATE: Final = 1
DUPLICATE: Final = 2
FULL: Final = 3
"""What became of a fact that was offered to a timeline."""


_ALL_MARKS: Final = -1
"""Any id may be there."""

_LONG_ARRAY: Final = 16
"""From so many elements on MessagePack's head of an array has three bytes; one before, and five from 65,536."""

_EntryParts = tuple[Any, ...]

_encode: Final = encode  # a name of this module is found faster once it is compiled


@mypyc_attr(acyclic=True)
class Timeline:
    """The facts of one item. Equal sets of facts read equally, whatever the order they were added in.

    Each id that was added here has set one bit of `_marks`, by its hash: where that is missing, the id is not there.
    Entries that were appended wait in `_appended` and are packed together.
    """

    __slots__ = ("_about", "_appended", "_count", "_earlier", "_last_at", "_last_id", "_last_seq", "_marks", "_packed")

    def __init__(self) -> None:
        self._count = 0
        self._last_at = 0
        self._last_seq = 0
        self._last_id = ""
        self._about = NOTHING_SAID
        self._earlier: list[Statement] | None = None
        self._appended: list[_EntryParts] | None = None
        self._packed = b""
        self._marks: i64 = 0

    def append(self, at: int, seq: int, identifier: str, word: str | None, flags: Flags | None) -> int:
        """Add a fact that is the last in order: APPENDED. Else nothing is added: LATE (`insert` it), DUPLICATE, FULL.

        `word` and `flags` are what it says of the item's moves (`flow.entries`); `state` follows.
        """
        mark = _mark_of(identifier)
        if self._count:
            if self._marks & mark and self._holds(identifier):
                return DUPLICATE
            if self._count >= MAX_FACTS:
                return FULL
            if at <= self._last_at and (at, seq, identifier) < (self._last_at, self._last_seq, self._last_id):
                return LATE
        if self._appended is None:
            self._appended = []
        self._appended.append(_parts(at, seq, identifier, word, flags))
        self._marks |= mark
        self._count += 1
        return APPENDED

    def state(self, at: int, seq: int, identifier: str, about: bytes) -> bool:
        """Note what the fact just appended says about the item (a packed `About`). False when that is nothing new."""
        changed = False
        if about != self._about:
            changed = about != NOTHING_SAID
            if not changed or not self._supersedes(about):
                self._keep_statement()
        self._about = about
        self._last_at = at
        self._last_seq = seq
        self._last_id = identifier
        if self._earlier is not None and changed:
            self._settle()
        return changed

    def insert(self, entry: Entry, about: bytes) -> None:
        """Add a late fact where it belongs, with what it says about the item."""
        entries = self.entries()
        insort(entries, entry, key=_order)
        self._packed = _pack([_parts(each.at, each.seq, each.id, each.word, each.flags) for each in entries])
        self._marks |= _mark_of(entry.id)
        self._count += 1
        if about != NOTHING_SAID:
            earlier = self._earlier or []
            earlier.append(Statement(about, entry.at, entry.seq, entry.id))
            self._earlier = earlier
            self._settle()

    def entries(self) -> list[Entry]:
        """All facts in order."""
        return unpack_entries(self._count, self._entries())

    def about(self) -> About:
        """What is known about the item: of each property, the latest statement."""
        known = About() if self._about == NOTHING_SAID else decode_about(self._about)
        for statement in reversed(self._earlier or []):
            known = known.over(decode_about(statement.about))
        return known

    def pack(self) -> bytes:
        """The row that stores this timeline."""
        place = (self._last_at, self._last_seq, self._last_id)
        return _encode((self._count, *place, self._about, self._earlier or [], self._entries()))

    @staticmethod
    def unpack(row: bytes) -> Timeline:
        """What `pack` wrote. Raises msgspec.DecodeError on anything else."""
        stored = decode_row(row)
        timeline = Timeline()
        timeline._count = stored.count
        timeline._last_at = stored.last_at
        timeline._last_seq = stored.last_seq
        timeline._last_id = stored.last_id
        timeline._about = stored.about
        timeline._earlier = stored.earlier or None
        timeline._packed = stored.entries
        timeline._marks = _ALL_MARKS
        return timeline

    def _entries(self) -> bytes:
        """All facts in order, packed."""
        if self._appended is not None:
            self._packed += _pack(self._appended)
            self._appended = None
        return self._packed

    def _holds(self, identifier: str) -> bool:
        """Whether a fact of this id is there. Its packed id may also stand in the bytes by chance."""
        if self._entries().find(_encode(identifier)) < 0:  # `in` tries an int first, and makes an exception of it
            return False
        return any(entry.id == identifier for entry in self.entries())

    def _supersedes(self, about: bytes) -> bool:
        return self._about == NOTHING_SAID or decode_about(about).covers(decode_about(self._about))

    def _keep_statement(self) -> None:
        """What the last fact said still shows, though that fact is the last no longer."""
        if self._about != NOTHING_SAID:
            statement = Statement(self._about, self._last_at, self._last_seq, self._last_id)
            self._earlier = [*(self._earlier or []), statement]

    def _settle(self) -> None:
        """Keep the earlier statements in order, and only those that say something that no later one says."""
        kept: list[Statement] = []
        known = About() if self._about == NOTHING_SAID else decode_about(self._about)
        for statement in sorted(self._earlier or [], key=_order, reverse=True):
            about = decode_about(statement.about)
            if not known.covers(about):
                kept.append(statement)
                known = known.over(about)
        self._earlier = kept[::-1] or None


def _mark_of(identifier: str) -> i64:
    return 1 << (i64(hash(identifier)) & 63)


def _order(place: Entry | Statement) -> tuple[int, int, str]:
    return place.at, place.seq, place.id


def _parts(at: int, seq: int, identifier: str, word: str | None, flags: Flags | None) -> _EntryParts:
    """What is packed of an entry: nothing after the last value that is there."""
    if flags is not None:
        return (at, seq, identifier, word, flags)
    if word is not None:
        return (at, seq, identifier, word)
    return (at, seq, identifier)


def _pack(entries: list[_EntryParts]) -> bytes:
    """Entries one after another: an array of them, without its head."""
    packed: bytes = _encode(entries)
    count = len(entries)
    return packed[1 if count < _LONG_ARRAY else 3 :]
