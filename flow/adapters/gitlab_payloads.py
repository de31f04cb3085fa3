"""The parts of GitLab's webhook payloads that are read, and no more.

Shapes: https://docs.gitlab.com/user/project/integrations/webhook_events/
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from flow.adapters.reading import Name, Number
from flow.adapters.times import Moment
from flow.facts import Amount

Path = Annotated[str, Meta(min_length=1, max_length=200)]
"""A project's path. Kept short so that `path#iid` is a name of at most 255 characters."""

Sha = Annotated[str, Meta(min_length=1, max_length=64)]


class Kind(Struct, gc=False):
    object_kind: str | None = None


class Project(Struct, gc=False):
    path_with_namespace: Path
    default_branch: str | None = None


class Label(Struct, gc=False):
    title: str


class LabelChange(Struct, gc=False):
    current: list[Label] | None = None


class TimeChange(Struct, gc=False):
    current: Moment = None


class FlagChange(Struct, gc=False):
    current: bool | None = None


class IssueChanges(Struct, gc=False):
    labels: LabelChange | None = None
    updated_at: TimeChange | None = None


class Issue(Struct, gc=False):
    iid: Number
    state: Name | None = None
    action: str | None = None
    title: str | None = None
    url: str | None = None
    type: Name | None = None
    weight: Amount | None = None
    moved_to_id: int | None = None
    created_at: Moment = None
    updated_at: Moment = None
    closed_at: Moment = None
    labels: list[Label] | None = None


class IssueEvent(Struct, gc=False):
    object_kind: str
    object_attributes: Issue
    project: Project | None = None
    labels: list[Label] | None = None
    changes: IssueChanges | None = None


class Commit(Struct, gc=False):
    id: Sha
    timestamp: Moment = None
    message: str | None = None


class MergeRequestChanges(Struct, gc=False):
    updated_at: TimeChange | None = None
    draft: FlagChange | None = None


class MergeRequest(Struct, gc=False):
    iid: Number
    action: str | None = None
    title: str | None = None
    description: str | None = None
    source_branch: str | None = None
    merge_commit_sha: Sha | None = None
    last_commit: Commit | None = None
    created_at: Moment = None
    updated_at: Moment = None
    merged_at: Moment = None


class MergeRequestEvent(Struct, gc=False):
    object_attributes: MergeRequest
    project: Project
    changes: MergeRequestChanges | None = None


class PushEvent(Struct, gc=False):
    ref: str
    project: Project
    commits: Annotated[list[Commit], Meta(max_length=2048)] | None = None


class Tagged(Struct, gc=False):
    id: Sha


class ReleaseEvent(Struct, gc=False):
    project: Project
    tag: Name
    action: str | None = None
    name: str | None = None
    description: str | None = None
    released_at: Moment = None
    created_at: Moment = None
    commit: Tagged | None = None


class Environment(Struct, gc=False):
    name: Name
    action: str | None = None


class Built(Struct, gc=False):
    message: str | None = None
    title: str | None = None


class BuiltRepository(Struct, gc=False):
    homepage: str | None = None


class JobEvent(Struct, gc=False):
    """A job. Its own fields are absent from jobs without an environment in some old payloads."""

    environment: Environment | None = None
    build_id: Number | None = None
    build_status: str | None = None
    build_started_at: Moment = None
    build_finished_at: Moment = None
    ref: str | None = None
    sha: Sha | None = None
    project: Project | None = None
    repository: BuiltRepository | None = None
    commit: Built | None = None


class PipelineJob(Struct, gc=False):
    id: Number
    status: str
    started_at: Moment = None
    finished_at: Moment = None
    environment: Environment | None = None


class Pipeline(Struct, gc=False):
    ref: str | None = None
    sha: Sha | None = None


class PipelineRequest(Struct, gc=False):
    title: str | None = None
    source_branch: str | None = None


class PipelineEvent(Struct, gc=False):
    object_attributes: Pipeline
    project: Project
    builds: Annotated[list[PipelineJob], Meta(max_length=2048)] | None = None
    merge_request: PipelineRequest | None = None
    commit: Built | None = None


class DeploymentEvent(Struct, gc=False):
    deployment_id: Number
    status: str
    environment: Name
    project: Project
    deployable_id: Number | None = None
    status_changed_at: Moment = None
    commit_url: str | None = None
    commit_title: str | None = None
    ref: str | None = None
