"""GitHub for tests: a repository that lives, tells what happens as webhooks do, and is served as the REST API does."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from flow.instants import format_instant
from tests.servers.provider_api import Json, Reply, Request, linked

AUTHORISATION = "Bearer github-token"

Webhook = tuple[str, Json]
"""X-GitHub-Event and the body."""


@dataclass
class GitHubIssue:
    """An issue or a pull request. Times are in milliseconds, and whole seconds."""

    repository: GitHub
    fields: Json
    events: list[Json] = field(default_factory=list)

    def _tell(self, action: str, at: int, **fields: Any) -> None:
        self.fields = {**self.fields, "updated_at": format_instant(at), **fields}
        self.repository.tell("issues", {"action": action, "issue": self.fields})

    def _note(self, event: str, at: int, **more: Any) -> None:
        self.events.append({"id": len(self.events), "event": event, "created_at": format_instant(at), **more})

    def label(self, at: int, name: str) -> None:
        self._note("labeled", at, label={"name": name, "color": "f00"})
        self._tell("labeled", at, labels=[*self.fields["labels"], {"name": name, "color": "f00"}])

    def unlabel(self, at: int, name: str) -> None:
        self._note("unlabeled", at, label={"name": name, "color": "f00"})
        self._tell("unlabeled", at, labels=[label for label in self.fields["labels"] if label["name"] != name])

    def rename(self, at: int, title: str) -> None:
        self._note("renamed", at, rename={"from": self.fields["title"], "to": title})
        self._tell("edited", at, title=title)

    def close(self, at: int) -> None:
        self._note("closed", at)
        self._tell("closed", at, state="closed", closed_at=format_instant(at))

    def reopen(self, at: int) -> None:
        self._note("reopened", at)
        self._tell("reopened", at, state="open", closed_at=None)

    def assign(self, at: int) -> None:
        self._note("assigned", at)
        self._note("subscribed", at)
        self._tell("assigned", at)

    @property
    def labels(self) -> list[str]:
        return [label["name"] for label in self.fields["labels"]]


@dataclass
class GitHubPull:
    """A pull request."""

    repository: GitHub
    fields: Json
    events: list[Json] = field(default_factory=list)

    def _tell(self, action: str, at: int, **fields: Any) -> None:
        self.fields = {**self.fields, "updated_at": format_instant(at), **fields}
        self.repository.tell("pull_request", {"action": action, "pull_request": {"merged": False, **self.fields}})

    def _note(self, event: str, at: int) -> None:
        self.events.append({"id": len(self.events), "event": event, "created_at": format_instant(at)})

    def close(self, at: int) -> None:
        self._note("closed", at)
        self._tell("closed", at, state="closed", closed_at=format_instant(at))

    def reopen(self, at: int) -> None:
        self._note("reopened", at)
        self._tell("reopened", at, state="open", closed_at=None)

    def ready(self, at: int) -> None:
        self._note("ready_for_review", at)
        self._tell("ready_for_review", at, draft=False)

    def merge(self, at: int) -> None:
        self._note("merged", at)
        self._note("closed", at)
        closed = {"state": "closed", "closed_at": format_instant(at), "merged_at": format_instant(at)}
        self.fields = {**self.fields, "updated_at": format_instant(at), **closed, "merge_commit_sha": "9b" * 20}
        self.repository.tell("pull_request", {"action": "closed", "pull_request": {**self.fields, "merged": True}})


@dataclass
class GitHub:
    """One repository, `acme/shop`. `page`: the most entries of a page, whatever is asked for."""

    page: int = 2
    name: str = "acme/shop"
    webhooks: list[Webhook] = field(default_factory=list)
    issues: list[GitHubIssue] = field(default_factory=list)
    pulls: list[GitHubPull] = field(default_factory=list)
    deployments: list[tuple[Json, list[Json]]] = field(default_factory=list)
    releases: list[Json] = field(default_factory=list)
    runs: list[Json] = field(default_factory=list)
    pushes: list[tuple[Json, list[Json]]] = field(default_factory=list)
    next_page_host: str | None = None

    def tell(self, event: str, body: Json) -> None:
        whole = {"id": 7, "full_name": self.name, "default_branch": "main"}
        self.webhooks.append((event, {"repository": whole, "sender": {"login": "robin"}, **body}))

    def open_issue(self, at: int, *labels: str, title: str = "Pay by invoice") -> GitHubIssue:
        fields: Json = {
            "id": 900 + len(self.issues),
            "number": 2 * len(self.issues) + 1,
            "title": title,
            "state": "open",
            "html_url": f"https://github.example/acme/shop/issues/{2 * len(self.issues) + 1}",
            "labels": [{"name": name, "color": "f00"} for name in labels],
            "created_at": format_instant(at),
            "updated_at": format_instant(at),
            "closed_at": None,
            "type": None,
        }
        issue = GitHubIssue(self, fields)
        self.issues.append(issue)
        issue._tell("opened", at)
        for name in labels:
            issue._note("labeled", at, label={"name": name})
            issue._tell("labeled", at)
        return issue

    def open_pull(self, at: int, title: str = "SHP-4: pay by invoice", **fields: Any) -> GitHubPull:
        known: Json = {
            "id": 500 + len(self.pulls),
            "number": 2 * len(self.pulls) + 2,
            "title": title,
            "body": "Fixes #1",
            "state": "open",
            "draft": False,
            "head": {"ref": "SHP-4_invoices", "sha": "4f" * 20},
            "created_at": format_instant(at),
            "updated_at": format_instant(at),
            "closed_at": None,
            "merged_at": None,
            "merge_commit_sha": None,
            **fields,
        }
        pull = GitHubPull(self, known)
        self.pulls.append(pull)
        pull._tell("opened", at)
        return pull

    def deploy(self, at: int, environment: str, *states: tuple[int, str]) -> None:
        deployment = {
            "id": 70_000 + len(self.deployments), "sha": "4f" * 20, "ref": "SHP-4_invoices", "task": "deploy",
            "environment": environment, "description": None, "created_at": format_instant(at),
        }  # fmt: skip
        statuses: list[Json] = []
        for when, state in states:
            status = {
                "id": when,
                "state": state,
                "environment": environment,
                "description": "",
                "created_at": format_instant(when),
            }
            statuses.insert(0, status)
            self.tell("deployment_status", {"action": "created", "deployment": deployment, "deployment_status": status})
        self.deployments.insert(0, (deployment, statuses))

    def release(self, at: int, tag: str) -> None:
        told = {
            "id": at, "tag_name": tag, "target_commitish": "main", "name": tag, "body": "SHP-4", "draft": False,
            "prerelease": False, "published_at": format_instant(at),
        }  # fmt: skip
        self.releases.insert(0, told)
        self.tell("release", {"action": "published", "release": told})

    def run(self, at: int, ended: int, conclusion: str) -> None:
        run = {
            "id": at // 1000, "name": "Deploy production", "head_sha": "4f" * 20, "head_branch": "main",
            "display_title": "SHP-4", "run_attempt": 1, "run_started_at": format_instant(at),
            "created_at": format_instant(at),
        }  # fmt: skip
        started = {**run, "status": "in_progress", "conclusion": None, "updated_at": format_instant(at)}
        done = {**run, "status": "completed", "conclusion": conclusion, "updated_at": format_instant(ended)}
        self.tell("workflow_run", {"action": "in_progress", "workflow_run": started})
        self.tell("workflow_run", {"action": "completed", "workflow_run": done})
        self.runs.insert(0, done)

    def push(self, at: int, *messages: str) -> None:
        shas = [f"{at // 1000 + number:040x}" for number in range(len(messages))]
        committed = format_instant(at - 3_600_000)
        told = [
            {"id": sha, "timestamp": committed, "message": text} for sha, text in zip(shas, messages, strict=True)
        ]  # fmt: skip
        repository = {"full_name": self.name, "default_branch": "main", "pushed_at": at // 1000}
        self.tell("push", {"ref": "refs/heads/main", "repository": repository, "commits": told, "deleted": False})
        activity = {
            "id": at, "before": "0a" * 20, "after": shas[-1], "ref": "refs/heads/main", "timestamp": format_instant(at),
            "activity_type": "push",
        }  # fmt: skip
        commits = [
            {"sha": entry["id"], "commit": {"message": entry["message"], "committer": {"date": committed}}}
            for entry in told
        ]
        self.pushes.append((activity, commits))

    def answer(self, request: Request, url: str) -> Reply:
        if request.headers.get("authorization") != AUTHORISATION:
            return Reply({"message": "Bad credentials"}, 401)
        prefix = f"/repos/{self.name}"
        if not request.path.startswith(prefix):
            return Reply({"message": "Not Found"}, 404)
        found = self._content(request.path.removeprefix(prefix))
        if found is None:
            return Reply({"message": "Not Found"}, 404)
        if isinstance(found, dict):
            return Reply(found)
        small = Request(request.method, request.path, {**request.query, "per_page": str(self.page)}, request.headers)
        return linked(small, self.next_page_host or url, found)

    def _content(self, path: str) -> Json | list[Json] | None:
        lists: dict[str, Any] = {
            "": {"full_name": self.name, "default_branch": "main"},
            "/issues": [issue.fields for issue in self.issues]
            + [{"number": pull.fields["number"], "pull_request": {}} for pull in self.pulls],
            "/pulls": [pull.fields for pull in self.pulls],
            "/deployments": [deployment for deployment, _ in self.deployments],
            "/releases": self.releases,
            "/activity": [activity for activity, _ in self.pushes],
            "/actions/workflows": {
                "total_count": 2,
                "workflows": [{"id": 5, "name": "Deploy production"}, {"id": 6, "name": "Test"}],
            },
            "/actions/workflows/5/runs": {"total_count": len(self.runs), "workflow_runs": self.runs},
        }
        for issue in self.issues:
            lists[f"/issues/{issue.fields['number']}/events"] = issue.events
        for pull in self.pulls:
            lists[f"/issues/{pull.fields['number']}/events"] = pull.events
        for deployment, statuses in self.deployments:
            lists[f"/deployments/{deployment['id']}/statuses"] = statuses
        for activity, commits in self.pushes:
            lists[f"/compare/{activity['before']}...{activity['after']}"] = {"commits": commits}
        return lists.get(path)
