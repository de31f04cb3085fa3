"""Bitbucket Cloud: pull requests, pushes to the main branch, issues, and build statuses that deploy.

Work items are called `workspace/repository#number`, services `workspace/repository`.

The facts, and where they come from:

- change `pr-<pullrequest.id>`: created: opened at `created_on`; fulfilled: merged, rejected: abandoned, at
  `updated_on`
- its commit, its items: `merge_commit.hash` (12 digits of it); the title and `source.branch.name`
- change `commit-<hash>`: each of `push.changes[].commits` and the tip, at the tip's `date`; `committed_at` is its own
  `date`
- item: `issue`: `changes.status.new`, else `state`; `kind`; at `created_on` or `updated_on`
- deployment `<key>@<commit>`: `commit_status` whose name or key deploys (`flow.adapters.deploying`): `state`,
  `updated_on`

The commit of a merge carries the pull request's number in its message; it is told as that change, which so gets its
full hash. A push does not say which branch is the main one, nor when it was made: `main`, `master` and `trunk` are
taken, and the tip's own time. Of a push Bitbucket names five commits at most. The state in a pull request is believed
before the event's name. Bitbucket has no event of its own for deployments.

Identity: by content (`flow.adapters.reading.identified`), which reading the same through the API gives again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from msgspec.json import Decoder

from flow.adapters.bitbucket_payloads import Commit, CommitStatusEvent, IssueEvent, PullRequestEvent, PushEvent
from flow.adapters.delivery import Delivery, ItemNames, Translation
from flow.adapters.deploying import RULE, environment_in, name_of
from flow.adapters.reading import (
    address_of,
    decode,
    event_time,
    identified,
    items_in,
    json_of,
    known_time,
    title_of,
)
from flow.errors import Reason, Rejected
from flow.facts import ChangeFact, ChangeState, DeploymentFact, DeploymentState, Fact, ItemFact

SOURCE: Final = "bitbucket-cloud"

MAIN_BRANCHES: Final = frozenset({"main", "master", "trunk"})
"""What the main branch is called, where a push does not say which it is."""

_EVENT_NAME: Final = re.compile(r"[a-z_]{1,40}:[a-z_:]{1,60}")
_PULL_REQUEST_NUMBER: Final = re.compile(r"[^\r\n]{0,500}\(pull request #(\d{1,10})\)", re.ASCII)
_PULL_EVENTS: Final[Mapping[str, ChangeState]] = {"created": "opened", "fulfilled": "merged", "rejected": "abandoned"}
_PULL_STATES: Final[Mapping[str | None, ChangeState]] = {
    "MERGED": "merged",
    "DECLINED": "abandoned",
    "SUPERSEDED": "abandoned",
}
STATUSES: Final[Mapping[str, DeploymentState]] = {
    "INPROGRESS": "started",
    "SUCCESSFUL": "succeeded",
    "FAILED": "failed",
}
"""Bitbucket's build statuses, here and on the Data Center."""


def translate(delivery: Delivery, item_names: ItemNames) -> Translation:
    """The facts of one delivery of Bitbucket Cloud. Raises Rejected (not_understood, malformed_json)."""
    event = delivery.headers.get("x-event-key", "")
    if not _EVENT_NAME.fullmatch(event):
        raise Rejected(Reason.NOT_UNDERSTOOD, "the header X-Event-Key is missing or names no event")
    subject, _, action = event.partition(":")
    if subject == "pullrequest":
        return _read_pull_request(json_of(delivery), action, item_names)
    if subject == "issue":
        return _read_issue(json_of(delivery), action)
    read = _READERS.get(event)
    if read is None:
        return Translation([], f"{event} events say nothing of work, changes or deployments")
    return read(json_of(delivery), item_names)


def _read_pull_request(text: bytes, action: str, item_names: ItemNames) -> Translation:
    state = _PULL_EVENTS.get(action)
    if state is None:
        return Translation([], f"a pull request that is {action} is neither opened, merged nor abandoned")
    event = decode(_PULL_REQUEST, text, f"a pullrequest:{action} event of Bitbucket")
    pull, repository = event.pullrequest, event.repository.full_name
    if state != "opened":
        state = _PULL_STATES.get(pull.state, state)
    own_time = pull.created_on if state == "opened" else None
    branch = pull.source.branch.name if pull.source and pull.source.branch else None
    change = f"pr-{pull.id}"
    fact = ChangeFact(
        id="",
        source=SOURCE,
        service=repository,
        change=change,
        at=event_time("the pull request", own_time, pull.updated_on),
        state=state,
        seq=int(state != "opened"),
        commit=pull.merge_commit.hash if pull.merge_commit and state == "merged" else None,
        items=items_in(item_names, pull.title, branch),
    )
    return Translation([identified(f"change:{repository}:{change}", fact)])


def _read_push(text: bytes, item_names: ItemNames) -> Translation:
    event = decode(_PUSH, text, "a repo:push event of Bitbucket")
    facts: list[Fact] = [
        fact
        for change in event.push.changes
        if change.new and change.new.type == "branch" and change.new.name in MAIN_BRANCHES
        for fact in _pushed(change.new.target, change.commits, event.repository.full_name, item_names)
    ]
    return Translation(facts, None if facts else "a push elsewhere than to main, master or trunk")


def _pushed(tip: Commit, commits: list[Commit], repository: str, item_names: ItemNames) -> Iterator[ChangeFact]:
    at = event_time("the push", tip.date, *(commit.date for commit in commits))
    for commit in {commit.hash: commit for commit in (*commits, tip)}.values():
        merged = _PULL_REQUEST_NUMBER.match(commit.message or "")
        fact = ChangeFact(
            id="",
            source=SOURCE,
            service=repository,
            change=f"pr-{merged[1]}" if merged else f"commit-{commit.hash}",
            at=at,
            state="merged",
            seq=1,
            committed_at=known_time("the commit", commit.date),
            commit=commit.hash,
            items=items_in(item_names, commit.message),
        )
        yield identified("commit", fact)


def _read_issue(text: bytes, action: str) -> Translation:
    if action not in {"created", "updated"}:
        return Translation([], f"an issue that is {action} is the same work")
    event = decode(_ISSUE, text, f"an issue:{action} event of Bitbucket")
    issue, repository = event.issue, event.repository.full_name
    item = f"{repository}#{issue.id}"
    created = action == "created"
    fact = ItemFact(
        id="",
        source=SOURCE,
        item=item,
        at=event_time("the issue", issue.created_on if created else None, issue.updated_on),
        seq=int(not created),
        status=_status_of(event) or issue.state,
        project=repository,
        type=issue.kind or (issue.type if issue.type != "issue" else None),
        title=title_of(issue.title),
        url=address_of(issue.links.html.href if issue.links and issue.links.html else None),
    )
    return Translation([identified(f"issue:{item}", fact)])


def _status_of(event: IssueEvent) -> str | None:
    changed = event.changes and (event.changes.status or event.changes.state)
    return name_of(changed.new) if changed else None


def _read_commit_status(text: bytes, item_names: ItemNames) -> Translation:
    event = decode(_COMMIT_STATUS, text, "a commit status of Bitbucket")
    status, repository = event.commit_status, event.repository.full_name
    environment = environment_in(status.name, status.key)
    if environment is None:
        return Translation([], f"a build status {RULE}")
    state = STATUSES.get(status.state)
    if state is None:
        return Translation([], f"a build that is {status.state} deploys nothing")
    commit = status.commit.hash if status.commit else None
    deployment = f"{status.key}@{commit or known_time('the build status', status.created_on)}"
    message = status.commit.message if status.commit else None
    fact = DeploymentFact(
        id="",
        source=SOURCE,
        service=repository,
        environment=environment,
        deployment=deployment,
        at=event_time("the build status", status.updated_on, status.created_on),
        state=state,
        seq=int(state != "started"),
        commit=commit,
        items=items_in(item_names, status.refname, message, status.description),
    )
    return Translation([identified(f"deployment:{repository}", fact)])


_PULL_REQUEST: Final = Decoder(PullRequestEvent)
_PUSH: Final = Decoder(PushEvent)
_ISSUE: Final = Decoder(IssueEvent)
_COMMIT_STATUS: Final = Decoder(CommitStatusEvent)
_READERS: Final[Mapping[str, Callable[[bytes, ItemNames], Translation]]] = {
    "repo:push": _read_push,
    "repo:commit_status_created": _read_commit_status,
    "repo:commit_status_updated": _read_commit_status,
}
