"""The history of a GitLab project, read through the REST API, as the webhooks would have told it.

| REST API | webhook |
|---|---|
| an issue before its first event, at `created_at` | issue, action open |
| resource_label_events, resource_state_events of the issue | issue, action update, close or reopen |
| a merge request; its resource_state_events; its newest commit | merge_request, action open, merge, close or reopen |
| a deployment: its `deployable`'s start and end | deployment, running; success or failed |
| a release | release, action create |

State and labels of an issue are put back through its events, newest first; its title, type and weight are those of
now. Webhooks have whole seconds, so the API's times are cut to these, and what happened within one second is told as it
stood at its end. Ids are made of the content, as those of the webhooks. A webhook of a label that names no time stands
at its arrival, so the history's fact of that change stands beside it, at the time of the change itself.
That a merge request was a draft once is not in the API. Neither are pushes, nor what was deleted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, Final

from msgspec import Struct

from flow.adapters.delivery import ItemNames
from flow.adapters.gitlab import SOURCE, translate
from flow.adapters.history import Json, instant, retold, shaped
from flow.adapters.times import Moment
from flow.facts import Fact
from flow.instants import SECOND

_TYPES: Final = {"incident": "Incident", "task": "Task", "test_case": "Test Case", "requirement": "Requirement"}
"""Of work items that are no ordinary issue, which webhooks give no type."""
_ENDS: Final = {"closed": "close", "reopened": "reopen"}


class _Issue(Struct, gc=False):
    iid: int
    state: str
    created_at: Moment
    title: str | None = None
    labels: list[str] = []
    web_url: str | None = None
    issue_type: str | None = None
    weight: float | None = None
    moved_to_id: int | None = None


class _Label(Struct, gc=False):
    name: str


class _Event(Struct, gc=False):
    created_at: Moment
    action: str | None = None
    state: str | None = None
    label: _Label | None = None

    @property
    def second(self) -> int:
        return _second(self.created_at)


class _Request(Struct, gc=False):
    iid: int
    created_at: Moment
    title: str | None = None
    description: str | None = None
    source_branch: str | None = None
    merge_commit_sha: str | None = None
    squash_commit_sha: str | None = None
    merged_at: Moment = None


class _Commit(Struct, gc=False):
    id: str
    title: str | None = None
    committed_date: Moment = None


class _Job(Struct, gc=False):
    id: int
    started_at: Moment = None
    finished_at: Moment = None
    commit: _Commit | None = None


class _Environment(Struct, gc=False):
    name: str


class _Deployment(Struct, gc=False):
    id: int
    status: str
    created_at: Moment
    environment: _Environment
    updated_at: Moment = None
    sha: str | None = None
    ref: str | None = None
    deployable: _Job | None = None


def facts_of_issue(project: str, issue: Json, events: Sequence[Json], item_names: ItemNames) -> list[Fact]:
    """All that the webhooks of this issue would have told; `events` are those of its labels and of its state.

    Raises Rejected (not_understood).
    """
    return _retold(project, _issue_webhooks(issue, events), item_names)


def facts_of_merge_request(
    project: str, request: Json, events: Sequence[Json], newest: Json | None, item_names: ItemNames
) -> list[Fact]:
    """That it was opened, merged, closed, opened again; `newest` is its last commit. Raises Rejected."""
    return _retold(project, _request_webhooks(request, events, newest), item_names)


def facts_of_deployment(project: str, deployment: Json, item_names: ItemNames) -> list[Fact]:
    """That it started, and how it ended. Raises Rejected (not_understood)."""
    return _retold(project, _deployment_webhooks(deployment), item_names)


def facts_of_release(project: str, release: Json, item_names: ItemNames) -> list[Fact]:
    """That it came out. Raises Rejected (not_understood)."""
    known = {name: release.get(name) for name in ("name", "description")}
    commit = release.get("commit")
    body = {
        "object_kind": "release",
        "action": "create",
        "tag": release.get("tag_name"),
        "released_at": _second(release.get("released_at") or release.get("created_at")),
        "commit": {"id": commit.get("id")} if isinstance(commit, dict) else None,
    }
    return _retold(project, [{**known, **body}], item_names)


def _retold(project: str, bodies: Iterator[Json] | Sequence[Json], item_names: ItemNames) -> list[Fact]:
    whole = ({**body, "project": {"path_with_namespace": project}} for body in bodies)
    return retold(translate, SOURCE, whole, item_names)


def _issue_webhooks(content: Json, contents: Sequence[Json]) -> Iterator[Json]:
    issue = shaped(content, _Issue, "an issue of GitLab")
    events = sorted((shaped(entry, _Event, "an event of GitLab") for entry in contents), key=lambda event: event.second)
    state, labels = issue.state, frozenset(issue.labels)
    for event in reversed(events):
        state, labels = _before(event, state, labels)
    begun = _second(issue.created_at)
    at_once = [event for event in events if event.second <= begun]
    for event in at_once:
        state, labels = _after(event, state, labels)
    yield _issue_webhook(issue, "open", state, labels, begun)
    for at, together in groupby(events[len(at_once) :], lambda event: event.second):
        group = list(together)
        for event in group:
            state, labels = _after(event, state, labels)
        for action in dict.fromkeys(_ENDS.get(event.state or "", "update") for event in group):
            yield _issue_webhook(issue, action, state, labels, at)


def _issue_webhook(issue: _Issue, action: str, state: str, labels: frozenset[str], at: int) -> Json:
    kind = _TYPES.get(issue.issue_type or "")
    attributes: dict[str, Any] = {
        "iid": issue.iid,
        "state": state,
        "action": action,
        "title": issue.title,
        "url": issue.web_url,
        "type": kind,
        "weight": issue.weight,
        "moved_to_id": issue.moved_to_id,
        "created_at": at,
        "updated_at": at,
        "closed_at": at if action == "close" else None,
    }
    return {
        "object_kind": "issue",
        "object_attributes": attributes,
        "labels": [{"title": name} for name in labels],
        "changes": {"updated_at": {"current": at}},
    }


def _after(event: _Event, state: str, labels: frozenset[str]) -> tuple[str, frozenset[str]]:
    if event.state is not None:
        return ("closed" if event.state == "closed" else "opened"), labels
    label = {event.label.name} if event.label else set()
    return state, labels | label if event.action == "add" else labels - label


def _before(event: _Event, state: str, labels: frozenset[str]) -> tuple[str, frozenset[str]]:
    if event.state is not None:
        return ("opened" if event.state == "closed" else "closed"), labels
    label = {event.label.name} if event.label else set()
    return state, labels - label if event.action == "add" else labels | label


def _request_webhooks(content: Json, contents: Sequence[Json], newest: Json | None) -> Iterator[Json]:
    request = shaped(content, _Request, "a merge request of GitLab")
    last = None if newest is None else shaped(newest, _Commit, "a commit of GitLab")
    known: dict[str, Any] = {
        "iid": request.iid,
        "title": request.title,
        "description": request.description,
        "source_branch": request.source_branch,
    }
    yield _request_webhook({**known, "action": "open"}, _second(request.created_at))
    for event in (shaped(entry, _Event, "an event of GitLab") for entry in contents):
        if event.state in _ENDS:
            yield _request_webhook({**known, "action": _ENDS[event.state]}, event.second)
    if request.merged_at is not None:
        commit = {"id": last.id, "timestamp": last.committed_date} if last else None
        sha = request.merge_commit_sha or request.squash_commit_sha
        merged = {"action": "merge", "merge_commit_sha": sha, "last_commit": commit}
        yield _request_webhook({**known, **merged}, _second(request.merged_at))


def _request_webhook(attributes: Json, at: int) -> Json:
    times = {"created_at": at, "updated_at": at, "merged_at": at}
    return {"object_kind": "merge_request", "object_attributes": {**attributes, **times}}


def _deployment_webhooks(content: Json) -> Iterator[Json]:
    deployment = shaped(content, _Deployment, "a deployment of GitLab")
    job = deployment.deployable
    body = {
        "object_kind": "deployment",
        "deployment_id": deployment.id,
        "deployable_id": job.id if job else None,
        "environment": deployment.environment.name,
        "ref": deployment.ref,
        "commit_url": f"/{deployment.sha}" if deployment.sha else None,
        "commit_title": job.commit.title if job and job.commit else None,
    }
    started = (job.started_at if job else None) or deployment.created_at
    ended = (job.finished_at if job else None) or deployment.updated_at
    if deployment.status in {"running", "success", "failed", "canceled"}:
        yield {**body, "status": "running", "status_changed_at": _second(started)}
    if deployment.status in {"success", "failed"}:
        yield {**body, "status": deployment.status, "status_changed_at": _second(ended)}


def _second(moment: object) -> int:
    """In milliseconds, cut to the whole second."""
    return instant("GitLab", moment) // SECOND * SECOND
