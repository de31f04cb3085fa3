"""Linear for tests: issues that live, tell what happens as webhooks do, and are served as the GraphQL API does."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from flow.instants import format_instant
from tests.servers.provider_api import Json, Reply, Request

AUTHORISATION = "lin_api_token"


def _labels(names: list[str]) -> list[Json]:
    return [{"id": name, "name": name, "color": "#EB5757"} for name in names]


@dataclass
class LinearIssue:
    """One issue. Every change is an entry of its history, and a webhook."""

    site: Linear
    identifier: str
    created: int
    state: str
    title: str
    labels: list[str]
    estimate: float | None = None
    previous: list[str] = field(default_factory=list)
    history: list[Json] = field(default_factory=list)

    def tell(self, action: str, at: int, before: Json | None = None) -> None:
        team, number = self.identifier.split("-")
        data: Json = {
            "id": f"uuid-{self.created}",
            "identifier": self.identifier,
            "previousIdentifiers": self.previous,
            "number": int(number),
            "createdAt": format_instant(self.created),
            "updatedAt": format_instant(at),
            "title": self.title,
            "estimate": self.estimate,
            "state": {"id": f"id-{self.state}", "name": self.state, "type": "started"},
            "stateId": f"id-{self.state}",
            "team": {"id": "ba9e", "key": team, "name": "A team"},
            "labels": _labels(self.labels),
            "labelIds": self.labels,
        }
        body = {"action": action, "type": "Issue", "createdAt": format_instant(at), "url": self._url(), "data": data}
        if before is not None:
            body["updatedFrom"] = {"updatedAt": format_instant(at - 1), **before}
        self.site.webhooks.append(body)

    def _url(self) -> str:
        return f"https://linear.example/acme/issue/uuid-{self.created}"

    def _note(self, at: int, **change: Any) -> None:
        self.history.insert(0, {"createdAt": format_instant(at), **change})

    def move(self, at: int, state: str) -> None:
        before, self.state = self.state, state
        self._note(at, fromState={"name": before}, toState={"name": state})
        self.tell("update", at, {"stateId": f"id-{before}"})

    def rename(self, at: int, title: str) -> None:
        before, self.title = self.title, title
        self._note(at, fromTitle=before, toTitle=title)
        self.tell("update", at, {"title": before})

    def label(self, at: int, *labels: str) -> None:
        before, self.labels = self.labels, list(labels)
        added = _labels([name for name in labels if name not in before])
        self._note(at, addedLabels=added, removedLabels=_labels([name for name in before if name not in labels]))
        self.tell("update", at, {"labelIds": before})

    def size(self, at: int, estimate: float | None) -> None:
        before, self.estimate = self.estimate, estimate
        self._note(at, fromEstimate=before, toEstimate=estimate)
        self.tell("update", at, {"estimate": before})

    def move_team(self, at: int, identifier: str) -> None:
        teams = [{"key": name.partition("-")[0]} for name in (self.identifier, identifier)]
        self.previous, self.identifier = [*self.previous, self.identifier], identifier
        self._note(at, fromTeam=teams[0], toTeam=teams[1])
        self.tell("update", at, {"teamId": "old"})

    def as_api(self, most: int) -> Json:
        return {
            "id": f"uuid-{self.created}",
            "identifier": self.identifier,
            "previousIdentifiers": self.previous,
            "title": self.title,
            "url": self._url(),
            "estimate": self.estimate,
            "createdAt": format_instant(self.created),
            "state": {"name": self.state},
            "labels": {"nodes": [{"name": name} for name in self.labels]},
            "history": connection(self.history, 0, most),
        }


def connection(entries: list[Json], start: int, size: int) -> Json:
    """A page of a GraphQL list."""
    end = start + size
    info = {"hasNextPage": end < len(entries), "endCursor": str(end) if end < len(entries) else None}
    return {"pageInfo": info, "nodes": entries[start:end]}


@dataclass
class Linear:
    """A workspace. `page`: issues of a page; `most_changes`: of an issue in it."""

    page: int = 2
    most_changes: int = 2
    issues: list[LinearIssue] = field(default_factory=list)
    webhooks: list[Json] = field(default_factory=list)

    def create(self, identifier: str, at: int, *labels: str) -> LinearIssue:
        issue = LinearIssue(self, identifier, at, "Todo", f"About {identifier}", list(labels))
        self.issues.append(issue)
        issue.tell("create", at)
        return issue

    def answer(self, request: Request, url: str) -> Reply:
        if request.headers.get("authorization") != AUTHORISATION:
            return Reply({"errors": [{"message": "Authentication required, not authenticated"}]}, 401)
        variables = request.body["variables"]
        start = int(variables["after"] or 0)
        if "issue(id:" in request.body["query"]:
            [issue] = [issue for issue in self.issues if f"uuid-{issue.created}" == variables["id"]]
            return Reply({"data": {"issue": {"history": connection(issue.history, start, 3)}}})
        team = variables["filter"]["team"]["key"]["eq"]
        shown = [issue.as_api(self.most_changes) for issue in self.issues if issue.identifier.startswith(f"{team}-")]
        return Reply({"data": {"issues": connection(shown, start, self.page)}})
