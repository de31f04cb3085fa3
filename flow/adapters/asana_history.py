"""An Asana task read through the API: what its thin events can't say, and where it was before.

| REST API | fact of the item |
|---|---|
| `gid` | item |
| `created_at`: in the section that the first move left, else in the one where it is | status |
| a story `section_changed`: `new_section.name` | status |
| a story `marked_complete` | status: that word; `marked_incomplete`: the section again |
| `memberships[].section.name`, or `marked_complete`, at `modified_at` | status, now |
| `memberships[].project.gid` | project |
| `tags[].name`, `name`, `permalink_url`, `resource_subtype` | labels (`blocked` blocks), title, url, type |

Identity: `task:GID:PROJECT:created`, `task:GID:PROJECT:story-GID`; the statement of now by content. A story tells its
own time, so whatever was missed is made good by any later reading. Sections have their names here: with a token, stages
are mapped by name. A task in several projects is told once in each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from msgspec import Struct

from flow.adapters.asana import SOURCE
from flow.adapters.history import Json, instant, shaped
from flow.adapters.reading import LONGEST_NAME, address_of, blocked_by, identified, labels_of, title_of, type_among
from flow.adapters.times import Moment
from flow.facts import Fact, ItemFact

COMPLETE: Final = "marked_complete"

_STORIES: Final = frozenset({"section_changed", COMPLETE, "marked_incomplete"})


class _Project(Struct, gc=False):
    gid: str


class _Section(Struct, gc=False):
    name: str
    project: _Project | None = None


class _Membership(Struct, gc=False):
    project: _Project
    section: _Section | None = None


class _Tag(Struct, gc=False):
    name: str


class _Task(Struct, gc=False):
    gid: str
    created_at: Moment
    modified_at: Moment = None
    name: str | None = None
    completed: bool = False
    permalink_url: str | None = None
    resource_subtype: str | None = None
    memberships: list[_Membership] = []
    tags: list[_Tag] = []


class _Story(Struct, gc=False):
    gid: str
    created_at: Moment
    resource_subtype: str | None = None
    new_section: _Section | None = None
    old_section: _Section | None = None


@dataclass(frozen=True, slots=True)
class _Place:
    """A task in one project: where it is, and the stories of it there, the oldest first."""

    task: _Task
    project: str | None
    section: str | None
    stories: list[_Story]


def facts_of_task(content: Json, contents: Sequence[Json]) -> list[Fact]:
    """Where the task was, and what it is now; `contents` are all its stories. Raises Rejected (not_understood)."""
    task = shaped(content, _Task, "a task of Asana")
    read = [shaped(entry, _Story, "a story of Asana") for entry in contents]
    known = [story for story in read if story.resource_subtype in _STORIES]
    stories = sorted(known, key=lambda story: instant("the story", story.created_at))
    return [fact for place in _places(task, stories) for fact in _told(place)]


def _places(task: _Task, stories: list[_Story]) -> Iterator[_Place]:
    if not task.memberships:
        yield _Place(task, None, None, [story for story in stories if story.resource_subtype != "section_changed"])
    alone = len(task.memberships) == 1
    for member in task.memberships:
        project = member.project.gid
        there = [story for story in stories if _is_of(story, project, alone=alone)]
        yield _Place(task, project, member.section.name if member.section else None, there)


def _is_of(story: _Story, project: str, *, alone: bool) -> bool:
    """Completion is of all projects; a move is of the project of its section, which Asana may not tell."""
    if story.resource_subtype != "section_changed":
        return True
    section = story.new_section
    if section is None:
        return False
    return section.project.gid == project if section.project else alone


def _told(place: _Place) -> Iterator[ItemFact]:
    task = place.task
    prefix = f"task:{task.gid}:{place.project or 'none'}"
    section = next((story.old_section.name for story in place.stories if story.old_section), place.section)
    yield _fact(place, f"{prefix}:created", instant("the task", task.created_at), section)
    for story in place.stories:
        if story.new_section is not None:
            section = story.new_section.name
        status = COMPLETE if story.resource_subtype == COMPLETE else section
        yield _fact(place, f"{prefix}:story-{story.gid}", instant("the story", story.created_at), status)
    at = instant("the task", task.modified_at if task.modified_at is not None else task.created_at)
    labels = labels_of(tag.name for tag in task.tags)
    now = _fact(place, "", at, COMPLETE if task.completed else place.section)
    now.seq = 1
    now.labels, now.blocked, now.type = labels, blocked_by(labels), type_among(labels) or task.resource_subtype
    now.title, now.url = title_of(task.name), address_of(task.permalink_url)
    yield identified(prefix, now)


def _fact(place: _Place, name: str, at: int, status: str | None) -> ItemFact:
    known = status[:LONGEST_NAME] if status else None
    return ItemFact(id=name, source=SOURCE, item=place.task.gid, at=at, status=known, project=place.project)
