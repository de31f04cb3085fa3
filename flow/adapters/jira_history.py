"""The history of a Jira issue, read through the REST API, as the webhooks would have told it.

| REST API | webhook |
|---|---|
| the issue before its first change, at `fields.created` | `jira:issue_created` |
| each of `changelog.histories`: `id`, `created`, `items` | `jira:issue_updated` with that changelog, at that time |

The API gives the issue as it is now: status, labels, type, summary and key are put back through the changelog, newest
change first. Ids are those of the webhooks: the changelog's. The webhook's `timestamp` may be some milliseconds after
the changelog's `created`; under one id the fact that arrived first stays. A deleted issue has no history to read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from msgspec import Struct, field

from flow.adapters.delivery import ItemNames
from flow.adapters.history import Json, instant, retold, shaped
from flow.adapters.jira import SOURCE, translate
from flow.adapters.times import Moment
from flow.facts import Fact


class _Named(Struct, gc=False):
    name: str


class _Fields(Struct, gc=False):
    created: Moment = None
    status: _Named | None = None
    issuetype: _Named | None = None
    labels: list[str] | None = None
    summary: str | None = None


class _Issue(Struct, gc=False):
    key: str
    fields: _Fields
    address: str | None = field(default=None, name="self")


class _Change(Struct, gc=False):
    name: str = field(default="", name="field")
    field_id: str | None = field(default=None, name="fieldId")
    before: str | None = field(default=None, name="fromString")
    after: str | None = field(default=None, name="toString")

    @property
    def about(self) -> str:
        """The field, as `flow.adapters.jira` tells it: a custom field may be called like one of Jira's own."""
        return (self.field_id or self.name).casefold()


class _History(Struct, gc=False):
    id: str | int
    created: Moment = None
    items: list[_Change] = []


@dataclass(frozen=True, slots=True)
class _Issued:
    """What changes of an issue, as it was at one time."""

    key: str
    status: str | None
    type: str | None
    labels: tuple[str, ...] | None
    summary: str | None

    def with_change(self, about: str, text: str | None) -> _Issued:
        """After, or before, a change of this field, which then held this text."""
        match about:
            case "status" if text:
                return replace(self, status=text)
            case "issuetype" if text:
                return replace(self, type=text)
            case "summary" if text:
                return replace(self, summary=text)
            case "key" if text:
                return replace(self, key=text)
            case "labels":
                return replace(self, labels=tuple((text or "").split()))
        return self

    def fields(self) -> dict[str, Any]:
        """As a webhook has them."""
        return {
            "status": {"name": self.status} if self.status else None,
            "issuetype": {"name": self.type} if self.type else None,
            "labels": self.labels,
            "summary": self.summary,
        }


def facts_of_issue(issue: Json, histories: Sequence[Json], item_names: ItemNames) -> list[Fact]:
    """All that the webhooks of this issue would have told; `histories` is its whole changelog, in any order.

    Raises Rejected (not_understood).
    """
    return retold(translate, SOURCE, _webhooks(issue, histories), item_names)


def _webhooks(content: Json, contents: Iterable[Json]) -> Iterator[Json]:
    issue = shaped(content, _Issue, "an issue of Jira")
    read = [(shaped(entry, _History, "a changelog of Jira"), entry.get("items") or []) for entry in contents]
    changes = sorted(read, key=lambda change: _order(change[0]))
    was = _at_first(issue, [history for history, _ in changes])
    yield _webhook("created", issue, was, instant("the issue", issue.fields.created))
    for history, items in changes:
        for change in history.items:
            was = was.with_change(change.about, change.after)
        at = instant("the changelog", history.created)
        yield {**_webhook("updated", issue, was, at), "changelog": {"id": history.id, "items": items}}


def _webhook(what: str, issue: _Issue, was: _Issued, at: int) -> dict[str, Any]:
    return {
        "webhookEvent": f"jira:issue_{what}",
        "timestamp": at,
        "issue": {"key": was.key, "self": issue.address, "fields": was.fields()},
    }


def _at_first(issue: _Issue, histories: Sequence[_History]) -> _Issued:
    """The issue as it was created."""
    fields = issue.fields
    labels = None if fields.labels is None else tuple(fields.labels)
    was = _Issued(
        issue.key,
        fields.status.name if fields.status else None,
        fields.issuetype.name if fields.issuetype else None,
        labels,
        fields.summary,
    )
    for history in reversed(histories):
        for change in reversed(history.items):
            was = was.with_change(change.about, change.before)
    return was


def _order(history: _History) -> tuple[int, int]:
    """By time; changelogs of one instant by their id, which grows."""
    text = str(history.id)
    return instant("the changelog", history.created), int(text) if text.isascii() and text.isdigit() else 0
