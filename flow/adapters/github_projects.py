"""Items of GitHub Projects (boards): what can be said of them without reading GitHub's API.

| webhook | fact of the item |
|---|---|
| `projects_v2_item.content_node_id`, which is the issue's `node_id` | item |
| `changes.field_value.to.name`, where `field_name` is Status and GitHub sends both | status |
| `projects_v2_item.updated_at` | at |
| `projects_v2_item.project_node_id` | project |
| `action` = deleted | deleted |

Identity: by content. An event names neither the issue's number nor its title, and most do not say the column: a card
that is dragged may arrive as `reordered` without any field, `created` and `restored` never tell it. So these are items
of their own, known by node id and told apart by their project; reading the item again through the API, with a token,
gives its column and its issue (`flow.adapters.github_projects_history`). Without a token follow labels or the issue's
state instead.
"""

from __future__ import annotations

from typing import Final

from msgspec import Raw, Struct
from msgspec.json import Decoder

from flow.adapters.delivery import ItemNames, Translation
from flow.adapters.reading import Name, decode, event_time, identified
from flow.adapters.times import Moment
from flow.errors import Rejected
from flow.facts import ItemFact

_UNSEEN: Final = "the event does not say the item's column: it must be read through GitHub's API, with a token"


class _ProjectItem(Struct, gc=False):
    content_node_id: Name
    project_node_id: Name
    updated_at: Moment
    node_id: Name | None = None


class _FieldValue(Struct, gc=False):
    field_type: str | None = None
    field_name: str | None = None
    to: Raw = Raw(b"null")


class _Changes(Struct, gc=False):
    field_value: _FieldValue | None = None


class _ProjectItemEvent(Struct, gc=False):
    action: Name
    projects_v2_item: _ProjectItem
    changes: _Changes | None = None


class _Option(Struct, gc=False):
    name: Name


def read_project_item(text: bytes, item_names: ItemNames) -> Translation:
    """The column that the event names, or that the item is gone from its board."""
    event = decode(_PROJECT_ITEM, text, "a projects_v2_item event of GitHub")
    item = event.projects_v2_item
    if event.action == "deleted":
        return _told(item, None, deleted=True)
    unread = (item.node_id,) if item.node_id else ()
    value = event.changes.field_value if event.changes else None
    if event.action != "edited" or value is None:
        return Translation([], _UNSEEN, unread)
    if value.field_type != "single_select" or (value.field_name or "status").casefold() != "status":
        return Translation([], f"the field {(value.field_name or value.field_type or 'unknown')[:40]} is no column")
    status = _column(value) if value.field_name else None
    return Translation([], _UNSEEN, unread) if status is None else _told(item, status, unread=unread)


def _told(
    item: _ProjectItem, status: str | None, *, deleted: bool | None = None, unread: tuple[str, ...] = ()
) -> Translation:
    fact = ItemFact(
        id="",
        source="github",
        item=item.content_node_id,
        at=event_time("the project item", item.updated_at),
        status=status,
        deleted=deleted,
        project=item.project_node_id,
    )
    return Translation([identified("project-item", fact)], unread=unread)


def _column(value: _FieldValue) -> str | None:
    try:
        option = decode(_OPTION, bytes(value.to), "an option of GitHub Projects")
    except Rejected:
        return None
    return option.name if option else None


_PROJECT_ITEM: Final = Decoder(_ProjectItemEvent)
_OPTION: Final = Decoder(_Option | None)
