"""Azure DevOps: pull requests, pushes to the default branch, release stages, pipeline stages and builds that deploy.

| webhook | fact |
|---|---|
| `git.pullrequest.created` | change `pr-N`, opened |
| `git.pullrequest.updated` or `.merged` with `status` completed, abandoned | change `pr-N`, merged, abandoned |
| `creationDate`; `closedDate` | at |
| `lastMergeCommit.commitId` of a completed one | commit |
| `git.push` to the repository's default branch: each of `commits` | change `commit-SHA`, merged at `date` |
| `ms.vss-release.deployment-started-event`, `-completed-event` | deployment `release-R-E` of `environment.name` |
| `ms.vss-pipelines.stage-state-changed-event` of a stage called `Deploy to …` | deployment `run-R-STAGE` |
| `build.complete` of a pipeline called `Deploy to …` | deployment `build-N` |

A service is `project/repository`; of a release `project/definition`, or the project where no definition is named.
Items are those that `item_keys` find in title, branch, message, and `#12` (or `AB#12`), which is Azure's own way to
name a work item there; also `workItemRefs`. Identity: by content, so that the API's view of the same thing agrees.
A release says neither its commits nor their changes: change lead time needs pushes, and a pipeline's stage.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from msgspec.json import Decoder

from flow.adapters.azure_devops_payloads import (
    Attempt,
    Build,
    Pull,
    Push,
    Pushed,
    Releasing,
    Repository,
    SourceChange,
    Staging,
)
from flow.adapters.delivery import ItemNames, Translation
from flow.adapters.deploying import RULE, environment_in, repository_in
from flow.adapters.reading import LONGEST_TEXT, decode, event_time, identified, items_in, items_of, known_time
from flow.adapters.times import Moment
from flow.facts import ChangeFact, ChangeState, DeploymentFact, DeploymentState

_SOURCE: Final = "azure-devops"
_MENTION: Final = re.compile(r"(?<![\w&/#])(?:AB)?#(\d{1,10})\b", re.ASCII)
_BUILT_FROM: Final = re.compile(r"(?:.*:)?([0-9a-f]{40})", re.ASCII)
_PULL_STATES: Final[Mapping[str, ChangeState]] = {"completed": "merged", "abandoned": "abandoned"}
_RESULTS: Final[Mapping[str, DeploymentState]] = {
    "succeeded": "succeeded",
    "partiallySucceeded": "failed",
    "failed": "failed",
    "rejected": "failed",
}


def _read_pull(text: bytes, created: Moment, item_names: ItemNames) -> Translation:
    """`git.pullrequest.merged` only says that a merge was tried; the status says whether the request is through."""
    pull = decode(_PULL, text, "a pull request of Azure DevOps")
    state = _PULL_STATES.get(pull.status)
    if state is None:
        return Translation([], f"an update of a pull request that is {pull.status} neither opens nor ends it")
    return Translation([_change(pull, state, event_time("the pull request", pull.closed_date, created), item_names)])


def _read_new_pull(text: bytes, created: Moment, item_names: ItemNames) -> Translation:
    pull = decode(_PULL, text, "a pull request of Azure DevOps")
    return Translation(
        [_change(pull, "opened", event_time("the pull request", pull.creation_date, created), item_names)]
    )


def _change(pull: Pull, state: ChangeState, at: int, item_names: ItemNames) -> ChangeFact:
    service, change = _service(pull.repository), f"pr-{pull.pull_request_id}"
    texts = [pull.title, (pull.source_ref_name or "").removeprefix("refs/heads/"), pull.description]
    linked = [f"AB#{reference.id}" for reference in pull.work_item_refs or ()]
    fact = ChangeFact(
        id="",
        source=_SOURCE,
        service=service,
        change=change,
        at=at,
        state=state,
        seq=int(state != "opened"),
        commit=pull.last_merge_commit.sha if state == "merged" and pull.last_merge_commit else None,
        items=items_of([*linked, *_items(texts, item_names)]),
    )
    return identified(f"change:{service}:{change}", fact)


def _read_push(text: bytes, created: Moment, item_names: ItemNames) -> Translation:
    push = decode(_PUSH, text, "a push of Azure DevOps")
    branch = push.repository.default_branch
    if not branch or branch not in {update.name for update in push.ref_updates}:
        return Translation([], "a push elsewhere than to the default branch")
    if not push.commits:
        return Translation([], "a push without commits")
    at, service = event_time("the push", push.date, created), _service(push.repository)
    return Translation([_commit(commit, at, service, item_names) for commit in push.commits])


def _commit(commit: Pushed, at: int, service: str, item_names: ItemNames) -> ChangeFact:
    fact = ChangeFact(
        id="",
        source=_SOURCE,
        service=service,
        change=f"commit-{commit.sha}",
        at=at,
        state="merged",
        committed_at=known_time("the commit", commit.committer.date) if commit.committer else None,
        commit=commit.sha,
        items=items_of(_items([commit.comment], item_names)),
    )
    return identified("commit", fact)


def _read_release_started(text: bytes, created: Moment, item_names: ItemNames) -> Translation:
    return _release(decode(_RELEASING, text, "a deployment of Azure DevOps"), "started", created, item_names)


def _read_release_completed(text: bytes, created: Moment, item_names: ItemNames) -> Translation:
    releasing = decode(_RELEASING, text, "a deployment of Azure DevOps")
    state = _RESULTS.get(releasing.environment.status or "")
    if state is None:
        return Translation(
            [], f"a release stage that is {(releasing.environment.status or 'unknown')[:40]} is no outcome"
        )
    return _release(releasing, state, created, item_names)


def _release(releasing: Releasing, state: DeploymentState, created: Moment, item_names: ItemNames) -> Translation:
    """`releaseId` is 0 in Microsoft's sample: the release itself, beside it, has the id."""
    environment, definition = releasing.environment, releasing.environment.release_definition
    release, attempt = environment.release or releasing.release, releasing.deployment or Attempt()
    own_time = attempt.started_on if state == "started" else attempt.completed_on
    fact = DeploymentFact(
        id="",
        source=_SOURCE,
        service=f"{releasing.project.name}/{definition.name}" if definition else releasing.project.name,
        environment=environment.name,
        deployment=f"release-{release.id if release else 0}-{environment.id}",
        at=event_time("the deployment", own_time, created),
        state=state,
        seq=int(state != "started"),
        items=items_of(_items([release.name if release else None], item_names)),
    )
    return Translation([identified(f"deployment:{fact.deployment}", fact)])


def _read_stage(text: bytes, created: Moment, item_names: ItemNames) -> Translation:
    staging = decode(_STAGING, text, "a stage of Azure Pipelines")
    stage, sources = staging.stage, staging.repositories or []
    environment = environment_in(stage.display_name, stage.name)
    if environment is None:
        return Translation([], f"a pipeline's stage {RULE}")
    state: DeploymentState | None = _RESULTS.get(stage.result or "") if stage.state == "completed" else None
    if stage.state == "running":
        state = "started"
    service = next((name for source in sources if (name := _path_of(source.url))), None)
    if state is None or service is None:
        return Translation(
            [], f"a stage that is {(stage.result or stage.state)[:40]}, of no known repository or outcome"
        )
    change = sources[0].change or SourceChange()
    fact = DeploymentFact(
        id="",
        source=_SOURCE,
        service=service,
        environment=environment,
        deployment=f"run-{staging.run.id}-{stage.name}"[:255],
        at=event_time("the stage", created),
        state=state,
        seq=int(state != "started"),
        commit=change.version,
        items=items_of(_items([change.message], item_names)),
    )
    return Translation([identified(f"deployment:{staging.run.id}", fact)])


def _read_build(text: bytes, created: Moment, item_names: ItemNames) -> Translation:
    build = decode(_BUILD, text, "a build of Azure DevOps")
    environment = environment_in(build.definition.name)
    if environment is None:
        return Translation([], f"a build {RULE}")
    state = _RESULTS.get(build.result or build.status or "")
    if state is None:
        return Translation([], f"a build that is {(build.result or build.status or 'unknown')[:40]} deploys nothing")
    commit = _BUILT_FROM.fullmatch(build.source_version or build.source_get_version or "")
    names = [build.project.name if build.project else None, build.repository.name if build.repository else None]
    fact = DeploymentFact(
        id="",
        source=_SOURCE,
        service="/".join(name for name in names if name)[:255] or build.definition.name,
        environment=environment,
        deployment=f"build-{build.id}",
        at=event_time("the build", build.finish_time, created),
        state=state,
        seq=1,
        commit=commit[1] if commit else None,
        items=items_in(item_names, build.source_branch),
    )
    return Translation([identified(f"deployment:{fact.deployment}", fact)])


def _items(texts: Iterable[str | None], item_names: ItemNames) -> list[str]:
    said = [text[:LONGEST_TEXT] for text in texts if text]
    return [*item_names(said), *(f"AB#{number}" for text in said for number in _MENTION.findall(text))]


def _service(repository: Repository) -> str:
    return f"{repository.project.name}/{repository.name}"


def _path_of(address: str | None) -> str | None:
    """`project/repository`: Shop/web of https://azure.example/Shop/_git/web, web/web of https://azure.example/_git/web"""
    path = repository_in(address)
    before, found, repository = (f"/{path or ''}").partition("/_git/")
    if not found or not repository:
        return path
    return f"{before.rpartition('/')[2] or repository}/{repository}"[:255]


_PULL: Final = Decoder(Pull)
_PUSH: Final = Decoder(Push)
_RELEASING: Final = Decoder(Releasing)
_STAGING: Final = Decoder(Staging)
_BUILD: Final = Decoder(Build)
DELIVERY_READERS: Final[Mapping[str, Callable[[bytes, Moment, ItemNames], Translation]]] = {
    "git.pullrequest.created": _read_new_pull,
    "git.pullrequest.updated": _read_pull,
    "git.pullrequest.merged": _read_pull,
    "git.push": _read_push,
    "ms.vss-release.deployment-started-event": _read_release_started,
    "ms.vss-release.deployment-completed-event": _read_release_completed,
    "ms.vss-pipelines.stage-state-changed-event": _read_stage,
    "build.complete": _read_build,
}
