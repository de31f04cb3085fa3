"""What is wrong with posted facts, in words: which fact, which field, what to write instead.

Only read when a body has been refused, so it may take its time: it reads the bad facts field by field.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Final, Literal

import msgspec
from msgspec.json import Decoder

from flow.errors import Reason, Rejected
from flow.instants import instant_of
from flow.native_shapes import SHAPES, NativeFact

Form = Literal["object", "array", "lines"]

MOST_FACTS: Final = 10
"""How many bad facts are described."""
_MOST_UNKNOWN: Final = 10

CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
FREE_TEXT: Final = frozenset({"title"})
"""Fields that may hold line ends and the like."""
INSTANTS: Final = ("at", "committed_at")

_NAME_FIX: Final = "write a text of 1 to 255 characters"
_WORD_FIX: Final = "write a text of at most 255 characters, or leave it out"
_INSTANT_FIX: Final = "write RFC 3339 with a time zone, such as 2026-11-22T09:30:00Z"
_NUMBER_FIX: Final = "write a number between -1000000000 and 1000000000, or leave it out"
_WORDS_FIX: Final = "write a list of at most 100 texts of at most 255 characters, or leave it out"
_FIXES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("id", "source"), _NAME_FIX),
    **dict.fromkeys(INSTANTS, _INSTANT_FIX),
    **dict.fromkeys(("value", "criticality", "risk_reduction", "size"), _NUMBER_FIX),
    **dict.fromkeys(("labels", "items"), _WORDS_FIX),
    **dict.fromkeys(("blocked", "deleted"), "write true or false, or leave it out"),
    "seq": "write a whole number from 0 to 9007199254740992, or leave it out",
    "title": "write a text of at most 1000 characters, or leave it out",
    "url": "write an address of at most 2000 characters that starts with https:// or http://, or leave it out",
}
_STATES: Final[Mapping[str, str]] = {
    "change": "write opened, merged or abandoned",
    "deployment": "write started, succeeded, failed or rolled_back",
    "incident": "write opened, acknowledged or resolved",
}
_SUBJECTS: Final = "write item, change, deployment or incident"

_Problem = tuple[Reason, str]
_Members = dict[str, msgspec.Raw]

_FACT: Final[Decoder[NativeFact]] = Decoder(NativeFact)
_ELEMENTS: Final[Decoder[list[msgspec.Raw]]] = Decoder(list[msgspec.Raw])
_OBJECT: Final[Decoder[_Members]] = Decoder(_Members)
_TEXT: Final = Decoder(str)
_FIELDS: Final[Mapping[str, Mapping[str, tuple[Decoder[Any], bool]]]] = {
    subject: {
        field.encode_name: (Decoder(field.type), field.default is msgspec.NODEFAULT)
        for field in msgspec.structs.fields(shape)
    }
    for subject, shape in SHAPES.items()
}
"""By subject and field: what reads its value, and whether it is required."""


def refusal(text: bytes, form: Form, latest: int) -> Rejected:
    """Why this body is refused. `latest` is the last instant, in milliseconds, that a fact may carry."""
    if not text.strip():
        return Rejected(Reason.MALFORMED_JSON, "the body is empty: post at least one fact")
    try:
        facts = list(_facts_in(text, form))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        reason, message = _unreadable(error)
        return Rejected(reason, message, [("body", message)])
    if not facts:
        return Rejected(Reason.INVALID_FACT, "there is no fact in the body: post at least one")
    found: list[tuple[Reason, str, str]] = []
    bad = 0
    for where, fact in facts:
        problems = problems_of(fact, latest)
        if problems:
            bad += 1
            found += [(reason, where, problem) for reason, problem in problems]
        if bad == MOST_FACTS:
            break
    return _rejected(found, bad, len(facts))


def _rejected(found: list[tuple[Reason, str, str]], bad: int, facts: int) -> Rejected:
    if not found:
        return Rejected(Reason.INVALID_FACT, "the body is not native facts")
    reasons = {reason for reason, _, _ in found}
    reason = reasons.pop() if len(reasons) == 1 else Reason.INVALID_FACT
    problems = [(where, what) for _, where, what in found]
    where, what = problems[0]
    if facts == 1:
        return Rejected(reason, f"the fact was not taken: {what}", problems)
    number = f"the first {bad}" if bad == MOST_FACTS else str(bad)
    described = "bad fact is described" if bad == 1 else "bad facts are described"
    message = f"none of the {facts} facts was taken; {number} {described}; {where}: {what}"
    return Rejected(reason, message, problems)


def _facts_in(text: bytes, form: Form) -> Iterator[tuple[str, bytes | msgspec.Raw]]:
    """Each fact of the body, with how to find it."""
    if form == "object":
        yield "fact", text
    elif form == "array":
        for number, element in enumerate(_ELEMENTS.decode(text), 1):
            yield f"fact {number}", element
    else:
        for number, line in enumerate(text.split(b"\n"), 1):
            if line.strip():
                yield f"line {number}", line


def problems_of(text: bytes | msgspec.Raw, latest: int) -> list[_Problem]:
    """Everything that is wrong with one fact."""
    try:
        native = _FACT.decode(text)
        if not CONTROL.search(bytes(text).decode()) and b"\\" not in bytes(text):
            return list(_untimely(native, latest))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        members = _OBJECT.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return [_unreadable(error)]
    return list(_problems_in(members, latest))


def _untimely(native: NativeFact, latest: int) -> Iterator[_Problem]:
    for name in INSTANTS:
        moment = getattr(native, name, None)
        if moment is not None:
            yield from _bounds(name, instant_of(moment), latest)


def _problems_in(members: _Members, latest: int) -> Iterator[_Problem]:
    subject = _subject(members)
    fields = _FIELDS.get(subject or "")
    if subject is None or fields is None:
        wrong = "is missing" if "subject" not in members else "is not one of ours"
        yield Reason.INVALID_FACT, f"`subject` {wrong}: {_SUBJECTS}"
        return
    unknown = [name for name in members if name != "subject" and name not in fields]
    for name in unknown[:_MOST_UNKNOWN]:
        close = get_close_matches(name[:100], fields, n=1)
        fix = f"did you mean `{close[0]}`?" if close else f"known are {', '.join(fields)}"
        yield Reason.INVALID_FACT, f"`{_shown(name)}` is not a field of facts about {_about(subject)}: {fix}"
    for name, (decoder, required) in fields.items():
        raw = members.get(name)
        if raw is not None:
            yield from _problems_of_value(subject, name, raw, decoder, latest)
        elif required:
            yield Reason.INVALID_FACT, f"`{name}` is missing: {_fix(subject, name)}"


def _problems_of_value(
    subject: str, name: str, raw: msgspec.Raw, decoder: Decoder[Any], latest: int
) -> Iterator[_Problem]:
    try:
        value = decoder.decode(raw)
    except msgspec.ValidationError as error:
        said = str(error).partition(" - at ")[0].partition(" matching regex ")[0]
        yield Reason.INVALID_FACT, f"`{name}`: {said[:1].lower()}{said[1:]}: {_fix(subject, name)}"
        return
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        yield Reason.MALFORMED_JSON, f"`{name}`: not JSON in UTF-8: {_fix(subject, name)}"
        return
    if name in INSTANTS and value is not None:
        yield from _bounds(name, instant_of(value), latest)
    elif name not in FREE_TEXT and any(CONTROL.search(text) for text in _texts(value)):
        yield Reason.INVALID_FACT, f"`{name}` holds a control character: leave it out"


def _bounds(name: str, instant: int, latest: int) -> Iterator[_Problem]:
    if instant < 0:
        yield Reason.AT_TOO_OLD, f"`{name}` is before 1970: {_INSTANT_FIX}"
    elif instant > latest:
        yield (
            Reason.AT_IN_FUTURE,
            f"`{name}` is too far ahead of our clock: check the time and its zone",
        )


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple):
        yield from value


def _subject(members: _Members) -> str | None:
    try:
        return _TEXT.decode(members["subject"])
    except (KeyError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _fix(subject: str, name: str) -> str:
    if name == "state":
        return _STATES[subject]
    return _FIXES.get(name, _NAME_FIX if name == subject else _WORD_FIX)


def _about(subject: str) -> str:
    return f"an {subject}" if subject[0] in "aeiou" else f"a {subject}"


def _shown(name: str) -> str:
    """A name that a sender chose, fit for a message."""
    return CONTROL.sub("?", name if len(name) <= 60 else f"{name[:60]}…").replace("`", "'")


def _unreadable(error: Exception) -> _Problem:
    if isinstance(error, RecursionError):
        return Reason.MALFORMED_JSON, "the JSON is nested too deeply: a fact is one flat object"
    if isinstance(error, UnicodeDecodeError):
        return Reason.MALFORMED_JSON, "the text is not UTF-8: encode it so"
    if isinstance(error, msgspec.ValidationError):
        return Reason.INVALID_FACT, "not a fact: write a JSON object, in an array or one a line where there are several"
    return Reason.MALFORMED_JSON, f"not JSON: {error}"
