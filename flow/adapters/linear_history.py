"""The history of a Linear issue, read through the GraphQL API, as the webhooks would have told it.

| GraphQL | webhook |
|---|---|
| the issue before its first change, at `createdAt` | Issue, create |
| each of `history.nodes`: `fromState` and `toState`, titles, labels, teams, estimates | Issue, update |
| `trashed` | Issue, remove |

State, title, labels, estimate, team and identifier are put back through the history, newest change first. A move has
the webhook's id, made of the time that both give it. Linear may merge what one person changes within a few minutes into
one entry of the history; then webhooks tell the steps between, and the history does not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from msgspec import Struct

from flow.adapters.delivery import ItemNames
from flow.adapters.history import Json, instant, retold, shaped
from flow.adapters.linear import SOURCE, translate
from flow.adapters.times import Moment
from flow.facts import Fact


class _Named(Struct, gc=False):
    name: str


class _Team(Struct, gc=False):
    key: str


class _Labels(Struct, gc=False):
    nodes: list[_Named] = []


class _Issue(Struct, gc=False, rename="camel"):
    identifier: str
    created_at: Moment
    title: str | None = None
    url: str | None = None
    estimate: float | None = None
    state: _Named | None = None
    labels: _Labels | None = None
    previous_identifiers: list[str] = []


class _Change(Struct, gc=False, rename="camel"):
    created_at: Moment
    from_state: _Named | None = None
    to_state: _Named | None = None
    from_title: str | None = None
    to_title: str | None = None
    from_team: _Team | None = None
    to_team: _Team | None = None
    from_estimate: float | None = None
    to_estimate: float | None = None
    added_labels: list[_Named] | None = None
    removed_labels: list[_Named] | None = None
    trashed: bool | None = None

    @property
    def moved_team(self) -> bool:
        return self.from_team is not None and self.to_team is not None and self.from_team.key != self.to_team.key

    @property
    def estimated(self) -> bool:
        return self.from_estimate is not None or self.to_estimate is not None

    def says_something(self) -> bool:
        """Whether a webhook of it would tell more than was known."""
        told = (self.to_state, self.to_title, self.added_labels, self.removed_labels, self.trashed)
        return any(told) or self.moved_team or self.estimated


@dataclass(frozen=True, slots=True)
class _Issued:
    """What changes of an issue, as it was at one time. `names`: its identifiers up to then, the last is its own."""

    names: tuple[str, ...]
    state: str | None
    title: str | None
    labels: frozenset[str]
    estimate: float | None


def facts_of_issue(issue: Json, history: Sequence[Json], item_names: ItemNames) -> list[Fact]:
    """All that the webhooks of this issue would have told; `history` is whole, in any order.

    Raises Rejected (not_understood).
    """
    return retold(translate, SOURCE, _webhooks(issue, history), item_names)


def _webhooks(content: Json, contents: Sequence[Json]) -> Iterator[Json]:
    issue = shaped(content, _Issue, "an issue of Linear")
    read = [shaped(entry, _Change, "a history of Linear") for entry in contents]
    changes = sorted(read, key=lambda change: instant("the history", change.created_at))
    names = tuple(dict.fromkeys((*issue.previous_identifiers, issue.identifier)))
    labels = frozenset(label.name for label in issue.labels.nodes) if issue.labels else frozenset()
    was = _Issued(names, issue.state.name if issue.state else None, issue.title, labels, issue.estimate)
    for change in reversed(changes):
        was = _before(was, change)
    yield _webhook("create", issue, was, issue.created_at)
    for change in changes:
        was = _after(was, change, names)
        if change.says_something():
            action = "remove" if change.trashed else "update"
            yield {**_webhook(action, issue, was, change.created_at), "updatedFrom": _updated_from(change)}


def _updated_from(change: _Change) -> dict[str, Any]:
    """Which of the two that matter changed; the adapter does not look at what they were."""
    return {"stateId": "before" if change.to_state else None, "teamId": "before" if change.moved_team else None}


def _webhook(action: str, issue: _Issue, was: _Issued, at: Moment) -> dict[str, Any]:
    team = was.names[-1].rpartition("-")[0]
    data: dict[str, Any] = {
        "identifier": was.names[-1],
        "previousIdentifiers": was.names[:-1],
        "createdAt": issue.created_at,
        "updatedAt": at,
        "title": was.title,
        "url": issue.url,
        "estimate": was.estimate,
        "state": {"name": was.state} if was.state else None,
        "team": {"key": team} if team else None,
        "labels": [{"name": name} for name in was.labels],
    }
    return {"type": "Issue", "action": action, "createdAt": at, "data": data}


def _before(was: _Issued, change: _Change) -> _Issued:
    labels = was.labels - _names(change.added_labels) | _names(change.removed_labels)
    return replace(
        was,
        names=was.names[:-1] if change.moved_team and len(was.names) > 1 else was.names,
        state=change.from_state.name if change.from_state else was.state,
        title=change.from_title or was.title,
        labels=labels,
        estimate=change.from_estimate if change.estimated else was.estimate,
    )


def _after(was: _Issued, change: _Change, names: tuple[str, ...]) -> _Issued:
    labels = was.labels - _names(change.removed_labels) | _names(change.added_labels)
    return replace(
        was,
        names=names[: len(was.names) + 1] if change.moved_team else was.names,
        state=change.to_state.name if change.to_state else was.state,
        title=change.to_title or was.title,
        labels=labels,
        estimate=change.to_estimate if change.estimated else was.estimate,
    )


def _names(labels: Sequence[_Named] | None) -> frozenset[str]:
    return frozenset(label.name for label in labels or ())
