"""Native facts: what users post, read strictly. A body is taken whole or refused whole."""

from __future__ import annotations

import re
from typing import Final, Literal

import msgspec
from msgspec.json import Decoder

from flow.facts import ChangeFact, Fact
from flow.native_problems import CONTROL, FREE_TEXT, Form, refusal
from flow.native_shapes import NativeFact

BodyKind = Literal["json", "ndjson"]

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_ONE: Final[Decoder[NativeFact]] = Decoder(NativeFact)
_MANY: Final[Decoder[list[NativeFact]]] = Decoder(list[NativeFact])
_ANY: Final = Decoder(msgspec.Raw)
_ESCAPED_CONTROL: Final = re.compile(rb"\\(?:[bfnrt]|u00(?:[01]|7[fF]))")
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def decode_native(body: bytes, kind: BodyKind, now: int, future_tolerance: int) -> list[Fact]:
    """The facts of a posted body: one object, an array, or one object a line. All of them, or Rejected.

    `json` takes all three forms, `ndjson` only lines. `now` is in milliseconds; an instant may be up to
    `future_tolerance` milliseconds after it. Raises Rejected (malformed_json, invalid_fact, at_too_old, at_in_future)
    whose `problems` say of the first ten bad facts which fields are wrong and what to write.
    """
    text = body.removeprefix(_BYTE_ORDER_MARK)
    latest = now + future_tolerance
    try:
        natives = _decode(text, kind)
    except _UNREADABLE:
        raise refusal(text, _form_of(text, kind), latest) from None
    facts: list[Fact] = [native.fact() for native in natives]
    if not facts or not _are_sound(facts, text, latest):
        raise refusal(text, _form_of(text, kind), latest)
    return facts


def _decode(text: bytes, kind: BodyKind) -> list[NativeFact]:
    if kind == "json" and text[:1] == b"{":
        try:
            return [_ONE.decode(text)]
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:
            pass  # perhaps one object a line
    form = _form_of(text, kind)
    if form == "array":
        return _MANY.decode(text)
    return _ONE.decode_lines(text) if form == "lines" else [_ONE.decode(text)]


def _form_of(text: bytes, kind: BodyKind) -> Form:
    """A JSON body holds lines when its first line is a whole value and something follows it."""
    if kind == "ndjson":
        return "lines"
    text = text.strip()
    if text[:1] == b"[":
        return "array"
    first, _, rest = text.partition(b"\n")
    if not rest:
        return "object"
    try:
        _ANY.decode(first)
    except _UNREADABLE:
        return "object"
    return "lines"


def _are_sound(facts: list[Fact], text: bytes, latest: int) -> bool:
    """What the shapes can't say: the bounds of instants, and no control characters in names."""
    for fact in facts:
        if not 0 <= fact.at <= latest:
            return False
        if isinstance(fact, ChangeFact) and fact.committed_at is not None and not 0 <= fact.committed_at <= latest:
            return False
    # JSON text can hold control characters only escaped, except for DEL; most texts hold no escape at all.
    escaped = b"\\" in text and _ESCAPED_CONTROL.search(text)
    return not (escaped or b"\x7f" in text) or not any(_has_control(fact) for fact in facts)


def _has_control(fact: Fact) -> bool:
    texts = []
    for name in fact.__struct_fields__:
        value = getattr(fact, name)
        if isinstance(value, str) and name not in FREE_TEXT:
            texts.append(value)
        elif isinstance(value, tuple):
            texts.extend(value)
    return any(CONTROL.search(text) for text in texts)
