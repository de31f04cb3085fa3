"""GitLab: issues and their board labels, merge requests, pushes, releases; deployments (`gitlab_deployments`).

| webhook (`object_kind`) | fact |
|---|---|
| issue, work_item, incident: `project.path_with_namespace#iid`; an epic `group&iid` | item |
| `state` | status |
| open: `created_at`, close: `closed_at`; else `changes.updated_at.current`, `updated_at` | at |
| `changes.labels.current`, else `labels`, else `object_attributes.labels`, by title | labels: boards are labels |
| the label `blocked`, also scoped as `workflow::blocked` | blocked |
| a label that is a word for a type, else `type` | type |
| `project.path_with_namespace`, `title`, `url`, `weight` | project, title, url, size |
| an issue that was closed because it moved (`moved_to_id`) | deleted |
| incident: `action` = open, close | besides, incident opened, resolved in production |
| merge_request: `action` = open, reopen, no longer draft; close; merge | change `mr-IID`: opened; abandoned; merged |
| push to the default branch: each of `commits` | change `commit-SHA`, merged |
| release: `action` = create | deployment of `tag` to the environment `release`, succeeded at `released_at` |

Identity: by content, so that the REST API's view of the same thing agrees. A change of labels need not touch
`updated_at`: then the webhook says no time, the fact stands at its arrival, and its id is made of the content and
X-Gitlab-Event-UUID, which all hooks of one event share, or Idempotency-Key, or the body.
Times are whole seconds: `seq` keeps the opening before, and the end after, what else happened in that second.
The secret is a plain token or a signature (`flow.signatures`). A test from GitLab's own page has no action.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Final

from msgspec.json import Decoder

from flow.adapters.delivery import Delivery, ItemNames, Translation
from flow.adapters.deploying import PRODUCTION
from flow.adapters.gitlab_deployments import read_deployment, read_job, read_pipeline
from flow.adapters.gitlab_mentions import items_closed_by
from flow.adapters.gitlab_payloads import (
    Commit,
    IssueEvent,
    Kind,
    Label,
    MergeRequest,
    MergeRequestEvent,
    PushEvent,
    ReleaseEvent,
)
from flow.adapters.reading import (
    address_of,
    blocked_by,
    decode,
    event_time,
    identified,
    items_in,
    items_of,
    json_of,
    known_time,
    labels_of,
    title_of,
    type_among,
)
from flow.adapters.times import Moment
from flow.facts import ChangeFact, ChangeState, DeploymentFact, Fact, IncidentFact, ItemFact

SOURCE: Final = "gitlab"
RELEASE: Final = "release"
"""The environment of a published release: it runs nowhere that GitLab knows of."""

_ORDER: Final = {"open": 0, "close": 2, "reopen": 2}
_OF_GROUP: Final = re.compile(r"https?://[^/\s]{1,200}/groups/([\w./-]{1,200}?)/-/(?:epics|work_items)/\d+", re.ASCII)
_UNIQUE: Final = ("x-gitlab-event-uuid", "idempotency-key", "webhook-id")


def translate(delivery: Delivery, item_names: ItemNames) -> Translation:
    """The facts of one webhook of GitLab. Raises Rejected (not_understood, malformed_json)."""
    text = json_of(delivery)
    kind = decode(_KIND, text, "a webhook of GitLab").object_kind or "system"
    if kind in _ISSUE_KINDS:
        return _read_issue(decode(_ISSUE, text, f"an {kind} event of GitLab"), delivery)
    read = _READERS.get(kind)
    if read is None:
        return Translation([], f"{kind[:80]} events say nothing of work, changes or deployments")
    return read(text, item_names)


def _read_issue(event: IssueEvent, delivery: Delivery) -> Translation:
    issue = event.object_attributes
    item, project = _names(event)
    if item is None:
        return Translation([], "the work item names neither its project nor its group")
    labels = _labels(event)
    fact = ItemFact(
        id="",
        source=SOURCE,
        item=item,
        at=0,
        seq=_ORDER.get(issue.action or "", 1),
        status=issue.state,
        blocked=None if labels is None else blocked_by(label.rpartition("::")[2] for label in labels),
        deleted=True if issue.action == "close" and issue.moved_to_id else None,
        labels=labels,
        project=project,
        type=type_among(labels or ()) or issue.type,
        title=title_of(issue.title),
        url=address_of(issue.url),
        size=issue.weight,
    )
    at = _issue_time(event)
    if at is None:
        identified(f"issue:{item}"[:200] + f":{_unique(delivery)}", fact)
        fact.at = delivery.received_at
    else:
        fact.at = at
        identified(f"issue:{item}", fact)
    facts: list[Fact] = [fact]
    return Translation([*facts, *_incident(event, fact)])


def _names(event: IssueEvent) -> tuple[str | None, str | None]:
    """The item and its project. An epic belongs to a group, which only its address names: `acme&5` is GitLab's way."""
    iid = event.object_attributes.iid
    if event.project is not None:
        path = event.project.path_with_namespace
        return f"{path}#{iid}", path
    group = _OF_GROUP.fullmatch(event.object_attributes.url or "")
    return (f"{group[1]}&{iid}", group[1]) if group else (None, None)


def _issue_time(event: IssueEvent) -> int | None:
    """When it happened; None for a change of labels that touched no time of the issue."""
    issue, changes = event.object_attributes, event.changes
    updated = changes.updated_at.current if changes and changes.updated_at else None
    if updated is None and issue.action == "update" and changes is not None and changes.labels is not None:
        return None
    own_time: Moment = {"open": issue.created_at, "close": issue.closed_at}.get(issue.action or "")
    return event_time("the issue", own_time, updated, issue.updated_at)


def _unique(delivery: Delivery) -> str:
    named = next((value for header in _UNIQUE if (value := delivery.headers.get(header))), None)
    told = delivery.body if named is None else named.encode("utf-8", "replace")
    return blake2b(told, digest_size=8).hexdigest()


def _labels(event: IssueEvent) -> tuple[str, ...] | None:
    changed = event.changes.labels.current if event.changes and event.changes.labels else None
    known: tuple[list[Label] | None, ...] = (changed, event.labels, event.object_attributes.labels)
    return next((labels_of(label.title for label in labels) for labels in known if labels is not None), None)


def _incident(event: IssueEvent, fact: ItemFact) -> list[IncidentFact]:
    """GitLab says neither where an incident was nor what caused it: people are called for production."""
    issue = event.object_attributes
    if "incident" not in {(issue.type or "").lower(), event.object_kind} or issue.action not in {"open", "close"}:
        return []
    incident = IncidentFact(
        id="",
        source=SOURCE,
        service=fact.project or "",
        environment=PRODUCTION,
        incident=f"issue-{issue.iid}",
        at=fact.at,
        state="opened" if issue.action == "open" else "resolved",
    )
    return [identified(f"incident:{fact.item}", incident)]


def _read_merge_request(text: bytes, item_names: ItemNames) -> Translation:
    event = decode(_MERGE_REQUEST, text, "a merge_request event of GitLab")
    request, changes = event.object_attributes, event.changes
    updated = changes.updated_at.current if changes and changes.updated_at else None
    ready = changes is not None and changes.draft is not None and changes.draft.current is False
    state: ChangeState
    own_time: Moment = None
    if request.action == "open":
        state, own_time = "opened", request.created_at
    elif request.action == "reopen" or (request.action == "update" and ready):
        state = "opened"
    elif request.action == "merge":
        state, own_time = "merged", request.merged_at
    elif request.action == "close":
        state = "abandoned"
    else:
        action = (request.action or "a test")[:40]
        return Translation([], f"a merge request event ({action}) neither opens, merges nor abandons it")
    at = event_time("the merge request", own_time, updated, request.updated_at)
    return Translation([_change(event, request, state, at, item_names)])


def _change(
    event: MergeRequestEvent, request: MergeRequest, state: ChangeState, at: int, item_names: ItemNames
) -> ChangeFact:
    """A fast-forward merge has no commit of its own: then the last commit is the one that arrives."""
    service, change, last = event.project.path_with_namespace, f"mr-{request.iid}", request.last_commit
    merged = state == "merged"
    named = items_in(item_names, request.title, request.source_branch)
    closed = items_closed_by([request.title, request.description], service, item_names)
    fact = ChangeFact(
        id="",
        source=SOURCE,
        service=service,
        change=change,
        at=at,
        state=state,
        seq=int(state != "opened"),
        committed_at=known_time("the last commit", last.timestamp) if merged and last else None,
        commit=(request.merge_commit_sha or (last.id if last else None)) if merged else None,
        items=items_of([*named, *closed]),
    )
    return identified(f"change:{service}:{change}", fact)


def _read_push(text: bytes, item_names: ItemNames) -> Translation:
    """GitLab does not say when a push was; its newest commit does, and of a merge that is the merge itself."""
    event = decode(_PUSH, text, "a push event of GitLab")
    branch = event.project.default_branch
    if not branch or event.ref != f"refs/heads/{branch}":
        return Translation([], "a push elsewhere than to the default branch")
    if not event.commits:
        return Translation([], "a push without commits")
    at = max(event_time("the commit", commit.timestamp) for commit in event.commits)
    service = event.project.path_with_namespace
    return Translation([_commit(commit, at, service, item_names) for commit in event.commits])


def _commit(commit: Commit, at: int, service: str, item_names: ItemNames) -> ChangeFact:
    message = commit.message or ""
    fact = ChangeFact(
        id="",
        source=SOURCE,
        service=service,
        change=f"commit-{commit.id}",
        at=at,
        state="merged",
        committed_at=known_time("the commit", commit.timestamp),
        commit=commit.id,
        items=items_of([*item_names([message]), *items_closed_by([message], service, item_names)]),
    )
    return identified("commit", fact)


def _read_release(text: bytes, item_names: ItemNames) -> Translation:
    event = decode(_RELEASE, text, "a release event of GitLab")
    if event.action != "create":
        return Translation([], f"a release that is changed ({(event.action or 'a test')[:40]}) is out already, or gone")
    fact = DeploymentFact(
        id="",
        source=SOURCE,
        service=event.project.path_with_namespace,
        environment=RELEASE,
        deployment=event.tag,
        at=event_time("the release", event.released_at, event.created_at),
        state="succeeded",
        seq=1,
        commit=event.commit.id if event.commit else None,
        items=items_in(item_names, event.name, event.tag, event.description),
    )
    return Translation([identified(f"release:{event.project.path_with_namespace}", fact)])


_KIND: Final = Decoder(Kind)
_ISSUE: Final = Decoder(IssueEvent)
_MERGE_REQUEST: Final = Decoder(MergeRequestEvent)
_PUSH: Final = Decoder(PushEvent)
_RELEASE: Final = Decoder(ReleaseEvent)
_ISSUE_KINDS: Final = frozenset({"issue", "work_item", "incident"})
_READERS: Final[Mapping[str, Callable[[bytes, ItemNames], Translation]]] = {
    "merge_request": _read_merge_request,
    "push": _read_push,
    "release": _read_release,
    "build": read_job,
    "job": read_job,
    "pipeline": read_pipeline,
    "deployment": read_deployment,
}
