"""A GitLab project's issues, merge requests, deployments and releases.

REST, version 4 (https://docs.gitlab.com/api/rest/). Lists are read whole and sifted here, oldest first.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any
from urllib.parse import quote

from flow.adapters.gitlab_history import (
    facts_of_deployment,
    facts_of_issue,
    facts_of_merge_request,
    facts_of_release,
)
from flow.errors import NotFound, Reason, Rejected
from flow.facts import Fact
from service.histories.pages import Page, Step, Wanted, all_pages, chosen, objects, part
from service.provider_client import ProviderClient

_Told = Callable[[dict[str, Any]], Awaitable[Callable[[], list[Fact]] | None]]


async def steps(client: ProviderClient, wanted: Wanted) -> list[Step]:
    """Each list of each project."""
    found: list[Step] = []
    for name in wanted.names:
        path = f"/api/v4/projects/{quote(name, safe='')}"
        full_name = part((await client.get(path)).content, "path_with_namespace")
        if not isinstance(full_name, str):
            raise Rejected(Reason.INVALID_REQUEST, f"GitLab answers {path} with something that is no project")
        found += _Project(client, wanted, full_name, path).steps()
    return found


class _Project:
    def __init__(self, client: ProviderClient, wanted: Wanted, name: str, path: str) -> None:
        self._client = client
        self._wanted = wanted
        self._name = name
        self._path = path
        self._names = wanted.item_names

    def steps(self) -> list[Step]:
        oldest_first = "order_by=created_at&sort=asc"
        return chosen(
            self._wanted,
            [
                ("items", self._step("issues", f"issues?scope=all&{oldest_first}", self._issue)),
                ("changes", self._step("merge requests", f"merge_requests?scope=all&{oldest_first}", self._request)),
                ("deployments", self._step("deployments", "deployments?order_by=id&sort=asc", self._deployment)),
                ("deployments", self._step("releases", f"releases?{oldest_first}", self._release)),
            ],
        )

    def _step(self, what: str, path: str, told: _Told) -> Step:
        async def read(where: str | None) -> Page:
            answer = await self._client.get(where or f"{self._path}/{path}&per_page=100")
            entries = objects(answer.content, "GitLab")
            page = Page(read=len(entries), next=answer.next, total=answer.total)
            for entry in entries:
                try:
                    facts = await told(entry)
                except NotFound:  # it went while we read
                    continue
                if facts is not None:
                    page.tell(f"{what} of {self._name}, number {entry.get('iid') or entry.get('id')}", facts)
            return page

        return Step(f"{self._name}: {what}", read)

    async def _issue(self, issue: dict[str, Any]) -> Callable[[], list[Fact]] | None:
        if not (issue.get("state") == "opened" or self._wanted.has(issue.get("updated_at"))):
            return None
        path = f"{self._path}/issues/{issue.get('iid')}"
        events = await all_pages(self._client, f"{path}/resource_label_events")
        events += await all_pages(self._client, f"{path}/resource_state_events")
        return partial(facts_of_issue, self._name, issue, events, self._names)

    async def _request(self, request: dict[str, Any]) -> Callable[[], list[Fact]] | None:
        if not (request.get("state") == "opened" or self._wanted.has(request.get("updated_at"))):
            return None
        path = f"{self._path}/merge_requests/{request.get('iid')}"
        events = await all_pages(self._client, f"{path}/resource_state_events")
        newest = None
        if request.get("merged_at") is not None:
            commits = objects((await self._client.get(f"{path}/commits", per_page=1)).content, "GitLab")
            newest = commits[0] if commits else None
        return partial(facts_of_merge_request, self._name, request, events, newest, self._names)

    async def _deployment(self, deployment: dict[str, Any]) -> Callable[[], list[Fact]] | None:
        if not self._wanted.has(deployment.get("updated_at"), deployment.get("created_at")):
            return None
        return partial(facts_of_deployment, self._name, deployment, self._names)

    async def _release(self, release: dict[str, Any]) -> Callable[[], list[Fact]] | None:
        if not self._wanted.has(release.get("released_at")):
            return None
        return partial(facts_of_release, self._name, release, self._names)
