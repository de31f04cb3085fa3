"""Jira for tests: issues that live, tell what happens to them as webhooks do, and are served as the REST API does."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from flow.instants import format_instant
from tests.servers.provider_api import Json, Reply, Request

AUTHORISATION = "Basic cm9iaW5AYWNtZS5leGFtcGxlOmppcmEtdG9rZW4="
"""robin@acme.example, jira-token."""


def _date(at: int) -> str:
    """As Jira writes times: an offset without a colon."""
    return format_instant(at - 8 * 3_600_000).removesuffix("Z").partition(".")[0] + f".{at % 1000:03d}-0800"


@dataclass
class JiraIssue:
    """One issue. Every change goes into its changelog, and into `webhooks`."""

    site: Jira
    number: int
    key: str
    created: int
    fields: Json
    webhooks: list[Json] = field(default_factory=list)
    histories: list[Json] = field(default_factory=list)

    def _webhook(self, event: str, at: int) -> Json:
        fields = {**self.fields, "created": _date(self.created), "updated": _date(at), "customfield_10021": None}
        fields["project"] = {"id": "10000", "key": self.key.partition("-")[0], "name": "A project"}
        return {
            "timestamp": at,
            "webhookEvent": f"jira:issue_{event}",
            "user": {"accountId": "5b:robin"},
            "issue": {"id": str(self.number), "self": self._self(), "key": self.key, "fields": fields},
        }

    def _self(self) -> str:
        return f"https://acme.example/rest/api/2/issue/{self.number}"

    def change(self, at: int, *items: tuple[str, str | None, str | None], **fields: Any) -> None:
        """Several fields change at once: each item is a field, what it said before, what it says now."""
        self.fields = {**self.fields, **fields}
        self.site.changes += 1
        told = [
            {"field": name, "fieldtype": "jira", "fieldId": self.site.field_ids.get(name, name), "from": None,
             "fromString": before, "to": None, "toString": after}
            for name, before, after in items
        ]  # fmt: skip
        if self.site.data_center:
            told = [{name: value for name, value in item.items() if name != "fieldId"} for item in told]
        history = {"id": str(self.site.changes), "items": told}
        self.histories.append({**history, "created": _date(at), "author": {"accountId": "5b:robin"}})
        self.webhooks.append({**self._webhook("updated", at), "changelog": history})

    def move(self, at: int, status: str) -> None:
        self.change(at, ("status", self.fields["status"]["name"], status), status={"id": "3", "name": status})

    def label(self, at: int, *labels: str) -> None:
        self.change(at, ("labels", " ".join(self.fields["labels"]), " ".join(labels)), labels=list(labels))

    def rename(self, at: int, summary: str) -> None:
        self.change(at, ("summary", self.fields["summary"], summary), summary=summary)

    def retype(self, at: int, name: str) -> None:
        self.change(at, ("issuetype", self.fields["issuetype"]["name"], name), issuetype={"id": "1", "name": name})

    def flag(self, at: int, *, blocked: bool) -> None:
        words = (None, "Impediment") if blocked else ("Impediment", "")
        self.change(at, ("Flagged", *words))

    def estimate(self, at: int, points: str) -> None:
        self.change(at, ("Story Points", None, points))

    def move_project(self, at: int, key: str) -> None:
        old, self.key = self.key, key
        self.change(at, ("Key", old, key), ("project", "Old", "New"))

    def as_api(self, most: int | None) -> Json:
        """As a search gives it, the newest change first, with at most so many changes."""
        shown = self.histories[::-1][:most]
        changelog = {"startAt": 0, "maxResults": len(shown), "total": len(self.histories), "histories": shown}
        fields = {**self.fields, "created": _date(self.created), "updated": _date(self.created)}
        return {"id": str(self.number), "key": self.key, "self": self._self(), "fields": fields, "changelog": changelog}


@dataclass
class Jira:
    """A site. `page`: the most issues of a page, whatever is asked for; `most_changes`: of an issue in a search."""

    data_center: bool = False
    page: int = 2
    most_changes: int | None = None
    issues: list[JiraIssue] = field(default_factory=list)
    changes: int = 10_000
    field_ids: Json = field(default_factory=lambda: {"Flagged": "customfield_10021", "Story Points": "customfield_16"})
    refuse_tokens: bool = False

    def create(self, key: str, at: int, status: str = "To Do", **fields: Any) -> JiraIssue:
        known: Json = {
            "status": {"id": "1", "name": status},
            "issuetype": {"id": "10001", "name": "Story"},
            "labels": [],
            "summary": f"About {key}",
            **fields,
        }
        issue = JiraIssue(self, 10_040 + len(self.issues), key, at, known)
        created = issue._webhook("created", at)
        item = {"field": "Status", "fieldId": "status", "fromString": None, "toString": status}
        issue.webhooks.append({**created, "changelog": {"id": str(self.changes), "items": [item]}})
        self.issues.append(issue)
        return issue

    def webhooks(self) -> list[Json]:
        return [body for issue in self.issues for body in issue.webhooks]

    def answer(self, request: Request, url: str) -> Reply:  # noqa: PLR0911  (a table of paths)
        if request.headers.get("authorization") != AUTHORISATION:
            return Reply({"message": "Client must be authenticated"}, 401)
        if request.path == "/rest/api/2/serverInfo":
            return Reply({"deploymentType": "Server" if self.data_center else "Cloud", "version": "9.12.0"})
        if request.path == "/rest/api/3/search/approximate-count" and not self.data_center:
            return Reply({"count": len(self.issues)})
        if request.path == "/rest/api/3/search/jql" and not self.data_center:
            return self._cloud_page(request)
        if request.path == "/rest/api/2/search" and self.data_center:
            start = int(request.query["startAt"])
            shown = self._shown(start)
            return Reply({"startAt": start, "maxResults": self.page, "total": len(self.issues), "issues": shown})
        found = [issue for issue in self.issues if request.path.endswith(f"/issue/{issue.key}/changelog")]
        if found:
            return self._changelog(found[0], int(request.query["startAt"]))
        return Reply({"errorMessages": ["no such path"]}, 404)

    def _cloud_page(self, request: Request) -> Reply:
        token = request.query.get("nextPageToken")
        if token and self.refuse_tokens:
            return Reply({"errorMessages": ["The provided next page token is invalid or expired."]}, 400)
        start = int(token.removeprefix("token-")) if token else 0
        end = start + self.page
        more = {"nextPageToken": f"token-{end}"} if end < len(self.issues) else {}
        return Reply({"issues": self._shown(start), "isLast": not more, **more})

    def _shown(self, start: int) -> list[Json]:
        return [issue.as_api(self.most_changes) for issue in self.issues[start : start + self.page]]

    def _changelog(self, issue: JiraIssue, start: int) -> Reply:
        values = issue.histories[start : start + 3]
        total = len(issue.histories)
        return Reply(
            {"startAt": start, "maxResults": 3, "total": total, "isLast": start + 3 >= total, "values": values}
        )
