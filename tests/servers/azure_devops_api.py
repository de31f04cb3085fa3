"""Azure DevOps for tests: work items that live, tell service hooks, and are served with their updates."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from flow.instants import format_instant
from tests.servers.provider_api import Json, Reply, Request

AUTHORISATION = "Basic OmF6dXJlLXRva2Vu"
""":azure-token."""


@dataclass
class WorkItem:
    """One work item. `details`: whether service hooks are set to send all."""

    number: int
    fields: Json
    rev: int = 1
    updates: list[Json] = field(default_factory=list)
    hooks: list[Json] = field(default_factory=list)

    @property
    def links(self) -> Json:
        return {"html": {"href": f"https://azure.example/acme/Shop/_workitems/edit/{self.number}"}}

    def begin(self) -> None:
        self.updates.append(
            {"id": 1, "rev": 1, "fields": {name: {"newValue": text} for name, text in self.fields.items()}}
        )
        resource = {"id": self.number, "rev": 1, "fields": dict(self.fields), "_links": self.links}
        self.hooks.append({"eventType": "workitem.created", "resource": resource})

    def change(self, at: int, **fields: Any) -> None:
        self.rev += 1
        named = {f"System.{name}": value for name, value in fields.items()} | {"System.ChangedDate": format_instant(at)}
        changed = {name: {"oldValue": self.fields.get(name), "newValue": value} for name, value in named.items()}
        self.fields = {**self.fields, **named}
        number = len(self.updates) + 1
        self.updates.append({"id": number, "workItemId": self.number, "rev": self.rev, "fields": changed})
        revision = {"id": self.number, "rev": self.rev, "fields": dict(self.fields), "_links": self.links}
        resource = {
            "id": number, "workItemId": self.number, "rev": self.rev, "fields": changed, "revision": revision,
            "_links": self.links,
        }  # fmt: skip
        self.hooks.append(
            {"eventType": "workitem.updated", "createdDate": format_instant(at + 6_000), "resource": resource}
        )

    def link(self) -> None:
        """An update that changes no field."""
        self.updates.append({"id": len(self.updates) + 1, "rev": self.rev, "relations": {"added": []}})


@dataclass
class AzureDevOps:
    """An organisation with one project, `Shop`."""

    items: dict[int, WorkItem] = field(default_factory=dict)

    def create(self, at: int, **fields: Any) -> WorkItem:
        number = 11 + len(self.items)
        known = {
            "System.TeamProject": "Shop", "System.AreaPath": "Shop\\Web", "System.WorkItemType": "Bug",
            "System.State": "New", "System.Title": "Pay by invoice", "System.ChangedDate": format_instant(at),
            "System.Tags": "web", **{f"System.{name}": value for name, value in fields.items()},
        }  # fmt: skip
        item = WorkItem(number, known)
        item.begin()
        self.items[number] = item
        return item

    def answer(self, request: Request, url: str) -> Reply:
        if request.headers.get("authorization") != AUTHORISATION or "api-version" not in request.query:
            return Reply({"message": "TF400813: The user is not authorized"}, 401)
        if request.path == "/_apis/wit/wiql":
            after = int(re.findall(r"\[System.Id\] > (\d+)", request.body["query"])[0])
            found = [{"id": number} for number in sorted(self.items) if number > after]
            return Reply({"workItems": found[: int(request.query["$top"])]})
        wanted = re.fullmatch(r"/_apis/wit/workItems/(\d+)(/updates)?", request.path)
        item = self.items.get(int(wanted[1])) if wanted else None
        if wanted is None or item is None:
            return Reply({"message": "TF401232: Work item does not exist"}, 404)
        if not wanted[2]:
            return Reply({"id": item.number, "rev": item.rev, "fields": item.fields, "_links": item.links})
        start, size = int(request.query["$skip"]), int(request.query["$top"])
        return Reply({"count": len(item.updates), "value": item.updates[start : start + size]})
