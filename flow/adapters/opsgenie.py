"""Opsgenie: alerts.

Each field of the fact, and where it comes from:

- incident: `alert.alertId`
- service: `alert.details.service`, else `alert.entity`, else a tag `service:<name>`, else `integrationName`
- environment: `alert.details.environment`, else a tag `environment:<name>`, else `production`
- state: `action`: Create: opened; Acknowledge: acknowledged; Close and Delete: resolved
- at: Create: `alert.createdAt` (milliseconds); the others: `alert.updatedAt` (nanoseconds)
- deployment: `alert.details.deployment`, else a tag `deployment:<name>`

Tags can change while an alert is open: details and the entity name a service more safely.

Identity: by content (`flow.adapters.reading.identified`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct
from msgspec.json import Decoder

from flow.adapters.delivery import Delivery, ItemNames, Translation
from flow.adapters.deploying import PRODUCTION, name_of
from flow.adapters.reading import Name, decode, event_time, identified, json_of
from flow.adapters.times import Moment
from flow.errors import Reason, Rejected
from flow.facts import IncidentFact, IncidentState

SOURCE: Final = "opsgenie"

_ACTIONS: Final[Mapping[str, IncidentState]] = {
    "Create": "opened",
    "Acknowledge": "acknowledged",
    "Close": "resolved",
    "Delete": "resolved",
}


class _Alert(Struct, gc=False, rename="camel"):
    alert_id: str | None = None
    created_at: Moment = None
    updated_at: Moment = None
    entity: str | None = None
    details: Any = None
    tags: Any = None


class _Webhook(Struct, gc=False, rename="camel"):
    action: Name
    alert: _Alert | None = None
    integration_name: str | None = None


def translate(delivery: Delivery, item_names: ItemNames) -> Translation:
    """The facts of one delivery of Opsgenie. Raises Rejected (not_understood, malformed_json)."""
    webhook = decode(_WEBHOOK, json_of(delivery), "a webhook of Opsgenie")
    state, alert = _ACTIONS.get(webhook.action), webhook.alert
    if state is None or alert is None:
        return Translation([], f"{webhook.action[:50]} neither opens, acknowledges nor closes an alert")
    incident = name_of(alert.alert_id)
    service = (
        _said(alert, "service")
        or name_of(alert.entity)
        or _tagged(alert, "service")
        or name_of(webhook.integration_name)
    )
    if incident is None or service is None:
        raise Rejected(Reason.NOT_UNDERSTOOD, "the alert has no alertId, or no service: set the detail `service`")
    own_time = alert.created_at if state == "opened" else alert.updated_at
    fact = IncidentFact(
        id="",
        source=SOURCE,
        service=service,
        environment=_said(alert, "environment") or _tagged(alert, "environment") or PRODUCTION,
        incident=incident,
        at=event_time("the alert", own_time, alert.updated_at),
        state=state,
        seq=int(state != "opened"),
        deployment=_said(alert, "deployment") or _tagged(alert, "deployment"),
    )
    return Translation([identified(f"incident:{incident[:100]}", fact)])


def _said(alert: _Alert, what: str) -> str | None:
    return name_of(alert.details.get(what)) if isinstance(alert.details, dict) else None


def _tagged(alert: _Alert, what: str) -> str | None:
    tags = alert.tags if isinstance(alert.tags, list) else []
    found = (tag[len(what) + 1 :] for tag in tags[:100] if isinstance(tag, str) and tag.startswith(f"{what}:"))
    return next(filter(None, map(name_of, found)), None)


_WEBHOOK: Final = Decoder(_Webhook)
