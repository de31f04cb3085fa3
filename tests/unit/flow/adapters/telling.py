"""What tests of adapters share: sending a payload to one, and payloads spoilt in every way."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from flow.adapters import ADAPTERS, Delivery, Translation
from flow.adapters.reading import LONGEST_NAME
from flow.errors import Reason, Rejected
from flow.facts import Fact, decode_fact, encode_fact
from flow.instants import parse_instant

ARRIVED = parse_instant("2026-11-22T12:00:00Z")
SPOILT = (None, "", 0, -1, 2**70, 1.5, True, "x" * 70_000, "\x00", [], {}, [[]], [None], {"a": None}, "é\u2028")


def names_in(texts: Any) -> tuple[str, ...]:
    """The items that texts name, for streams whose `item_keys` are `SHP-\\d+`."""
    return tuple(key for text in texts for key in re.findall(r"SHP-\d+", text))


def told(source: str, body: Any, headers: dict[str, str] | None = None, arrived: int = ARRIVED) -> Translation:
    """What this payload tells; every fact can be written to the log and read back."""
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    translation = ADAPTERS[source].translate(Delivery(source, headers or {}, payload, arrived), names_in)
    assert bool(translation.facts) != bool(translation.ignored)
    assert all(decode_fact(encode_fact(fact)) == fact and fact.source == source for fact in translation.facts)
    assert all(0 < len(fact.id) <= LONGEST_NAME for fact in translation.facts)
    return translation


def only(source: str, body: Any, headers: dict[str, str] | None = None, arrived: int = ARRIVED) -> Any:
    """The one fact that this payload tells."""
    (fact,) = told(source, body, headers, arrived).facts
    return fact


def ignored(source: str, body: Any, headers: dict[str, str] | None = None) -> str:
    """Why nothing is made of this payload."""
    reason = told(source, body, headers).ignored
    assert reason is not None
    return reason


def refused(source: str, body: Any, headers: dict[str, str] | None = None) -> Rejected:
    """Why this payload is kept as not understood."""
    with pytest.raises(Rejected) as error:
        told(source, body, headers)
    assert error.value.message
    return error.value


def is_the_same_when_sent_again(source: str, body: Any, headers: dict[str, str] | None = None) -> bool:
    """Whether a redelivery an hour later, indented and with other headers, gives the same ids."""
    first: list[Fact] = told(source, body, headers).facts
    again = told(source, json.dumps(body, indent=2).encode(), (headers or {}) | {"x-attempt": "2"}, ARRIVED + 3_600_000)
    ids = [fact.id for fact in first]
    return bool(ids) and len(set(ids)) == len(ids) and ids == [fact.id for fact in again.facts]


def spoilt(body: Any) -> Iterator[Any]:
    """The payload with each of its values, however deep, taken away or replaced by something that doesn't fit."""
    yield from (b"", b"null", b"[]", b"{}", b'"text"', b"{", b"\xff", b"[" * 100_000, b"9" * 5_000)
    for path in _paths(body):
        for value in (..., *SPOILT):
            changed = copy.deepcopy(body)
            place = changed
            for step in path[:-1]:
                place = place[step]
            if value is ...:
                del place[path[-1]]
            else:
                place[path[-1]] = value
            yield changed


def survives_everything(source: str, body: Any, headers: dict[str, str] | None = None) -> int:
    """However the payload is spoilt, it is told, ignored or refused. Returns how many were."""
    reasons = [_refusal(source, payload, headers) for payload in spoilt(body)]
    assert set(reasons) <= {None, Reason.NOT_UNDERSTOOD, Reason.MALFORMED_JSON}
    return len(reasons)


def _refusal(source: str, payload: Any, headers: dict[str, str] | None) -> Reason | None:
    try:
        told(source, payload, headers)
    except Rejected as error:
        return error.reason
    return None


def _paths(value: Any) -> Iterator[tuple[Any, ...]]:
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in entries:
        yield (key,)
        yield from ((key, *path) for path in _paths(entry))
