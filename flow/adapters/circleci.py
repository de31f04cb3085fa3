"""CircleCI: workflows and jobs that deploy. It sends nothing when they start.

Each field of the fact, and where it comes from:

- environment: `workflow.name`, or else `job.name` (`flow.adapters.deploying`); nothing of a webhook holds parameters
- service: the repository's address in `pipeline.vcs`, or in `trigger_parameters`; else `project.slug`
- deployment: `workflow.id`, or `job.id`
- state: `status`: success; failed, error, timedout, infrastructure_fail. Nothing is deployed by what is canceled
- at: `stopped_at`, else `happened_at`
- commit: `pipeline.vcs.revision`; where a GitLab or a GitHub App started it `trigger_parameters.git.checkout_sha`
- items: the branch, the tag, and the commit's subject and body

A job is only looked at when its workflow's name does not deploy, so that both events may be ticked.

Identity: by content (`flow.adapters.reading.identified`), which CircleCI's API gives again; its `id` of the event is
another one for each webhook.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from msgspec import Struct
from msgspec.json import Decoder

from flow.adapters.delivery import Delivery, ItemNames, Translation
from flow.adapters.deploying import RULE, environment_in, name_of, repository_in
from flow.adapters.reading import Name, decode, event_time, identified, items_in, json_of
from flow.adapters.times import Moment
from flow.facts import DeploymentFact, DeploymentState

SOURCE: Final = "circleci"

_STATUSES: Final[Mapping[str | None, DeploymentState]] = {
    "success": "succeeded",
    "failed": "failed",
    "error": "failed",
    "timedout": "failed",
    "infrastructure_fail": "failed",
}


class _Run(Struct, gc=False):
    """A workflow or a job."""

    id: Name
    name: str | None = None
    status: str | None = None
    stopped_at: Moment = None


class _Commit(Struct, gc=False):
    subject: str | None = None
    body: str | None = None


class _Vcs(Struct, gc=False):
    revision: str | None = None
    target_repository_url: str | None = None
    origin_repository_url: str | None = None
    branch: str | None = None
    tag: str | None = None
    commit: _Commit | None = None


class _Git(Struct, gc=False):
    checkout_sha: str | None = None
    commit_sha: str | None = None
    repo_url: str | None = None
    checkout_url: str | None = None
    branch: str | None = None
    tag: str | None = None
    commit_title: str | None = None
    commit_message: str | None = None


class _GitLab(Struct, gc=False):
    web_url: str | None = None
    commit_title: str | None = None
    commit_message: str | None = None
    checkout_sha: str | None = None


class _Trigger(Struct, gc=False):
    git: _Git | None = None
    gitlab: _GitLab | None = None


class _Pipeline(Struct, gc=False):
    vcs: _Vcs | None = None
    trigger_parameters: _Trigger | None = None


class _Project(Struct, gc=False):
    slug: Name


class _Event(Struct, gc=False):
    type: Name
    happened_at: Moment = None
    workflow: _Run | None = None
    job: _Run | None = None
    pipeline: _Pipeline | None = None
    project: _Project | None = None


def translate(delivery: Delivery, item_names: ItemNames) -> Translation:
    """The facts of one delivery of CircleCI. Raises Rejected (not_understood, malformed_json)."""
    event = decode(_EVENT, json_of(delivery), "an event of CircleCI")
    if event.type not in {"workflow-completed", "job-completed"}:
        return Translation([], f"{event.type[:50]} events say nothing of deployments")
    whole = environment_in(event.workflow.name) if event.workflow else None
    run = event.workflow if event.type == "workflow-completed" else event.job
    if run is not event.workflow and whole:
        return Translation([], "a job of a workflow that deploys: the workflow tells of it")
    environment = environment_in(run.name) if run else None
    if run is None or environment is None:
        return Translation([], f"a {event.type.partition('-')[0]} {RULE}")
    state = _STATUSES.get(run.status)
    if state is None:
        return Translation([], f"what is {(run.status or 'without a status')[:50]} deploys nothing")
    pipeline = event.pipeline or _Pipeline()
    service = _service_of(pipeline, event.project)
    if service is None:
        return Translation([], "a deployment of which neither the repository nor the project is named")
    fact = DeploymentFact(
        id="",
        source=SOURCE,
        service=service,
        environment=environment,
        deployment=run.id,
        at=event_time("the run", run.stopped_at, event.happened_at),
        state=state,
        seq=1,
        commit=_commit_of(pipeline),
        items=items_in(item_names, *_texts_of(pipeline)),
    )
    return Translation([identified(f"deployment:{run.id[:100]}", fact)])


def _told_by(pipeline: _Pipeline) -> tuple[_Vcs, _Git, _GitLab]:
    trigger = pipeline.trigger_parameters or _Trigger()
    return pipeline.vcs or _Vcs(), trigger.git or _Git(), trigger.gitlab or _GitLab()


def _service_of(pipeline: _Pipeline, project: _Project | None) -> str | None:
    """A slug such as `gh/acme/shop` names the code host first; one of ids says nothing, but is all there is."""
    vcs, git, gitlab = _told_by(pipeline)
    addresses = (
        vcs.target_repository_url,
        vcs.origin_repository_url,
        gitlab.web_url,
        git.repo_url,
        git.checkout_url,
    )
    repository = next(filter(None, map(repository_in, addresses)), None)
    slug = project.slug.partition("/")[2] or project.slug if project else None
    return repository or slug


def _commit_of(pipeline: _Pipeline) -> str | None:
    vcs, git, gitlab = _told_by(pipeline)
    known = (vcs.revision, git.checkout_sha, gitlab.checkout_sha, git.commit_sha)
    return next(filter(None, map(name_of, known)), None)


def _texts_of(pipeline: _Pipeline) -> Iterator[str | None]:
    vcs, git, gitlab = _told_by(pipeline)
    yield from (vcs.branch, vcs.tag)
    if vcs.commit:
        yield from (vcs.commit.subject, vcs.commit.body)
    yield from (git.branch, git.tag, git.commit_title, git.commit_message)
    yield from (gitlab.commit_title, gitlab.commit_message)


_EVENT: Final = Decoder(_Event)
