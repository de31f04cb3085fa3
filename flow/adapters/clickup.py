"""ClickUp: tasks created, moved between statuses and lists, blocked by a tag, deleted.

| webhook | fact of the item |
|---|---|
| `task_id` | item |
| `history_items[].date` | at |
| `history_items[field = status].after.status` | status |
| `history_items[].parent_id`, which is the list; of a move to another list `after.id` | project |
| `history_items[field = tag]`: `blocked` added blocks, removed unblocks | blocked |
| `event` = `taskDeleted` | deleted |

Identity: `task:ID:ITEM` after the history item's own id. One change of status is told up to three times (taskCreated,
taskUpdated, taskStatusUpdated) with the same history item, so it becomes one fact. A deletion has neither an id nor a
time: it is `task:ID:deleted`, and stands at the time when it arrived.
A title, a type and tags that were there before are not in the webhook: ClickUp's API has them.
Shapes: https://developer.clickup.com/docs/webhooktaskpayloads
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Raw, Struct
from msgspec.json import Decoder

from flow.adapters.delivery import Delivery, ItemNames, Translation
from flow.adapters.reading import Name, blocked_by, decode, event_time, json_of
from flow.adapters.times import Moment
from flow.errors import Rejected
from flow.facts import Fact, ItemFact

SOURCE: Final = "clickup"

_Id = Annotated[str, Meta(min_length=1, max_length=100)]

_LIST_MOVES: Final = frozenset({"section_moved", "list_moved"})
_TAGS: Final = frozenset({"tag", "tag_removed"})


class _Item(Struct, gc=False):
    id: _Id
    field: str
    date: Moment = None
    parent_id: _Id | None = None
    before: Raw = Raw(b"null")
    after: Raw = Raw(b"null")


class _Webhook(Struct, gc=False):
    event: str
    task_id: _Id | None = None
    history_items: Annotated[list[_Item], Meta(max_length=1_000)] | None = None


class _Status(Struct, gc=False):
    status: Name


class _List(Struct, gc=False):
    id: _Id


class _Tag(Struct, gc=False):
    name: str


def translate(delivery: Delivery, item_names: ItemNames) -> Translation:
    """The facts of one webhook of ClickUp. Raises Rejected (not_understood, malformed_json)."""
    webhook = decode(_WEBHOOK, json_of(delivery), "a webhook of ClickUp")
    task = webhook.task_id
    if task is None:
        return Translation([], f"{webhook.event[:80]} events are of no task")
    if webhook.event == "taskDeleted":
        at = delivery.received_at
        return Translation([ItemFact(id=f"task:{task}:deleted", source=SOURCE, item=task, at=at, deleted=True)])
    items = webhook.history_items or []
    fields = ", ".join(dict.fromkeys(item.field[:40] for item in items[:5])) or "nothing"
    if any(item.field == "status" for item in items):  # it says all that the creation says, and more
        items = [item for item in items if item.field != "task_creation"]
    told = (_read(item, task) for item in items)
    facts: list[Fact] = [fact for fact in told if fact is not None]
    return Translation(facts, None if facts else f"a change of {fields} moves no task")


def _read(item: _Item, task: str) -> ItemFact | None:
    if item.field == "status":
        fact = _fact(item, task)
        fact.status = decode(_STATUS, item.after, "a status of ClickUp").status
    elif item.field == "task_creation":
        fact = _fact(item, task)
    elif item.field in _LIST_MOVES:
        fact = _fact(item, task)
        fact.project = decode(_LIST, item.after, "a list of ClickUp").id
    elif item.field in _TAGS:
        blocked = _blocked(item)
        if blocked is None:
            return None
        fact = _fact(item, task)
        fact.blocked = blocked
    else:
        return None
    return fact


def _fact(item: _Item, task: str) -> ItemFact:
    at = event_time("the history item of ClickUp", item.date)
    return ItemFact(id=f"task:{task}:{item.id}", source=SOURCE, item=task, at=at, project=item.parent_id)


def _blocked(item: _Item) -> bool | None:
    """What a change of tags says of the tag `blocked`: it came, it went, or None."""
    before, after = _tags(item.before), _tags(item.after)
    if item.field == "tag_removed":
        return False if blocked_by([*before, *after]) else None
    if blocked_by(before) == blocked_by(after):
        return None
    return blocked_by(after)


def _tags(raw: Raw) -> list[str]:
    """The names in a list of tags; whatever else stands there names none."""
    try:
        return [tag.name for tag in decode(_TAG_LIST, raw, "tags of ClickUp") or ()]
    except Rejected:
        return []


_WEBHOOK: Final = Decoder(_Webhook)
_STATUS: Final = Decoder(_Status)
_LIST: Final = Decoder(_List)
_TAG_LIST: Final = Decoder(list[_Tag] | None)
