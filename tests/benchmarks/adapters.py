"""Each adapter's time for one delivery, from bytes to facts, in microseconds.

The bar is of GitHub's payloads, which are the largest: one of 15 kB within 150 µs. Of the other senders the figure is
the mean over the shapes of the tests' payloads, which are smaller than real ones.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from time import perf_counter
from typing import Any, Final

from flow.adapters import ADAPTERS, Delivery
from tests.benchmarks.fold import spread
from tests.unit.flow.adapters.ci_payloads import SAMPLES as OF_CI
from tests.unit.flow.adapters.tracker_payloads import SAMPLES as OF_TRACKERS
from tests.unit.flow.adapters.tracker_payloads import gitlab_issue, jira, jira_change

SAMPLES: Final = [*OF_TRACKERS, *OF_CI]

ROUNDS: Final = 7
TIMES: Final = 300
BIG: Final = 15_000

_KEY: Final = re.compile(r"(?<![^\W_])(?:SHP-\d+)(?![^\W_])")


def names_in(texts: Iterable[str]) -> tuple[str, ...]:
    """Items as one entry of `item_keys` finds them."""
    return tuple(match for text in texts for match in _KEY.findall(text))


def grown(body: dict[str, Any], size: int) -> dict[str, Any]:
    """The payload with as many further fields, like a sender's links and avatars, as make it this large."""
    user = {"login": "robin", "id": 1, "site_admin": False} | {
        f"{name}_url": f"https://api.code.example/users/robin/{name}{{/other}}" for name in ("self", "repos", "events")
    }
    people: list[dict[str, Any]] = []
    whole = body | {"people": people, "body": "word " * 400}
    while len(json.dumps(whole)) < size:
        people.append(user)
    return whole


def github_issue() -> dict[str, Any]:
    """An issues event."""
    return {
        "action": "labeled",
        "issue": {
            "number": 12,
            "state": "open",
            "title": "Pay by invoice",
            "html_url": "https://github.com/acme/shop/issues/12",
            "created_at": "2026-11-20T08:00:00Z",
            "updated_at": "2026-11-22T09:30:00Z",
            "labels": [{"id": 2, "name": "web"}, {"id": 1, "name": "bug"}],
        },
        "repository": {"id": 7, "full_name": "acme/shop"},
    }


def github_pull_request() -> dict[str, Any]:
    """A pull_request event whose body names work."""
    return {
        "action": "opened",
        "pull_request": {
            "number": 77,
            "title": "SHP-1: pay by invoice",
            "body": "Fixes #12. " + "It explains itself. " * 100,
            "created_at": "2026-11-21T08:00:00Z",
            "updated_at": "2026-11-22T09:30:00Z",
            "head": {"ref": "invoice"},
        },
        "repository": {"full_name": "acme/shop"},
    }


def microseconds(source: str, headers: dict[str, str], body: dict[str, Any]) -> float:
    """The mean of many translations of one delivery."""
    sent = Delivery(source, headers, json.dumps(body).encode(), 0)
    translate = ADAPTERS[source].translate
    assert translate(sent, names_in).facts
    started = perf_counter()
    for _ in range(TIMES):
        translate(sent, names_in)
    return (perf_counter() - started) / TIMES * 1e6


def measure() -> dict[str, list[float]]:
    """Figures of all rounds, each as median, lowest, highest."""
    moved = jira("jira:issue_updated", jira_change("status", "To Do", "Done"))
    big: dict[str, tuple[str, dict[str, str], dict[str, Any]]] = {
        "github issues, 15 kB, ≤ 150 µs": ("github", {"x-github-event": "issues"}, github_issue()),
        "github pull_request, 15 kB, ≤ 150 µs": ("github", {"x-github-event": "pull_request"}, github_pull_request()),
        "jira issue_updated, 15 kB": ("jira", {}, moved),
        "gitlab issue, 15 kB": ("gitlab", {}, gitlab_issue()),
    }
    figures = {
        name: spread([microseconds(source, headers, grown(body, BIG)) for _ in range(ROUNDS)])
        for name, (source, headers, body) in big.items()
    }
    for source in sorted({source for source, _, _ in SAMPLES}):
        shapes = [(headers, body) for name, headers, body in SAMPLES if name == source]
        rounds = [sum(microseconds(source, *shape) for shape in shapes) / len(shapes) for _ in range(ROUNDS)]
        figures[f"{source}, µs a delivery"] = spread(rounds)
    return figures


if __name__ == "__main__":
    print(json.dumps(measure()))
