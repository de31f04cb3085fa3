"""Alertmanager: every alert that reaches the receiver is an incident. Route there only those that are.

Each field of the fact, and where it comes from:

- incident: `fingerprint` (a hash of the labels where there is none, before 0.20) and `startsAt`: one firing of one
  alert
- service: the label `service`, else `app`, `app_kubernetes_io_name`, `job`, else the receiver's name
- environment: the label `environment`, else `env`, else `production`
- state: each alert's own `status` (the group's before 0.20): firing: opened; resolved: resolved
- at: firing: `startsAt`; resolved: `endsAt`, or the arrival where that is not said (year 1)
- deployment: the label or the annotation `deployment`

A group is firing while any of its alerts is: its status is not looked at. `truncatedAlerts` above 0 means that some
alerts of the group are not in the body; leave the receiver's `max_alerts` at 0.

Identity: the incident and its state. So repeats, the copies of a second Alertmanager, and a resolution that is sent
twice without its time are all one fact.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct
from msgspec.json import Decoder

from flow.adapters.delivery import Delivery, ItemNames, Translation
from flow.adapters.deploying import PRODUCTION, name_of
from flow.adapters.reading import decode, event_time, json_of, known_time
from flow.adapters.times import Moment
from flow.errors import Reason, Rejected
from flow.facts import IncidentFact, IncidentState

SOURCE: Final = "alertmanager"

_STATES: Final[Mapping[str | None, IncidentState]] = {"firing": "opened", "resolved": "resolved"}
_SERVICE_LABELS: Final = ("service", "app", "app_kubernetes_io_name", "job")
_ENVIRONMENT_LABELS: Final = ("environment", "env")

_LONGEST_FINGERPRINT: Final = 64

_Labels = dict[str, str]


class _Alert(Struct, gc=False, rename="camel"):
    starts_at: Moment
    labels: _Labels = {}
    annotations: _Labels = {}
    status: str | None = None
    ends_at: Moment = None
    fingerprint: str | None = None


class _Group(Struct, gc=False):
    alerts: Annotated[list[_Alert], Meta(max_length=10_000)]
    status: str | None = None
    receiver: str | None = None


def translate(delivery: Delivery, item_names: ItemNames) -> Translation:
    """The facts of one notification. Raises Rejected (not_understood, malformed_json)."""
    group = decode(_GROUP, json_of(delivery), "a notification of Alertmanager")
    facts = {fact.id: fact for fact in (_fact(alert, group, delivery.received_at) for alert in group.alerts)}
    return Translation(list(facts.values()), None if facts else "no alerts")


def _fact(alert: _Alert, group: _Group, received_at: int) -> IncidentFact:
    state = _STATES.get(alert.status or group.status)
    if state is None:
        raise Rejected(Reason.NOT_UNDERSTOOD, "an alert is neither firing nor resolved")
    service = _first(alert.labels, _SERVICE_LABELS) or name_of(group.receiver)
    if service is None:
        raise Rejected(
            Reason.NOT_UNDERSTOOD, "neither an alert nor the receiver names a service: add a label `service`"
        )
    started = event_time("the alert", alert.starts_at)
    fingerprint = name_of(alert.fingerprint)
    if fingerprint is None or len(fingerprint) > _LONGEST_FINGERPRINT:
        fingerprint = _hash_of(alert.labels)
    incident = f"{fingerprint}-{started}"
    return IncidentFact(
        id=f"alertmanager:{incident}:{state}",
        source=SOURCE,
        service=service,
        environment=_first(alert.labels, _ENVIRONMENT_LABELS) or PRODUCTION,
        incident=incident,
        at=started if state == "opened" else _end_of(alert, started, received_at),
        state=state,
        seq=int(state != "opened"),
        deployment=_first(alert.labels, ["deployment"]) or _first(alert.annotations, ["deployment"]),
    )


def _end_of(alert: _Alert, started: int, received_at: int) -> int:
    ended = known_time("the alert", alert.ends_at)
    return max(started, received_at if ended is None else ended)


def _first(labels: _Labels, names: Iterable[str]) -> str | None:
    return next(filter(None, (name_of(labels.get(name)) for name in names)), None)


def _hash_of(labels: _Labels) -> str:
    return blake2b(msgspec.json.encode(sorted(labels.items())), digest_size=8).hexdigest()


_GROUP: Final = Decoder(_Group)
