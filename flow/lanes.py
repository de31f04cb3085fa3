"""Delivery lanes: what deployments, changes and incidents say of one service in one environment.

All facts of a service are one grow-only set, ordered by (at, seq, id), since changes belong to all of its lanes. The
measures are DORA's five under their current names (dora.dev):

- deployment frequency: deployments that succeeded;
- change lead time: from the commit (or, where nobody says when that was, the merge) to the deployment that first
  brought the change to the environment. A deployment brings every merged change up to the one whose commit it names;
  a deployment whose commit no known change has brings none, since nobody can know;
- change fail rate: deployments that needed immediate intervention, of those that succeeded: an incident names it, or
  it was rolled back;
- failed deployment recovery time: from the incident's opening to its resolution, or from success to roll-back;
- deployment rework rate: deployments that remediate an incident, of those that succeeded.

Each measure counts at the instant of its last event: success, failure, roll-back, resolution; a failed change counts at
its deployment's success.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec

from flow.buckets import COMMON
from flow.cells import Retention
from flow.counters import Family
from flow.facts import ChangeFact, DeploymentFact, IncidentFact, LaneFact
from flow.histogram import bin_of
from flow.tally import Tally

SUCCEEDED: Final = 0
FAILED: Final = 1
ROLLED_BACK: Final = 2
FAILED_CHANGES: Final = 3
REWORK: Final = 4
LEAD_TIME: Final = 5
LEAD_TIMES: Final = 6
RECOVERY_TIME: Final = 7
RECOVERIES: Final = 8
LEAD_TIME_BINS: Final = 64
RECOVERY_BINS: Final = 1024
LEAD_TIME_BUCKETS: Final = 2048
RECOVERY_BUCKETS: Final = 3072


class _TimeCodes(NamedTuple):
    """Where a kind of time is counted: how often, the sum, the histogram's first bin, the first Prometheus bucket."""

    observed: int
    total: int
    bins: int
    buckets: int


_LEAD_TIME_CODES: Final = _TimeCodes(LEAD_TIMES, LEAD_TIME, LEAD_TIME_BINS, LEAD_TIME_BUCKETS)
_RECOVERY_CODES: Final = _TimeCodes(RECOVERIES, RECOVERY_TIME, RECOVERY_BINS, RECOVERY_BUCKETS)

FAMILIES: Final = (
    Family((LEAD_TIMES,), range(LEAD_TIME_BUCKETS, LEAD_TIME_BUCKETS + 1024), (LEAD_TIME,)),
    Family((RECOVERIES,), range(RECOVERY_BUCKETS, RECOVERY_BUCKETS + 1024), (RECOVERY_TIME,)),
)
"""Which counters of a lane can't gain more than others (`flow.counters`)."""

MAX_FACTS: Final = 20_000
"""The most facts of one service that are kept; more are refused."""

_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final[msgspec.msgpack.Decoder[list[LaneFact]]] = msgspec.msgpack.Decoder(list[LaneFact])


def _order(fact: LaneFact) -> tuple[int, int, str]:
    return fact.at, fact.seq, fact.id


class ServiceTimeline:
    """All facts of one service."""

    __slots__ = ("facts", "ids")

    def __init__(self, facts: list[LaneFact] | None = None) -> None:
        self.facts = facts if facts is not None else []
        self.ids = {fact.id for fact in self.facts}

    def add(self, fact: LaneFact) -> bool:
        """Add one fact. False when it is there already."""
        if fact.id in self.ids:
            return False
        self.ids.add(fact.id)
        insort(self.facts, fact, key=_order)
        return True

    def pack(self) -> bytes:
        """The row that stores this timeline."""
        return _encoder.encode(self.facts)

    @classmethod
    def unpack(cls, row: bytes) -> ServiceTimeline:
        """What `pack` wrote. Raises msgspec.DecodeError on anything else."""
        return cls(_decoder.decode(row))


class Change(NamedTuple):
    """One merged change: when it was merged, when its code was written (the merge, where nobody says), its commit."""

    merged_at: int
    written_at: int
    commit: str | None


@dataclass(slots=True)
class Deployment:
    """One deployment as its facts tell of it. Instants in milliseconds; None: it has not come to that."""

    environment: str
    commit: str | None = None
    remediates: str | None = None
    succeeded_at: int | None = None
    failed_at: int | None = None
    rolled_back_at: int | None = None


@dataclass(slots=True)
class Incident:
    """One incident as its facts tell of it."""

    environment: str
    deployment: str | None = None
    opened_at: int | None = None
    resolved_at: int | None = None


@dataclass(slots=True)
class Service:
    """Everything known of a service: merged changes by name, deployments and incidents by (environment, name)."""

    changes: dict[str, Change] = field(default_factory=dict)
    deployments: dict[tuple[str, str], Deployment] = field(default_factory=dict)
    incidents: dict[tuple[str, str], Incident] = field(default_factory=dict)


def read_service(timeline: ServiceTimeline) -> Service:
    """What the facts of a service say together."""
    service = Service()
    for fact in timeline.facts:
        if isinstance(fact, ChangeFact):
            if fact.state == "merged":
                _note_change(service, fact)
        elif isinstance(fact, DeploymentFact):
            _note_deployment(service, fact)
        else:
            _note_incident(service, fact)
    return service


def _note_change(service: Service, fact: ChangeFact) -> None:
    written_at = min(fact.at, fact.at if fact.committed_at is None else fact.committed_at)
    known = service.changes.get(fact.change)
    if known is None:
        service.changes[fact.change] = Change(fact.at, written_at, fact.commit)
    else:
        written_at = min(known.written_at, written_at)
        service.changes[fact.change] = Change(known.merged_at, written_at, known.commit or fact.commit)


def merged_changes(service: Service) -> list[Change]:
    """The changes in the order of their merges. What a merged request and a pushed commit both tell of is one."""
    found: dict[str, Change] = {}
    for name, change in service.changes.items():
        key = name if change.commit is None else change.commit
        known = found.get(key)
        earliest = change if known is None else known
        written_at = min(earliest.written_at, change.written_at)
        found[key] = earliest._replace(written_at=written_at, commit=earliest.commit or change.commit)
    return list(found.values())


def _note_deployment(service: Service, fact: DeploymentFact) -> None:
    key = (fact.environment, fact.deployment)
    deployment = service.deployments.setdefault(key, Deployment(fact.environment))
    deployment.commit = fact.commit or deployment.commit
    deployment.remediates = fact.remediates or deployment.remediates
    if fact.state == "succeeded" and deployment.succeeded_at is None:
        deployment.succeeded_at = fact.at
    elif fact.state == "failed" and deployment.failed_at is None:
        deployment.failed_at = fact.at
    elif fact.state == "rolled_back" and deployment.rolled_back_at is None:
        deployment.rolled_back_at = fact.at


def _note_incident(service: Service, fact: IncidentFact) -> None:
    key = (fact.environment, fact.incident)
    incident = service.incidents.setdefault(key, Incident(fact.environment))
    incident.deployment = fact.deployment or incident.deployment
    if fact.state == "opened" and incident.opened_at is None:
        incident.opened_at = fact.at
    elif fact.state == "resolved":
        incident.resolved_at = fact.at


def measure_service(service: Service, now: int, retention: Retention) -> dict[str, Tally]:
    """The measures of each lane of a service, by environment."""
    tallies: dict[str, Tally] = {}
    for key in (*service.deployments, *service.incidents):
        tallies.setdefault(key[0], Tally(now, retention))
    for (environment, name), deployment in service.deployments.items():
        _tally_deployment(
            tallies[environment], deployment, _needed_intervention(service, environment, name, deployment)
        )
    for incident in service.incidents.values():
        if incident.opened_at is not None and incident.resolved_at is not None and incident.deployment is not None:
            _tally_recovery(tallies[incident.environment], incident.opened_at, incident.resolved_at)
    for environment, tally in tallies.items():
        _tally_lead_times(tally, service, environment)
    return tallies


def _needed_intervention(service: Service, environment: str, name: str, deployment: Deployment) -> bool:
    if deployment.rolled_back_at is not None:
        return True
    return any(
        incident.deployment == name and incident.environment == environment for incident in service.incidents.values()
    )


def _tally_deployment(tally: Tally, deployment: Deployment, needed_intervention: bool) -> None:
    at = deployment.succeeded_at
    if at is not None:
        _count(tally, at, SUCCEEDED, 1)
        if needed_intervention:
            _count(tally, at, FAILED_CHANGES, 1)
        if deployment.remediates is not None:
            _count(tally, at, REWORK, 1)
    if deployment.failed_at is not None:
        _count(tally, deployment.failed_at, FAILED, 1)
    if deployment.rolled_back_at is not None:
        _count(tally, deployment.rolled_back_at, ROLLED_BACK, 1)
        if at is not None:
            _tally_recovery(tally, at, deployment.rolled_back_at)


def _tally_recovery(tally: Tally, start: int, end: int) -> None:
    _observe(tally, end, max(0, end - start), _RECOVERY_CODES)


def _tally_lead_times(tally: Tally, service: Service, environment: str) -> None:
    """Each change counts at the first deployment that brings it. Changes are in the order of their merges."""
    merged = merged_changes(service)
    index_of = {change.commit: index for index, change in enumerate(merged) if change.commit is not None}
    succeeded = sorted(
        (deployment.succeeded_at, index_of[deployment.commit])
        for (where, _), deployment in service.deployments.items()
        if where == environment and deployment.succeeded_at is not None and deployment.commit in index_of
    )
    brought = 0
    for at, last in succeeded:
        for change in merged[brought : last + 1]:
            _observe(tally, at, max(0, at - change.written_at), _LEAD_TIME_CODES)
        brought = max(brought, last + 1)


def _observe(tally: Tally, at: int, spent: int, codes: _TimeCodes) -> None:
    _count(tally, at, codes.observed, 1)
    _count(tally, at, codes.total, spent)
    cell = tally.cell(at)
    key = codes.bins + bin_of(spent)
    cell[key] = cell.get(key, 0) + 1
    key = codes.buckets + bisect_left(COMMON, spent)
    tally.observed[key] = tally.observed.get(key, 0) + 1


def _count(tally: Tally, at: int, code: int, count: int) -> None:
    cell = tally.cell(at)
    cell[code] = cell.get(code, 0) + count
    tally.observed[code] = tally.observed.get(code, 0) + count


def lane_name(service: str, environment: str) -> str:
    """How rows name a lane."""
    return f"{environment}\x1f{service}"


def lane_of(name: str) -> tuple[str, str]:
    """Service and environment of a lane's name."""
    environment, _, service = name.partition("\x1f")
    return service, environment
