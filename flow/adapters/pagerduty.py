"""PagerDuty, v3 webhooks: incidents.

Each field of the fact, and where it comes from:

- incident: `data.id`
- service: the custom field `service`, else `data.service.summary`, the service's name
- environment: the custom field `environment`, else `production`
- state, at: `event_type`: triggered and reopened: opened; acknowledged; resolved; at `occurred_at`, else
  `data.created_at` when triggered
- deployment: the custom field `deployment`

The v2 webhooks, which PagerDuty has switched off, are refused by name.

Identity: by content (`flow.adapters.reading.identified`), without the id of the event: an incident's log entries in
PagerDuty's API tell the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct, field
from msgspec.json import Decoder

from flow.adapters.delivery import Delivery, ItemNames, Translation
from flow.adapters.deploying import PRODUCTION, name_of
from flow.adapters.reading import Name, decode, event_time, identified, json_of
from flow.adapters.times import Moment
from flow.errors import Reason, Rejected
from flow.facts import IncidentFact, IncidentState

SOURCE: Final = "pagerduty"

_EVENTS: Final[Mapping[str, IncidentState]] = {
    "incident.triggered": "opened",
    "incident.reopened": "opened",
    "incident.acknowledged": "acknowledged",
    "incident.resolved": "resolved",
}


class _Data(Struct, gc=False):
    """Of an incident, or of something else: a service, a note …"""

    id: str | None = None
    type: str | None = None
    created_at: Moment = None
    service: Any = None
    custom_fields: Any = None


class _Event(Struct, gc=False):
    event_type: Name
    occurred_at: Moment = None
    data: _Data = field(default_factory=_Data)


class _Webhook(Struct, gc=False):
    event: _Event | None = None
    messages: Any = None


def translate(delivery: Delivery, item_names: ItemNames) -> Translation:
    """The facts of one delivery of PagerDuty. Raises Rejected (not_understood, malformed_json)."""
    event = _event_in(json_of(delivery))
    if event.event_type == "pagey.ping":
        return Translation([], "ping")
    state = _EVENTS.get(event.event_type)
    if state is None:
        return Translation([], f"{event.event_type[:100]} events neither open, acknowledge nor resolve an incident")
    data, custom = event.data, _custom_fields(event.data.custom_fields)
    incident = name_of(data.id)
    service = custom.get("service") or _summary_of(data.service)
    if incident is None or service is None:
        raise Rejected(Reason.NOT_UNDERSTOOD, "the incident has no id, or no service with a name")
    created_at = data.created_at if event.event_type == "incident.triggered" else None
    fact = IncidentFact(
        id="",
        source=SOURCE,
        service=service,
        environment=custom.get("environment", PRODUCTION),
        incident=incident,
        at=event_time("the event", event.occurred_at, created_at),
        state=state,
        seq=int(state != "opened"),
        deployment=custom.get("deployment"),
    )
    return Translation([identified(f"incident:{incident[:100]}", fact)])


def _event_in(text: bytes) -> _Event:
    webhook = decode(_WEBHOOK, text, "a v3 webhook of PagerDuty")
    if webhook.event is not None:
        return webhook.event
    old = "a v2 webhook of PagerDuty" if webhook.messages is not None else "no webhook of PagerDuty"
    raise Rejected(Reason.NOT_UNDERSTOOD, f"{old}: make a v3 webhook subscription")


def _summary_of(service: object) -> str | None:
    return name_of(service.get("summary")) if isinstance(service, dict) else None


def _custom_fields(fields: object) -> dict[str, str]:
    """Values of custom fields by name, in lower case; whatever is none is passed over."""
    entries = [entry for entry in fields if isinstance(entry, dict)] if isinstance(fields, list) else []
    found = {str(entry.get("name")).casefold(): name_of(entry.get("value")) for entry in entries[:100]}
    return {name: value for name, value in found.items() if value}


_WEBHOOK: Final = Decoder(_Webhook)
