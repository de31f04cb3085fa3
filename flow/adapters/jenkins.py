"""Jenkins with the Notification plugin: builds that deploy.

Each field of the fact, and where it comes from:

- environment: the build parameter `DEPLOY_ENVIRONMENT`, else the job's name (`flow.adapters.deploying`)
- service: the build parameter `DEPLOY_SERVICE`, else the repository in `build.scm.url`, else the job's path
- deployment: `<job's path>#<build.number>`
- state: `build.phase` STARTED: started; COMPLETED, FINALIZED, FINISHED by `build.status`: SUCCESS and UNSTABLE,
  FAILURE
- at: `build.timestamp`, which is the time of the phase, not of the build's start; arrival where there is none (before
  1.12)
- commit, items: `build.scm.commit`; `build.scm.branch`, the job's path and the text parameters
- remediates: the build parameter `DEPLOY_REMEDIATES`: the incident that the deployment was made for

COMPLETED and FINALIZED both tell of one end, and may both be sent: the first that arrives counts.

Identity: the server's host, the job's path, the build's number and the state, which Jenkins' API names too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from msgspec import Struct
from msgspec.json import Decoder

from flow.adapters.delivery import Delivery, ItemNames, Translation
from flow.adapters.deploying import RULE, environment_in, name_of, repository_in, value_of
from flow.adapters.reading import Name, Number, decode, items_in, json_of, known_time
from flow.adapters.times import Moment
from flow.errors import Reason, Rejected
from flow.facts import DeploymentFact, DeploymentState

SOURCE: Final = "jenkins"

_FOLDER: Final = re.compile(r"(?:^|/)job/")
_ENDS: Final = frozenset({"COMPLETED", "FINALIZED", "FINISHED"})
_RESULTS: Final[Mapping[str | None, DeploymentState]] = {
    "SUCCESS": "succeeded",
    "UNSTABLE": "succeeded",
    "FAILURE": "failed",
}
_MOST_TEXTS: Final = 50
_LONGEST_PATH: Final = 200


class _Scm(Struct, gc=False):
    url: str | None = None
    branch: str | None = None
    commit: Name | None = None


class _Build(Struct, gc=False):
    number: Number
    phase: Name
    full_url: str | None = None
    status: str | None = None
    timestamp: Moment = None
    scm: _Scm | None = None
    parameters: dict[str, Any] | None = None


class _Job(Struct, gc=False):
    name: Name
    build: _Build
    url: str | None = None


def translate(delivery: Delivery, item_names: ItemNames) -> Translation:
    """The facts of one notification. Raises Rejected (not_understood, malformed_json)."""
    job = decode(_JOB, json_of(delivery), "a notification of Jenkins")
    build, path = job.build, _path_of(job)
    environment = value_of(build.parameters, "environment") or environment_in(path, job.name)
    if environment is None:
        return Translation([], f"the job {RULE}, or set the parameter DEPLOY_ENVIRONMENT")
    state = _state_of(build)
    if state is None:
        return Translation([], f"a build that is {(build.status or build.phase).lower()[:50]} deploys nothing")
    address = build.scm.url if build.scm else None
    service = value_of(build.parameters, "service") or repository_in(address) or path
    deployment = f"{path}#{build.number}"
    fact = DeploymentFact(
        id=_id(build, deployment, state),
        source=SOURCE,
        service=service,
        environment=environment,
        deployment=deployment,
        at=known_time("the build", build.timestamp) or delivery.received_at,
        state=state,
        seq=int(state != "started"),
        commit=build.scm.commit if build.scm else None,
        items=items_in(item_names, *_texts_of(build, path)),
        remediates=value_of(build.parameters, "remediates"),
    )
    return Translation([fact])


def _path_of(job: _Job) -> str:
    """`job/shop/job/deploy-production/` as `shop/deploy-production`: jobs of two folders may share a name."""
    path = name_of(_FOLDER.sub("/", unquote(job.url or "")[:1_000]).strip("/")) or job.name
    if len(path) > _LONGEST_PATH:
        raise Rejected(Reason.NOT_UNDERSTOOD, f"the path of the job is longer than {_LONGEST_PATH} characters")
    return path


def _id(build: _Build, deployment: str, state: DeploymentState) -> str:
    """Short, however long the path is."""
    digest = blake2b(f"{_host_of(build)}\n{deployment}".encode(), digest_size=8).hexdigest()
    return f"jenkins:{deployment[-100:]}:{state}:{digest}"


def _host_of(build: _Build) -> str:
    """Two servers may have jobs of the same path."""
    try:
        return urlsplit((build.full_url or "")[:1_000]).netloc[:100]
    except ValueError:
        return ""


def _state_of(build: _Build) -> DeploymentState | None:
    if build.phase in _ENDS:
        return _RESULTS.get(build.status)
    return "started" if build.phase == "STARTED" else None


def _texts_of(build: _Build, path: str) -> Iterator[str | None]:
    yield from (build.scm.branch if build.scm else None, path)
    yield from [value for value in (build.parameters or {}).values() if isinstance(value, str)][:_MOST_TEXTS]


_JOB: Final = Decoder(_Job)
