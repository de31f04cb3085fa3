"""The parts of Bitbucket Cloud's webhook payloads that are read.

Shapes: https://support.atlassian.com/bitbucket-cloud/docs/event-payloads/
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from flow.adapters.reading import Name, Number
from flow.adapters.times import Moment

Sha = Annotated[str, Meta(min_length=1, max_length=64)]


class Repository(Struct, gc=False):
    full_name: Annotated[str, Meta(min_length=1, max_length=200)]


class Hash(Struct, gc=False):
    hash: Sha


class Branch(Struct, gc=False):
    name: str | None = None


class Side(Struct, gc=False):
    branch: Branch | None = None


class PullRequest(Struct, gc=False):
    id: Number
    created_on: Moment = None
    updated_on: Moment = None
    state: str | None = None
    title: str | None = None
    source: Side | None = None
    merge_commit: Hash | None = None


class PullRequestEvent(Struct, gc=False):
    pullrequest: PullRequest
    repository: Repository


class Commit(Struct, gc=False):
    hash: Sha
    message: str | None = None
    date: Moment = None


class Reference(Struct, gc=False):
    name: Name
    type: str
    target: Commit


class PushChange(Struct, gc=False):
    new: Reference | None = None
    commits: Annotated[list[Commit], Meta(max_length=2048)] = []


class Push(Struct, gc=False):
    changes: Annotated[list[PushChange], Meta(max_length=2048)] = []


class PushEvent(Struct, gc=False):
    push: Push
    repository: Repository


class Link(Struct, gc=False):
    href: str | None = None


class Links(Struct, gc=False):
    html: Link | None = None


class Issue(Struct, gc=False):
    id: Number
    created_on: Moment = None
    updated_on: Moment = None
    state: Name | None = None
    title: str | None = None
    kind: Name | None = None
    type: Name | None = None
    links: Links | None = None


class FieldChange(Struct, gc=False):
    new: Any = None


class IssueChanges(Struct, gc=False):
    status: FieldChange | None = None
    state: FieldChange | None = None


class IssueEvent(Struct, gc=False):
    issue: Issue
    repository: Repository
    changes: IssueChanges | None = None


class CommitStatus(Struct, gc=False):
    key: Name
    state: Name
    created_on: Moment = None
    updated_on: Moment = None
    name: str | None = None
    refname: str | None = None
    description: str | None = None
    commit: Commit | None = None


class CommitStatusEvent(Struct, gc=False):
    commit_status: CommitStatus
    repository: Repository
