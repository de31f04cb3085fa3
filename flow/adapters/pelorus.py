"""Pelorus' webhook exporter format: commit times, deploy times, failures. The header X-Pelorus-Event names which.

The facts, and where they come from:

- change `commit-<commit_hash>`: committime: merged and committed at `timestamp`
- deployment `<image_sha>@<timestamp>`: deploytime: succeeded at `timestamp`, in the environment `namespace`
- incident `<failure_id>`: failure: `failure_event` created: opened, resolved: resolved; at `timestamp`, in
  `production`

The service is `app`. Pelorus knows which commit was deployed by the image that was built of it, so `image_sha` stands
in the field `commit` of both the change and the deployment. Failures name no namespace.

Identity: by content (`flow.adapters.reading.identified`), since Pelorus names no event.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct
from msgspec.json import Decoder

from flow.adapters.delivery import Delivery, ItemNames, Translation
from flow.adapters.deploying import PRODUCTION
from flow.adapters.reading import Name, decode, event_time, identified, json_of
from flow.adapters.times import Moment
from flow.errors import Reason, Rejected
from flow.facts import ChangeFact, DeploymentFact, Fact, IncidentFact, IncidentState

SOURCE: Final = "pelorus"

_FAILURES: Final[Mapping[str, IncidentState]] = {"created": "opened", "resolved": "resolved"}


class _CommitTime(Struct, gc=False):
    app: Name
    commit_hash: Name
    image_sha: Name
    timestamp: Moment


class _DeployTime(Struct, gc=False):
    app: Name
    image_sha: Name
    namespace: Name
    timestamp: Moment


class _Failure(Struct, gc=False):
    app: Name
    failure_id: Name
    failure_event: Name
    timestamp: Moment


def translate(delivery: Delivery, item_names: ItemNames) -> Translation:
    """The facts of one event. Raises Rejected (not_understood, malformed_json)."""
    event, text = delivery.headers.get("x-pelorus-event", "").strip(), json_of(delivery)
    if event == "ping":
        return Translation([], "ping")
    if event == "committime":
        return Translation([_change(decode(_COMMIT_TIME, text, "a committime of Pelorus"))])
    if event == "deploytime":
        return Translation([_deployment(decode(_DEPLOY_TIME, text, "a deploytime of Pelorus"))])
    if event == "failure":
        return Translation([_incident(decode(_FAILURE, text, "a failure of Pelorus"))])
    raise Rejected(Reason.NOT_UNDERSTOOD, "the header X-Pelorus-Event is none of committime, deploytime, failure, ping")


def _change(told: _CommitTime) -> Fact:
    at = event_time("the commit", told.timestamp)
    fact = ChangeFact(
        id="",
        source=SOURCE,
        service=told.app,
        change=f"commit-{told.commit_hash}"[:255],
        at=at,
        state="merged",
        committed_at=at,
        commit=told.image_sha,
    )
    return identified("commit", fact)


def _deployment(told: _DeployTime) -> Fact:
    at = event_time("the deployment", told.timestamp)
    fact = DeploymentFact(
        id="",
        source=SOURCE,
        service=told.app,
        environment=told.namespace,
        deployment=f"{told.image_sha}@{at}",
        at=at,
        state="succeeded",
        commit=told.image_sha,
    )
    return identified("deployment", fact)


def _incident(told: _Failure) -> Fact:
    state = _FAILURES.get(told.failure_event)
    if state is None:
        raise Rejected(Reason.NOT_UNDERSTOOD, "failure_event is neither created nor resolved")
    fact = IncidentFact(
        id="",
        source=SOURCE,
        service=told.app,
        environment=PRODUCTION,
        incident=told.failure_id,
        at=event_time("the failure", told.timestamp),
        state=state,
        seq=int(state != "opened"),
    )
    return identified(f"incident:{told.failure_id[:100]}", fact)


_COMMIT_TIME: Final = Decoder(_CommitTime)
_DEPLOY_TIME: Final = Decoder(_DeployTime)
_FAILURE: Final = Decoder(_Failure)
