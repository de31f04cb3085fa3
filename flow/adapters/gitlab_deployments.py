"""Deployments of GitLab, told by up to three webhooks: of the job, of its pipeline, of the deployment itself.

| | job | pipeline, each of `builds` | deployment |
|---|---|---|---|
| deployment: `job-ID` | `build_id` | `id` | `deployable_id`; without one `deployment-ID` |
| service | `project.path_with_namespace`, else the path of `repository.homepage` | the same | the same |
| environment | `environment.name` | `environment.name` | `environment` |
| state: running, success, failed | `build_status` | `status` | `status` |
| at | `build_started_at`, `build_finished_at` | `started_at`, `finished_at` | `status_changed_at` |
| commit | `sha` | `object_attributes.sha` | the end of `commit_url` |

The three name a deployment alike, so that it counts once whichever are sent; the first that tells its end sets the
time. A job whose environment's `action` is stop, prepare, verify or access deploys nothing. All `review/…` are one
environment, `review`: there is one for each branch. Identity: by content.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from msgspec.json import Decoder

from flow.adapters.delivery import ItemNames, Translation
from flow.adapters.deploying import repository_in
from flow.adapters.gitlab_payloads import DeploymentEvent, Environment, JobEvent, PipelineEvent, PipelineJob
from flow.adapters.reading import decode, event_time, identified, items_in
from flow.adapters.times import Moment
from flow.errors import Reason, Rejected
from flow.facts import DeploymentFact, DeploymentState

_STATES: Final[Mapping[str, DeploymentState]] = {"running": "started", "success": "succeeded", "failed": "failed"}
_COMMIT: Final = re.compile(r".*/([0-9a-f]{40,64})", re.ASCII)


def read_job(text: bytes, item_names: ItemNames) -> Translation:
    """The deployment that a job is, if it is one."""
    job = decode(_JOB, text, "a job event of GitLab")
    environment = _deployed_to(job.environment)
    if environment is None:
        return Translation([], "a job that deploys to no environment")
    state = _STATES.get(job.build_status or "")
    if state is None:
        return Translation([], f"a job that is {(job.build_status or 'of unknown status')[:40]} has not come to an end")
    service = job.project.path_with_namespace if job.project else _path(job)
    if service is None or job.build_id is None:
        raise Rejected(Reason.NOT_UNDERSTOOD, "the job of GitLab names no project or has no build_id")
    at = _time(state, job.build_started_at, job.build_finished_at)
    texts = [job.ref, job.commit.message if job.commit else None]
    fact = _fact(
        service, environment, f"job-{job.build_id}", state, at=at, commit=job.sha, items=items_in(item_names, *texts)
    )
    return Translation([fact])


def read_pipeline(text: bytes, item_names: ItemNames) -> Translation:
    """The deployments among a pipeline's jobs."""
    event = decode(_PIPELINE, text, "a pipeline event of GitLab")
    pipeline, request = event.object_attributes, event.merge_request
    texts = [pipeline.ref, event.commit.message if event.commit else None]
    texts += [request.title, request.source_branch] if request else []
    items = items_in(item_names, *texts)
    service = event.project.path_with_namespace
    told = (_of_job(job, service, pipeline.sha, items) for job in event.builds or ())
    facts = [fact for fact in told if fact is not None]
    return Translation([*facts], None if facts else "a pipeline of which no job deploys, or has started to")


def _of_job(job: PipelineJob, service: str, commit: str | None, items: tuple[str, ...]) -> DeploymentFact | None:
    environment, state = _deployed_to(job.environment), _STATES.get(job.status)
    if environment is None or state is None:
        return None
    at = _time(state, job.started_at, job.finished_at)
    return _fact(service, environment, f"job-{job.id}", state, at=at, commit=commit, items=items)


def read_deployment(text: bytes, item_names: ItemNames) -> Translation:
    """A deployment, as GitLab's own event tells it."""
    event = decode(_DEPLOYMENT, text, "a deployment event of GitLab")
    state = _STATES.get(event.status)
    if state is None:
        return Translation([], f"a deployment that is {event.status[:40]} has neither started nor come to an end")
    job = event.deployable_id
    commit = _COMMIT.fullmatch(event.commit_url or "")
    fact = _fact(
        event.project.path_with_namespace,
        _folded(event.environment),
        f"deployment-{event.deployment_id}" if job is None else f"job-{job}",
        state,
        at=event_time("the deployment", event.status_changed_at),
        commit=commit[1] if commit else None,
        items=items_in(item_names, event.ref, event.commit_title),
    )
    return Translation([fact])


def _fact(
    service: str,
    environment: str,
    deployment: str,
    state: DeploymentState,
    *,
    at: int,
    commit: str | None,
    items: tuple[str, ...],
) -> DeploymentFact:
    fact = DeploymentFact(
        id="",
        source="gitlab",
        service=service,
        environment=environment,
        deployment=deployment,
        at=at,
        state=state,
        seq=int(state != "started"),
        commit=commit,
        items=items,
    )
    return identified(f"deployment:{service}:{deployment}"[:200], fact)


def _deployed_to(environment: Environment | None) -> str | None:
    if environment is None or environment.action not in {None, "start"}:
        return None
    return _folded(environment.name)


def _folded(environment: str) -> str:
    return "review" if environment.startswith("review/") else environment


def _time(state: DeploymentState, started: Moment, finished: Moment) -> int:
    return event_time("the job", started if state == "started" else finished)


def _path(job: JobEvent) -> str | None:
    return repository_in(job.repository.homepage) if job.repository else None


_JOB: Final = Decoder(JobEvent)
_PIPELINE: Final = Decoder(PipelineEvent)
_DEPLOYMENT: Final = Decoder(DeploymentEvent)
