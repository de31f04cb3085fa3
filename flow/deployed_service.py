"""All facts of one service: a grow-only set, and what it says, kept up to date fact by fact.

The lanes of a service (its environments) share the service's changes, so its facts are kept together, in rows of one
change, deployment or incident each: a fact reads and writes the row that it belongs to, not the whole service. Within
a row the order is (at, seq, id). A late fact re-reads its own row; what it alters elsewhere is found by name or by
bisection (`flow.lead_times`), so neither an early nor a late fact costs what the service is large.

A service keeps its newest facts, MAX_FACTS at most. When there are more, it lets go of what is over: everything that
has only facts from before a *horizon*. What was counted of that stays counted; facts from before the horizon can't be
corrected any more and are refused.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping
from typing import Final, cast

import msgspec

from flow.facts import ChangeFact, DeploymentFact, IncidentFact, LaneFact
from flow.lanes import (
    OPEN_FAILURES,
    OPEN_SINCE,
    Correction,
    Deployment,
    Event,
    Incident,
    events_of_deployment,
    events_of_incident,
)
from flow.lead_times import Change, Deployed, LeadTimes
from flow.vector import Vector

MAX_FACTS: Final = 20_000
"""The most facts of one service that are kept."""

LET_GO: Final = 0.25
"""The share of a full service's facts, the oldest, that it lets go of where it can."""

HORIZON: Final = "horizon"
"""The field that says from which instant (ms) on a service's facts are kept; no row has this name."""

_SEPARATOR: Final = "\x1f"
_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final[msgspec.msgpack.Decoder[list[LaneFact]]] = msgspec.msgpack.Decoder(list[LaneFact])


def row_name(fact: LaneFact) -> str:
    """The row that a fact belongs to."""
    if isinstance(fact, ChangeFact):
        return f"change{_SEPARATOR}{fact.change}"
    if isinstance(fact, DeploymentFact):
        return f"deployment{_SEPARATOR}{fact.environment}{_SEPARATOR}{fact.deployment}"
    return f"incident{_SEPARATOR}{fact.environment}{_SEPARATOR}{fact.incident}"


def _order(fact: LaneFact) -> tuple[int, int, str]:
    return fact.at, fact.seq, fact.id


class DeployedService:
    """The facts of one service by row, and what they say of its deployments, incidents and changes."""

    __slots__ = ("_caused", "_deployments", "_ids", "_incidents", "_lead_times", "_open", "_rows", "_stuck", "horizon")

    def __init__(self) -> None:
        self.horizon = 0
        self._rows: dict[str, list[LaneFact]] = {}
        self._ids: set[str] = set()
        self._deployments: dict[tuple[str, str], Deployment] = {}
        self._incidents: dict[tuple[str, str], Incident] = {}
        self._caused: dict[tuple[str, str], set[str]] = {}
        self._open: dict[str, list[tuple[int, str]]] = {}
        self._lead_times = LeadTimes()
        self._stuck = False

    @classmethod
    def load(cls, rows: Mapping[str, bytes]) -> DeployedService:
        """From its stored rows. Raises msgspec.DecodeError on what is not one."""
        service = cls()
        for name, row in rows.items():
            if name == HORIZON:
                service.horizon = int(row)
            else:
                service._rows[name] = _decoder.decode(row)
        service._read()
        return service

    def row(self, name: str) -> bytes | None:
        """A row as it is stored; None when there is none of this name."""
        if name == HORIZON:
            return str(self.horizon).encode()
        facts = self._rows.get(name)
        return None if facts is None else _encoder.encode(facts)

    @property
    def size(self) -> int:
        """How many facts there are."""
        return len(self._ids)

    def facts(self) -> list[LaneFact]:
        """All facts in order."""
        return sorted((fact for row in self._rows.values() for fact in row), key=_order)

    def environments(self) -> set[str]:
        """Where anything was deployed or went wrong."""
        return {environment for environment, _ in (*self._deployments, *self._incidents)}

    def holds(self, identifier: str) -> bool:
        """Whether a fact of this id is there."""
        return identifier in self._ids

    def add(self, fact: LaneFact) -> Correction:
        """Add a fact that is not there yet. Returns what changes in the service's lanes by it."""
        facts = self._rows.setdefault(row_name(fact), [])
        insort(facts, fact, key=_order)
        self._ids.add(fact.id)
        self._stuck = False
        correction = Correction()
        if isinstance(fact, DeploymentFact):
            self._add_deployment(fact, facts, correction)
        elif isinstance(fact, IncidentFact):
            self._add_incident(fact, facts, correction)
        elif fact.state == "merged":
            change = Change.of(cast(list[ChangeFact], facts))
            assert change is not None
            self._lead_times.merge(fact.change, change, correction)
        return correction

    def _add_deployment(self, fact: DeploymentFact, facts: list[LaneFact], into: Correction) -> None:
        where = fact.environment, fact.deployment
        known = self._deployments.get(where)
        if known is not None:
            into.take_out(self._events_of(where))
        in_order = facts[-1] is fact
        now = (known or Deployment()).told(fact) if in_order else _read_deployment(facts)
        self._deployments[where] = now
        into.put_in(self._events_of(where))
        self._lead_times.deploy(*where, Deployed(now.commit, now.succeeded_at), into)

    def _add_incident(self, fact: IncidentFact, facts: list[LaneFact], into: Correction) -> None:
        environment, name = where = fact.environment, fact.incident
        known = self._incidents.get(where, Incident())
        now = known.told(fact) if facts[-1] is fact else _read_incident(facts)
        blamed = {(environment, each) for each in (known.deployment, now.deployment) if each is not None}
        into.take_out(events_of_incident(environment, name, known))
        for deployment in blamed:
            into.take_out(self._events_of(deployment))
        self._incidents[where] = now
        self._blame(environment, name, known, now)
        into.put_in(events_of_incident(environment, name, now))
        for deployment in blamed:
            into.put_in(self._events_of(deployment))

    def _blame(self, environment: str, incident: str, before: Incident, after: Incident) -> None:
        if before.deployment is not None:
            self._caused[environment, before.deployment].discard(incident)
        if after.deployment is not None:
            self._caused.setdefault((environment, after.deployment), set()).add(incident)
        are_open = self._open.setdefault(environment, [])
        if before.open_since is not None:
            del are_open[bisect_left(are_open, (before.open_since, incident))]
        if after.open_since is not None:
            insort(are_open, (after.open_since, incident))

    def open_failures(self, environment: str) -> Vector:
        """The gauges of a lane (`flow.lanes.GAUGES`), empty when no failure is open."""
        are_open = self._open.get(environment)
        return {OPEN_FAILURES: len(are_open), OPEN_SINCE: are_open[0][0]} if are_open else {}

    def _events_of(self, where: tuple[str, str]) -> list[Event]:
        deployment = self._deployments.get(where)
        if deployment is None:
            return []
        return events_of_deployment(*where, deployment, bool(self._caused.get(where)))

    def let_go(self) -> list[str]:
        """Make room. Returns the names of the rows that are gone; empty when there is nothing that may go."""
        if self._stuck:
            return []
        instants = sorted(fact.at for facts in self._rows.values() for fact in facts)
        self.horizon = max(self.horizon, instants[int(len(instants) * LET_GO)])
        over = {name for name, facts in self._rows.items() if facts[-1].at < self.horizon}
        gone = sorted(over - self._needed(over))
        for name in gone:
            del self._rows[name]
        self._stuck = not gone
        self._read()
        return gone

    def _needed(self, over: set[str]) -> set[str]:
        """The rows that must stay, though over, so that what others count does not change.

        Merged changes go in the order of their merges; a deployment goes after the change that it names.
        """
        names = self._lead_times.names()
        kept: set[str] = set()
        needed: set[str] = set()
        for key in self._lead_times.in_order():
            rows = {f"change{_SEPARATOR}{name}" for name in names[key]}
            if kept or not rows <= over:
                kept.add(key)
                needed |= rows
        for (environment, name), deployment in self._deployments.items():
            if deployment.commit in kept:
                needed.add(f"deployment{_SEPARATOR}{environment}{_SEPARATOR}{name}")
        return needed

    def _read(self) -> None:
        """Read everything anew from the rows."""
        self._ids = {fact.id for facts in self._rows.values() for fact in facts}
        self._deployments, self._incidents, self._caused, self._open = {}, {}, {}, {}
        changes: dict[str, Change] = {}
        for facts in self._rows.values():
            first = facts[0]
            if isinstance(first, DeploymentFact):
                self._deployments[first.environment, first.deployment] = _read_deployment(facts)
            elif isinstance(first, IncidentFact):
                incident = self._incidents[first.environment, first.incident] = _read_incident(facts)
                self._blame(first.environment, first.incident, Incident(), incident)
            else:
                change = Change.of(cast(list[ChangeFact], facts))
                if change is not None:
                    changes[first.change] = change
        deployed = {where: Deployed(each.commit, each.succeeded_at) for where, each in self._deployments.items()}
        self._lead_times = LeadTimes.of(changes, deployed)


def _read_deployment(facts: Iterable[LaneFact]) -> Deployment:
    deployment = Deployment()
    for fact in cast(Iterable[DeploymentFact], facts):
        deployment = deployment.told(fact)
    return deployment


def _read_incident(facts: Iterable[LaneFact]) -> Incident:
    incident = Incident()
    for fact in cast(Iterable[IncidentFact], facts):
        incident = incident.told(fact)
    return incident
