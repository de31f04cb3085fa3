"""CloudEvents 1.0 over HTTP: structured, binary and batch content modes.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

import msgspec

from flow.adapters.delivery import Delivery
from flow.adapters.reading import LONGEST_NAME, decode, json_of
from flow.adapters.times import provider_time
from flow.errors import Reason, Rejected

BATCH: Final = "application/cloudevents-batch+json"
STRUCTURED: Final = "application/cloudevents+json"

_REQUIRED: Final = ("specversion", "id", "source", "type")
_OPTIONAL: Final = ("time", "subject", "datacontenttype")

_Members = dict[str, msgspec.Raw]
_EVENT: Final[msgspec.json.Decoder[_Members]] = msgspec.json.Decoder(_Members)
_EVENTS: Final[msgspec.json.Decoder[list[_Members]]] = msgspec.json.Decoder(list[_Members])
_TEXT: Final = msgspec.json.Decoder(str)


@dataclass(frozen=True, slots=True)
class CloudEvent:
    """One event. `time` is in milliseconds; `data` holds the bytes of the data: JSON text where it is JSON."""

    id: str
    source: str
    type: str
    data: bytes
    time: int | None = None
    subject: str | None = None
    datacontenttype: str | None = None


def is_cloudevent(delivery: Delivery) -> bool:
    """Whether the headers say that this is a CloudEvent, in any of the three modes."""
    return _is_binary(delivery) or _media_type(delivery).startswith("application/cloudevents")


def read_cloudevents(delivery: Delivery) -> list[CloudEvent]:
    """The events of one request. One malformed event refuses the request: all that is wrong stands in the message.

    Raises Rejected (malformed_json, not_understood; unsupported_media_type when it is no CloudEvent, or not in JSON).
    """
    media_type = _media_type(delivery)
    if media_type == BATCH:
        batch = decode(_EVENTS, json_of(delivery), "a batch of CloudEvents")
        return _checked([_structured(members) for members in batch])
    if media_type == STRUCTURED:
        return _checked([_structured(decode(_EVENT, json_of(delivery), "a CloudEvent"))])
    if _is_binary(delivery) and not media_type.startswith("application/cloudevents"):
        return _checked([_binary(delivery)])
    raise Rejected(
        Reason.UNSUPPORTED_MEDIA_TYPE,
        f"not a CloudEvent in JSON: send {STRUCTURED}, {BATCH}, or the attributes as ce- headers",
    )


def _is_binary(delivery: Delivery) -> bool:
    return any(f"ce-{name}" in delivery.headers for name in _REQUIRED)


def _media_type(delivery: Delivery) -> str:
    return delivery.headers.get("content-type", "").partition(";")[0].strip().lower()


_Attributes = dict[str, str]
_Read = tuple[_Attributes, bytes, list[str]]
"""The attributes that could be read, the data, and the problems."""


def _structured(members: _Members) -> _Read:
    attributes: _Attributes = {}
    problems: list[str] = []
    for name in (*_REQUIRED, *_OPTIONAL):
        raw = members.get(name)
        if raw is None or bytes(raw) == b"null":
            continue
        try:
            attributes[name] = _TEXT.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError):
            problems.append(f"{name} is not a string")
    try:
        return attributes, _data_of(members, attributes), problems
    except (ValueError, msgspec.DecodeError):
        return attributes, b"", [*problems, "data_base64 is not base64, or the data is not as datacontenttype says"]


def _data_of(members: _Members, attributes: _Attributes) -> bytes:
    """JSON data as its JSON text; data of another type, which stands in a JSON string, as what the string holds."""
    encoded, data = members.get("data_base64"), members.get("data")
    if encoded is not None and bytes(encoded) != b"null":
        return b64decode(_TEXT.decode(encoded), validate=True)
    if data is None:
        return b""
    is_json = _is_json(attributes.get("datacontenttype"))
    return bytes(data) if is_json or not bytes(data).startswith(b'"') else _TEXT.decode(data).encode()


def _is_json(datacontenttype: str | None) -> bool:
    """Without a content type the data of a structured event is JSON."""
    media_type = (datacontenttype or "application/json").partition(";")[0].strip().lower()
    return media_type.endswith(("/json", "+json"))


def _binary(delivery: Delivery) -> _Read:
    attributes: _Attributes = {}
    problems: list[str] = []
    for name in (*_REQUIRED, "time", "subject"):
        header = delivery.headers.get(f"ce-{name}")
        if header is None:
            continue
        try:
            attributes[name] = _header_value(header)
        except UnicodeDecodeError:
            problems.append(f"{name} is not percent-encoded UTF-8")
    content_type = delivery.headers.get("content-type")
    if content_type:
        attributes["datacontenttype"] = content_type
    return attributes, json_of(delivery) if _is_json(content_type) else delivery.body, problems


def _header_value(text: str) -> str:
    """Quotes first, percent signs second, as section 3.1.3.2 has it."""
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = text[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    return unquote(text, errors="strict")


def _checked(events: list[_Read]) -> list[CloudEvent]:
    problems = []
    for number, (attributes, _, found) in enumerate(events, 1):
        where = f"event {number} of {len(events)}: " if len(events) > 1 else ""
        problems += [where + problem for problem in (*found, *_problems(attributes, found))]
    if problems:
        raise Rejected(Reason.NOT_UNDERSTOOD, f"not a CloudEvent: {'; '.join(problems[:20])}")
    return [_event(attributes, data) for attributes, data, _ in events]


def _problems(attributes: Mapping[str, str], found: list[str]) -> Iterator[str]:
    for name in _REQUIRED:
        if not attributes.get(name) and not any(problem.startswith(f"{name} ") for problem in found):
            yield f"{name} is missing"
    for name, value in attributes.items():
        if len(value) > LONGEST_NAME:
            yield f"{name} is longer than {LONGEST_NAME} characters"
    if attributes.get("specversion", "1.0") not in {"", "1.0"}:
        yield "specversion is not 1.0"
    try:
        provider_time(attributes.get("time"))
    except ValueError as error:
        yield f"time: {error}"


def _event(attributes: Mapping[str, str], data: bytes) -> CloudEvent:
    return CloudEvent(
        id=attributes["id"],
        source=attributes["source"],
        type=attributes["type"],
        data=data,
        time=provider_time(attributes.get("time")),
        subject=attributes.get("subject"),
        datacontenttype=attributes.get("datacontenttype"),
    )
