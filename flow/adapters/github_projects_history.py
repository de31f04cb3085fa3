"""An item of a GitHub board read through the GraphQL API: its column, which most events don't say, and its issue.

| GraphQL, ProjectV2Item | fact of the item |
|---|---|
| `content.id` | item |
| `fieldValueByName(name: "Status")`: `name`, at its `updatedAt` | status |
| `content.timelineItems`: ProjectV2ItemStatusChangedEvent, `status` at `createdAt` | status, before |
| `project.id` | project |
| `content.title`, `url`, `labels`, `issueType`, at the item's `updatedAt` | title, url, labels, type |

Identity: by content, as `flow.adapters.github_projects` has it. The items are those that the webhook names: by the
issue's node id, within the board. A draft has no history and no address.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from flow.adapters.history import Json, instant, shaped
from flow.adapters.reading import LONGEST_NAME, address_of, blocked_by, identified, labels_of, title_of, type_among
from flow.adapters.times import Moment
from flow.facts import Fact, ItemFact


class _Identified(Struct, gc=False):
    id: str


class _Named(Struct, gc=False):
    name: str


class _Labels(Struct, gc=False):
    nodes: list[_Named] = []


class _Change(Struct, gc=False, rename="camel"):
    created_at: Moment = None
    status: str | None = None
    project: _Identified | None = None


class _Changes(Struct, gc=False):
    nodes: list[_Change] = []


class _Content(Struct, gc=False, rename="camel"):
    id: str
    title: str | None = None
    url: str | None = None
    labels: _Labels | None = None
    issue_type: _Named | None = None
    timeline_items: _Changes | None = None


class _Value(Struct, gc=False, rename="camel"):
    name: str | None = None
    updated_at: Moment = None


class _Item(Struct, gc=False, rename="camel"):
    project: _Identified
    updated_at: Moment
    content: _Content | None = None
    value: _Value | None = None


def facts_of_project_item(content: Json) -> list[Fact]:
    """Its columns, as far as GitHub knows them, and what it is now; nothing of an item that the token may not see.

    Raises Rejected (not_understood).
    """
    item = shaped(content, _Item, "an item of GitHub Projects")
    if item.content is None:
        return []
    return [*_columns(item, item.content), _now(item, item.content)]


def _columns(item: _Item, content: _Content) -> Iterator[ItemFact]:
    changes = content.timeline_items.nodes if content.timeline_items else []
    for change in changes:
        if change.status and change.project and change.project.id == item.project.id:
            yield _fact(item, content, instant("the change of status", change.created_at), change.status)
    if item.value and item.value.name:
        yield _fact(item, content, instant("the status", item.value.updated_at), item.value.name)


def _fact(item: _Item, content: _Content, at: int, status: str) -> ItemFact:
    fact = ItemFact(
        id="", source="github", item=content.id, at=at, status=status[:LONGEST_NAME], project=item.project.id
    )
    return identified("project-item", fact)


def _now(item: _Item, content: _Content) -> ItemFact:
    labels = labels_of(label.name for label in content.labels.nodes) if content.labels else None
    fact = ItemFact(
        id="",
        source="github",
        item=content.id,
        at=instant("the project item", item.updated_at),
        status=item.value.name[:LONGEST_NAME] if item.value and item.value.name else None,
        blocked=None if labels is None else blocked_by(labels),
        labels=labels,
        project=item.project.id,
        type=content.issue_type.name if content.issue_type else type_among(labels or ()),
        title=title_of(content.title),
        url=address_of(content.url),
    )
    return identified("project-item", fact)
