"""The parts of GitHub's webhook payloads that are read, and no more: reading less is faster and breaks less often.

Shapes: https://docs.github.com/en/webhooks/webhook-events-and-payloads
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from flow.adapters.reading import MOST_LABELS, Name, Number
from flow.adapters.times import Moment

RepositoryName = Annotated[str, Meta(min_length=1, max_length=200)]
"""GitHub's own limit is 140 characters. Kept short so that `repository#number` is a name of at most 255."""


Sha = Annotated[str, Meta(min_length=1, max_length=64)]
"""A commit's name: 40 hexadecimal digits, or 64 in repositories that use SHA-256."""


class Present(Struct, gc=False):
    """An object of which only its presence counts."""


class Repository(Struct, gc=False):
    full_name: RepositoryName


class PushedRepository(Struct, gc=False):
    full_name: RepositoryName
    default_branch: Name
    pushed_at: Moment = None


class Named(Struct, gc=False):
    name: Name


class Issue(Struct, gc=False):
    number: Number
    state: Name
    created_at: Moment
    updated_at: Moment
    closed_at: Moment = None
    title: str | None = None
    html_url: str | None = None
    labels: Annotated[list[Named], Meta(max_length=MOST_LABELS)] = []
    type: Named | None = None
    pull_request: Present | None = None


class IssuesEvent(Struct, gc=False):
    action: Name
    issue: Issue
    repository: Repository


class Branch(Struct, gc=False):
    ref: Name


class PullRequest(Struct, gc=False):
    number: Number
    created_at: Moment
    updated_at: Moment
    head: Branch
    title: str | None = None
    body: str | None = None
    merged: bool | None = None
    merged_at: Moment = None
    closed_at: Moment = None
    merge_commit_sha: Sha | None = None


class PullRequestEvent(Struct, gc=False):
    action: Name
    pull_request: PullRequest
    repository: Repository


class Deployment(Struct, gc=False):
    id: Number
    sha: Sha
    environment: Name
    ref: str | None = None
    description: str | None = None


class DeploymentStatus(Struct, gc=False):
    state: Name
    created_at: Moment
    environment: Name | None = None
    description: str | None = None


class DeploymentStatusEvent(Struct, gc=False):
    deployment: Deployment
    deployment_status: DeploymentStatus
    repository: Repository


class Commit(Struct, gc=False):
    id: Sha
    timestamp: Moment
    message: str = ""


class PushEvent(Struct, gc=False):
    ref: Name
    repository: PushedRepository
    deleted: bool = False
    commits: Annotated[list[Commit], Meta(max_length=2048)] = []


class WorkflowRun(Struct, gc=False):
    id: Number
    status: Name
    head_sha: Sha
    updated_at: Moment
    name: str | None = None
    conclusion: Name | None = None
    run_attempt: Number = 1
    run_started_at: Moment = None
    created_at: Moment = None
    head_branch: str | None = None
    display_title: str | None = None


class WorkflowRunEvent(Struct, gc=False):
    workflow_run: WorkflowRun
    repository: Repository


class Release(Struct, gc=False):
    tag_name: Name
    published_at: Moment = None
    target_commitish: str | None = None
    name: str | None = None
    body: str | None = None
    prerelease: bool = False


class ReleaseEvent(Struct, gc=False):
    action: Name
    release: Release
    repository: Repository
