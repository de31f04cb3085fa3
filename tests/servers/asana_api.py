"""Asana for tests: tasks that live, tell thin events, and are served with their stories."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from flow.instants import format_instant
from tests.servers.provider_api import Json, Reply, Request

AUTHORISATION = "Bearer asana-token"
PROJECT = "1201"


@dataclass
class AsanaTask:
    """One task of one project."""

    fields: Json
    section: str
    stories: list[Json] = field(default_factory=list)
    events: list[Json] = field(default_factory=list)

    def _note(self, at: int, subtype: str, **more: Any) -> None:
        gid = f"{self.fields['gid']}{len(self.stories):03d}"
        self.stories.append({"gid": gid, "created_at": format_instant(at), "resource_subtype": subtype, **more})
        self.fields["modified_at"] = format_instant(at + 40)
        self.events.append(
            {
                "action": "added", "created_at": format_instant(at + 20), "user": None, "change": None,
                "resource": {"gid": gid, "resource_type": "story", "resource_subtype": subtype},
                "parent": {"gid": self.fields["gid"], "resource_type": "task"},
            }
        )  # fmt: skip

    def move(self, at: int, section: str) -> None:
        of = {"project": {"gid": PROJECT}}
        old, self.section = self.section, section
        self._note(at, "section_changed", old_section={"name": old, **of}, new_section={"name": section, **of})

    def complete(self, at: int) -> None:
        self.fields["completed"] = True
        self._note(at, "marked_complete")

    def reopen(self, at: int) -> None:
        self.fields["completed"] = False
        self._note(at, "marked_incomplete")

    def comment(self, at: int) -> None:
        self._note(at, "comment_added")

    def as_api(self) -> Json:
        member = {"project": {"gid": PROJECT}, "section": {"gid": "9", "name": self.section}}
        return {**self.fields, "memberships": [member]}


@dataclass
class Asana:
    """A workspace of one project. `page`: tasks or stories of a page."""

    page: int = 2
    tasks: dict[str, AsanaTask] = field(default_factory=dict)

    def create(self, at: int, section: str = "To do", **fields: Any) -> AsanaTask:
        gid = str(100 + len(self.tasks))
        known: Json = {
            "gid": gid, "name": f"Task {gid}", "created_at": format_instant(at), "modified_at": format_instant(at),
            "completed": False, "permalink_url": f"https://app.asana.example/0/0/{gid}", "tags": [],
            "resource_subtype": "default_task", **fields,
        }  # fmt: skip
        self.tasks[gid] = AsanaTask(known, section)
        return self.tasks[gid]

    def answer(self, request: Request, url: str) -> Reply:
        if request.headers.get("authorization") != AUTHORISATION:
            return Reply({"errors": [{"message": "Not Authorized"}]}, 401)
        path = request.path.removeprefix("/api/1.0/tasks")
        if path == "" and request.query.get("project") == PROJECT:
            return self._paged(request, [{"gid": gid} for gid in self.tasks])
        gid, _, rest = path.removeprefix("/").partition("/")
        if gid not in self.tasks:
            return Reply({"errors": [{"message": f"task: Unknown object: {gid}"}]}, 404)
        if rest == "stories":
            return self._paged(request, self.tasks[gid].stories)
        return Reply({"data": self.tasks[gid].as_api()})

    def _paged(self, request: Request, entries: list[Json]) -> Reply:
        start = int(request.query.get("offset", "0"))
        end = start + self.page
        following = {"offset": str(end), "path": "/x"} if end < len(entries) else None
        return Reply({"data": entries[start:end], "next_page": following})
