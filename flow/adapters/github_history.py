"""The history of a GitHub repository's issues and changes, read through the REST API, as the webhooks would have it.

| REST API | webhook |
|---|---|
| an issue before its first event, at `created_at` | issues opened |
| each of its events: labeled, unlabeled, renamed, closed, reopened, assigned… | issues with that action |
| a pull request, at `created_at` | pull_request opened |
| its events: merged or closed, reopened, ready_for_review | pull_request closed, reopened, ready_for_review |
| a push of `/activity`, and the commits of `/compare/BEFORE...AFTER` | push |

The API gives an issue as it is now: state, labels, title and type are put back through its events, newest first. Times
are whole seconds, so all that happened within one second is told as it stood at its end; GitHub's webhooks of one
action (an issue opened with labels) look the same. Ids are made of the content, as those of the webhooks. They differ
from a webhook's where GitHub stamped the issue later than the event, or where a text was changed since; then both facts
say the same of the item. What was deleted or transferred has no history to read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Final

from msgspec import Struct

from flow.adapters.delivery import ItemNames
from flow.adapters.github import SOURCE, translate
from flow.adapters.history import Json, instant, retold, shaped
from flow.adapters.times import Moment
from flow.facts import Fact

_ACTIONS: Final = {
    "renamed": "edited",
    "issue_type_added": "typed",
    "issue_type_changed": "typed",
    "issue_type_removed": "untyped",
    **{
        name: name
        for name in (
            "labeled", "unlabeled", "closed", "reopened", "assigned", "unassigned", "milestoned", "demilestoned",
        )
    },
}  # fmt: skip
"""Events that GitHub's webhook `issues` tells too, and its action for each."""


class _Named(Struct, gc=False):
    name: str


class _Issue(Struct, gc=False):
    number: int
    state: str
    created_at: Moment
    title: str | None = None
    labels: list[_Named] = []
    type: _Named | None = None


class _Renaming(Struct, gc=False, rename={"before": "from", "after": "to"}):
    before: str | None = None
    after: str | None = None


class _Event(Struct, gc=False):
    event: str
    created_at: Moment = None
    label: _Named | None = None
    rename: _Renaming | None = None
    issue_type: _Named | None = None
    prev_issue_type: _Named | None = None


class _Pull(Struct, gc=False):
    number: int
    created_at: Moment
    merged_at: Moment = None


@dataclass(frozen=True, slots=True)
class _Issued:
    """What changes of an issue, as it was at one time."""

    state: str
    title: str | None
    labels: frozenset[str]
    type: str | None

    def after(self, event: _Event) -> _Issued:
        """After this event."""
        match event.event:
            case "closed" | "reopened":
                return replace(self, state="closed" if event.event == "closed" else "open")
            case "labeled" | "unlabeled":
                return self._labelled(event, add=event.event == "labeled")
            case "renamed" if event.rename:
                return replace(self, title=event.rename.after)
            case "issue_type_added" | "issue_type_changed" | "issue_type_removed":
                return replace(self, type=event.issue_type.name if event.issue_type else None)
        return self

    def before(self, event: _Event) -> _Issued:
        """Before this event."""
        match event.event:
            case "closed" | "reopened":
                return replace(self, state="open" if event.event == "closed" else "closed")
            case "labeled" | "unlabeled":
                return self._labelled(event, add=event.event == "unlabeled")
            case "renamed" if event.rename:
                return replace(self, title=event.rename.before)
            case "issue_type_added" | "issue_type_changed" | "issue_type_removed":
                return replace(self, type=event.prev_issue_type.name if event.prev_issue_type else None)
        return self

    def _labelled(self, event: _Event, *, add: bool) -> _Issued:
        label = {event.label.name} if event.label else set()
        return replace(self, labels=self.labels | label if add else self.labels - label)

    def fields(self) -> dict[str, Any]:
        """As a webhook has them."""
        return {
            "state": self.state,
            "title": self.title,
            "labels": [{"name": name} for name in self.labels],
            "type": {"name": self.type} if self.type else None,
        }


def facts_of_issue(repository: str, issue: Json, events: Sequence[Json], item_names: ItemNames) -> list[Fact]:
    """All that the webhooks of this issue would have told; `events` are all of its events, in any order.

    Raises Rejected (not_understood).
    """
    bodies = _issues_webhooks(issue, events)
    return _retold("issues", repository, bodies, item_names)


def facts_of_pull(repository: str, pull: Json, events: Sequence[Json], item_names: ItemNames) -> list[Fact]:
    """That it was opened, merged, abandoned, opened again. Raises Rejected (not_understood)."""
    return _retold("pull_request", repository, _pull_webhooks(pull, events), item_names)


def facts_of_push(
    repository: str, branch: str, at: Moment, commits: Sequence[Json], item_names: ItemNames
) -> list[Fact]:
    """The commits that a push brought to the default branch. Raises Rejected (not_understood)."""
    told = [
        {"id": commit.get("sha"), "timestamp": _committed_at(commit), "message": _part(commit, "commit").get("message")}
        for commit in commits
    ]
    pushed = {"full_name": repository, "default_branch": branch, "pushed_at": at}
    body = {"ref": f"refs/heads/{branch}", "commits": [entry for entry in told if entry["message"] is not None]}
    return retold(translate, SOURCE, [{**body, "repository": pushed}], item_names, {"x-github-event": "push"})


def _retold(event: str, repository: str, bodies: Iterator[Json], item_names: ItemNames) -> list[Fact]:
    whole = ({**body, "repository": {"full_name": repository}} for body in bodies)
    return retold(translate, SOURCE, whole, item_names, {"x-github-event": event})


def _issues_webhooks(content: Json, contents: Sequence[Json]) -> Iterator[Json]:
    issue = shaped(content, _Issue, "an issue of GitHub")
    was = _Issued(
        issue.state,
        issue.title,
        frozenset(label.name for label in issue.labels),
        issue.type.name if issue.type else None,
    )
    events = _events(contents)
    for event in reversed(events):
        was = was.before(event)
    begun = instant("the issue", issue.created_at)
    opened = was
    for event in events:
        if instant("the event", event.created_at) <= begun:
            opened = opened.after(event)
    at_first = {**opened.fields(), "updated_at": issue.created_at, "closed_at": None}
    yield {"action": "opened", "issue": {**content, **at_first}}
    for at, together in groupby(events, lambda event: event.created_at):
        group = list(together)
        for event in group:
            was = was.after(event)
        for action in dict.fromkeys(_ACTIONS[event.event] for event in group):
            yield {"action": action, "issue": {**content, **was.fields(), "updated_at": at, "closed_at": at}}


def _events(contents: Sequence[Json]) -> list[_Event]:
    """Those that the webhook tells too, the oldest first; of one second in the order that they were given in."""
    read = (shaped(content, _Event, "an event of GitHub") for content in contents)
    known = [event for event in read if event.event in _ACTIONS]
    return sorted(known, key=lambda event: instant("the event", event.created_at))


def _pull_webhooks(content: Json, contents: Sequence[Json]) -> Iterator[Json]:
    """A merge is told by `merged_at`; the event `closed` of the same second says nothing more."""
    pull = shaped(content, _Pull, "a pull request of GitHub")
    events = [shaped(entry, _Event, "an event of GitHub") for entry in contents]
    yield {"action": "opened", "pull_request": {**content, "merged": False, "merged_at": None}}
    for event in events:
        if event.event in {"reopened", "ready_for_review"}:
            at = {"updated_at": event.created_at, "closed_at": None, "merged_at": None, "merged": False}
            yield {"action": event.event, "pull_request": {**content, **at}}
        elif event.event == "closed" and not _is_merge(pull, event):
            at = {"updated_at": event.created_at, "closed_at": event.created_at, "merged_at": None, "merged": False}
            yield {"action": "closed", "pull_request": {**content, **at}}
    if pull.merged_at is not None:
        yield {"action": "closed", "pull_request": {**content, "merged": True}}


def _is_merge(pull: _Pull, event: _Event) -> bool:
    """GitHub closes what it merges within the same second, or the next."""
    if pull.merged_at is None:
        return False
    return abs(instant("the event", event.created_at) - instant("the pull request", pull.merged_at)) <= 2_000


def _committed_at(commit: Json) -> Any:
    return _part(_part(commit, "commit"), "committer").get("date")


def _part(content: Json, name: str) -> Json:
    part = content.get(name)
    return part if isinstance(part, dict) else {}
