"""CDEvents 0.3 to 0.5, inside a CloudEvent or posted bare: changes, deployed services, incidents and tickets.

https://github.com/cdevents/spec. An event is known by its type's name; the version behind it is not looked at.
A fact's id is the event's source and id, which the specification makes unique together.

The specification has no field for a change's commit, nor for the work items that a change or a deployment is about,
and it names a change's repository but not its service. A sender may put them into `customData`, as
`{"service": …, "commit": …, "committedAt": …, "items": […]}`; `service` there is taken before any other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Final

import msgspec
from msgspec.json import Decoder

from flow.adapters.cloudevents import CloudEvent, is_cloudevent, read_cloudevents
from flow.adapters.delivery import Delivery, ItemNames, Translation
from flow.adapters.reading import (
    LONGEST_NAME,
    MOST_LABELS,
    Name,
    address_of,
    blocked_by,
    decode,
    event_time,
    items_of,
    json_of,
    known_time,
    title_of,
)
from flow.adapters.times import Moment
from flow.errors import Reason, Rejected
from flow.facts import (
    ChangeFact,
    ChangeState,
    DeploymentFact,
    DeploymentState,
    Fact,
    IncidentFact,
    IncidentState,
    ItemFact,
)

SOURCE: Final = "cdevents"

_TYPE: Final = re.compile(r"dev\.cdevents\.([a-z]+)\.([a-z]+)(?:\.[0-9][\w.-]*)?", re.ASCII)
_CHANGES: Final[Mapping[str, ChangeState]] = {"created": "opened", "merged": "merged", "abandoned": "abandoned"}
_SERVICES: Final[Mapping[str, DeploymentState]] = {
    "deployed": "succeeded",
    "upgraded": "succeeded",
    "published": "succeeded",
    "rolledback": "rolled_back",
}
_INCIDENTS: Final[Mapping[str, IncidentState]] = {"detected": "opened", "reported": "opened", "resolved": "resolved"}
_TICKETS: Final[Mapping[str, str | None]] = {"created": "open", "updated": None, "closed": "closed"}


class _Context(msgspec.Struct, gc=False):
    id: Name
    source: Name
    type: Name
    timestamp: Moment
    chain: Name | None = msgspec.field(default=None, name="chainId")


class _Subject(msgspec.Struct, gc=False):
    id: Name
    source: Name | None = None
    content: msgspec.Raw = msgspec.Raw(b"{}")


class _CDEvent(msgspec.Struct, gc=False):
    context: _Context
    subject: _Subject
    custom: msgspec.Raw = msgspec.field(default=msgspec.Raw(b"{}"), name="customData")


class _Custom(msgspec.Struct, gc=False, rename="camel"):
    service: Name | None = None
    commit: Name | None = None
    committed_at: Moment = None
    items: tuple[Name, ...] = ()


class _Reference(msgspec.Struct, gc=False):
    id: Name


class _ChangeContent(msgspec.Struct, gc=False):
    repository: _Reference | None = None
    description: str | None = None


class _ServiceContent(msgspec.Struct, gc=False, rename="camel"):
    environment: _Reference
    artifact_id: Name | None = None


class _IncidentContent(msgspec.Struct, gc=False):
    environment: _Reference
    service: _Reference | None = None


class _TicketContent(msgspec.Struct, gc=False, rename="camel"):
    summary: str | None = None
    ticket_type: Name | None = None
    group: Name | None = None
    labels: Annotated[tuple[Name, ...], msgspec.Meta(max_length=MOST_LABELS)] | None = None
    uri: str | None = None


_EVENT: Final = Decoder(_CDEvent)
_CUSTOM: Final = Decoder(_Custom)
_CHANGE: Final = Decoder(_ChangeContent)
_SERVICE: Final = Decoder(_ServiceContent)
_INCIDENT: Final = Decoder(_IncidentContent)
_TICKET: Final = Decoder(_TicketContent)


def translate(delivery: Delivery, item_names: ItemNames) -> Translation:
    """The facts of one delivery: a bare CDEvent, or CloudEvents that hold CDEvents.

    A batch is taken whole or refused whole. Raises Rejected (not_understood, malformed_json, unsupported_media_type).
    """
    if not is_cloudevent(delivery):
        return _read(json_of(delivery), item_names)
    read = [translate_event(event, item_names) for event in read_cloudevents(delivery)]
    facts = [fact for translation in read for fact in translation.facts]
    reasons = dict.fromkeys(translation.ignored for translation in read if translation.ignored)
    return Translation(facts, None if facts else "; ".join(reasons) or "an empty batch")


def translate_event(event: CloudEvent, item_names: ItemNames) -> Translation:
    """The facts of one CloudEvent. Raises Rejected (not_understood) when it holds no CDEvent; `is_cdevent` tells."""
    if not is_cdevent(event):
        raise Rejected(Reason.NOT_UNDERSTOOD, f"CloudEvents of type {event.type!r} are not known: send CDEvents")
    return _read(event.data, item_names)


def is_cdevent(event: CloudEvent) -> bool:
    """Whether the event's type is of CDEvents' own vocabulary."""
    return _TYPE.fullmatch(event.type) is not None


def _read(text: bytes, item_names: ItemNames) -> Translation:
    event = decode(_EVENT, text, "a CDEvent")
    kind = _TYPE.fullmatch(event.context.type)
    if kind is None:
        raise Rejected(Reason.NOT_UNDERSTOOD, f"{event.context.type!r} is no type of CDEvents")
    subject, predicate = kind.groups()
    read = _READERS.get(subject)
    fact = read(event, predicate, item_names) if read else None
    if fact is None:
        return Translation([], f"{subject}.{predicate} events say nothing of work, changes, deployments or incidents")
    return Translation([fact])


def _change(event: _CDEvent, predicate: str, item_names: ItemNames) -> ChangeFact | None:
    state = _CHANGES.get(predicate)
    if state is None:
        return None
    content, custom = decode(_CHANGE, event.subject.content, "a change of CDEvents"), _custom_data(event)
    repository = content.repository.id if content.repository else None
    return ChangeFact(
        id=_id(event),
        source=SOURCE,
        service=custom.service or repository or event.subject.source or event.context.source,
        change=event.subject.id,
        at=_at(event),
        state=state,
        committed_at=known_time("the change", custom.committed_at),
        commit=custom.commit,
        items=items_of([*custom.items, *item_names([event.subject.id, content.description or ""])]),
    )


def _deployment(event: _CDEvent, predicate: str, item_names: ItemNames) -> DeploymentFact | None:
    """A deployment is called by the chain of events that it belongs to, so that `deployed`, `published` and
    `rolledback` of one pipeline run are one deployment; without a chain by its artifact, else by this event.
    The artifact of a rollback is the one that runs afterwards: it doesn't name what was rolled back."""
    state = _SERVICES.get(predicate)
    if state is None:
        return None
    content, custom = decode(_SERVICE, event.subject.content, "a service of CDEvents"), _custom_data(event)
    artifact = content.artifact_id if state == "succeeded" else None
    return DeploymentFact(
        id=_id(event),
        source=SOURCE,
        service=custom.service or event.subject.id,
        environment=content.environment.id,
        deployment=event.context.chain or artifact or event.context.id,
        at=_at(event),
        state=state,
        commit=custom.commit,
        items=items_of(custom.items),
    )


def _incident(event: _CDEvent, predicate: str, item_names: ItemNames) -> IncidentFact | None:
    state = _INCIDENTS.get(predicate)
    if state is None:
        return None
    content = decode(_INCIDENT, event.subject.content, "an incident of CDEvents")
    service = _custom_data(event).service or (content.service.id if content.service else None)
    if service is None:
        raise Rejected(Reason.NOT_UNDERSTOOD, "the incident names no service: set subject.content.service.id")
    return IncidentFact(
        id=_id(event),
        source=SOURCE,
        service=service,
        environment=content.environment.id,
        incident=event.subject.id,
        at=_at(event),
        state=state,
    )


def _ticket(event: _CDEvent, predicate: str, item_names: ItemNames) -> ItemFact | None:
    """CDEvents know no status of a ticket but that it was created or closed; an update can only change the rest."""
    if predicate not in _TICKETS:
        return None
    content = decode(_TICKET, event.subject.content, "a ticket of CDEvents")
    labels = None if content.labels is None else tuple(sorted(content.labels))
    return ItemFact(
        id=_id(event),
        source=SOURCE,
        item=event.subject.id,
        at=_at(event),
        status=_TICKETS[predicate],
        blocked=None if labels is None else blocked_by(labels),
        labels=labels,
        project=event.subject.source or event.context.source,
        type=content.ticket_type,
        team=content.group,
        title=title_of(content.summary),
        url=address_of(content.uri),
    )


def _id(event: _CDEvent) -> str:
    fact_id = f"{event.context.source}/{event.context.id}"
    if len(fact_id) > LONGEST_NAME:
        raise Rejected(
            Reason.NOT_UNDERSTOOD, f"context.source and context.id are longer than {LONGEST_NAME} characters together"
        )
    return fact_id


def _at(event: _CDEvent) -> int:
    return event_time("the CDEvent", event.context.timestamp)


def _custom_data(event: _CDEvent) -> _Custom:
    """What a sender put there for Streamgauge. Anything else there is somebody else's and is passed over."""
    try:
        return _CUSTOM.decode(event.custom)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _Custom()


_READERS: Final[Mapping[str, Callable[[_CDEvent, str, ItemNames], Fact | None]]] = {
    "change": _change,
    "service": _deployment,
    "incident": _incident,
    "ticket": _ticket,
}
