"""What every adapter does alike: take the JSON out of a body, bound what it takes, and name facts by what they say."""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import blake2b
from typing import Annotated, Final, TypeVar
from urllib.parse import parse_qs

import msgspec

from flow.adapters.delivery import Delivery, ItemNames
from flow.adapters.times import Moment, provider_time
from flow.definitions import DEFAULT_TYPES
from flow.errors import Reason, Rejected
from flow.facts import Fact, encode_fact

LONGEST_NAME: Final = 255
LONGEST_TITLE: Final = 500
LONGEST_ADDRESS: Final = 2_000
LONGEST_TEXT: Final = 65_536
MOST_LABELS: Final = 100
MOST_ITEMS: Final = 100

TYPE_LABELS: Final = frozenset(word for words in DEFAULT_TYPES.values() for word in words)
"""Labels that tell an item's type where nothing else does; also as `type: bug`, `kind/bug`, `type::bug`."""

_TYPE_PREFIX: Final = re.compile(r"(?:type|kind)\s*(?:::|[:/])\s*")

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_NAME)]
Number = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Payload = TypeVar("Payload")
SomeFact = TypeVar("SomeFact", bound=Fact)


def json_of(delivery: Delivery) -> bytes:
    """The JSON text of a delivery: its body, or the `payload` field of a form; without a byte order mark."""
    media_type = delivery.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/x-www-form-urlencoded":
        return delivery.body.removeprefix(b"\xef\xbb\xbf")
    try:
        fields = parse_qs(delivery.body.decode("ascii"), errors="strict", max_num_fields=100)
    except ValueError:
        raise Rejected(Reason.NOT_UNDERSTOOD, "the body is not a form, as its content type says") from None
    if "payload" not in fields:
        raise Rejected(Reason.NOT_UNDERSTOOD, "the form has no field `payload`: send JSON, or a form with that field")
    return fields["payload"][0].encode()


def decode(decoder: msgspec.json.Decoder[Payload], text: bytes, what: str) -> Payload:
    """Read JSON as `what`. Raises Rejected: malformed_json, or not_understood with the path of what is wrong."""
    try:
        return decoder.decode(text)
    except msgspec.ValidationError as error:
        raise Rejected(Reason.NOT_UNDERSTOOD, f"not {what}: {error}") from None
    except UnicodeDecodeError:
        raise Rejected(Reason.MALFORMED_JSON, f"not {what}: the text is not UTF-8") from None
    except msgspec.DecodeError as error:
        raise Rejected(Reason.MALFORMED_JSON, f"not {what}: {error}") from None
    except RecursionError:
        raise Rejected(Reason.MALFORMED_JSON, f"not {what}: the JSON is nested too deeply") from None


def event_time(what: str, *moments: Moment) -> int:
    """The first of these that says a time, in milliseconds. Raises Rejected (not_understood)."""
    for moment in moments:
        instant = known_time(what, moment)
        if instant is not None:
            return instant
    raise Rejected(Reason.NOT_UNDERSTOOD, f"{what} does not say when it happened")


def known_time(what: str, moment: Moment) -> int | None:
    """A time in milliseconds, or None where the provider does not say it. Raises Rejected (not_understood)."""
    try:
        return provider_time(moment)
    except ValueError as error:
        raise Rejected(Reason.NOT_UNDERSTOOD, f"a time of {what} can't be read: {error}") from None


def identified(prefix: str, fact: SomeFact) -> SomeFact:
    """The fact under an id made of its own content.

    Equal ids mean equal facts, whoever told them: a redelivery, another webhook of the same repository, or a later
    reading through the provider's API. A fact that says something else never hides behind a known id.
    """
    fact.id = f"{prefix}:{blake2b(encode_fact(fact), digest_size=8).hexdigest()}"
    return fact


def title_of(text: str | None) -> str | None:
    """A title, cut to what is kept of one."""
    return text[:LONGEST_TITLE] if text else None


def address_of(text: str | None) -> str | None:
    """A web address that is safe to offer as a link, else None: a payload can hold `javascript:` too."""
    if text and len(text) <= LONGEST_ADDRESS and text.lower().startswith(("https://", "http://")):
        return text
    return None


def items_of(names: Iterable[str]) -> tuple[str, ...]:
    """Item names, each once, in the order of first mention, bounded in length and number."""
    distinct = dict.fromkeys(name for name in names if 0 < len(name) <= LONGEST_NAME)
    return tuple(distinct)[:MOST_ITEMS]


def items_in(item_names: ItemNames, *texts: str | None) -> tuple[str, ...]:
    """The items that these texts name, as `items_of`. Of a long text only the beginning is read."""
    return items_of(item_names([text[:LONGEST_TEXT] for text in texts if text]))


def blocked_by(labels: Iterable[str]) -> bool:
    """Whether one of the labels is `blocked`, in any case."""
    return any(label.casefold() == "blocked" for label in labels)


def labels_of(names: Iterable[str]) -> tuple[str, ...]:
    """Labels in a fixed order, each once, bounded in length and number."""
    return tuple(sorted({name for name in names if 0 < len(name) <= LONGEST_NAME})[:MOST_LABELS])


def type_among(labels: Iterable[str]) -> str | None:
    """The first of the labels that is a word for an item's type, without its prefix."""
    words = (_TYPE_PREFIX.sub("", label.casefold(), count=1) for label in labels)
    return next((word for word in words if word in TYPE_LABELS), None)
