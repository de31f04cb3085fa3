"""An item of a GitHub board (https://docs.github.com/en/graphql/reference/objects#projectv2item).

The history of its status is asked for too; GitHub Enterprise Server may not know that yet, then its status alone.
"""

from __future__ import annotations

from typing import Any, Final

from flow.adapters import ItemNames
from flow.adapters.github_projects_history import facts_of_project_item
from flow.errors import NotFound, Reason, Rejected
from flow.facts import Fact
from service.histories.pages import part
from service.provider_client import ProviderClient

_CHANGES: Final = """timelineItems(last: 100, itemTypes: [PROJECT_V2_ITEM_STATUS_CHANGED_EVENT]) {
      nodes { ... on ProjectV2ItemStatusChangedEvent { createdAt status project { id } } }
    }"""
_ITEM: Final = """updatedAt
    project { id }
    value: fieldValueByName(name: "Status") { ... on ProjectV2ItemFieldSingleSelectValue { name updatedAt } }
    content {
      ... on DraftIssue { id title }
      ... on PullRequest { id title url labels(first: 100) { nodes { name } } }
      ... on Issue { id title url labels(first: 100) { nodes { name } } %s }
    }"""


def item_fields(*, with_changes: bool) -> str:
    """What is asked of an item."""
    return _ITEM % (_CHANGES if with_changes else "")


def graphql_of(client: ProviderClient) -> str:
    """Where GraphQL is: beside the REST API, which a GitHub Enterprise Server has at /api/v3."""
    return f"{client.base.removesuffix('/v3')}/graphql"


async def read_project_item(client: ProviderClient, node: str, item_names: ItemNames) -> list[Fact]:
    """All that is known of it. Raises NotFound when it is gone, Unavailable, Unauthorised, Rejected."""
    try:
        item = await _item(client, node, with_changes=True)
    except Rejected:
        item = await _item(client, node, with_changes=False)
    return facts_of_project_item(item)


async def _item(client: ProviderClient, node: str, *, with_changes: bool) -> dict[str, Any]:
    fields = item_fields(with_changes=with_changes)
    query = f"query Item($id: ID!) {{ node(id: $id) {{ ... on ProjectV2Item {{ {fields} }} }} }}"
    found = part(await client.graphql(graphql_of(client), query, id=node), "node")
    if not isinstance(found, dict) or not found:
        raise NotFound(Reason.UNKNOWN_ITEM, "GitHub has no such item of a board, or the token may not see it")
    return found
