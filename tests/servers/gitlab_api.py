"""GitLab for tests: a project that lives, tells what happens as webhooks do, and is served as the REST API does.

Webhooks have whole seconds, the API has milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from flow.instants import format_instant
from tests.servers.provider_api import Json, Reply, Request, linked

AUTHORISATION = "Bearer glpat-token"
WEB = "https://gitlab.example/acme/shop"


def spoken(at: int) -> str:
    """As webhooks write times."""
    return format_instant(at // 1000 * 1000).replace("T", " ").replace("Z", " UTC")


@dataclass
class GitLabIssue:
    """An issue. `fields` are the API's."""

    project: GitLab
    fields: Json
    label_events: list[Json] = field(default_factory=list)
    state_events: list[Json] = field(default_factory=list)

    def tell(self, action: str, at: int, **changes: Any) -> None:
        known = self.fields
        attributes = {
            "id": 99, "iid": known["iid"], "title": known["title"], "state": known["state"], "action": action,
            "url": known["web_url"], "weight": known["weight"], "created_at": spoken(self.project.begun[known["iid"]]),
            "updated_at": spoken(at), "closed_at": spoken(at) if action == "close" else None,
        }  # fmt: skip
        if known["issue_type"] == "incident":
            attributes["type"] = "Incident"
        self.project.tell(
            {
                "object_kind": "issue",
                "object_attributes": attributes,
                "labels": [{"id": 1, "title": name} for name in known["labels"]],
                "changes": {"updated_at": {"previous": None, "current": spoken(at)}, **changes},
            }
        )

    def label(self, at: int, name: str) -> None:
        self._labelled(at, "add", name, [*self.fields["labels"], name])

    def unlabel(self, at: int, name: str) -> None:
        self._labelled(at, "remove", name, [label for label in self.fields["labels"] if label != name])

    def _labelled(self, at: int, action: str, name: str, labels: list[str]) -> None:
        before, self.fields["labels"] = self.fields["labels"], labels
        event = {"id": at, "created_at": format_instant(at), "label": {"id": 1, "name": name}, "action": action}
        self.label_events.append({**event, "resource_type": "Issue"})
        current, previous = ([{"title": label} for label in some] for some in (labels, before))
        self.tell("update", at, labels={"previous": previous, "current": current})

    def close(self, at: int) -> None:
        self._stated(at, "close", "closed", "closed")

    def reopen(self, at: int) -> None:
        self._stated(at, "reopen", "reopened", "opened")

    def _stated(self, at: int, action: str, event: str, state: str) -> None:
        self.fields["state"] = state
        self.state_events.append({"id": at, "created_at": format_instant(at), "state": event, "resource_type": "Issue"})
        self.tell(action, at)


@dataclass
class GitLabRequest:
    """A merge request."""

    project: GitLab
    fields: Json
    state_events: list[Json] = field(default_factory=list)
    commits: list[Json] = field(default_factory=list)

    def tell(self, action: str, at: int, **more: Any) -> None:
        known = self.fields
        attributes = {name: known[name] for name in ("iid", "title", "description", "source_branch", "state")}
        times = {"created_at": spoken(self.project.begun[known["iid"]]), "updated_at": spoken(at)}
        last = {"id": self.commits[0]["id"], "timestamp": self.commits[0]["committed_date"], "message": "SHP-4"}
        told = {**attributes, **times, "action": action, "last_commit": last, **more}
        self.project.tell({"object_kind": "merge_request", "object_attributes": told})

    def _note(self, at: int, state: str) -> None:
        self.state_events.append({"id": at, "created_at": format_instant(at), "state": state})

    def close(self, at: int) -> None:
        self.fields["state"] = "closed"
        self._note(at, "closed")
        self.tell("close", at)

    def reopen(self, at: int) -> None:
        self.fields["state"] = "opened"
        self._note(at, "reopened")
        self.tell("reopen", at)

    def merge(self, at: int, sha: str | None = "9b" * 20) -> None:
        self.fields |= {"state": "merged", "merged_at": format_instant(at), "merge_commit_sha": sha}
        self._note(at, "merged")
        self.tell("merge", at, merge_commit_sha=sha, merged_at=spoken(at))


@dataclass
class GitLab:
    """One project, `acme/shop`. `page`: the most entries of a page, whatever is asked for."""

    page: int = 2
    webhooks: list[Json] = field(default_factory=list)
    issues: list[GitLabIssue] = field(default_factory=list)
    requests: list[GitLabRequest] = field(default_factory=list)
    deployments: list[Json] = field(default_factory=list)
    releases: list[Json] = field(default_factory=list)
    begun: dict[int, int] = field(default_factory=dict)

    def tell(self, body: Json) -> None:
        self.webhooks.append(
            {"project": {"id": 5, "path_with_namespace": "acme/shop", "default_branch": "main"}, **body}
        )

    def open_issue(self, at: int, *labels: str, kind: str = "issue") -> GitLabIssue:
        iid = 2 * len(self.issues) + 1
        self.begun[iid] = at
        fields: Json = {
            "id": 900 + iid, "iid": iid, "title": "Pay by invoice", "state": "opened", "labels": list(labels),
            "web_url": f"{WEB}/-/issues/{iid}", "issue_type": kind, "type": kind.upper(), "weight": 3,
            "created_at": format_instant(at), "updated_at": format_instant(at), "moved_to_id": None,
        }  # fmt: skip
        issue = GitLabIssue(self, fields)
        self.issues.append(issue)
        for name in labels:
            event = {"id": at, "created_at": format_instant(at + 7), "label": {"name": name}, "action": "add"}
            issue.label_events.append(event)
        issue.tell("open", at)
        return issue

    def open_request(self, at: int, **more: Any) -> GitLabRequest:
        iid = 2 * len(self.requests) + 2
        self.begun[iid] = at
        fields: Json = {
            "id": 500 + iid, "iid": iid, "title": "SHP-4: cards", "description": "Closes #1", "state": "opened",
            "source_branch": "SHP-4_cards", "created_at": format_instant(at), "updated_at": format_instant(at),
            "merged_at": None, "merge_commit_sha": None, "squash_commit_sha": None, **more,
        }  # fmt: skip
        commit = {"id": "4f" * 20, "title": "SHP-4", "committed_date": "2026-10-19T07:50:22.000+03:00"}
        request = GitLabRequest(self, fields, commits=[commit, {**commit, "id": "3e" * 20}])
        self.requests.append(request)
        request.tell("open", at)
        return request

    def deploy(self, at: int, ended: int, status: str, environment: str = "production", *, job: bool = True) -> None:
        number = 70 + len(self.deployments)
        commit = {"id": "4f" * 20, "title": "SHP-4: cards", "message": "SHP-4: cards"}
        worker = {
            "id": 800 + number,
            "started_at": format_instant(at),
            "finished_at": format_instant(ended),
            "commit": commit,
        }
        self.deployments.append(
            {
                "id": number,
                "ref": "main",
                "sha": "4f" * 20,
                "status": status,
                "environment": {"name": environment},
                "created_at": format_instant(at),
                "updated_at": format_instant(ended),
                "deployable": worker if job else None,
            }
        )
        for state, when in (("running", at), (status, ended)):
            self.tell(
                {
                    "object_kind": "deployment",
                    "status": state,
                    "status_changed_at": spoken(when).replace("UTC", "+0000"),
                    "deployment_id": number,
                    "deployable_id": 800 + number if job else None,
                    "environment": environment,
                    "commit_url": f"{WEB}/-/commit/{'4f' * 20}",
                    "commit_title": commit["title"] if job else None,
                    "ref": "main",
                }
            )

    def release(self, at: int, tag: str) -> None:
        known = {"name": tag, "description": "With SHP-4"}
        commit = {"id": "4f" * 20}
        self.releases.append({**known, "tag_name": tag, "released_at": format_instant(at), "commit": commit})
        self.tell(
            {
                **known,
                "object_kind": "release",
                "action": "create",
                "tag": tag,
                "released_at": spoken(at),
                "commit": commit,
            }
        )

    def answer(self, request: Request, url: str) -> Reply:
        if request.headers.get("authorization") != AUTHORISATION:
            return Reply({"message": "401 Unauthorized"}, 401)
        prefix = "/api/v4/projects/acme%2Fshop"
        found = self._content(request.path.removeprefix(prefix)) if request.path.startswith(prefix) else None
        if found is None:
            return Reply({"message": "404 Project Not Found"}, 404)
        if isinstance(found, dict):
            return Reply(found)
        size = str(min(self.page, int(request.query.get("per_page", 20))))
        small = Request(request.method, request.path, {**request.query, "per_page": size}, request.headers)
        return linked(small, url, found, totals=True)

    def _content(self, path: str) -> Json | list[Json] | None:
        known: dict[str, Any] = {
            "": {"id": 5, "path_with_namespace": "acme/shop"},
            "/issues": [issue.fields for issue in self.issues],
            "/merge_requests": [request.fields for request in self.requests],
            "/deployments": self.deployments,
            "/releases": self.releases,
        }
        for issue in self.issues:
            known[f"/issues/{issue.fields['iid']}/resource_label_events"] = issue.label_events
            known[f"/issues/{issue.fields['iid']}/resource_state_events"] = issue.state_events
        for request in self.requests:
            known[f"/merge_requests/{request.fields['iid']}/resource_state_events"] = request.state_events
            known[f"/merge_requests/{request.fields['iid']}/commits"] = request.commits
        return known.get(path)
