"""Asana: tasks that come, go, and are completed. Its events are thin, and say little without Asana's API.

| event | fact of the item |
|---|---|
| `resource.gid` of a task, or `parent.gid` of a story | item |
| `created_at` | at |
| `added` to a section (`parent` is one) | status: the section's gid, for its name is not told |
| `added` to a project (`parent` is one) | project: the project's gid |
| a story `marked_complete` or `marked_incomplete` was `added` | status: that word |
| `deleted`, `undeleted` | deleted |

Identity: by content; an event has no id of its own, and Asana sends the same one to every webhook that covers it.
Names of sections, projects and tasks, types and custom fields are not in any event: `changed` events only say which
field changed. With a token the task is read through the API (`flow.adapters.asana_history`); without one, map sections
by their gid.
The handshake's body and the heartbeat hold no events.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct
from msgspec.json import Decoder

from flow.adapters.delivery import Delivery, ItemNames, Translation
from flow.adapters.reading import decode, event_time, identified, json_of
from flow.adapters.times import Moment
from flow.facts import ItemFact

SOURCE: Final = "asana"

MOST_EVENTS: Final = 10_000
"""In one delivery; far more than it makes sense to send."""

_STORIES: Final = frozenset({"marked_complete", "marked_incomplete"})
_TELLING: Final = _STORIES | {"section_changed", "added_to_project", "removed_from_project", "name_changed"}
"""Stories of what is read of a task; comments and likes are not."""

_Gid = Annotated[str, Meta(min_length=1, max_length=100)]


class _Resource(Struct, gc=False):
    gid: _Gid
    resource_type: str | None = None
    resource_subtype: str | None = None


class _Change(Struct, gc=False):
    field: str | None = None


class _Event(Struct, gc=False):
    action: str
    resource: _Resource
    created_at: Moment = None
    parent: _Resource | None = None
    change: _Change | None = None


class _Events(Struct, gc=False):
    events: Annotated[list[_Event], Meta(max_length=MOST_EVENTS)] = []


def translate(delivery: Delivery, item_names: ItemNames) -> Translation:
    """The facts of one delivery of Asana, each once. Raises Rejected (not_understood, malformed_json)."""
    events = decode(_EVENTS, json_of(delivery), "events of Asana").events
    if not events:
        return Translation([], "a handshake or a heartbeat: it holds no events")
    told = [_read(event) for event in events]
    facts = {fact.id: fact for fact in told if isinstance(fact, ItemFact)}
    reasons = dict.fromkeys(reason for reason in told if isinstance(reason, str))
    unread = dict.fromkeys(task for event in events if (task := _task_of(event)) is not None)
    return Translation(list(facts.values()), None if facts else "; ".join(list(reasons)[:5]), tuple(unread))


def _task_of(event: _Event) -> str | None:
    """The task that an event is about, if there still is one to read."""
    if event.resource.resource_type == "task":
        return None if event.action == "deleted" else event.resource.gid
    of_story = event.resource.resource_type == "story" and event.parent is not None
    if not of_story or event.parent is None or event.parent.resource_type != "task":
        return None
    return event.parent.gid if event.resource.resource_subtype in _TELLING else None


def _read(event: _Event) -> ItemFact | str:
    """The fact that an event tells, or why it tells none."""
    resource, parent = event.resource, event.parent
    if resource.resource_type == "story":
        return _read_story(event)
    if resource.resource_type != "task":
        return f"events of a {(resource.resource_type or 'resource without type')[:40]} tell of no work item"
    if event.action in {"deleted", "undeleted"}:
        return _fact(event, resource.gid, deleted=event.action == "deleted")
    if event.action == "added":
        where = parent.resource_type if parent else None
        section = parent.gid if parent and where == "section" else None
        project = parent.gid if parent and where == "project" else None
        return _fact(event, resource.gid, status=section, project=project)
    if event.action == "changed":
        changed = (event.change.field if event.change else None) or "something"
        return f"Asana says that {changed[:40]} changed, but not to what: it must be read through the API"
    return f"a task that was {event.action[:40]} may still be elsewhere"


def _read_story(event: _Event) -> ItemFact | str:
    parent, subtype = event.parent, event.resource.resource_subtype
    if event.action != "added" or subtype not in _STORIES or parent is None or parent.resource_type != "task":
        return f"a story of type {(subtype or 'unknown')[:40]} does not say what it was changed to"
    return _fact(event, parent.gid, status=subtype)


def _fact(
    event: _Event, item: str, *, status: str | None = None, project: str | None = None, deleted: bool | None = None
) -> ItemFact:
    at = event_time("the event of Asana", event.created_at)
    fact = ItemFact(id="", source=SOURCE, item=item, at=at, status=status, deleted=deleted, project=project)
    return identified(f"task:{item}", fact)


_EVENTS: Final = Decoder(_Events)
