"""The parts of Azure DevOps' service hooks on code, releases and pipelines that are read, and no more.

Shapes: https://learn.microsoft.com/azure/devops/service-hooks/events
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct, field

from flow.adapters.reading import Name, Number
from flow.adapters.times import Moment

Part = Annotated[str, Meta(min_length=1, max_length=120)]
Sha = Annotated[str, Meta(min_length=1, max_length=64)]


class Named(Struct, gc=False):
    name: Part


class Repository(Struct, gc=False, rename="camel"):
    name: Part
    project: Named
    default_branch: str | None = None


class Commit(Struct, gc=False):
    sha: Sha = field(name="commitId")


class Reference(Struct, gc=False):
    id: str | int


class Pull(Struct, gc=False, rename="camel"):
    repository: Repository
    pull_request_id: Number
    status: Name
    creation_date: Moment = None
    closed_date: Moment = None
    title: str | None = None
    description: str | None = None
    source_ref_name: str | None = None
    last_merge_commit: Commit | None = None
    work_item_refs: list[Reference] | None = None


class Signed(Struct, gc=False):
    date: Moment = None


class Pushed(Struct, gc=False):
    sha: Sha = field(name="commitId")
    comment: str | None = None
    committer: Signed | None = None


class Update(Struct, gc=False):
    name: str


class Push(Struct, gc=False, rename="camel"):
    repository: Repository
    ref_updates: list[Update] = []
    commits: Annotated[list[Pushed], Meta(max_length=2048)] | None = None
    date: Moment = None


class Release(Struct, gc=False):
    id: Number
    name: str | None = None


class Environment(Struct, gc=False, rename="camel"):
    id: Number
    name: Name
    status: str | None = None
    release: Release | None = None
    release_definition: Named | None = None


class Attempt(Struct, gc=False, rename="camel"):
    started_on: Moment = None
    completed_on: Moment = None


class Releasing(Struct, gc=False):
    environment: Environment
    project: Named
    release: Release | None = None
    deployment: Attempt | None = None


class Stage(Struct, gc=False, rename="camel"):
    name: Name
    state: str
    result: str | None = None
    display_name: str | None = None


class Run(Struct, gc=False):
    id: Number


class Source(Struct, gc=False):
    url: str | None = None
    change: SourceChange | None = None


class SourceChange(Struct, gc=False):
    version: Sha | None = None
    message: str | None = None


class Staging(Struct, gc=False):
    stage: Stage
    run: Run
    repositories: list[Source] | None = None


class BuiltRepository(Struct, gc=False):
    name: str | None = None


class Build(Struct, gc=False, rename="camel"):
    id: Number
    definition: Named
    status: str | None = None
    result: str | None = None
    finish_time: Moment = None
    project: Named | None = None
    repository: BuiltRepository | None = None
    source_version: str | None = None
    source_get_version: str | None = None
    source_branch: str | None = None
