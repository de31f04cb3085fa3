"""Bitbucket Data Center: pull requests and pushes to the main branch.

Services are called `PROJECT/repository`.

The facts, and where they come from:

- change `pr-<pullRequest.id>`: opened at `createdDate`; merged, declined, deleted (abandoned) at `closedDate`, else
  `date`
- its commit, its items: `properties.mergeCommit.id`; the title and `fromRef.displayId`
- change `commit-<hash>`: `repo:refs_changed` of `main`, `master` or `trunk`: each of `commits` (8.x and later), else
  `toHash`; at `date`

`commits` holds five at most, and older servers name only the tip, without its time. Build statuses and deployments are
no webhook events here: let the builds themselves post (Jenkins, for instance, has a source of its own).

Identity: by content (`flow.adapters.reading.identified`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Final

from msgspec import Meta, Struct, field
from msgspec.json import Decoder

from flow.adapters.bitbucket_cloud import MAIN_BRANCHES
from flow.adapters.delivery import Delivery, ItemNames, Translation
from flow.adapters.reading import Name, Number, decode, event_time, identified, items_in, json_of, known_time
from flow.adapters.times import Moment
from flow.errors import Reason, Rejected
from flow.facts import ChangeFact, ChangeState, Fact

SOURCE: Final = "bitbucket-datacenter"

_EVENT_NAME: Final = re.compile(r"[a-z_]{1,40}:[a-z_:]{1,60}")
_NO_COMMIT: Final = re.compile(r"0+")
_PULL_EVENTS: Final[Mapping[str, ChangeState]] = {
    "opened": "opened",
    "reopened": "opened",
    "merged": "merged",
    "declined": "abandoned",
    "deleted": "abandoned",
}

_Sha = Annotated[str, Meta(min_length=1, max_length=64)]


class _Project(Struct, gc=False):
    key: Annotated[str, Meta(min_length=1, max_length=120)]


class _Repository(Struct, gc=False):
    slug: Annotated[str, Meta(min_length=1, max_length=128)]
    project: _Project


class _Side(Struct, gc=False, rename="camel"):
    display_id: str | None = None


class _Target(Struct, gc=False):
    repository: _Repository


class _Commit(Struct, gc=False, rename="camel"):
    id: _Sha
    message: str | None = None
    author_timestamp: Moment = None
    committer_timestamp: Moment = None


class _Properties(Struct, gc=False, rename="camel"):
    merge_commit: _Commit | None = None


class _PullRequest(Struct, gc=False, rename="camel"):
    id: Number
    to_ref: _Target
    title: str | None = None
    from_ref: _Side | None = None
    created_date: Moment = None
    closed_date: Moment = None
    updated_date: Moment = None
    properties: _Properties | None = None


class _PullRequestEvent(Struct, gc=False):
    pull_request: _PullRequest = field(name="pullRequest")
    date: Moment = None


class _Reference(Struct, gc=False, rename="camel"):
    display_id: Name
    type: str


class _RefChange(Struct, gc=False, rename="camel"):
    ref: _Reference
    to_hash: _Sha


class _PushEvent(Struct, gc=False, rename="camel"):
    repository: _Repository
    changes: Annotated[list[_RefChange], Meta(max_length=2048)] = []
    commits: Annotated[list[_Commit], Meta(max_length=2048)] | None = None
    date: Moment = None


class _Event(Struct, gc=False, rename="camel"):
    event_key: str | None = None
    test: bool = False


def translate(delivery: Delivery, item_names: ItemNames) -> Translation:
    """The facts of one delivery of Bitbucket Data Center. Raises Rejected (not_understood, malformed_json)."""
    text = json_of(delivery)
    event = delivery.headers.get("x-event-key") or _named_in(text)
    if not _EVENT_NAME.fullmatch(event):
        raise Rejected(Reason.NOT_UNDERSTOOD, "neither the header X-Event-Key nor eventKey names an event")
    subject, _, action = event.partition(":")
    if event == "diagnostics:ping":
        return Translation([], "ping")
    if event == "repo:refs_changed":
        return _read_push(text, item_names)
    if subject != "pr":
        return Translation([], f"{event} events say nothing of work, changes or deployments")
    state = _PULL_EVENTS.get(action)
    if state is None:
        return Translation([], f"a pull request that is {action} is neither opened, merged nor abandoned")
    return _read_pull_request(text, action, state, item_names)


def _named_in(text: bytes) -> str:
    event = decode(_EVENT, text, "an event of Bitbucket")
    return "diagnostics:ping" if event.test else event.event_key or ""


def _read_pull_request(text: bytes, action: str, state: ChangeState, item_names: ItemNames) -> Translation:
    event = decode(_PULL_REQUEST, text, f"a pr:{action} event of Bitbucket")
    pull = event.pull_request
    own_time = pull.created_date if action == "opened" else pull.closed_date
    merge = pull.properties.merge_commit if pull.properties and state == "merged" else None
    service, change = _service(pull.to_ref.repository), f"pr-{pull.id}"
    fact = ChangeFact(
        id="",
        source=SOURCE,
        service=service,
        change=change,
        at=event_time("the pull request", own_time, event.date, pull.updated_date),
        state=state,
        seq=int(state != "opened"),
        commit=merge.id if merge else None,
        items=items_in(item_names, pull.title, pull.from_ref.display_id if pull.from_ref else None),
    )
    return Translation([identified(f"change:{change}", fact)])


def _read_push(text: bytes, item_names: ItemNames) -> Translation:
    event = decode(_PUSH, text, "a repo:refs_changed event of Bitbucket")
    facts: list[Fact] = [
        fact
        for change in event.changes
        if change.ref.type == "BRANCH" and change.ref.display_id in MAIN_BRANCHES
        if not _NO_COMMIT.fullmatch(change.to_hash)
        for fact in _pushed(change, event, item_names)
    ]
    return Translation(facts, None if facts else "a push elsewhere than to main, master or trunk")


def _pushed(change: _RefChange, event: _PushEvent, item_names: ItemNames) -> Iterator[ChangeFact]:
    """`commits` tells of the whole push: it is of this branch when its newest is the branch's tip."""
    at = event_time("the push", event.date)
    commits = event.commits or []
    if change.to_hash not in [commit.id for commit in commits]:
        commits = [_Commit(change.to_hash)]
    service = _service(event.repository)
    for commit in commits:
        fact = ChangeFact(
            id="",
            source=SOURCE,
            service=service,
            change=f"commit-{commit.id}",
            at=at,
            state="merged",
            committed_at=known_time("the commit", commit.author_timestamp or commit.committer_timestamp),
            commit=commit.id,
            items=items_in(item_names, commit.message),
        )
        yield identified("commit", fact)


def _service(repository: _Repository) -> str:
    return f"{repository.project.key}/{repository.slug}"


_EVENT: Final = Decoder(_Event)
_PULL_REQUEST: Final = Decoder(_PullRequestEvent)
_PUSH: Final = Decoder(_PushEvent)
