"""A GitHub board for tests: items whose column changes, told by events that don't say it, served by GraphQL."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from flow.instants import format_instant
from tests.servers.provider_api import Json, Reply, Request

AUTHORISATION = "Bearer github-token"
BOARD = "PVT_kwDOboard"


@dataclass
class BoardItem:
    """An issue on the board."""

    number: int
    title: str
    labels: list[str]
    updated: int
    status: str | None = None
    moved: int = 0
    changes: list[Json] = field(default_factory=list)
    events: list[Json] = field(default_factory=list)

    @property
    def node(self) -> str:
        return f"PVTI_{self.number}"

    @property
    def issue(self) -> str:
        return f"I_{self.number}"

    def move(self, at: int, status: str, action: str = "reordered") -> None:
        before, self.status, self.moved, self.updated = self.status, status, at, at
        change = {
            "createdAt": format_instant(at),
            "previousStatus": before or "",
            "status": status,
            "project": {"id": BOARD},
        }
        self.changes.append(change)
        item = {
            "id": self.number, "node_id": self.node, "project_node_id": BOARD, "content_node_id": self.issue,
            "content_type": "Issue", "updated_at": format_instant(at),
        }  # fmt: skip
        self.events.append({"action": action, "projects_v2_item": item, "organization": {"login": "acme"}})

    def as_api(self, *, with_changes: bool) -> Json:
        content: Json = {
            "id": self.issue, "title": self.title, "url": f"https://github.example/acme/shop/issues/{self.number}",
            "labels": {"nodes": [{"name": name} for name in self.labels]},
        }  # fmt: skip
        if with_changes:
            elsewhere = {
                "createdAt": format_instant(self.updated),
                "status": "Elsewhere",
                "project": {"id": "PVT_other"},
            }
            content["timelineItems"] = {"nodes": [*self.changes, elsewhere, {}]}
        value = {"name": self.status, "updatedAt": format_instant(self.moved)} if self.status else None
        return {"updatedAt": format_instant(self.updated), "project": {"id": BOARD}, "value": value, "content": content}


@dataclass
class GitHubBoard:
    """One board. `old`: a server that does not know the history of a status. `hidden`: items the token may not see."""

    old: bool = False
    items: list[BoardItem] = field(default_factory=list)
    hidden: set[str] = field(default_factory=set)

    def add(self, at: int, *labels: str) -> BoardItem:
        item = BoardItem(len(self.items) + 1, "Pay by invoice", list(labels), at)
        self.items.append(item)
        return item

    def answer(self, request: Request, url: str) -> Reply:
        if request.headers.get("authorization") != AUTHORISATION:
            return Reply({"message": "Bad credentials"}, 401)
        query, variables = request.body["query"], request.body["variables"]
        with_changes = "ProjectV2ItemStatusChangedEvent" in query
        if with_changes and self.old:
            problem = "Argument 'itemTypes' has an invalid value ([PROJECT_V2_ITEM_STATUS_CHANGED_EVENT])"
            return Reply({"errors": [{"message": problem}]})
        if variables["id"] == BOARD:
            return Reply({"data": {"node": {"items": self._page(variables["after"], with_changes=with_changes)}}})
        found = [item for item in self.items if item.node == variables["id"]]
        if not found:
            problem = f"Could not resolve to a node with the global id of '{variables['id']}'"
            return Reply({"data": {"node": None}, "errors": [{"type": "NOT_FOUND", "message": problem}]})
        shown: dict[str, Any] = found[0].as_api(with_changes=with_changes)
        return Reply({"data": {"node": {**shown, "content": None} if found[0].node in self.hidden else shown}})

    def _page(self, after: str | None, *, with_changes: bool) -> Json:
        start = int(after or 0)
        end = start + 2
        info = {"hasNextPage": end < len(self.items), "endCursor": str(end)}
        nodes = [item.as_api(with_changes=with_changes) for item in self.items[start:end]]
        return {"totalCount": len(self.items), "pageInfo": info, "nodes": nodes}
