"""Jira's issues with their changelogs, by project, oldest first.

Cloud: `/rest/api/3/search/jql`, page by token (https://developer.atlassian.com/cloud/jira/platform/rest/v3/).
Data Center: `/rest/api/2/search`, page by number. A search gives only the newest part of a long changelog: the rest is
read from the issue.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from flow.adapters.jira_history import facts_of_issue
from flow.errors import NotFound, Reason, Rejected, Unauthorised
from flow.instants import DAY
from service.histories.pages import MOST_PAGES, Page, Step, Wanted, listed, part
from service.provider_client import ProviderClient

_FIELDS: Final = "status,issuetype,labels,summary,created,updated"
_ISSUES: Final = 50
_CHANGES: Final = 100


async def steps(client: ProviderClient, wanted: Wanted) -> list[Step]:
    """One a project. Jira knows no changes to code and no deployments."""
    if "items" not in wanted.kinds:
        return []
    server = (await client.get("/rest/api/2/serverInfo")).content
    cloud = part(server, "deploymentType") == "Cloud"
    return [Step(f"{name}: issues", _Project(client, wanted, name, cloud=cloud).read) for name in wanted.names]


class _Project:
    def __init__(self, client: ProviderClient, wanted: Wanted, name: str, *, cloud: bool) -> None:
        self._client = client
        self._wanted = wanted
        self._cloud = cloud
        self._jql = jql_of(name, wanted.since)

    async def read(self, where: str | None) -> Page:
        content, page = await (self._of_cloud(where) if self._cloud else self._of_data_center(where))
        for issue in listed(content, "issues"):
            histories = await self._histories(issue)
            page.tell(str(issue.get("key")), partial(facts_of_issue, issue, histories, self._wanted.item_names))
        page.read = len(listed(content, "issues"))
        return page

    async def _of_cloud(self, token: str | None) -> tuple[Any, Page]:
        asked: dict[str, str | int] = {
            "jql": self._jql,
            "fields": _FIELDS,
            "expand": "changelog",
            "maxResults": _ISSUES,
        }
        content = (await self._client.get("/rest/api/3/search/jql", nextPageToken=token, **asked)).content
        total = await self._count() if token is None else None
        following = None if part(content, "isLast") else part(content, "nextPageToken")
        return content, Page(next=following, total=total)

    async def _count(self) -> int | None:
        try:
            answer = await self._client.post("/rest/api/3/search/approximate-count", {"jql": self._jql})
        except (NotFound, Rejected, Unauthorised):
            return None
        count = part(answer.content, "count")
        return count if isinstance(count, int) else None

    async def _of_data_center(self, where: str | None) -> tuple[Any, Page]:
        start = int(where or 0)
        asked: dict[str, str | int] = {
            "jql": self._jql,
            "fields": _FIELDS,
            "expand": "changelog",
            "maxResults": _ISSUES,
        }
        content = (await self._client.get("/rest/api/2/search", startAt=start, **asked)).content
        end, total = start + len(listed(content, "issues")), part(content, "total")
        if not isinstance(total, int) or (end == start and end < total):
            raise Rejected(Reason.INVALID_REQUEST, "Jira's search answers with a page that is empty before its end")
        return content, Page(next=str(end) if end < total else None, total=total)

    async def _histories(self, issue: dict[str, Any]) -> list[Any]:
        given, total = listed(issue, "changelog", "histories"), part(issue, "changelog", "total")
        if not isinstance(total, int) or total <= len(given):
            return given
        version = 3 if self._cloud else 2
        try:
            return await self._whole_changelog(f"/rest/api/{version}/issue/{issue.get('key')}/changelog")
        except NotFound:  # it went in the meantime, or the server is too old to give more
            return given

    async def _whole_changelog(self, path: str) -> list[Any]:
        found: list[Any] = []
        for _ in range(MOST_PAGES):
            content = (await self._client.get(path, startAt=len(found), maxResults=_CHANGES)).content
            values, total = listed(content, "values"), part(content, "total")
            found += values
            if not values or not isinstance(total, int) or len(found) >= total:
                break
        return found


def jql_of(project: str, since: int | None) -> str:
    """The search. Jira reads a time in the user's own zone, so a day more is asked for.

    >>> jql_of("CHK", 1795305600000)
    'project = "CHK" AND (statusCategory != Done OR updated >= "2026-11-21") ORDER BY created ASC, key ASC'
    """
    going_on = ""
    if since is not None:
        day = datetime.fromtimestamp((since - DAY) / 1000, UTC).date()
        going_on = f' AND (statusCategory != Done OR updated >= "{day}")'
    return f'project = "{project}"{going_on} ORDER BY created ASC, key ASC'
