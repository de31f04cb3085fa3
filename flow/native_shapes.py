"""The shapes of native facts, with the bounds of every field.

`fact()` makes of a shape what the log stores. Null and the empty text say nothing, as if the field were not there;
`false` does say something. What a change, a deployment or an incident leaves out is taken as its most common case: the
service is called like the source, the environment is production, a change or an incident was opened, a deployment
succeeded.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from flow.facts import (
    ChangeFact,
    ChangeState,
    DeploymentFact,
    DeploymentState,
    IncidentFact,
    IncidentState,
    ItemFact,
)
from flow.instants import instant_of

DEFAULT_ENVIRONMENT: Final = "production"

# Control characters are looked for elsewhere, and only where some can be: a pattern would cost more than all the rest.
_NO_CONTROL: Final = {"pattern": r"^[^\x00-\x1f\x7f]*$"}

Name = Annotated[str, Meta(min_length=1, max_length=255, extra_json_schema=_NO_CONTROL)]
Word = Annotated[str, Meta(max_length=255, extra_json_schema=_NO_CONTROL)]
Words = Annotated[tuple[Word, ...], Meta(max_length=100)]
Title = Annotated[str, Meta(max_length=1000)]
Address = Annotated[str, Meta(max_length=2000, pattern=r"^$|^[Hh][Tt][Tt][Pp][Ss]?://[^\x00-\x1f\x7f]*$")]
Number = Annotated[float, Meta(ge=-1e9, le=1e9)]
Order = Annotated[int, Meta(ge=0, le=2**53, description="orders the facts of one subject at the same instant")]
Moment = Annotated[datetime, Meta(tz=True, description="RFC 3339 with a time zone, from 1970 on")]


class NativeItem(msgspec.Struct, tag_field="subject", tag="item", forbid_unknown_fields=True, gc=False):
    """What a tracker says of one work item, in the tracker's own words. `id` is unique in its source."""

    id: Name
    source: Name
    item: Name
    at: Moment
    seq: Order | None = None
    status: Word | None = None
    blocked: bool | None = None
    deleted: bool | None = None
    labels: Words | None = None
    project: Word | None = None
    type: Word | None = None
    team: Word | None = None
    title: Title | None = None
    url: Address | None = None
    value: Number | None = None
    criticality: Number | None = None
    risk_reduction: Number | None = None
    size: Number | None = None

    def fact(self) -> ItemFact:
        """As the log stores it. By position, since this is the hot path."""
        return ItemFact(
            self.id,
            self.source,
            self.item,
            instant_of(self.at),
            self.seq or 0,
            self.status or None,
            self.blocked,
            self.deleted,
            self.labels,
            self.project or None,
            self.type or None,
            self.team or None,
            self.title or None,
            self.url or None,
            self.value,
            self.criticality,
            self.risk_reduction,
            self.size,
        )


class NativeChange(msgspec.Struct, tag_field="subject", tag="change", forbid_unknown_fields=True, gc=False):
    """One change to the code of one service: a pull or merge request, or a commit pushed straight."""

    id: Name
    source: Name
    change: Name
    at: Moment
    seq: Order | None = None
    service: Word | None = None
    state: ChangeState | None = None
    committed_at: Moment | None = None
    commit: Word | None = None
    items: Words | None = None

    def fact(self) -> ChangeFact:
        """As the log stores it."""
        return ChangeFact(
            id=self.id,
            source=self.source,
            service=self.service or self.source,
            change=self.change,
            at=instant_of(self.at),
            state=self.state or "opened",
            seq=self.seq or 0,
            committed_at=None if self.committed_at is None else instant_of(self.committed_at),
            commit=self.commit or None,
            items=_distinct(self.items),
        )


class NativeDeployment(msgspec.Struct, tag_field="subject", tag="deployment", forbid_unknown_fields=True, gc=False):
    """One deployment of one service to one environment. `remediates` names the incident that it was made for."""

    id: Name
    source: Name
    deployment: Name
    at: Moment
    seq: Order | None = None
    service: Word | None = None
    environment: Word | None = None
    state: DeploymentState | None = None
    commit: Word | None = None
    items: Words | None = None
    remediates: Word | None = None

    def fact(self) -> DeploymentFact:
        """As the log stores it."""
        return DeploymentFact(
            id=self.id,
            source=self.source,
            service=self.service or self.source,
            environment=self.environment or DEFAULT_ENVIRONMENT,
            deployment=self.deployment,
            at=instant_of(self.at),
            state=self.state or "succeeded",
            seq=self.seq or 0,
            commit=self.commit or None,
            items=_distinct(self.items),
            remediates=self.remediates or None,
        )


class NativeIncident(msgspec.Struct, tag_field="subject", tag="incident", forbid_unknown_fields=True, gc=False):
    """One incident of one service in one environment. `deployment` names the one that caused it, where known."""

    id: Name
    source: Name
    incident: Name
    at: Moment
    seq: Order | None = None
    service: Word | None = None
    environment: Word | None = None
    state: IncidentState | None = None
    deployment: Word | None = None

    def fact(self) -> IncidentFact:
        """As the log stores it."""
        return IncidentFact(
            id=self.id,
            source=self.source,
            service=self.service or self.source,
            environment=self.environment or DEFAULT_ENVIRONMENT,
            incident=self.incident,
            at=instant_of(self.at),
            state=self.state or "opened",
            seq=self.seq or 0,
            deployment=self.deployment or None,
        )


NativeFact = NativeItem | NativeChange | NativeDeployment | NativeIncident

SHAPES: Final[Mapping[str, type[NativeFact]]] = {
    "item": NativeItem,
    "change": NativeChange,
    "deployment": NativeDeployment,
    "incident": NativeIncident,
}
"""By subject."""


def _distinct(items: tuple[str, ...] | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(item for item in items if item)) if items else ()
