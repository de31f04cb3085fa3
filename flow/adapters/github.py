"""GitHub: issues, pull requests, pushes; deployments and releases (`github_deployments`); boards (`github_projects`).

| webhook | fact |
|---|---|
| issues: `repository.full_name#issue.number` | item |
| `issue.state`, `labels[].name`, `title`, `html_url` | status, labels, title, url; the label `blocked` blocks |
| `issue.type.name`, else a label that is a word for a type | type |
| opened: `created_at`, closed: `closed_at`, else `updated_at` | at |
| `action` = deleted, transferred | deleted |
| pull_request opened, reopened, ready_for_review; closed and merged; closed | change `pr-N` opened; merged; abandoned |
| push to the default branch: each of `commits` | change `commit-SHA`, merged at `repository.pushed_at` |

Work items are called `owner/repository#number`, services `owner/repository`. Identity: a fact's id is made of its
content (see `flow.adapters.reading.identified`), not of X-GitHub-Delivery, so that reading the same thing again through
GitHub's REST API gives the same id. GitHub gives no sequence number, and its times are whole seconds: `seq` only
keeps what begins something before, and what ends it after, the other events of the same second.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from msgspec.json import Decoder

from flow.adapters.closing import CLOSE_FIX_RESOLVE, closed_texts, closing_words
from flow.adapters.delivery import Delivery, ItemNames, Translation
from flow.adapters.github_deployments import read_deployment_status, read_release, read_workflow_run
from flow.adapters.github_payloads import (
    Commit,
    Issue,
    IssuesEvent,
    PullRequest,
    PullRequestEvent,
    PushEvent,
)
from flow.adapters.github_projects import read_project_item
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
    type_among,
)
from flow.errors import Reason, Rejected
from flow.facts import ChangeFact, ChangeState, ItemFact

SOURCE: Final = "github"

_EVENT_NAME: Final = re.compile(r"[a-z0-9_]{1,64}")
_CLOSING: Final = closing_words(CLOSE_FIX_RESOLVE, "cfr")
_ISSUE_NAME: Final = re.compile(
    r"(?:https://[\w.-]{1,100}/)?([\w.-]{1,60}/[\w.-]{1,130})?(?:#|/issues/)(\d{1,10})\b", re.ASCII
)

_ORDER: Final = {"opened": 0, "closed": 2, "reopened": 2, "deleted": 3, "transferred": 3}
_SAYS_NOTHING: Final = frozenset({"pinned", "unpinned", "locked", "unlocked"})
_OPENING: Final = frozenset({"opened", "reopened", "ready_for_review"})
_UNUSED: Final[Mapping[str, str]] = {
    "ping": "ping",
    "deployment": "deployment events only announce; deployment_status events say what came of it",
    "pull_request_review": "a review neither opens, merges nor abandons a change",
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
            type=issue.type.name if issue.type else type_among(labels),
            title=title_of(issue.title),
            url=address_of(issue.html_url),
        ),
    )


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
    title, closed = pull.title or "", list(closed_texts(_CLOSING, pull.body))
    named = item_names([title, pull.head.ref, *closed])
    return items_of([*named, *_issues_at(closed_texts(_CLOSING, title), repository), *_issues_at(closed, repository)])


def _issues_at(texts: Iterable[str], repository: str) -> Iterator[str]:
    """The issues at the start of texts behind GitHub's closing keywords: "#12", "acme/shop#3", an address.

    https://docs.github.com/en/issues/tracking-your-work-with-issues/using-issues/linking-a-pull-request-to-an-issue
    """
    for text in texts:
        name = _ISSUE_NAME.match(text)
        if name:
            elsewhere, number = name[1], name[2]
            here = not elsewhere or elsewhere.casefold() == repository.casefold()
            yield f"{repository if here else elsewhere}#{number}"


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
    closed = closed_texts(_CLOSING, commit.message)
    fact = ChangeFact(
        id="",
        source=SOURCE,
        service=repository,
        change=f"commit-{commit.id}",
        at=at,
        state="merged",
        committed_at=known_time("the commit", commit.timestamp),
        commit=commit.id,
        items=items_of([*item_names([commit.message]), *_issues_at(closed, repository)]),
    )
    return identified("commit", fact)


_ISSUES: Final = Decoder(IssuesEvent)
_PULL_REQUEST: Final = Decoder(PullRequestEvent)
_PUSH: Final = Decoder(PushEvent)
_READERS: Final[Mapping[str, Callable[[bytes, ItemNames], Translation]]] = {
    "issues": _read_issues,
    "pull_request": _read_pull_request,
    "push": _read_push,
    "deployment_status": read_deployment_status,
    "workflow_run": read_workflow_run,
    "release": read_release,
    "projects_v2_item": read_project_item,
}
