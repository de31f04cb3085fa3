"""Delivery lanes: what deployments, changes and incidents say of one service in one environment, as events to count.

The measures are DORA's five under their current names (dora.dev/guides/dora-metrics):

- deployment frequency: deployments that succeeded;
- change lead time: from the commit (or, where nobody says when that was, the merge) to the deployment that first
  brought the change to the environment (`flow.lead_times`);
- change fail rate: deployments that needed immediate intervention, of those that succeeded: an incident names it, or
  it was rolled back;
- failed deployment recovery time: from the incident's opening to its last resolution, where the incident names the
  deployment that caused it; of a deployment that was rolled back and that no incident names, from success to roll-back;
- deployment rework rate: deployments that remediate an incident, of those that succeeded.

Each event counts at the instant of what completes it: success, failure, roll-back, resolution; a failed change and
rework count at their deployment's success. So every rate of a window is of the deployments that succeeded in it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from flow import vector
from flow.buckets import COMMON
from flow.counters import Contribution, gained
from flow.facts import DeploymentFact, IncidentFact
from flow.histogram import bin_of
from flow.tally import Tally
from flow.vector import Vector

SUCCEEDED: Final = 0
FAILED: Final = 1
ROLLED_BACK: Final = 2
FAILED_CHANGES: Final = 3
REWORK: Final = 4
LEAD_TIME: Final = 5
LEAD_TIMES: Final = 6
RECOVERY_TIME: Final = 7
RECOVERIES: Final = 8
OPEN_FAILURES: Final = 9
OPEN_SINCE: Final = 10
LEAD_TIME_BINS: Final = 64
RECOVERY_BINS: Final = 1024
LEAD_TIME_BUCKETS: Final = 2048
RECOVERY_BUCKETS: Final = 3072

GAUGES: Final = (OPEN_FAILURES, OPEN_SINCE)
"""In a lane's totals: how many incidents that name a deployment are open, and since when (ms) the oldest is."""


class _TimeCodes(NamedTuple):
    """Where a kind of time is counted: the sum, the histogram's first bin, the first Prometheus bucket."""

    total: int
    bins: int
    buckets: int


_TIMES: Final = {
    LEAD_TIMES: _TimeCodes(LEAD_TIME, LEAD_TIME_BINS, LEAD_TIME_BUCKETS),
    RECOVERIES: _TimeCodes(RECOVERY_TIME, RECOVERY_BINS, RECOVERY_BUCKETS),
}


class Event(NamedTuple):
    """One thing that counts in a lane, at an instant (ms). `kind` is the code that counts such events.

    `name` is of the change, deployment or incident that it happened to. Lead times and recoveries have a time (ms).
    """

    environment: str
    kind: int
    name: str
    at: int
    spent: int = 0


class Correction:
    """What one fact changes: events that are no longer so, and events that are so now.

    A lane has one event of a kind and name at a time: what is put in and taken out again leaves no trace.
    """

    __slots__ = ("_after", "_before")

    def __init__(self) -> None:
        self._before: dict[tuple[str, int, str], Event] = {}
        self._after: dict[tuple[str, int, str], Event] = {}

    def take_out(self, events: Iterable[Event]) -> None:
        """These are no longer so."""
        for event in events:
            if self._after.pop(event[:3], None) is None:
                self._before[event[:3]] = event

    def put_in(self, events: Iterable[Event]) -> None:
        """These are so now."""
        self._after.update((event[:3], event) for event in events)

    def by_environment(self) -> dict[str, tuple[list[Event], list[Event]]]:
        """The events before and those after, by environment."""
        found: dict[str, tuple[list[Event], list[Event]]] = {}
        for index, events in enumerate((self._before, self._after)):
            for event in events.values():
                found.setdefault(event.environment, ([], []))[index].append(event)
        return found


class Deployment(NamedTuple):
    """One deployment as its facts tell of it. Instants in milliseconds; None: it has not come to that."""

    commit: str | None = None
    remediates: str | None = None
    succeeded_at: int | None = None
    failed_at: int | None = None
    rolled_back_at: int | None = None

    def told(self, fact: DeploymentFact) -> Deployment:
        """After one more fact, the last in order: the first instant of a state counts, and the last word otherwise."""
        succeeded_at, failed_at, rolled_back_at = self.succeeded_at, self.failed_at, self.rolled_back_at
        if fact.state == "succeeded" and succeeded_at is None:
            succeeded_at = fact.at
        elif fact.state == "failed" and failed_at is None:
            failed_at = fact.at
        elif fact.state == "rolled_back" and rolled_back_at is None:
            rolled_back_at = fact.at
        commit, remediates = fact.commit or self.commit, fact.remediates or self.remediates
        return Deployment(commit, remediates, succeeded_at, failed_at, rolled_back_at)


class Incident(NamedTuple):
    """One incident as its facts tell of it."""

    deployment: str | None = None
    opened_at: int | None = None
    resolved_at: int | None = None

    @property
    def open_since(self) -> int | None:
        """When it was opened (ms), while a deployment is to blame and it is not resolved."""
        return self.opened_at if self.resolved_at is None and self.deployment is not None else None

    def told(self, fact: IncidentFact) -> Incident:
        """After one more fact, the last in order: the first opening counts, and the last resolution."""
        opened_at, resolved_at = self.opened_at, self.resolved_at
        if fact.state == "opened" and opened_at is None:
            opened_at = fact.at
        elif fact.state == "resolved":
            resolved_at = fact.at
        return Incident(fact.deployment or self.deployment, opened_at, resolved_at)


def events_of_deployment(environment: str, name: str, deployment: Deployment, caused_incident: bool) -> list[Event]:
    """All that counts of a deployment itself."""
    _, remediates, succeeded_at, failed_at, rolled_back_at = deployment
    events: list[Event] = []
    if succeeded_at is not None:
        events.append(Event(environment, SUCCEEDED, name, succeeded_at))
        if caused_incident or rolled_back_at is not None:
            events.append(Event(environment, FAILED_CHANGES, name, succeeded_at))
        if remediates is not None:
            events.append(Event(environment, REWORK, name, succeeded_at))
    if failed_at is not None:
        events.append(Event(environment, FAILED, name, failed_at))
    if rolled_back_at is not None:
        events.append(Event(environment, ROLLED_BACK, name, rolled_back_at))
        if succeeded_at is not None and not caused_incident:
            spent = max(0, rolled_back_at - succeeded_at)
            events.append(Event(environment, RECOVERIES, f"deployment {name}", rolled_back_at, spent))
    return events


def events_of_incident(environment: str, name: str, incident: Incident) -> list[Event]:
    """The recovery from an incident that a deployment caused, once it is resolved."""
    deployment, opened_at, resolved_at = incident
    if deployment is None or opened_at is None or resolved_at is None:
        return []
    return [Event(environment, RECOVERIES, f"incident {name}", resolved_at, max(0, resolved_at - opened_at))]


def correct(tally: Tally, before: Sequence[Event], after: Sequence[Event]) -> None:
    """Take some events of one lane out of its cells and put others in; `observed` gains what is new for counters."""
    for event in before:
        _count(tally.cell(event.at), event, -1)
    for event in after:
        _count(tally.cell(event.at), event, 1)
    vector.add(tally.observed, gained(_contribution(before), _contribution(after)))


def _count(cell: Vector, event: Event, sign: int) -> None:
    kind, spent = event.kind, event.spent
    cell[kind] = cell.get(kind, 0) + sign
    codes = _TIMES.get(kind)
    if codes is not None:
        cell[codes.total] = cell.get(codes.total, 0) + sign * spent
        key = codes.bins + bin_of(spent)
        cell[key] = cell.get(key, 0) + sign


def _contribution(events: Iterable[Event]) -> Contribution:
    contribution = Contribution()
    for event in events:
        counted = {event.kind: 1}
        codes = _TIMES.get(event.kind)
        if codes is not None:
            counted |= {codes.total: event.spent, codes.buckets + bisect_left(COMMON, event.spent): 1}
        contribution.add(event.kind, event.name, counted)
    return contribution


def lane_name(service: str, environment: str) -> str:
    """How rows name a lane."""
    return f"{environment}\x1f{service}"


def lane_of(name: str) -> tuple[str, str]:
    """Service and environment of a lane's name."""
    environment, _, service = name.partition("\x1f")
    return service, environment
