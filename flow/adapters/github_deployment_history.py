"""The history of a GitHub repository's deployments, read through the REST API, as the webhooks would have told it.

| REST API | webhook |
|---|---|
| a deployment and each of its statuses | deployment_status |
| a run of a workflow called `Deploy …`: its start, its end | workflow_run, in progress and completed |
| a release that is no draft | release published |

The objects are the same as in the webhooks, so ids are the same too. Of a run that was tried again only the last
attempt is listed.
"""

from __future__ import annotations

from collections.abc import Sequence

from flow.adapters.delivery import ItemNames
from flow.adapters.github import SOURCE, translate
from flow.adapters.history import Json, retold
from flow.facts import Fact


def facts_of_deployment(
    repository: str, deployment: Json, statuses: Sequence[Json], item_names: ItemNames
) -> list[Fact]:
    """That it started, and how it ended. Raises Rejected (not_understood)."""
    bodies = [{"deployment": deployment, "deployment_status": status} for status in reversed(statuses)]
    return _retold("deployment_status", repository, bodies, item_names)


def facts_of_run(repository: str, run: Json, item_names: ItemNames) -> list[Fact]:
    """That a run which deploys started, and how it ended. Raises Rejected (not_understood)."""
    started = {**run, "status": "in_progress", "conclusion": None}
    return _retold("workflow_run", repository, [{"workflow_run": started}, {"workflow_run": run}], item_names)


def facts_of_release(repository: str, release: Json, item_names: ItemNames) -> list[Fact]:
    """That it was published; nothing of a draft. Raises Rejected (not_understood)."""
    if release.get("draft") or release.get("published_at") is None:
        return []
    return _retold("release", repository, [{"action": "published", "release": release}], item_names)


def _retold(event: str, repository: str, bodies: Sequence[Json], item_names: ItemNames) -> list[Fact]:
    whole = ({**body, "repository": {"full_name": repository}} for body in bodies)
    return retold(translate, SOURCE, whole, item_names, {"x-github-event": event})
