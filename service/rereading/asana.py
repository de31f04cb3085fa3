"""A task of Asana with its stories (https://developers.asana.com/reference/tasks)."""

from __future__ import annotations

from typing import Any, Final

from flow.adapters import ItemNames
from flow.adapters.asana_history import facts_of_task
from flow.errors import Reason, Rejected
from flow.facts import Fact
from service.histories.pages import MOST_PAGES, listed, part
from service.provider_client import ProviderClient

_API: Final = "/api/1.0"
_TASK: Final = (
    "gid,name,created_at,modified_at,completed,permalink_url,resource_subtype,tags.name,"
    "memberships.project.gid,memberships.section.name"
)
_STORY: Final = (
    "gid,created_at,resource_subtype,new_section.name,new_section.project.gid,old_section.name,old_section.project.gid"
)


async def read_task(client: ProviderClient, gid: str, item_names: ItemNames) -> list[Fact]:
    """All that is known of it. Raises NotFound when it is gone, Unavailable, Unauthorised, Rejected."""
    if not gid.isascii() or not gid.isalnum():
        raise Rejected(Reason.NOT_UNDERSTOOD, "a task of Asana goes by digits")
    task = part((await client.get(f"{_API}/tasks/{gid}", opt_fields=_TASK)).content, "data")
    if not isinstance(task, dict):
        raise Rejected(Reason.INVALID_REQUEST, "Asana answers a task with something that is none")
    return facts_of_task(task, await all_of(client, f"{_API}/tasks/{gid}/stories", opt_fields=_STORY))


async def all_of(client: ProviderClient, path: str, **parameters: str) -> list[Any]:
    """Everything in a list of Asana, which pages by an offset that it gives."""
    found: list[Any] = []
    offset = None
    for _ in range(MOST_PAGES):
        content = (await client.get(path, limit=100, offset=offset, **parameters)).content
        found += listed(content, "data")
        offset = part(content, "next_page", "offset")
        if not isinstance(offset, str):
            break
    return found
