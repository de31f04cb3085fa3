"""The items of a GitHub board, by the board's node id."""

from __future__ import annotations

from functools import partial

from flow.adapters.github_projects_history import facts_of_project_item
from flow.errors import Reason, Rejected
from service.histories.pages import Page, Step, Wanted, listed, part
from service.provider_client import ProviderClient
from service.rereading.github_projects import graphql_of, item_fields


async def steps(client: ProviderClient, wanted: Wanted) -> list[Step]:
    """One a board. All of its items are read: what is on a board is little."""
    if "items" not in wanted.kinds:
        return []
    return [Step(f"{name}: items of the board", partial(_read, client, name)) for name in wanted.names]


async def _read(client: ProviderClient, board: str, where: str | None) -> Page:
    try:
        items = await _items(client, board, where, with_changes=True)
    except Rejected:  # an older server
        items = await _items(client, board, where, with_changes=False)
    following = part(items, "pageInfo", "endCursor") if part(items, "pageInfo", "hasNextPage") else None
    entries, total = listed(items, "nodes"), part(items, "totalCount")
    page = Page(read=len(entries), next=following, total=total if isinstance(total, int) else None)
    for entry in entries:
        page.tell("an item of the board", partial(facts_of_project_item, entry))
    return page


async def _items(client: ProviderClient, board: str, after: str | None, *, with_changes: bool) -> object:
    fields = item_fields(with_changes=with_changes)
    query = f"""query Items($id: ID!, $after: String) {{ node(id: $id) {{ ... on ProjectV2 {{
      items(first: 25, after: $after) {{ totalCount pageInfo {{ hasNextPage endCursor }} nodes {{ {fields} }} }}
    }} }} }}"""
    items = part(await client.graphql(graphql_of(client), query, id=board, after=after), "node", "items")
    if not isinstance(items, dict):
        raise Rejected(Reason.INVALID_REQUEST, f"GitHub has no board {board}, or the token may not see it")
    return items
