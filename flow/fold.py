"""The fold: facts into timelines, timelines into what changes in the state.

A fact in order costs one step of its item's walk. A late fact is corrected exactly: the item's whole contribution
before it is taken out and the one after it put in. Counters only grow: of a correction they gain what is new.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from mypy_extensions import mypyc_attr

from flow import vector
from flow.brief import Brief
from flow.cells import Retention
from flow.counters import Contribution, gained, note_amounts, note_step
from flow.definitions import Stream
from flow.entries import Entry
from flow.moves import BatchTally, NoTally, StepTally
from flow.timeline import APPENDED, LATE, Timeline
from flow.vector import Vector
from flow.walk import NOWHERE, Walk, Walker
from flow.worth import Worth


@mypyc_attr(acyclic=True)
class Item:
    """One item in memory: its timeline, where that leads, and the place that the stored state shows.

    The place is a stage (an index, or NOWHERE), since when, whether blocked there, the item type's index, and what the
    item is worth while it waits in a queue.
    """

    __slots__ = ("blocked", "item_type", "since", "stage", "timeline", "walk", "worth")

    def __init__(self, timeline: Timeline, walk: Walk) -> None:
        self.timeline = timeline
        self.walk = walk
        self.stage = NOWHERE
        self.since = 0
        self.blocked = False
        self.item_type = 0
        self.worth: Worth | None = None


@dataclass(slots=True)
class Changes:
    """What some facts change in the state of one stream: deltas by cell and of the totals, rows of items, places.

    `rows` lists an item and its row by turns. By stage index, `left` lists items that are there no longer, `arrived` an
    arrival and an item by turns. `written_done` lists the touched items that are done, `reopened` those that were. By
    index of a queue, `ranked` lists a score (the negative WSJF) and an item by turns, `unranked` items that have no
    WSJF there any longer.
    `unmapped` counts statuses that no stage claims, by source and status, in the order of the log.
    """

    cells: dict[int, Vector] = field(default_factory=dict)
    totals: Vector = field(default_factory=dict)
    rows: list[str | bytes] = field(default_factory=list)
    left: dict[int, list[str]] = field(default_factory=dict)
    arrived: dict[int, list[int | str]] = field(default_factory=dict)
    written_done: list[str] = field(default_factory=list)
    reopened: list[str] = field(default_factory=list)
    ranked: dict[int, list[str]] = field(default_factory=dict)
    unranked: dict[int, list[str]] = field(default_factory=dict)
    unmapped: dict[tuple[str, str], int] = field(default_factory=dict)


class Fold:
    """Folds facts of one stream. Between `begin` and `take` the changes accumulate; each item comes once then."""

    def __init__(self, stream: Stream, retention: Retention) -> None:
        self.stream = stream
        self.walker = Walker(stream)
        self._retention = retention
        self._unmapped: dict[tuple[str, str], int] = {}
        self._first: dict[tuple[str, str], int] = {}
        self.begin(0)

    def begin(self, now: int) -> None:
        """Start a batch at this instant: it decides which cells are still kept."""
        self._now = now
        self._tally = BatchTally(now, self._retention, self.walker.edges)
        self._changes = Changes()
        self._unmapped = {}
        self._first = {}

    def new_item(self) -> Item:
        """An item of which no fact is known."""
        return Item(Timeline(), self.walker.start())

    def items_of(self, rows: Sequence[bytes | None]) -> list[Item]:
        """Items from their rows; None: no fact of it is known. Raises as `load_item` does."""
        return [self.load_item(row) if row else self.new_item() for row in rows]

    def load_item(self, row: bytes) -> Item:
        """An item from its stored timeline. Raises msgspec.DecodeError on a row that is not one."""
        timeline = Timeline.unpack(row)
        walk = self._replay(timeline, NoTally(self.walker.edges))
        item = Item(timeline, walk)
        self._show(item)
        return item

    def apply(self, name: str, item: Item, briefs: list[Brief]) -> list[tuple[Brief, int]]:
        """Fold facts into their item, in this order: all that this batch has of it.

        Returns those that were not appended, each with what became of it: LATE, DUPLICATE or FULL (`flow.timeline`).
        """
        others: list[tuple[Brief, int]] = []
        is_changed = False
        for brief in briefs:
            added = self._add(item, brief)
            if added == APPENDED:
                is_changed = True
            else:
                is_changed = is_changed or added == LATE
                others.append((brief, added))
        if is_changed:
            self._finish(name, item)
        return others

    def apply_all(self, told: list[tuple[tuple[str, list[Brief]], Item]]) -> list[tuple[str, Brief, int]]:
        """As `apply`, of many items: the name and facts of each, and the item. The lists of facts are empty then."""
        others: list[tuple[str, Brief, int]] = []
        for (name, briefs), item in told:
            for brief, why in self.apply(name, item, briefs):
                others.append((name, brief, why))
            briefs.clear()  # let go of while they still lie in the processor's cache
        return others

    def recount(self, name: str, item: Item) -> None:
        """Count an item's whole contribution afresh, as if the state held nothing of it yet: for a recomputation.

        Of the sources that told of it only the latest is known then; its unmapped statuses count there.
        """
        item.walk = self._replay(item.timeline, self._tally, count_unmapped=True)
        item.stage, item.blocked, item.worth = NOWHERE, False, None
        self._finish(name, item)

    def take(self) -> Changes:
        """The changes since `begin`."""
        changes = self._changes
        self._tally.settle()
        vector.add(changes.totals, self._tally.counters())
        for cell, delta in self._tally.cells.items():
            found = changes.cells.get(cell)
            if found is None:
                changes.cells[cell] = delta
            else:
                vector.add(found, delta)
        changes.unmapped = {told: self._unmapped[told] for told in sorted(self._unmapped, key=self._first.__getitem__)}
        return changes

    def _add(self, item: Item, brief: Brief) -> int:
        timeline, at, word, flags = item.timeline, brief.at, brief.word, brief.flags
        added = timeline.append(at, brief.seq, brief.id, word, flags)
        if added == APPENDED:
            if timeline.state(at, brief.seq, brief.id, brief.about):
                self.walker.describe(item.walk, timeline.about(), self._tally)
            if not self.walker.step(item.walk, at, word, flags, self._tally):
                self._count_unmapped(brief.source, word, brief.place)
        elif added == LATE:
            self._correct(item, Entry(at, brief.seq, brief.id, word, flags), brief.about)
            if not self.walker.claims(word, flags):
                self._count_unmapped(brief.source, word, brief.place)
        return added

    def _finish(self, name: str, item: Item) -> None:
        """Note the item's row, and its place; it shows that from now on."""
        changes = self._changes
        changes.rows.append(name)
        changes.rows.append(item.timeline.pack())
        self._note_place(name, item, changes)

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
        if item.worth is not None or walk.worth is not None:
            self._note_worth(name, item, changes)
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

    def _note_worth(self, name: str, item: Item, changes: Changes) -> None:
        """Keep what waits in queues, and its order, as it is now."""
        was, worth, left, stage = item.worth, self._waiting(item.walk), item.stage, item.walk.stage
        if was == worth and left == stage:
            return
        rank = None if worth is None else worth.wsjf
        if was is not None:
            _change_worth(changes.totals, left, was, -1)
            if was.wsjf is not None and (rank is None or left != stage):
                changes.unranked.setdefault(left, []).append(name)
        if worth is not None:
            _change_worth(changes.totals, stage, worth, 1)
            if rank is not None:
                changes.ranked.setdefault(stage, []).extend((repr(-rank), name))

    def _waiting(self, walk: Walk) -> Worth | None:
        """What the item is worth, while it waits in a queue."""
        return walk.worth if walk.stage != NOWHERE and self.walker.is_queue[walk.stage] else None

    def _show(self, item: Item) -> None:
        walk = item.walk
        item.stage, item.since, item.item_type = walk.stage, walk.since, walk.item_type
        item.blocked = walk.blocked and walk.stage != NOWHERE and not self.walker.is_done[walk.stage]
        item.worth = self._waiting(walk) if walk.worth is not None else None

    def _correct(self, item: Item, entry: Entry, about: bytes) -> None:
        before, after = self._step_tally(), self._step_tally()
        _, had = self._account(item.timeline, before)
        item.timeline.insert(entry, about)
        item.walk, has = self._account(item.timeline, after)
        changes = self._changes
        for cell, delta in after.cells.items():
            vector.add(changes.cells.setdefault(cell, {}), delta)
        for cell, delta in before.cells.items():
            vector.subtract(changes.cells.setdefault(cell, {}), delta)
        vector.add(changes.totals, gained(had, has))

    def _step_tally(self) -> StepTally:
        return StepTally(self._now, self._retention, self.walker.edges)

    def _account(self, timeline: Timeline, tally: StepTally) -> tuple[Walk, Contribution]:
        """As `_replay`, with what it is that counters count."""
        walker, counted = self.walker, Contribution()
        walk = walker.start()
        walker.describe(walk, timeline.about(), tally)
        for entry in timeline.entries():
            since = walk.since
            walker.step(walk, entry.at, entry.word, entry.flags, tally)
            if tally.observed:
                note_step(counted, entry.id, tally.observed, entry.at - since)
                tally.observed = {}
        note_amounts(counted, tally.cells)
        return walk, counted

    def _replay(self, timeline: Timeline, tally: StepTally, count_unmapped: bool = False) -> Walk:
        walker, about = self.walker, timeline.about()
        walk = walker.start()
        walker.describe(walk, about, tally)
        for entry in timeline.entries():
            if not walker.step(walk, entry.at, entry.word, entry.flags, tally) and count_unmapped:
                self._count_unmapped(about.source or "", entry.word, len(self._first))
        return walk

    def _count_unmapped(self, source: str, word: str | None, place: int) -> None:
        assert word is not None
        told = (source, word)
        self._unmapped[told] = self._unmapped.get(told, 0) + 1
        self._first[told] = min(place, self._first.get(told, place))


def _change_worth(totals: Vector, stage: int, worth: Worth, sign: int) -> None:
    if worth.value is not None:
        _change(totals, vector.stage_key(stage, vector.VALUE_WAITING), sign * worth.value)
        _change(totals, vector.stage_key(stage, vector.VALUED_ITEMS), sign)
    _change(totals, vector.stage_key(stage, vector.DELAY_COST), sign * worth.cost_of_delay)


def _change(totals: Vector, key: int, by: int) -> None:
    totals[key] = totals.get(key, 0) + by
