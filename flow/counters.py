"""Counters only grow. This is what they gain when a late fact changes what a timeline contributes to them.

What is counted is of two sorts. *Amounts* (arrivals, rework, handoffs, blocked time) have no more to them than their
sum: of a correction a counter gains what its amount is larger by. *Events* (a departure with its stage time; an arrival
in `done` with cycle time, lead time, value and type; a reopening; a recovery) are counted whole or not at all, by the
fact that they happened at: of a correction their counters gain as many events as there are more than before, the
latest of those that were not there before. So

- a counter never falls, and an item's facts that arrive in their order are counted exactly;
- count, sum and buckets of a histogram, and the counter beside it, tell of the same events, for every label;
- each kind's count is never less than there are such events now, and its gain by one fact never more than what that
  fact made more of. A fact splits or adds one visit, so no kind counts an item more often than the item has facts
  (where a stream has several `done` stages, one that goes from one to another and back adds two completions and two
  reopenings);
- each event counts with what was true of it when it was counted: a time that a later fact moves to another bucket, or
  an item to another type, is not new and stays where it was counted.

Two orders of arrival may therefore end with different counters. Windows and gauges never do.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Final

from flow import vector
from flow.tally import CODE_MASK, FIRST_TYPE_KEY
from flow.vector import SLOT, Vector, stage_key

COMPLETION: Final = -1
REOPENING: Final = -2
"""Kinds of events besides the departures from a stage, whose kind is the stage's index."""

_AMOUNTS: Final = frozenset({vector.ARRIVALS, vector.REWORK, vector.HANDOFFS, vector.BLOCKED_TIME})


@dataclass(slots=True)
class Contribution:
    """What a timeline has for counters: amounts, and by kind its events in their order, by what they happened at."""

    amounts: Vector = field(default_factory=dict)
    events: dict[int, dict[Hashable, Vector]] = field(default_factory=dict)

    def add(self, kind: int, happened_at: Hashable, counted: Vector) -> None:
        """Add one event: what all counters count of it."""
        self.events.setdefault(kind, {})[happened_at] = counted


def gained(before: Contribution, after: Contribution) -> Vector:
    """What counters gain when the one becomes the other: never less than nothing, and no more than what is new."""
    more = {key: count for key in after.amounts if (count := after.amounts[key] - before.amounts.get(key, 0)) > 0}
    for kind, events in after.events.items():
        known: Mapping[Hashable, Vector] = before.events.get(kind, {})
        room = len(events) - len(known)
        if room > 0:
            for name in [name for name in events if name not in known][-room:]:
                vector.add(more, events[name])
    return more


def note_step(into: Contribution, fact: str, observed: Vector, spent: int) -> None:
    """Note the events of one step of an item's walk, the one at this fact. `spent`: ms in the stage it was in before.

    `observed` is what the step alone added to `Tally.observed`.
    """
    completion: Vector = {}
    for key, count in observed.items():
        if key < FIRST_TYPE_KEY:
            stage = key // SLOT
            departures, stage_time = stage_key(stage, vector.DEPARTURES), stage_key(stage, vector.STAGE_TIME)
            into.add(stage, fact, {key: count, departures: 1, stage_time: spent})
        elif key & CODE_MASK == vector.REOPENED:
            into.add(REOPENING, fact, {key: count})
        else:
            completion[key] = count
    if completion:
        into.add(COMPLETION, fact, completion)


def note_amounts(into: Contribution, cells: Mapping[int, Vector]) -> None:
    """Note the amounts that an item's cells add up to."""
    amounts = into.amounts
    for cell in cells.values():
        for key, count in cell.items():
            if key < FIRST_TYPE_KEY and key & CODE_MASK in _AMOUNTS:
                amounts[key] = amounts.get(key, 0) + count
