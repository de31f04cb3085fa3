"""GitHub: issues, pull requests, deployment statuses, pushes to the default branch, deploying workflow runs.

Work items are called `owner/repository#number`, services `owner/repository`. A fact's id is made of its content (see
`flow.adapters.reading.identified`), not of X-GitHub-Delivery, so that reading the same thing again through GitHub's
REST API gives the same id. GitHub gives no sequence number, and its times are whole seconds: `seq` only
keeps what begins something before, and what ends it after, the other events of the same second.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from msgspec.json import Decoder

from flow.adapters.delivery import Delivery, ItemNames, Translation
from flow.adapters.github_payloads import (
    Commit,
    DeploymentStatusEvent,
    Issue,
    IssuesEvent,
    PullRequest,
    PullRequestEvent,
    PushEvent,
    WorkflowRun,
    WorkflowRunEvent,
)
from flow.adapters.reading import (
    address_of,
    blocked_by,
    decode,
    event_time,
    identified,
    items_of,
    json_of,
    known_time,
    title_of,
)
from flow.definitions import DEFAULT_TYPES
from flow.errors import Reason, Rejected
from flow.facts import ChangeFact, ChangeState, DeploymentFact, DeploymentState, ItemFact

SOURCE: Final = "github"

TYPE_LABELS: Final = frozenset(word for words in DEFAULT_TYPES.values() for word in words)
"""Labels that tell an issue's type when GitHub's own issue type is not set; also as `type: bug` and `kind/bug`."""

_EVENT_NAME: Final = re.compile(r"[a-z0-9_]{1,64}")
_TYPE_PREFIX: Final = re.compile(r"(?:type|kind)\s*[:/]\s*")
_CLOSES: Final = r"\b(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?)\b:?[ \t]{1,4}"
_CLOSED_ISSUE: Final = re.compile(
    _CLOSES + r"(?:https://[\w.-]{1,100}/)?([\w.-]{1,60}/[\w.-]{1,130})?(?:#|/issues/)(\d{1,10})\b",
    re.ASCII | re.IGNORECASE,
)
_CLOSED_TEXT: Final = re.compile(_CLOSES + r"([^\r\n]{1,200})", re.IGNORECASE)
_LONGEST_TEXT: Final = 65_536
_DEPLOYING: Final = re.compile(r"deploy(?:\s+to)?\s+(?!to$)(\S{1,255})", re.IGNORECASE)

_ORDER: Final = {"opened": 0, "closed": 2, "reopened": 2, "deleted": 3, "transferred": 3}
_SAYS_NOTHING: Final = frozenset({"pinned", "unpinned", "locked", "unlocked"})
_OPENING: Final = frozenset({"opened", "reopened", "ready_for_review"})
_STATUSES: Final[Mapping[str, DeploymentState]] = {
    "in_progress": "started",
    "success": "succeeded",
    "failure": "failed",
    "error": "failed",
}
_CONCLUSIONS: Final[Mapping[str, DeploymentState]] = {
    "success": "succeeded",
    "failure": "failed",
    "timed_out": "failed",
    "startup_failure": "failed",
}
_UNUSED: Final[Mapping[str, str]] = {
    "ping": "ping",
    "deployment": "deployment events only announce; deployment_status events say what came of it",
    "projects_v2_item": "project items name neither issue nor column; use labels or the issue's state",
}


def translate(delivery: Delivery, item_names: ItemNames) -> Translation:
    """The facts of one GitHub delivery; JSON or form. Raises Rejected (not_understood, malformed_json)."""
    event = delivery.headers.get("x-github-event", "")
    if not _EVENT_NAME.fullmatch(event):
        raise Rejected(Reason.NOT_UNDERSTOOD, "the header X-GitHub-Event is missing or names no event")
    read = _READERS.get(event)
    if read is None:
        return Translation([], _UNUSED.get(event, f"{event} events say nothing of work, changes or deployments"))
    return read(json_of(delivery), item_names)


def _read_issues(text: bytes, item_names: ItemNames) -> Translation:
    """Every action but a few carries the issue whole: even one that GitHub adds later is a true statement of it."""
    event = decode(_ISSUES, text, "an issues event of GitHub")
    if event.issue.pull_request is not None:
        return Translation([], "an issues event of a pull request")
    if event.action in _SAYS_NOTHING:
        return Translation([], f"an issue that is {event.action} is the same work")
    return Translation([_item_fact(event.issue, event.action, event.repository.full_name)])


def _item_fact(issue: Issue, action: str, repository: str) -> ItemFact:
    """A transferred issue is gone from here, like a deleted one; where it went GitHub opens it under a new name."""
    own_time = {"opened": issue.created_at, "closed": issue.closed_at}.get(action)
    labels = tuple(sorted(label.name for label in issue.labels))
    item = f"{repository}#{issue.number}"
    return identified(
        f"issue:{item}",
        ItemFact(
            id="",
            source=SOURCE,
            item=item,
            at=event_time("the issue", own_time, issue.updated_at),
            seq=_ORDER.get(action, 1),
            status=issue.state,
            blocked=blocked_by(labels),
            deleted=action in {"deleted", "transferred"},
            labels=labels,
            project=repository,
            type=issue.type.name if issue.type else _type_among(labels),
            title=title_of(issue.title),
            url=address_of(issue.html_url),
        ),
    )


def _type_among(labels: tuple[str, ...]) -> str | None:
    words = (_TYPE_PREFIX.sub("", label.casefold(), count=1) for label in labels)
    return next((word for word in words if word in TYPE_LABELS), None)


def _read_pull_request(text: bytes, item_names: ItemNames) -> Translation:
    """A draft counts as opened. GitHub does not say here when the commits were made: pushes do."""
    event = decode(_PULL_REQUEST, text, "a pull_request event of GitHub")
    pull, repository = event.pull_request, event.repository.full_name
    merged = pull.merged or known_time("the pull request", pull.merged_at) is not None
    state: ChangeState
    if event.action in _OPENING:
        state, own_time = "opened", pull.created_at if event.action == "opened" else None
    elif event.action == "closed" and merged:
        state, own_time = "merged", pull.merged_at or pull.closed_at
    elif event.action == "closed":
        state, own_time = "abandoned", pull.closed_at
    else:
        return Translation([], f"a pull request that is {event.action} is neither opened, merged nor abandoned")
    change = f"pr-{pull.number}"
    fact = ChangeFact(
        id="",
        source=SOURCE,
        service=repository,
        change=change,
        at=event_time("the pull request", own_time, pull.updated_at),
        state=state,
        seq=int(state != "opened"),
        commit=pull.merge_commit_sha if state == "merged" else None,
        items=_items_of_pull(pull, repository, item_names),
    )
    return Translation([identified(f"change:{repository}:{change}", fact)])


def _items_of_pull(pull: PullRequest, repository: str, item_names: ItemNames) -> tuple[str, ...]:
    """What the title and the branch name, and what the body says that it closes: a body mentions other work too."""
    title, body = (pull.title or "")[:_LONGEST_TEXT], (pull.body or "")[:_LONGEST_TEXT]
    named = item_names([title, pull.head.ref, *_CLOSED_TEXT.findall(body)])
    return items_of([*named, *_closed_issues(title, repository), *_closed_issues(body, repository)])


def _closed_issues(text: str, repository: str) -> Iterator[str]:
    """The issues behind GitHub's closing keywords: "Fixes #12", "closes: acme/shop#3", "resolves <address>".

    https://docs.github.com/en/issues/tracking-your-work-with-issues/using-issues/linking-a-pull-request-to-an-issue
    """
    for elsewhere, number in _CLOSED_ISSUE.findall(text):
        here = not elsewhere or elsewhere.casefold() == repository.casefold()
        yield f"{repository if here else elsewhere}#{number}"


def _read_deployment_status(text: bytes, item_names: ItemNames) -> Translation:
    """`inactive` only means that a newer deployment took its place; nothing failed."""
    event = decode(_DEPLOYMENT_STATUS, text, "a deployment_status event of GitHub")
    deployment, status, repository = event.deployment, event.deployment_status, event.repository.full_name
    state = _STATUSES.get(status.state)
    if state is None:
        return Translation([], f"a deployment that is {status.state} has neither started nor ended")
    texts = (deployment.ref, deployment.description, status.description)
    fact = DeploymentFact(
        id="",
        source=SOURCE,
        service=repository,
        environment=status.environment or deployment.environment,
        deployment=str(deployment.id),
        at=event_time("the deployment status", status.created_at),
        state=state,
        seq=int(state != "started"),
        commit=deployment.sha,
        items=items_of(item_names([text for text in texts if text])),
    )
    return Translation([identified(f"deployment:{repository}:{deployment.id}", fact)])


def _read_push(text: bytes, item_names: ItemNames) -> Translation:
    """Commits that reach the default branch, each a merged change with the time at which it was made.

    Of a merged pull request both may be told: `pr-12` from its own event, which names the merge commit, and
    `commit-…` for each commit that the merge brought along; only these know when the work was committed.
    """
    event = decode(_PUSH, text, "a push event of GitHub")
    if event.deleted:
        return Translation([], "a push that deletes a branch or tag")
    if event.ref != f"refs/heads/{event.repository.default_branch}":
        return Translation([], "a push elsewhere than to the default branch")
    if not event.commits:
        return Translation([], "a push without commits")
    at = event_time("the push", event.repository.pushed_at, event.commits[-1].timestamp)
    repository = event.repository.full_name
    return Translation([_commit_fact(commit, at, repository, item_names) for commit in event.commits])


def _commit_fact(commit: Commit, at: int, repository: str, item_names: ItemNames) -> ChangeFact:
    message = commit.message[:_LONGEST_TEXT]
    fact = ChangeFact(
        id="",
        source=SOURCE,
        service=repository,
        change=f"commit-{commit.id}",
        at=at,
        state="merged",
        committed_at=known_time("the commit", commit.timestamp),
        commit=commit.id,
        items=items_of([*item_names([message]), *_closed_issues(message, repository)]),
    )
    return identified("commit", fact)


def _read_workflow_run(text: bytes, item_names: ItemNames) -> Translation:
    """A run tells of a deployment only by convention: a name such as `Deploy production` or `Deploy to staging`.

    The action of the event is not looked at: deliveries were seen whose action and status disagree.
    """
    event = decode(_WORKFLOW_RUN, text, "a workflow_run event of GitHub")
    run, repository = event.workflow_run, event.repository.full_name
    deploying = _DEPLOYING.fullmatch((run.name or "").strip())
    if deploying is None:
        return Translation([], "a workflow run names no environment: send deployment_status, or call it `Deploy to …`")
    state = _state_of_run(run)
    if state is None:
        return Translation([], f"a workflow run that is {run.conclusion or run.status} deploys nothing")
    started = run.run_started_at or run.created_at if state == "started" else None
    deployment = f"run-{run.id}-{run.run_attempt}"
    fact = DeploymentFact(
        id="",
        source=SOURCE,
        service=repository,
        environment=deploying[1],
        deployment=deployment,
        at=event_time("the workflow run", started, run.updated_at),
        state=state,
        seq=int(state != "started"),
        commit=run.head_sha,
        items=items_of(item_names([text for text in (run.head_branch, run.display_title) if text])),
    )
    return Translation([identified(f"deployment:{deployment}", fact)])


def _state_of_run(run: WorkflowRun) -> DeploymentState | None:
    if run.status == "completed":
        return _CONCLUSIONS.get(run.conclusion or "")
    return "started" if run.status == "in_progress" else None


_ISSUES: Final = Decoder(IssuesEvent)
_PULL_REQUEST: Final = Decoder(PullRequestEvent)
_DEPLOYMENT_STATUS: Final = Decoder(DeploymentStatusEvent)
_PUSH: Final = Decoder(PushEvent)
_WORKFLOW_RUN: Final = Decoder(WorkflowRunEvent)
_READERS: Final[Mapping[str, Callable[[bytes, ItemNames], Translation]]] = {
    "issues": _read_issues,
    "pull_request": _read_pull_request,
    "deployment_status": _read_deployment_status,
    "push": _read_push,
    "workflow_run": _read_workflow_run,
}
