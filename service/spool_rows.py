"""Deliveries as rows of the spool, and back."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Final

import msgspec

from flow.errors import Reason
from flow.facts import Fact, decode_facts, encode_facts
from service.dead_letters import DeliveryLetter, public_headers
from service.spool_store import FACTS, LETTER, Row

_encode_letter: Final = msgspec.msgpack.Encoder().encode
_decode_letter: Final = msgspec.msgpack.Decoder(DeliveryLetter).decode
_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Portion:
    """What goes into the log in one step: facts, or one letter. `last` is the last row that it is of."""

    last: Row
    facts: Sequence[Fact] = ()
    letter: DeliveryLetter | None = None


def facts_row(facts: Sequence[Fact], at: int) -> Row:
    """What one delivery told; at least one fact."""
    return Row(facts[0].source, at, FACTS, encode_facts(facts))


def letter_row(letter: DeliveryLetter, at: int) -> Row:
    """A letter as it is kept: what proves the sender does not go to disk."""
    kept = replace(letter, headers=public_headers(letter.headers))
    return Row(letter.source, at, LETTER, _encode_letter(kept))


def first_portion(rows: Sequence[Row]) -> Portion:
    """What the oldest of the rows, of which there is one at least, bring to the log.

    A letter goes alone: letters have no id by which one that is written twice could be known.
    """
    together = list(takewhile(lambda row: row.kind == FACTS, rows))
    if not together:
        return Portion(rows[0], letter=_letter_of(rows[0]))
    try:
        return Portion(together[-1], [fact for row in together for fact in decode_facts(row.body)])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return first_portion(together[: len(together) // 2]) if len(together) > 1 else _unreadable(rows[0], error)


def _letter_of(row: Row) -> DeliveryLetter:
    try:
        if row.kind == LETTER:
            return _decode_letter(row.body)
        problem: Exception = ValueError(f"a row of the kind {row.kind}")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        problem = error
    letter = _unreadable(row, problem).letter
    assert letter is not None
    return letter


def _unreadable(row: Row, error: Exception) -> Portion:
    """It can't be read again, but it is not thrown away."""
    _log.error("spooled_delivery_unreadable source=%s error=%s", row.source, error)
    message = "a spooled delivery could not be read again: its file is damaged, or another version wrote it"
    letter = DeliveryLetter(row.source, Reason.MALFORMED_JSON, message, row.at, {}, row.body)
    return Portion(row, letter=letter)
