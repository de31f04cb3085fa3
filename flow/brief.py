"""Facts about items in brief: what a timeline takes of each, and nothing else.

A fact waits until its batch is sorted and its item is there. Whole facts, thousands at a time, would fill the
processor's caches and push the items out.
"""

from __future__ import annotations

from typing import Any, Final

from mypy_extensions import mypyc_attr

from flow.entries import Flags, encode
from flow.facts import SignalFact
from flow.timeline import NOTHING_SAID

_encode: Final = encode


@mypyc_attr(acyclic=True)
class Brief:
    """One fact. `about` is a packed `About`; `place` says which one of its batch it is, counted from 0."""

    __slots__ = ("about", "at", "flags", "id", "place", "seq", "source", "word")

    def __init__(  # noqa: PLR0917  (made by the two below)
        self,
        place: int,
        identifier: str,
        source: str,
        at: int,
        seq: int,
        word: str | None,
        flags: Flags | None,
        about: bytes,
    ) -> None:
        self.place = place
        self.id = identifier
        self.source = source
        self.at = at
        self.seq = seq
        self.word = word
        self.flags = flags
        self.about = about


def brief_of_item(values: tuple[Any, ...], place: int, source: str, word: str | None) -> Brief:
    """What a tracker says of an item, in brief: an ItemFact's values, in the order of its fields.

    `source` and `word` are its source and status: the same strings as other facts have, if they are equal.
    """
    (
        identifier, _, _, at, seq, _, blocked, deleted, labels, project, item_type, team,
        title, url, value, criticality, risk_reduction, size,
    ) = values  # fmt: skip
    if value is None and criticality is None and risk_reduction is None and size is None:  # as nearly always
        about = _encode((source, project, item_type, title, url))
    else:
        about = _encode((source, project, item_type, title, url, value, criticality, risk_reduction, size))
    flags = None
    if blocked is not None or deleted is not None or labels is not None or team is not None:
        flags = Flags(False, None, blocked, deleted, labels, team)
    return Brief(place, identifier, source, at, seq, word, flags, about)


def brief_of_signal(fact: SignalFact, place: int) -> Brief:
    """What another tool's event says of an item, in brief."""
    flags = Flags(True, fact.environment)
    return Brief(place, fact.id, fact.source, fact.at, fact.seq, fact.signal, flags, NOTHING_SAID)
