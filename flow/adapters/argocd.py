"""Argo CD: syncs of applications, as the template of notifications in deploy/argocd/ sends them.

Argo CD has no body of its own: what comes is what the template writes.

Each field of the fact, and where it comes from:

- service: `service`: the application's label `service`; else `app`, its name
- environment: `environment`: the application's label `environment`; else its destination's `namespace`, else
  `production`
- deployment: `<app>@<startedAt>`: one sync
- state: `phase`: Running: started; Succeeded; Failed and Error
- at: `startedAt`, or `finishedAt`
- commit: `commit`: the application's annotation `commit`, for the code; else `revision`, which is of the manifests'
  repository
- items: the annotation `items`, and `message`, where your own template sends the commit's message

Identity: by content (`flow.adapters.reading.identified`): a notification that is sent twice is the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct
from msgspec.json import Decoder

from flow.adapters.delivery import Delivery, ItemNames, Translation
from flow.adapters.deploying import PRODUCTION, name_of
from flow.adapters.reading import decode, event_time, identified, items_in, json_of
from flow.adapters.times import Moment
from flow.errors import Reason, Rejected
from flow.facts import DeploymentFact, DeploymentState

SOURCE: Final = "argocd"

_PHASES: Final[Mapping[str | None, DeploymentState]] = {
    "Running": "started",
    "Succeeded": "succeeded",
    "Failed": "failed",
    "Error": "failed",
}
_LONGEST_APP: Final = 200


class _Sync(Struct, gc=False, rename="camel"):
    app: str
    phase: str | None = None
    service: str | None = None
    environment: str | None = None
    namespace: str | None = None
    started_at: Moment = None
    finished_at: Moment = None
    revision: str | None = None
    revisions: list[str] | None = None
    commit: str | None = None
    message: str | None = None
    items: str | None = None


def translate(delivery: Delivery, item_names: ItemNames) -> Translation:
    """The facts of one notification. Raises Rejected (not_understood, malformed_json)."""
    sync = decode(_SYNC, json_of(delivery), "what the template of deploy/argocd/ sends")
    app, state = name_of(sync.app), _PHASES.get(sync.phase)
    if app is None or len(app) > _LONGEST_APP:
        raise Rejected(Reason.NOT_UNDERSTOOD, f"app names no application in 1 to {_LONGEST_APP} characters")
    if state is None:
        return Translation([], f"a sync in the phase {(sync.phase or 'of no name')[:50]} has neither started nor ended")
    started = event_time("the sync", sync.started_at)
    revisions = (sync.commit, sync.revision, *(sync.revisions or ()))
    fact = DeploymentFact(
        id="",
        source=SOURCE,
        service=name_of(sync.service) or app,
        environment=name_of(sync.environment) or name_of(sync.namespace) or PRODUCTION,
        deployment=f"{app}@{started}",
        at=started if state == "started" else event_time("the end of the sync", sync.finished_at),
        state=state,
        seq=int(state != "started"),
        commit=next(filter(None, map(name_of, revisions)), None),
        items=items_in(item_names, sync.items, sync.message),
    )
    return Translation([identified(f"deployment:{app}", fact)])


_SYNC: Final = Decoder(_Sync)
