"""One item's story: its facts as stages, its visits, when it was blocked, and its times. For readers of one item.

The story is what `flow.walk` does step by step, watched: both can't tell it differently.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from flow.entries import About, Entry
from flow.matching import StageMap
from flow.moves import NoTally
from flow.timeline import Timeline
from flow.walk import NOWHERE, Walk, Walker

Ending = Literal["forward", "rework", "removed"]


@dataclass(slots=True)
class Visit:
    """One uninterrupted stay in a stage (an index). Instants in ms; None: it lasts.

    `blocked_time` (ms) is that of the blocked intervals that are over.
    """

    stage: int
    arrived_at: int
    departed_at: int | None = None
    ending: Ending | None = None
    blocked_time: int = 0


@dataclass(slots=True)
class Told:
    """One fact and the stage that it means (an index; None: no stage claims it, or it says nothing of one)."""

    entry: Entry
    stage: int | None


@dataclass(slots=True)
class Story:
    """All of it. `blocked` holds intervals of the blocked flag, the last without an end while it is set."""

    walk: Walk
    about: About
    facts: list[Told] = field(default_factory=list)
    visits: list[Visit] = field(default_factory=list)
    blocked: list[tuple[int, int | None]] = field(default_factory=list)


def story_of(timeline: Timeline, walker: Walker, stage_map: StageMap) -> Story:
    """What the facts of one item tell. `walker` and `stage_map` are made from the definition of its stream."""
    story = Story(walker.start(), timeline.about())
    walk, tally = story.walk, NoTally(walker.edges)
    walker.describe(walk, story.about, tally)
    for entry in timeline.entries():
        stage, was_blocked = walk.stage, walk.blocked
        walker.step(walk, entry.at, entry.word, entry.flags, tally)
        story.facts.append(Told(entry, stage_map.stage_of_entry(entry.word, entry.flags)))
        _note_blocked(story, was_blocked, walk.blocked, entry.at)
        if walk.stage != stage:
            _note_move(story, stage, walk.stage, entry.at, walker)
    for visit in story.visits:
        if not walker.is_done[visit.stage]:
            visit.blocked_time = _blocked_during(story.blocked, visit)
    return story


def _note_blocked(story: Story, before: bool, after: bool, at: int) -> None:
    if after and not before:
        story.blocked.append((at, None))
    elif before and not after:
        story.blocked[-1] = story.blocked[-1][0], at


def _note_move(story: Story, left: int, stage: int, at: int, walker: Walker) -> None:
    if left != NOWHERE:
        visit = story.visits[-1]
        visit.departed_at = at
        visit.ending = _ending(left, stage, walker)
    if stage != NOWHERE:
        story.visits.append(Visit(stage, at))


def _ending(left: int, stage: int, walker: Walker) -> Ending:
    if stage == NOWHERE:
        return "removed"
    reopened = walker.is_done[left] and not walker.is_done[stage]
    return "rework" if stage < left or reopened else "forward"


def _blocked_during(blocked: Sequence[tuple[int, int | None]], visit: Visit) -> int:
    """The blocked time within a visit, of the intervals that are over: each ends with the flag or with the visit."""
    total = 0
    for start, end in blocked:
        ends = [instant for instant in (end, visit.departed_at) if instant is not None]
        if ends:
            total += max(0, min(ends) - max(start, visit.arrived_at))
    return total
