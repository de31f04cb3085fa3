"""DevLake's incoming webhook, taken as it is, so that one sender can post to both: deployments, issues, pull requests.

What is posted is known by the path that it was posted to, which the receiver puts into the header `x-devlake-path`;
without it by its shape. DevLake's own paths are taken below the server's root, such as
`/api/rest/plugins/webhook/connections/1/deployments`; also `…/webhook/1/…`, `…/by-name/<name>/…` and
`…/projects/<name>/…`.

The facts, and where they come from:

- deployment `id`: each of `deploymentCommits[]`: service from `repoUrl`, `commitSha`; `result` (default SUCCESS:
  succeeded; FAILURE: failed), at `finishedDate`, in `environment` (default PRODUCTION)
- change `pr-<pullRequestKey>`: service from `url`, else `baseRepoId`; opened at `createdDate`; by `status` MERGED at
  `mergedDate`, CLOSED (abandoned) at `closedDate`; `mergeCommitSha`, items from `displayTitle` and `headRef`
- item `issueKey`: `originalStatus`, else `status`; `type`, `title`, `url`, `storyPoint`; at `updatedDate`, else
  `createdDate`; DONE at `resolutionDate`
- incident `issueKey`: an issue of type INCIDENT: opened at `createdDate`; IN_PROGRESS: acknowledged, DONE: resolved,
  at the times above; service `component`, else the connection's or project's name in the path, else the key's prefix
- item and incident `issueKey`: `…/issue/<issueKey>/close`, which has no body: status DONE, and resolved, at the
  arrival

`/close` names no component: close an incident that has one by posting it as DONE.
The keys in snake case of old versions are refused, as DevLake refuses them.

Identity: by content (`flow.adapters.reading.identified`): posting a thing again adds what is new. A close is the same
when it is repeated within the same minute.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Final, Literal
from urllib.parse import unquote

from msgspec import Meta, Struct, field
from msgspec.json import Decoder

from flow.adapters.delivery import Delivery, ItemNames, Translation
from flow.adapters.deploying import name_of, repository_in
from flow.adapters.reading import (
    Name,
    address_of,
    decode,
    event_time,
    identified,
    items_in,
    json_of,
    known_time,
    title_of,
)
from flow.adapters.times import Moment
from flow.errors import Reason, Rejected
from flow.facts import ChangeFact, DeploymentFact, DeploymentState, Fact, IncidentFact, IncidentState, ItemFact
from flow.instants import MINUTE

SOURCE: Final = "devlake"
PATH_HEADER: Final = "x-devlake-path"
"""Where the receiver puts the path that was posted to; whatever a sender puts there is replaced."""

_PATH: Final = re.compile(
    r"/(?:api/)?(?:rest/)?plugins/webhook/"
    r"(?:(?P<kind>connections/by-name|connections|projects)/)?(?P<name>[^/]{1,255})/"
    r"(?P<what>deployments|issues|pull_requests|issue/(?P<key>[^/]{1,200})/close)/?"
)
_PULL_PATH: Final = re.compile(r"/(?:-/)?(?:pull|pulls|pull-requests|pullrequest|merge_requests)/.*", re.IGNORECASE)
_PRODUCTION: Final = "PRODUCTION"
_RESULTS: Final[Mapping[str, DeploymentState]] = {
    "": "succeeded",
    "SUCCESS": "succeeded",
    "FAILURE": "failed",
    "FAILED": "failed",
}


class _DeploymentCommit(Struct, gc=False, rename="camel"):
    repo_url: Name
    commit_sha: Name
    result: str | None = None
    ref_name: str | None = None
    commit_msg: str | None = None
    finished_date: Moment = None


class _Deployment(Struct, gc=False, rename="camel"):
    id: Name
    deployment_commits: Annotated[list[_DeploymentCommit], Meta(min_length=1, max_length=1_000)]
    environment: str | None = None
    result: str | None = None
    name: str | None = None
    display_title: str | None = None
    finished_date: Moment = None


class _PullRequest(Struct, gc=False, rename="camel"):
    pull_request_key: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    base_repo_id: str | None = None
    status: str | None = None
    url: str | None = None
    display_title: str | None = None
    head_ref: str | None = None
    created_date: Moment = None
    merged_date: Moment = None
    closed_date: Moment = None
    merge_commit_sha: str | None = None


class _Issue(Struct, gc=False, rename="camel"):
    issue_key: Name
    status: Literal["TODO", "IN_PROGRESS", "DONE"]
    original_status: str | None = None
    type: str | None = None
    title: str | None = None
    url: str | None = None
    component: str | None = None
    story_point: Annotated[float, Meta(ge=-1e12, le=1e12)] | None = None
    created_date: Moment = None
    updated_date: Moment = None
    resolution_date: Moment = None


class _Shape(Struct, gc=False, rename="camel"):
    """Enough to tell what was posted."""

    deployment_commits: object = None
    issue_key: object = None
    pull_request_key: object = None
    old_issue_key: object = field(default=None, name="issue_key")
    old_commits: object = field(default=None, name="deployment_commits")
    old_commit: object = field(default=None, name="commit_sha")


class _Posted(Struct, gc=False):
    """Where it was posted to: `name` of the connection or the project, `key` of the issue to close."""

    what: str
    name: str | None = None
    key: str | None = None


def is_devlake_path(path: str) -> bool:
    """Whether a sender of DevLake posts to this path."""
    return _PATH.fullmatch(path) is not None


def translate(delivery: Delivery, item_names: ItemNames) -> Translation:
    """The facts of one request. Raises Rejected (not_understood, malformed_json)."""
    posted = _posted(delivery)
    if posted.key is not None:
        return Translation(list(_closed(posted.key, posted.name, delivery.received_at)))
    text = json_of(delivery)
    what = posted.what or _shape_of(text)
    if what == "deployments":
        return _read_deployment(text, delivery.received_at, item_names)
    if what == "pull_requests":
        return _read_pull_request(text, item_names)
    return _read_issue(text, posted.name, delivery.received_at)


def _posted(delivery: Delivery) -> _Posted:
    path = _PATH.fullmatch(delivery.headers.get(PATH_HEADER, ""))
    if path is None:
        return _Posted("")
    named = path["kind"] in {"connections/by-name", "projects"}
    key = name_of(unquote(path["key"])) if path["key"] else None
    return _Posted(path["what"], name_of(unquote(path["name"])) if named else None, key)


def _shape_of(text: bytes) -> str:
    shape = decode(_SHAPE, text, "a webhook of DevLake")
    if shape.deployment_commits is not None:
        return "deployments"
    if shape.issue_key is not None:
        return "issues"
    if shape.pull_request_key is not None:
        return "pull_requests"
    old = (shape.old_issue_key, shape.old_commits, shape.old_commit)
    if any(part is not None for part in old):
        raise Rejected(Reason.NOT_UNDERSTOOD, "keys in snake case are of an old DevLake: write issueKey, commitSha …")
    raise Rejected(Reason.NOT_UNDERSTOOD, "neither a deployment nor an issue nor a pull request of DevLake")


def _read_deployment(text: bytes, received_at: int, item_names: ItemNames) -> Translation:
    told = decode(_DEPLOYMENT, text, "a deployment of DevLake")
    facts: list[Fact] = []
    for commit in told.deployment_commits:
        state = _RESULTS.get(commit.result or told.result or "")
        if state is None:
            continue
        ended = known_time("the deployment", commit.finished_date or told.finished_date)
        fact = DeploymentFact(
            id="",
            source=SOURCE,
            service=repository_in(commit.repo_url) or commit.repo_url,
            environment=name_of(told.environment) or _PRODUCTION,
            deployment=told.id,
            at=received_at if ended is None else ended,
            state=state,
            seq=1,
            commit=commit.commit_sha,
            items=items_in(item_names, told.display_title, told.name, commit.ref_name, commit.commit_msg),
        )
        facts.append(identified("deployment", fact))
    return Translation(facts, None if facts else "a deployment that neither succeeded nor failed")


def _read_pull_request(text: bytes, item_names: ItemNames) -> Translation:
    pull = decode(_PULL_REQUEST, text, "a pull request of DevLake")
    service = repository_in(_PULL_PATH.sub("", pull.url or "")) or name_of(pull.base_repo_id)
    if service is None:
        raise Rejected(Reason.NOT_UNDERSTOOD, "the pull request names no repository: set url or baseRepoId")
    items = items_in(item_names, pull.display_title, pull.head_ref)
    change = f"pr-{pull.pull_request_key}"

    def told(state: Literal["opened", "merged", "abandoned"], at: int) -> Fact:
        commit = name_of(pull.merge_commit_sha) if state == "merged" else None
        seq = int(state != "opened")
        return identified("change", ChangeFact("", SOURCE, service, change, at, state, seq, None, commit, items))

    facts: list[Fact] = []
    created = known_time("the pull request", pull.created_date)
    if created is not None:
        facts.append(told("opened", created))
    if pull.status == "MERGED":
        facts.append(told("merged", event_time("the merge", pull.merged_date, pull.closed_date)))
    elif pull.status == "CLOSED":
        facts.append(told("abandoned", event_time("the closing", pull.closed_date)))
    return Translation(facts, None if facts else "a pull request without its times")


def _read_issue(text: bytes, named: str | None, received_at: int) -> Translation:
    issue = decode(_ISSUE, text, "an issue of DevLake")
    if (issue.type or "").upper() == "INCIDENT":
        return Translation(list(_incident_facts(issue, named, received_at)))
    return Translation([_item_fact(issue, named)])


def _item_fact(issue: _Issue, named: str | None) -> Fact:
    done_at = issue.resolution_date if issue.status == "DONE" else None
    fact = ItemFact(
        id="",
        source=SOURCE,
        item=issue.issue_key,
        at=event_time("the issue", done_at, issue.updated_date, issue.created_date),
        status=name_of(issue.original_status) or issue.status,
        project=named or _prefix_of(issue.issue_key),
        type=name_of(issue.type),
        title=title_of(issue.title),
        url=address_of(issue.url),
        size=issue.story_point or None,
    )
    return identified(f"issue:{issue.issue_key[:100]}", fact)


def _incident_facts(issue: _Issue, named: str | None, received_at: int) -> Iterator[Fact]:
    service = name_of(issue.component) or named or _prefix_of(issue.issue_key)
    yield _incident(issue.issue_key, service, event_time("the incident", issue.created_date), "opened")
    if issue.status == "IN_PROGRESS":
        at = known_time("the incident", issue.updated_date)
        yield _incident(issue.issue_key, service, received_at if at is None else at, "acknowledged")
    elif issue.status == "DONE":
        at = known_time("the incident", issue.resolution_date or issue.updated_date)
        yield _incident(issue.issue_key, service, received_at if at is None else at, "resolved")


def _incident(key: str, service: str, at: int, state: IncidentState) -> Fact:
    seq = int(state != "opened")
    return identified(f"incident:{key[:100]}", IncidentFact("", SOURCE, service, _PRODUCTION, key, at, state, seq))


def _closed(key: str, named: str | None, received_at: int) -> Iterator[Fact]:
    """What the path alone tells. Whether the issue is an incident only an earlier post could say: both are closed."""
    minute, where = received_at // MINUTE, named or _prefix_of(key)
    yield ItemFact(f"devlake:{key}:closed:{minute}", SOURCE, key, received_at, 1, status="DONE", project=where)
    yield IncidentFact(f"devlake:{key}:resolved:{minute}", SOURCE, where, _PRODUCTION, key, received_at, "resolved", 1)


def _prefix_of(key: str) -> str:
    """`SHOP` of `SHOP-12`: what trackers call the project."""
    return key.rpartition("-")[0] or key


_SHAPE: Final = Decoder(_Shape)
_DEPLOYMENT: Final = Decoder(_Deployment)
_PULL_REQUEST: Final = Decoder(_PullRequest)
_ISSUE: Final = Decoder(_Issue)
