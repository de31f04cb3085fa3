"""What readers are told of one item: a row of a list, or its whole story. Pure; times in seconds, instants RFC 3339."""

from __future__ import annotations

from typing import Any

import msgspec

from flow.definitions import Stream
from flow.instants import format_instant
from flow.matching import StageMap
from flow.timeline import Timeline
from flow.visits import Story, Told, Visit, story_of
from flow.walk import NOWHERE, Walk, Walker


class ItemTeller:
    """Tells of items of one stream, at an instant `now` (ms)."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._walker = Walker(stream)
        self._stage_map = StageMap(stream)

    def row(self, name: str, stage: int, since: int, timeline: Timeline, now: int) -> dict[str, Any]:
        """One line of a list: the item's place, as the list has it, and what else is known of it."""
        story = story_of(timeline, self._walker, self._stage_map)
        return {"item": name} | self._place(stage, since, story, now)

    def story(self, name: str, timeline: Timeline, now: int) -> dict[str, Any]:
        """Everything known of an item: its place, its times, its facts in order, its visits."""
        story = story_of(timeline, self._walker, self._stage_map)
        walk = story.walk
        finish = walk.finish
        place = self._place(walk.stage, walk.since, story, now)
        return {
            "stream": self._stream.name,
            "item": name,
            **place,
            "first_at": _instant(walk.first_at),
            "committed_at": _instant(walk.committed_at),
            "finished_at": None if finish is None else format_instant(finish.at),
            "lead_time": None if finish is None else finish.lead_time / 1000,
            "about": msgspec.structs.asdict(story.about),
            "visits": [self._visit(visit) for visit in story.visits],
            "blocked_intervals": [
                {"start": format_instant(start), "end": _instant(end)} for start, end in story.blocked
            ],
            "facts": [self._fact(told) for told in story.facts],
        }

    def _place(self, index: int, since: int, story: Story, now: int) -> dict[str, Any]:
        walk = story.walk
        if index == NOWHERE:
            return self._about(story) | dict.fromkeys(("stage", "since", "age", "item_age", "over_sle", "cycle_time"))
        stage = self._stream.stages[index]
        done = stage.kind == "done"
        age = max(0, now - since)
        over_sle = None if stage.sle is None or done else age > stage.sle.within
        return self._about(story) | {
            "stage": stage.name,
            "since": format_instant(since),
            "age": None if done else age / 1000,
            "item_age": None if done else _item_age(walk, now),
            "over_sle": over_sle,
            "cycle_time": walk.finish.cycle_time / 1000 if done and walk.finish is not None else None,
        }

    def _about(self, story: Story) -> dict[str, Any]:
        walk = story.walk
        return {
            "type": self._stream.item_types[walk.item_type],
            "title": story.about.title,
            "url": story.about.url,
            "blocked": walk.blocked and walk.stage != NOWHERE and not self._walker.is_done[walk.stage],
        }

    def _stage_name(self, index: int | None) -> str | None:
        return None if index is None else self._stream.stages[index].name

    def _visit(self, visit: Visit) -> dict[str, Any]:
        departed_at = visit.departed_at
        return {
            "stage": self._stage_name(visit.stage),
            "arrived_at": format_instant(visit.arrived_at),
            "departed_at": _instant(departed_at),
            "ending": visit.ending,
            "time": None if departed_at is None else (departed_at - visit.arrived_at) / 1000,
            "blocked_time": visit.blocked_time / 1000,
        }

    def _fact(self, told: Told) -> dict[str, Any]:
        entry, flags = told.entry, told.entry.flags
        signal = flags is not None and flags.signal
        return {
            "at": format_instant(entry.at),
            "seq": entry.seq,
            "id": entry.id,
            "status": None if signal else entry.word,
            "signal": entry.word if signal else None,
            "environment": None if flags is None else flags.environment,
            "blocked": None if flags is None else flags.blocked,
            "deleted": None if flags is None else flags.deleted,
            "labels": None if flags is None or flags.labels is None else list(flags.labels),
            "team": None if flags is None else flags.team,
            "stage": self._stage_name(told.stage),
        }


def _instant(instant: int | None) -> str | None:
    return None if instant is None else format_instant(instant)


def _item_age(walk: Walk, now: int) -> float | None:
    return None if walk.committed_at is None else max(0, now - walk.committed_at) / 1000
