"""Plane, v1 (community) and v2 (cloud): work items created, moved, edited, archived, deleted.

| v1 | v2 | fact of the item |
|---|---|---|
| `event` = issue, `action` (`created` or `create`, …) | `event` = `workitem.created`, … | |
| `data.id` | `data.id`; of a deletion `entity_id` | item |
| `data.updated_at`; of a creation `data.created_at` | the same | at |
| `activity.new_value` of the field state; else `data.state.name` | `data.state_id` | status |
| `data.labels[].name` | | labels; `blocked` blocks; a word for a type is the type |
| `data.project` | `data.project_id`; of a deletion in `previous_attributes` | project |
| `data.name` | `data.name` | title |
| `action` = deleted; archived, restored (`activity.field` is archived_at) | `workitem.deleted`, `.archived` | deleted |

Identity: by content. A deletion says no time: it is `issue:ID:deleted`, at the time when it arrived.
v2 names states, types and labels by ids only: a stream definition must list the state's id as the status.
Neither version gives the key (`WEB-12`) that people write, so other tools cannot name an item of Plane.
v1 sends one delivery a changed field. Both are read leniently: v2's documented sample has the text `None` for null, and
another name of the event than its documented one.
"""

from __future__ import annotations

import re
from typing import Annotated, Final

from msgspec import Meta, Raw, Struct, field
from msgspec.json import Decoder

from flow.adapters.delivery import Delivery, ItemNames, Translation
from flow.adapters.reading import (
    LONGEST_NAME,
    blocked_by,
    decode,
    event_time,
    identified,
    json_of,
    labels_of,
    title_of,
    type_among,
)
from flow.adapters.times import Moment
from flow.errors import Reason, Rejected
from flow.facts import ItemFact

SOURCE: Final = "plane"

_V2: Final = re.compile(r"(?:\w+\.)*(?:work_?item|issue)[._](\w{1,40})", re.IGNORECASE | re.ASCII)
"""`workitem.updated`, and `WebhookScope.ScopeChoices.WORK_ITEM_UPDATED` of the documented sample."""
_TENSES: Final = {"create": "created", "update": "updated", "delete": "deleted"}

_Id = Annotated[str, Meta(min_length=1, max_length=100)]


class _Named(Struct, gc=False):
    name: str | None = None


class _Item(Struct, gc=False):
    id: _Id | None = None
    name: str | None = None
    state: _Named | str | None = None
    state_detail: _Named | None = None
    state_id: str | None = None
    project: str | None = None
    project_id: str | None = None
    labels: list[_Named | str] | None = None
    created_at: Moment = None
    updated_at: Moment = None


class _Activity(Struct, gc=False):
    field: str | None = None
    new_value: str | int | float | bool | list[object] | dict[str, object] | None = None


class _Kind(Struct, gc=False):
    event: str | None = None
    action: str | None = None


class _Webhook(Struct, gc=False):
    item: _Item = field(name="data")
    activity: _Activity | None = None
    entity_id: _Id | None = None
    before: Raw = field(default=Raw(b"{}"), name="previous_attributes")


class _Deleted(Struct, gc=False):
    project_id: str | None = None


def translate(delivery: Delivery, item_names: ItemNames) -> Translation:
    """The facts of one webhook of Plane. Raises Rejected (not_understood, malformed_json)."""
    text = json_of(delivery)
    kind = decode(_KIND, text, "a webhook of Plane")
    event = kind.event or delivery.headers.get("x-plane-event", "")
    happened = _happened(event, kind.action)
    if happened is None:
        return Translation([], f"{event[:80] or 'unnamed'} events change no work item")
    webhook = decode(_WEBHOOK, text, f"a {event[:80]} event of Plane")
    item = webhook.item.id or webhook.entity_id
    if item is None:
        raise Rejected(Reason.NOT_UNDERSTOOD, "the work item of Plane has no id")
    if happened == "deleted":
        return Translation([_deleted(webhook, item, delivery.received_at)])
    return Translation([_item_fact(webhook, item, happened)])


def _happened(event: str, action: str | None) -> str | None:
    """What became of a work item: created, updated, deleted, or a word that Plane adds later. None: not of one."""
    found = _V2.fullmatch(event)
    word = (action or "") if event == "issue" else found[1] if found else ""
    word = word.lower()
    if word.startswith("comment") or not word:
        return None
    return _TENSES.get(word, word)


def _deleted(webhook: _Webhook, item: str, received_at: int) -> ItemFact:
    """A deletion tells no time; v2 tells what the item was."""
    try:
        before = decode(_DELETED, bytes(webhook.before), "what the work item was").project_id
    except Rejected:
        before = None
    project = _said(webhook.item.project_id) or _said(webhook.item.project) or _said(before)
    return ItemFact(id=f"issue:{item}:deleted", source=SOURCE, item=item, at=received_at, deleted=True, project=project)


def _item_fact(webhook: _Webhook, name: str, happened: str) -> ItemFact:
    item = webhook.item
    own_time = item.created_at if happened == "created" else None
    labels = _labels(item)
    fact = ItemFact(
        id="",
        source=SOURCE,
        item=name,
        at=event_time("the work item of Plane", _time(own_time), _time(item.updated_at)),
        status=_status(webhook),
        blocked=None if labels is None else blocked_by(labels),
        deleted=_archived(webhook, happened),
        labels=labels,
        project=_said(item.project_id) or _said(item.project),
        type=type_among(labels or ()),
        title=title_of(_said(item.name, 10_000)),
    )
    return identified(f"issue:{name}", fact)


def _archived(webhook: _Webhook, happened: str) -> bool | None:
    """An archived item has left the board."""
    activity = webhook.activity
    if activity is not None and activity.field == "archived_at":
        return {"archive": True, "restore": False}.get(str(activity.new_value))
    return True if happened == "archived" else None


def _status(webhook: _Webhook) -> str | None:
    """One delivery may tell of an older change than `data` shows: the activity is what happened."""
    item, activity = webhook.item, webhook.activity
    if activity and activity.field == "state" and isinstance(activity.new_value, str) and _said(activity.new_value):
        return activity.new_value
    detail = item.state if isinstance(item.state, _Named) else item.state_detail
    state = item.state if isinstance(item.state, str) else None
    return _said(detail.name if detail else None) or _said(state) or _said(item.state_id)


def _labels(item: _Item) -> tuple[str, ...] | None:
    """The labels by name. None where only their ids are told."""
    names = [label.name for label in item.labels or () if isinstance(label, _Named) and label.name]
    return labels_of(names) if names or item.labels == [] else None


def _said(text: str | None, most: int = LONGEST_NAME) -> str | None:
    return text if text and text != "None" and len(text) <= most else None


def _time(moment: Moment) -> Moment:
    return None if moment == "None" else moment


_KIND: Final = Decoder(_Kind)
_WEBHOOK: Final = Decoder(_Webhook)
_DELETED: Final = Decoder(_Deleted)
