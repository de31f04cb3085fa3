"""What the simulated organisation's tools say: GitHub webhooks, in GitHub's shapes, and native facts. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha1
from typing import Any, Final

from flow.instants import format_instant

BRANCH: Final = "main"


@dataclass(slots=True)
class Item:
    """One issue of a repository. `labels` are GitHub's; `pull` is the number of its open pull request, if any."""

    repository: str
    number: int
    opened_at: int
    title: str
    labels: set[str] = field(default_factory=set)
    pull: int | None = None
    pull_opened_at: int = 0
    developed_at: int = 0

    @property
    def name(self) -> str:
        """As Streamgauge calls it."""
        return f"{self.repository}#{self.number}"


@dataclass(frozen=True, slots=True)
class Webhook:
    """One delivery of GitHub, of this event."""

    at: int
    event: str
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Native:
    """One native fact of another tool."""

    at: int
    fields: Mapping[str, Any]


Happening = Webhook | Native


def issue(action: str, item: Item, at: int) -> Webhook:
    """An `issues` event: https://docs.github.com/en/webhooks/webhook-events-and-payloads#issues"""
    closed = action == "closed"
    told = {
        "number": item.number,
        "title": item.title,
        "state": "closed" if closed else "open",
        "labels": [{"name": label} for label in sorted(item.labels)],
        "html_url": f"https://github.com/{item.repository}/issues/{item.number}",
        "created_at": format_instant(item.opened_at),
        "updated_at": format_instant(at),
        "closed_at": format_instant(at) if closed else None,
    }
    return Webhook(at, "issues", {"action": action, "issue": told, "repository": {"full_name": item.repository}})


def pull_request(action: str, item: Item, at: int) -> Webhook:
    """A `pull_request` event; `merged` stands for closed by a merge."""
    merged = action == "merged"
    told = {
        "number": item.pull,
        "title": f"{item.title} (part)",
        "body": f"Closes #{item.number}",
        "head": {"ref": f"issue-{item.number}"},
        "merged": merged,
        "merged_at": format_instant(at) if merged else None,
        "merge_commit_sha": commit_of(item) if merged else None,
        "created_at": format_instant(item.pull_opened_at),
        "updated_at": format_instant(at),
        "closed_at": format_instant(at) if merged else None,
    }
    action = "closed" if merged else action
    return Webhook(
        at, "pull_request", {"action": action, "pull_request": told, "repository": {"full_name": item.repository}}
    )


def push(item: Item, at: int) -> Webhook:
    """The `push` event that a merge brings along: it knows when the work was committed."""
    commit = {
        "id": commit_of(item),
        "timestamp": format_instant(item.developed_at),
        "message": f"{item.title} (#{item.pull})",
    }
    repository = {"full_name": item.repository, "default_branch": BRANCH, "pushed_at": format_instant(at)}
    return Webhook(at, "push", {"ref": f"refs/heads/{BRANCH}", "commits": [commit], "repository": repository})


def deployment_status(state: str, number: int, items: Sequence[Item], at: int) -> Webhook:
    """A `deployment_status` event of a deployment to production that brings these items, of one repository."""
    deployment = {
        "id": number,
        "sha": commit_of(items[-1]),
        "ref": BRANCH,
        "environment": "production",
        "description": ", ".join(item.name for item in items),
    }
    told = {"state": state, "environment": "production", "created_at": format_instant(at)}
    repository = {"full_name": items[0].repository}
    return Webhook(
        at, "deployment_status", {"deployment": deployment, "deployment_status": told, "repository": repository}
    )


def test_result(status: str, item: Item, at: int) -> Native:
    """What the test bench says of an item: a fact in its own words."""
    told = {"subject": "item", "source": "test-bench", "project": item.repository, "item": item.name, "status": status}
    return _native(f"test:{item.name}:{at}", at, told)


def worth(item: Item, numbers: Sequence[float], at: int) -> Native:
    """What the roadmap says that an item is worth: value, criticality, risk reduction, and its size."""
    told = {"subject": "item", "source": "roadmap", "project": item.repository, "item": item.name}
    named = dict(zip(("value", "criticality", "risk_reduction", "size"), numbers, strict=True))
    return _native(f"value:{item.name}", at, told | named)


def incident(state: str, name: str, repository: str, deployment: int, at: int) -> Native:
    """What the incident tool says of an incident that a deployment caused."""
    told = {"subject": "incident", "source": "pager", "service": repository, "environment": "production"}
    return _native(f"{name}:{state}", at, told | {"incident": name, "state": state, "deployment": str(deployment)})


def remedy(name: str, repository: str, at: int) -> Native:
    """The deployment that was made for an incident."""
    told = {"subject": "deployment", "source": "pager", "service": repository, "environment": "production"}
    return _native(f"{name}:remedy", at, told | {"deployment": f"fix-{name}", "state": "succeeded", "remediates": name})


def commit_of(item: Item) -> str:
    """The name of the commit that an item's current pull request becomes."""
    return sha1(f"{item.name}/{item.pull}".encode(), usedforsecurity=False).hexdigest()


def _native(identifier: str, at: int, told: Mapping[str, Any]) -> Native:
    return Native(at, {"id": identifier, "at": format_instant(at), **told})
