"""The routes that take facts in, as they stand in the OpenAPI document; the shapes of facts are the decoder's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec.json import schema_components

from flow.adapters import ADAPTERS
from flow.adapters.cloudevents import BATCH, STRUCTURED
from flow.native_shapes import NativeFact
from service.problems import MEDIA_TYPE
from service.self_metrics import CLOUDEVENTS, FACTS, WEBHOOKS

_JSON: Final = "application/json"
_LINES: Final = "application/x-ndjson"
_REFERENCE: Final = "#/components/schemas/{name}"
_TAG: Final = {"name": "facts in", "description": "What happened, posted by tools; answered when it is durable"}

_ITEM: Final = {
    "subject": "item",
    "id": "evt-1",
    "source": "acme",
    "project": "CHK",
    "item": "CHK-12",
    "at": "2026-11-22T09:30:00Z",
    "status": "In Review",
    "type": "feature",
}
_DEPLOYMENT: Final = {
    "subject": "deployment",
    "id": "evt-3",
    "source": "acme",
    "service": "checkout",
    "environment": "production",
    "deployment": "d-9",
    "at": "2026-11-22T10:00:00Z",
    "state": "succeeded",
    "commit": "4f2a9c1",
    "items": ["CHK-12"],
}
_EVENT: Final = {
    "specversion": "1.0",
    "id": "evt-1",
    "source": "/acme/tracker",
    "type": "com.example.item.moved",
    "time": "2026-11-22T09:30:00Z",
    "data": _ITEM,
}
_PUSH: Final = {"action": "opened", "issue": {"number": 12, "title": "Pay with a card", "state": "open"}}

_COUNT: Final = {"type": "integer", "minimum": 0}
_TEXT: Final = {"type": "string"}
_SHAPES: Final[dict[str, Any]] = {
    "Accepted": {
        "title": "Accepted",
        "type": "object",
        "description": "How many facts are durable in the log now. Facts that were there already count too.",
        "properties": {
            "accepted": _COUNT,
            "ignored": _TEXT | {"description": "Why nothing was made of a delivery"},
            "kept": _COUNT | {"description": "1 when the delivery was not understood and is a dead letter now"},
            "reason": _TEXT,
            "detail": _TEXT,
        },
        "required": ["accepted"],
        "examples": [{"accepted": 1}],
    },
    "AcceptedEvents": {
        "title": "AcceptedEvents",
        "type": "object",
        "description": "Facts that are durable now, events that say nothing of work, and events that were not "
        "understood: for those the whole request is kept as a dead letter.",
        "properties": {
            "accepted": _COUNT,
            "ignored": _COUNT,
            "kept": _COUNT,
            "problems": {"type": "array", "items": _TEXT},
        },
        "required": ["accepted", "ignored", "kept"],
        "examples": [{"accepted": 1, "ignored": 0, "kept": 0}],
    },
    "CloudEvent": {
        "title": "CloudEvent",
        "type": "object",
        "description": "CloudEvents 1.0. `data` is a CDEvent, or a native fact.",
        "properties": {
            "specversion": {"const": "1.0"},
            **{name: _TEXT | {"minLength": 1, "maxLength": 255} for name in ("id", "source", "type")},
            "time": _TEXT | {"format": "date-time"},
            "datacontenttype": _TEXT,
            "data": {},
            "data_base64": {"type": ["string", "null"], "contentEncoding": "base64"},
        },
        "required": ["specversion", "id", "source", "type"],
    },
}

_PROBLEMS: Final[Mapping[int, str]] = {
    400: "It will never be right: `problems` says which facts and fields, and what to write instead",
    401: "The token is missing or not known",
    404: "No source of this name is on",
    413: "The body is over the limit; it was not read whole",
    415: "The content type or encoding is not one that is taken",
    503: "Not durable: send it again after Retry-After",
}


def add_ingest_to_openapi(schema: dict[str, Any]) -> None:
    """Put the routes into this document. Doing it twice changes nothing."""
    components = schema.setdefault("components", {})
    shapes = components.setdefault("schemas", {})
    [fact], facts = schema_components([NativeFact], ref_template=_REFERENCE)
    shapes |= facts | {"NativeFact": fact} | _SHAPES
    components.setdefault("securitySchemes", {}).setdefault("HTTPBearer", {"type": "http", "scheme": "bearer"})
    tags = schema.setdefault("tags", [])
    if _TAG not in tags:
        tags.insert(0, dict(_TAG))
    schema.setdefault("paths", {}).update(
        {FACTS: {"post": _facts()}, CLOUDEVENTS: {"post": _cloudevents()}, WEBHOOKS: {"post": _webhooks()}}
    )


def _facts() -> dict[str, Any]:
    one = _schema("NativeFact")
    return _operation(
        "post_facts",
        "Post native facts",
        "One fact, an array, or one a line; also gzipped. All are taken or none. A known id adds nothing.",
        {
            _JSON: {
                "schema": {"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]},
                "examples": {"one": {"value": _ITEM}, "several": {"value": [_ITEM, _DEPLOYMENT]}},
            },
            _LINES: {"schema": {"type": "string", "contentMediaType": _LINES}},
        },
        {"202": _answer("Durable in the log", "Accepted")} | _problems(400, 401, 413, 415, 503),
    ) | {"security": [{"HTTPBearer": []}]}


def _cloudevents() -> dict[str, Any]:
    one = _schema("CloudEvent")
    return _operation(
        "post_cloudevents",
        "Post CloudEvents",
        "CloudEvents 1.0, structured, in a batch, or binary with the attributes as `ce-` headers.",
        {
            STRUCTURED: {"schema": one, "examples": {"native": {"value": _EVENT}}},
            BATCH: {"schema": {"type": "array", "items": one}, "examples": {"batch": {"value": [_EVENT]}}},
        },
        {"202": _answer("Durable in the log", "AcceptedEvents")} | _problems(400, 401, 413, 415, 503),
    ) | {"security": [{"HTTPBearer": []}]}


def _webhooks() -> dict[str, Any]:
    source = {"name": "source", "in": "path", "required": True, "schema": {"enum": sorted(ADAPTERS)}}
    return _operation(
        "post_webhook",
        "Receive a signed delivery",
        "For the tools themselves: point their webhook here and give both sides the same secret. What is authentic but "
        "not understood is kept as a dead letter and answered 2xx.",
        {_JSON: {"schema": {"type": "object"}, "examples": {"github": {"value": _PUSH}}}},
        {
            "200": _answer("Authentic, and nothing to take from it", "Accepted"),
            "202": _answer("Durable in the log", "Accepted"),
        }
        | _problems(401, 404, 413, 503),
    ) | {"parameters": [source], "security": []}


def _operation(
    name: str, summary: str, description: str, content: Mapping[str, Any], responses: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "operationId": name,
        "tags": [_TAG["name"]],
        "summary": summary,
        "description": description,
        "requestBody": {"required": True, "content": content},
        "responses": responses,
    }


def _schema(name: str) -> dict[str, str]:
    return {"$ref": _REFERENCE.format(name=name)}


def _answer(description: str, name: str) -> dict[str, Any]:
    return {"description": description, "content": {_JSON: {"schema": _schema(name)}}}


def _problems(*statuses: int) -> dict[str, Any]:
    content = {MEDIA_TYPE: {"schema": _schema("Problem")}}
    return {str(status): {"description": _PROBLEMS[status], "content": content} for status in statuses}
