"""Azure DevOps' work items with their updates, by project: 200 at a time, by number."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from flow.errors import Reason, Rejected
from service.histories.pages import Page, Step, Wanted, listed, part
from service.provider_client import ProviderClient
from service.rereading.azure_devops import VERSION, read_work_item

_PAGE: Final = 200


async def steps(client: ProviderClient, wanted: Wanted) -> list[Step]:
    """One a project. Its pull requests, pipelines and releases are not read."""
    if "items" not in wanted.kinds:
        return []
    return [Step(f"{name}: work items", _Project(client, wanted, name).read) for name in wanted.names]


class _Project:
    def __init__(self, client: ProviderClient, wanted: Wanted, name: str) -> None:
        self._client = client
        self._wanted = wanted
        self._name = name

    async def read(self, where: str | None) -> Page:
        query = wiql_of(self._name, int(where or 0), self._wanted.since)
        answer = await self._client.post(f"/_apis/wit/wiql?api-version={VERSION}&$top={_PAGE}", {"query": query})
        numbers = [
            number for entry in listed(answer.content, "workItems") if isinstance(number := part(entry, "id"), int)
        ]
        if not isinstance(part(answer.content, "workItems"), list):
            raise Rejected(Reason.INVALID_REQUEST, "Azure DevOps answers a query with something that is no list")
        page = Page(read=len(numbers), next=str(numbers[-1]) if len(numbers) == _PAGE else None)
        for number in numbers:
            reading = read_work_item(self._client, str(number), self._wanted.item_names)
            await page.tell_read(f"AB#{number}", reading)
        return page


def wiql_of(project: str, after: int, since: int | None) -> str:
    """The query: what was changed since then, and all that is not done.

    >>> wiql_of("Shop", 7, None)
    "SELECT [System.Id] FROM WorkItems WHERE [System.TeamProject] = 'Shop' AND [System.Id] > 7 ORDER BY [System.Id]"
    """
    going_on = ""
    if since is not None:
        day = datetime.fromtimestamp(since / 1000, UTC).date()
        done = "[System.State] IN ('Done', 'Closed', 'Completed', 'Removed', 'Resolved', 'Inactive')"
        going_on = f" AND ([System.ChangedDate] >= '{day}' OR NOT {done})"
    where = f"[System.TeamProject] = '{project}' AND [System.Id] > {after}{going_on}"
    return f"SELECT [System.Id] FROM WorkItems WHERE {where} ORDER BY [System.Id]"  # noqa: S608  (a checked name)
