"""The fold: facts into timelines, timelines into what changes in the state.

A fact in order costs one step of its item's walk. A late fact is corrected exactly: the item's whole contribution
before it is taken out and the one after it put in. Counters only grow: of a correction they gain what is new.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from flow import vector
from flow.cells import Retention
from flow.counters import families_of, gained
from flow.definitions import Stream
from flow.entries import Entry, Flags, encode, values_of
from flow.facts import ItemFact, SignalFact
from flow.tally import Tally
from flow.timeline import APPENDED, LATE, NOTHING_SAID, Timeline
from flow.vector import Vector
from flow.walk import NOWHERE, Walk, Walker


class Item:
    """One item in memory: its timeline, where that leads, and the place that the stored state shows.

    The place is a stage (an index, or NOWHERE), since when, whether blocked there, and the item type's index.
    """

    __slots__ = ("blocked", "item_type", "since", "stage", "timeline", "walk")

    def __init__(self, timeline: Timeline, walk: Walk) -> None:
        self.timeline = timeline
        self.walk = walk
        self.stage = NOWHERE
        self.since = 0
        self.blocked = False
        self.item_type = 0


@dataclass(slots=True)
class Changes:
    """What some facts change in the state of one stream: deltas by cell and of the totals, rows of items, places.

    By stage index, `left` lists items that are there no longer, `arrived` an arrival and an item by turns.
    `written_done` lists the touched items that are done, `reopened` those that were.
    """

    cells: dict[int, Vector] = field(default_factory=dict)
    totals: Vector = field(default_factory=dict)
    timelines: dict[str, bytes] = field(default_factory=dict)
    left: dict[int, list[str]] = field(default_factory=dict)
    arrived: dict[int, list[int | str]] = field(default_factory=dict)
    written_done: list[str] = field(default_factory=list)
    reopened: list[str] = field(default_factory=list)
    unmapped: dict[str, int] = field(default_factory=dict)


class Fold:
    """Folds facts of one stream. Between two `take` calls the changes accumulate."""

    def __init__(self, stream: Stream, retention: Retention) -> None:
        self.stream = stream
        self.walker = Walker(stream)
        self._retention = retention
        self._families = families_of(stream)
        self._touched: dict[str, Item] = {}
        self._unmapped: dict[str, int] = {}
        self.begin(0)

    def begin(self, now: int) -> None:
        """Start a batch at this instant: it decides which cells are still kept."""
        self._now = now
        self._tally = Tally(now, self._retention)
        self._corrections = Changes()
        self._touched = {}
        self._unmapped = {}

    def new_item(self) -> Item:
        """An item of which no fact is known."""
        return Item(Timeline(), self.walker.start())

    def load_item(self, row: bytes) -> Item:
        """An item from its stored timeline. Raises msgspec.DecodeError on a row that is not one."""
        timeline = Timeline.unpack(row)
        walk = self._replay(timeline, Tally(self._now, self._retention))
        item = Item(timeline, walk)
        self._show(item)
        return item

    def apply(self, name: str, item: Item, fact: ItemFact | SignalFact) -> int:
        """Fold one fact into its item: APPENDED, LATE, DUPLICATE or FULL (`flow.timeline`)."""
        if isinstance(fact, ItemFact):
            (
                identifier, source, _, at, seq, word, blocked, deleted, labels, project, item_type, team,
                title, url, value, criticality, risk_reduction, size,
            ) = values_of(fact)  # fmt: skip
            about = encode((source, project, item_type, title, url, value, criticality, risk_reduction, size))
            flags = None
            if blocked is not None or deleted is not None or labels is not None or team is not None:
                flags = Flags(False, None, blocked, deleted, labels, team)
        else:
            identifier, at, seq, word = fact.id, fact.at, fact.seq, fact.signal
            about, flags = NOTHING_SAID, Flags(True, fact.environment)
        timeline = item.timeline
        added = timeline.append(at, seq, identifier, word, flags)
        if added == APPENDED:
            if timeline.state(at, seq, identifier, about):
                self.walker.describe(item.walk, timeline.about(), self._tally)
            if not self.walker.step(item.walk, at, word, flags, self._tally):
                self._count_unmapped(word)
        elif added == LATE:
            self._correct(item, Entry(at, seq, identifier, word, flags), about)
        else:
            return added
        self._touched[name] = item
        return added

    def recount(self, name: str, item: Item) -> None:
        """Count an item's whole contribution afresh, as if the state held nothing of it yet: for a recomputation."""
        item.walk = self._replay(item.timeline, self._tally, self._unmapped)
        item.stage, item.blocked = NOWHERE, False
        self._touched[name] = item

    def take(self) -> Changes:
        """The changes since `begin`. Items now show their new place."""
        changes = self._corrections
        vector.add(changes.totals, self._tally.counters())
        for cell, delta in self._tally.cells.items():
            vector.add(changes.cells.setdefault(cell, {}), delta)
        changes.unmapped = self._unmapped
        for name, item in self._touched.items():
            changes.timelines[name] = item.timeline.pack()
            self._note_place(name, item, changes)
        return changes

    def _note_place(self, name: str, item: Item, changes: Changes) -> None:
        was, walk = item.stage, item.walk
        stage, since = walk.stage, walk.since
        is_done = self.walker.is_done
        if stage != was or since != item.since:
            if was not in {stage, NOWHERE}:
                changes.left.setdefault(was, []).append(name)
                if is_done[was] and (stage == NOWHERE or not is_done[stage]):
                    changes.reopened.append(name)
            if stage != NOWHERE:
                changes.arrived.setdefault(stage, []).extend((since, name))
        if stage != NOWHERE and is_done[stage]:
            changes.written_done.append(name)
        self._count_gauges(item, changes.totals)
        self._show(item)

    def _count_gauges(self, item: Item, totals: Vector) -> None:
        walk, is_done = item.walk, self.walker.is_done
        was_in_progress = item.stage != NOWHERE and not is_done[item.stage]
        in_progress = walk.stage != NOWHERE and not is_done[walk.stage]
        if was_in_progress != in_progress or item.item_type != walk.item_type:
            if was_in_progress:
                _change(totals, vector.type_key(item.item_type, vector.TYPE_WIP), -1)
            if in_progress:
                _change(totals, vector.type_key(walk.item_type, vector.TYPE_WIP), 1)
        if item.blocked:
            _change(totals, vector.stage_key(item.stage, vector.BLOCKED_ITEMS), -1)
        if in_progress and walk.blocked:
            _change(totals, vector.stage_key(walk.stage, vector.BLOCKED_ITEMS), 1)

    def _show(self, item: Item) -> None:
        walk = item.walk
        item.stage, item.since, item.item_type = walk.stage, walk.since, walk.item_type
        item.blocked = walk.blocked and walk.stage != NOWHERE and not self.walker.is_done[walk.stage]

    def _correct(self, item: Item, entry: Entry, about: bytes) -> None:
        before, after = Tally(self._now, self._retention), Tally(self._now, self._retention)
        self._replay(item.timeline, before)
        item.timeline.insert(entry, about)
        item.walk = self._replay(item.timeline, after)
        if not self.walker.claims(entry.word, entry.flags):
            self._count_unmapped(entry.word)
        changes = self._corrections
        for cell, delta in after.cells.items():
            vector.add(changes.cells.setdefault(cell, {}), delta)
        for cell, delta in before.cells.items():
            vector.subtract(changes.cells.setdefault(cell, {}), delta)
        vector.add(changes.totals, gained(before.counters(), after.counters(), self._families))

    def _replay(self, timeline: Timeline, tally: Tally, unmapped: dict[str, int] | None = None) -> Walk:
        walker = self.walker
        walk = walker.start()
        walker.describe(walk, timeline.about(), tally)
        for entry in timeline.entries():
            if not walker.step(walk, entry.at, entry.word, entry.flags, tally) and unmapped is not None:
                self._count_unmapped(entry.word)
        return walk

    def _count_unmapped(self, word: str | None) -> None:
        assert word is not None
        self._unmapped[word] = self._unmapped.get(word, 0) + 1


def _change(totals: Vector, key: int, by: int) -> None:
    totals[key] = totals.get(key, 0) + by
