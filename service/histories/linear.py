"""Linear's issues with their histories, by team.

GraphQL (https://linear.app/developers/graphql). A question may cost 10,000 points of complexity, and children multiply:
so few issues a page, and a long history is read on from the issue itself.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from flow.adapters.linear_history import facts_of_issue
from flow.errors import Reason, Rejected
from flow.instants import format_instant
from service.histories.pages import MOST_PAGES, Page, Step, Wanted, listed, part
from service.provider_client import ProviderClient

_PATH: Final = "/graphql"
_CHANGES: Final = """
      pageInfo { hasNextPage endCursor }
      nodes {
        createdAt trashed fromTitle toTitle fromEstimate toEstimate
        fromState { name } toState { name } fromTeam { key } toTeam { key }
        addedLabels { name } removedLabels { name }
      }"""
_ISSUES: Final = f"""
query Issues($filter: IssueFilter, $after: String) {{
  issues(first: 10, after: $after, filter: $filter, includeArchived: true, orderBy: createdAt) {{
    pageInfo {{ hasNextPage endCursor }}
    nodes {{
      id identifier previousIdentifiers title url estimate createdAt
      state {{ name }}
      labels(first: 50) {{ nodes {{ name }} }}
      history(first: 40) {{{_CHANGES}
      }}
    }}
  }}
}}"""
_HISTORY: Final = f"""
query History($id: String!, $after: String) {{
  issue(id: $id) {{
    history(first: 100, after: $after) {{{_CHANGES}
    }}
  }}
}}"""


async def steps(client: ProviderClient, wanted: Wanted) -> list[Step]:
    """One a team. Linear knows no changes to code and no deployments."""
    if "items" not in wanted.kinds:
        return []
    return [Step(f"{name}: issues", _Team(client, wanted, name).read) for name in wanted.names]


class _Team:
    def __init__(self, client: ProviderClient, wanted: Wanted, key: str) -> None:
        self._client = client
        self._names = wanted.item_names
        self._filter = filter_of(key, wanted.since)

    async def read(self, where: str | None) -> Page:
        data = await self._client.graphql(_PATH, _ISSUES, filter=self._filter, after=where)
        issues = listed(data, "issues", "nodes")
        page = Page(read=len(issues), next=_following(data, "issues"))
        for issue in issues:
            history = await self._history(issue)
            page.tell(str(issue.get("identifier")), partial(facts_of_issue, issue, history, self._names))
        return page

    async def _history(self, issue: dict[str, Any]) -> list[Any]:
        found, after = listed(issue, "history", "nodes"), _following(issue, "history")
        for _ in range(MOST_PAGES):
            if after is None:
                break
            data = await self._client.graphql(_PATH, _HISTORY, id=issue.get("id"), after=after)
            found += listed(data, "issue", "history", "nodes")
            after = _following(data, "issue", "history")
        return found


def filter_of(team: str, since: int | None) -> dict[str, Any]:
    """Issues of the team: what was touched since then, and all that is not finished."""
    of_team: dict[str, Any] = {"team": {"key": {"eq": team}}}
    if since is None:
        return of_team
    going_on = {"completedAt": {"null": True}, "canceledAt": {"null": True}}
    return {**of_team, "or": [{"updatedAt": {"gte": format_instant(since)}}, going_on]}


def _following(content: object, *names: str) -> str | None:
    """The cursor of the next page. Raises Rejected when there is one that is not told."""
    if not part(content, *names, "pageInfo", "hasNextPage"):
        return None
    cursor = part(content, *names, "pageInfo", "endCursor")
    if not isinstance(cursor, str) or not cursor:
        raise Rejected(Reason.INVALID_REQUEST, "Linear says that there is a next page, and not where")
    return cursor
