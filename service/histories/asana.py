"""Asana's tasks with their stories, by project."""

from __future__ import annotations

from typing import Final

from flow.instants import format_instant
from service.histories.pages import Page, Step, Wanted, listed, part
from service.provider_client import ProviderClient
from service.rereading.asana import read_task

_TASKS: Final = "/api/1.0/tasks"
_FIELDS: Final = "gid,completed,modified_at"


async def steps(client: ProviderClient, wanted: Wanted) -> list[Step]:
    """One a project. Asana knows no changes to code and no deployments."""
    if "items" not in wanted.kinds:
        return []
    return [Step(f"{name}: tasks", _Project(client, wanted, name).read) for name in wanted.names]


class _Project:
    def __init__(self, client: ProviderClient, wanted: Wanted, gid: str) -> None:
        self._client = client
        self._wanted = wanted
        self._asked: dict[str, str | int | None] = {"project": gid, "limit": 100, "opt_fields": _FIELDS}
        if wanted.since is not None:  # which leaves out only what was completed before
            self._asked["completed_since"] = format_instant(wanted.since)

    async def read(self, offset: str | None) -> Page:
        content = (await self._client.get(_TASKS, offset=offset, **self._asked)).content
        following = part(content, "next_page", "offset")
        tasks = listed(content, "data")
        page = Page(read=len(tasks), next=following if isinstance(following, str) else None)
        for gid in (str(task.get("gid")) for task in tasks):
            await page.tell_read(f"task {gid}", read_task(self._client, gid, self._wanted.item_names))
        return page
