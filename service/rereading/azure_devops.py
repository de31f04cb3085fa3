"""A work item of Azure DevOps with its updates (https://learn.microsoft.com/rest/api/azure/devops/wit/updates)."""

from __future__ import annotations

from typing import Any, Final

from flow.adapters import ItemNames
from flow.adapters.azure_devops_history import facts_of_work_item
from flow.errors import Reason, Rejected
from flow.facts import Fact
from service.histories.pages import MOST_PAGES, listed, part
from service.provider_client import ProviderClient

VERSION: Final = "7.0"
"""Of the API: Azure DevOps Server 2022 has it too."""

_PAGE: Final = 200


async def read_work_item(client: ProviderClient, number: str, item_names: ItemNames) -> list[Fact]:
    """All that is known of it. Raises NotFound when it is gone, Unavailable, Unauthorised, Rejected."""
    if not number.isascii() or not number.isdigit():
        raise Rejected(Reason.NOT_UNDERSTOOD, "a work item of Azure DevOps is a number")
    path = f"/_apis/wit/workItems/{number}"
    item = {"$expand": "links", "api-version": VERSION}
    address = part((await client.get(path, **item)).content, "_links", "html", "href")
    updates = await _updates(client, f"{path}/updates")
    return facts_of_work_item(int(number), updates, item_names, address if isinstance(address, str) else None)


async def _updates(client: ProviderClient, path: str) -> list[Any]:
    found: list[Any] = []
    for _ in range(MOST_PAGES):
        asked: dict[str, str | int] = {"$top": _PAGE, "$skip": len(found), "api-version": VERSION}
        updates = listed((await client.get(path, **asked)).content, "value")
        found += updates
        if len(updates) < _PAGE:
            break
    return found
