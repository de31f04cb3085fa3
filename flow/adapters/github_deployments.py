"""What GitHub tells of deployments: deployment statuses, workflow runs that deploy, releases.

| webhook | fact |
|---|---|
| deployment_status: `deployment.id` | deployment |
| `deployment_status.environment`, else `deployment.environment` | environment |
| `deployment_status.state` = in_progress; success; failure, error | started; succeeded; failed, at its `created_at` |
| workflow_run of a workflow called `Deploy …`: `run-ID-ATTEMPT` | deployment |
| `status`, `conclusion`; never the action, which lies | state, at `run_started_at` or `updated_at` |
| release published, released, prereleased: `tag_name` | deployment to `release`, or `prerelease`, at `published_at` |
| `deployment.sha`, `head_sha`; `target_commitish`, if it is a commit and not a branch | commit |

Identity: by content. `inactive` only means that a newer deployment took the place of this one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from msgspec.json import Decoder

from flow.adapters.delivery import ItemNames, Translation
from flow.adapters.github_payloads import DeploymentStatusEvent, ReleaseEvent, WorkflowRun, WorkflowRunEvent
from flow.adapters.reading import decode, event_time, identified, items_in
from flow.facts import DeploymentFact, DeploymentState

_SOURCE: Final = "github"
_DEPLOYING: Final = re.compile(r"deploy(?:\s+to)?\s+(?!to$)(\S{1,255})", re.IGNORECASE)
_COMMIT: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}", re.ASCII)
_OUT: Final = frozenset({"published", "released", "prereleased"})
_STATUSES: Final[Mapping[str, DeploymentState]] = {
    "in_progress": "started",
    "success": "succeeded",
    "failure": "failed",
    "error": "failed",
}
_CONCLUSIONS: Final[Mapping[str, DeploymentState]] = {
    "success": "succeeded",
    "failure": "failed",
    "timed_out": "failed",
    "startup_failure": "failed",
}


def read_deployment_status(text: bytes, item_names: ItemNames) -> Translation:
    """`inactive` only means that a newer deployment took its place; nothing failed."""
    event = decode(_DEPLOYMENT_STATUS, text, "a deployment_status event of GitHub")
    deployment, status, repository = event.deployment, event.deployment_status, event.repository.full_name
    state = _STATUSES.get(status.state)
    if state is None:
        return Translation([], f"a deployment that is {status.state} has neither started nor ended")
    fact = DeploymentFact(
        id="",
        source=_SOURCE,
        service=repository,
        environment=status.environment or deployment.environment,
        deployment=str(deployment.id),
        at=event_time("the deployment status", status.created_at),
        state=state,
        seq=int(state != "started"),
        commit=deployment.sha,
        items=items_in(item_names, deployment.ref, deployment.description, status.description),
    )
    return Translation([identified(f"deployment:{repository}:{deployment.id}", fact)])


def read_workflow_run(text: bytes, item_names: ItemNames) -> Translation:
    """A run tells of a deployment only by convention: a name such as `Deploy production` or `Deploy to staging`.

    The action of the event is not looked at: deliveries were seen whose action and status disagree.
    """
    event = decode(_WORKFLOW_RUN, text, "a workflow_run event of GitHub")
    run, repository = event.workflow_run, event.repository.full_name
    deploying = _DEPLOYING.fullmatch((run.name or "").strip())
    if deploying is None:
        return Translation([], "a workflow run names no environment: send deployment_status, or call it `Deploy to …`")
    state = _state_of_run(run)
    if state is None:
        return Translation([], f"a workflow run that is {run.conclusion or run.status} deploys nothing")
    started = run.run_started_at or run.created_at if state == "started" else None
    deployment = f"run-{run.id}-{run.run_attempt}"
    fact = DeploymentFact(
        id="",
        source=_SOURCE,
        service=repository,
        environment=deploying[1],
        deployment=deployment,
        at=event_time("the workflow run", started, run.updated_at),
        state=state,
        seq=int(state != "started"),
        commit=run.head_sha,
        items=items_in(item_names, run.head_branch, run.display_title),
    )
    return Translation([identified(f"deployment:{deployment}", fact)])


def _state_of_run(run: WorkflowRun) -> DeploymentState | None:
    if run.status == "completed":
        return _CONCLUSIONS.get(run.conclusion or "")
    return "started" if run.status == "in_progress" else None


def read_release(text: bytes, item_names: ItemNames) -> Translation:
    """A published release. It comes as `published` and as `released` or `prereleased`; both say the same, once."""
    event = decode(_RELEASE, text, "a release event of GitHub")
    release, repository = event.release, event.repository.full_name
    if event.action not in _OUT:
        return Translation([], f"a release that is {event.action} is not published by that")
    commit = release.target_commitish or ""
    fact = DeploymentFact(
        id="",
        source=_SOURCE,
        service=repository,
        environment="prerelease" if release.prerelease else "release",
        deployment=release.tag_name,
        at=event_time("the release", release.published_at),
        state="succeeded",
        seq=1,
        commit=commit if _COMMIT.fullmatch(commit) else None,
        items=items_in(item_names, release.name, release.tag_name, release.body),
    )
    return Translation([identified(f"release:{repository}", fact)])


_DEPLOYMENT_STATUS: Final = Decoder(DeploymentStatusEvent)
_WORKFLOW_RUN: Final = Decoder(WorkflowRunEvent)
_RELEASE: Final = Decoder(ReleaseEvent)
