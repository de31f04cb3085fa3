"""Buildkite: builds that deploy, and steps that do.

Each field of the fact, and where it comes from:

- environment: the build's meta-data `deploy-environment`, else `pipeline.slug` or `.name`; of a job `job.name`
  (`flow.adapters.deploying`)
- service: the meta-data `deploy-service`, else the repository in `pipeline.repository`, else `pipeline.slug`
- deployment: `build.id`, or `job.id`
- state: `state`: running and failing: started; passed; failed. Not `canceled`, `skipped`, `blocked` …
- at: `started_at`, or `finished_at`
- commit, items: `build.commit`; `build.branch`, `.tag` and `.message`
- remediates: the meta-data `deploy-remediates`

The event's name is not believed: a body may show a later state than the event that it is sent for. A build that waits
at a block step is said to be finished, with `blocked: true`: it deploys nothing yet. A job is only looked at when its
build does not deploy as a whole, and only when it runs a command: a trigger step ends before what it triggers. Events
that Buildkite sends through Amazon EventBridge have another shape, and are not read.

Identity: by content (`flow.adapters.reading.identified`), which Buildkite's API gives again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct
from msgspec.json import Decoder

from flow.adapters.delivery import Delivery, ItemNames, Translation
from flow.adapters.deploying import RULE, environment_in, name_of, repository_in, value_of
from flow.adapters.reading import Name, decode, event_time, identified, items_in, json_of
from flow.adapters.times import Moment
from flow.errors import Reason, Rejected
from flow.facts import DeploymentFact, DeploymentState

SOURCE: Final = "buildkite"

_STATES: Final[Mapping[str | None, DeploymentState]] = {
    "running": "started",
    "started": "started",
    "failing": "started",
    "passed": "succeeded",
    "failed": "failed",
    "timed_out": "failed",
    "broken": "failed",
}


class _Build(Struct, gc=False):
    id: Name | None = None
    state: str | None = None
    blocked: bool | None = None
    commit: str | None = None
    branch: str | None = None
    tag: str | None = None
    message: str | None = None
    started_at: Moment = None
    finished_at: Moment = None
    meta_data: dict[str, Any] | None = None


class _Job(Struct, gc=False):
    id: Name | None = None
    type: str | None = None
    name: str | None = None
    state: str | None = None
    started_at: Moment = None
    finished_at: Moment = None


class _Pipeline(Struct, gc=False):
    slug: str | None = None
    name: str | None = None
    repository: str | None = None


class _Event(Struct, gc=False):
    event: Name
    build: _Build | None = None
    job: _Job | None = None
    pipeline: _Pipeline | None = None


def translate(delivery: Delivery, item_names: ItemNames) -> Translation:
    """The facts of one delivery of Buildkite. Raises Rejected (not_understood, malformed_json)."""
    event = decode(_EVENT, json_of(delivery), "a webhook of Buildkite")
    build, pipeline = event.build, event.pipeline or _Pipeline()
    subject = event.event.partition(".")[0]
    if build is None or subject not in {"build", "job"}:
        return Translation([], f"{event.event[:50]} events say nothing of deployments")
    whole = value_of(build.meta_data, "environment") or environment_in(pipeline.slug, pipeline.name)
    if subject == "build":
        return _read_run(build, whole, build, pipeline, item_names)
    job = event.job or _Job()
    if whole:
        return Translation([], "a job of a build that deploys: the build tells of it")
    if job.type not in {None, "script"}:
        return Translation([], f"a step of type {job.type[:50]} runs nothing itself")
    return _read_run(job, environment_in(job.name), build, pipeline, item_names)


def _read_run(
    run: _Build | _Job, environment: str | None, build: _Build, pipeline: _Pipeline, item_names: ItemNames
) -> Translation:
    if environment is None:
        return Translation([], f"a build or a step {RULE}, or set the meta-data deploy-environment")
    state = None if build.blocked and run is build else _STATES.get(run.state)
    if state is None:
        waits = "waits at a block step" if build.blocked else f"is {(run.state or 'without a state')[:50]}"
        return Translation([], f"a build or a step that {waits} deploys nothing")
    if run.id is None:
        raise Rejected(Reason.NOT_UNDERSTOOD, "the build or the job has no id")
    service = value_of(build.meta_data, "service") or repository_in(pipeline.repository) or name_of(pipeline.slug)
    if service is None:
        raise Rejected(Reason.NOT_UNDERSTOOD, "neither the pipeline nor its repository is named")
    fact = DeploymentFact(
        id="",
        source=SOURCE,
        service=service,
        environment=environment,
        deployment=run.id,
        at=event_time("the build", run.started_at if state == "started" else run.finished_at),
        state=state,
        seq=int(state != "started"),
        commit=name_of(build.commit),
        items=items_in(item_names, build.branch, build.tag, build.message),
        remediates=value_of(build.meta_data, "remediates"),
    )
    return Translation([identified(f"deployment:{run.id[:100]}", fact)])


_EVENT: Final = Decoder(_Event)
