"""What a timeline means under a stream definition: one step a fact, and the measures that each step adds.

`Walk` is where an item stands after some of its facts. `Walker.step` moves it one fact further and tallies the
measures at the instants where they belong. Facts that arrive in order cost one step. The same steps, from the start of
the timeline, give an item's whole contribution: that is how late facts are corrected (`flow.fold`), so there is one
definition of every measure.

Definitions (Kanban Guide; DESIGN part 1): a visit starts at the fact that moves the item to another stage and ends at
the one that moves it away. A deletion ends the visit too: a departure with a stage time, neither forward nor rework;
what is done stays done. Blocked time counts at the end of each blocked interval within a visit. What is finished
counts once, at the item's last arrival in `done`, and is taken back while the item is reopened. A handoff is a fact
that names another team than the last named one; it counts in the stage that the item was in before it, unless done.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import mypyc_attr

from flow import vector
from flow.buckets import edges_of
from flow.definitions import Stream
from flow.entries import About, Flags
from flow.matching import StageMap
from flow.moves import Finish, StepTally
from flow.worth import Worth, worth_of

NOWHERE: Final = -1
"""The stage of an item that has not arrived anywhere, or was deleted."""


@mypyc_attr(acyclic=True)
class Walk:
    """Where an item stands. Instants and times in milliseconds; `stage` is an index, or NOWHERE.

    `forwards` lists a stage that was left forwards, and when, by turns.
    """

    __slots__ = (
        "active_time",
        "blocked",
        "blocked_in_visit",
        "blocked_since",
        "committed_at",
        "deleted",
        "finish",
        "first_at",
        "forwards",
        "item_type",
        "known_stage",
        "since",
        "stage",
        "team",
        "value",
        "worth",
    )

    def __init__(self, other_type: int) -> None:
        self.stage = NOWHERE
        self.since = 0
        self.first_at: int | None = None
        self.committed_at: int | None = None
        self.blocked = False
        self.blocked_since = 0
        self.blocked_in_visit = 0
        self.active_time = 0
        self.deleted = False
        self.known_stage = NOWHERE
        self.item_type = other_type
        self.value = 0
        self.worth: Worth | None = None
        self.team: str | None = None
        self.finish: Finish | None = None
        self.forwards: list[int] = []


class Walker:
    """Steps items of one stream through their facts."""

    def __init__(self, stream: Stream) -> None:
        self._stage_map = StageMap(stream)
        self._by_status = self._stage_map.by_status
        self.commitment = stream.commitment
        self.is_done = [stage.kind == "done" for stage in stream.stages]
        self.is_active = [stage.kind == "active" for stage in stream.stages]
        self.is_queue = [stage.kind == "queue" for stage in stream.stages]
        self.edges = edges_of(stream)
        self._types = _type_indices(stream)
        self.other_type = len(stream.types)

    def start(self) -> Walk:
        """An item before its first fact."""
        return Walk(self.other_type)

    def step(self, walk: Walk, at: int, word: str | None, flags: Flags | None, tally: StepTally) -> bool:
        """One fact further. False when the fact's status is claimed by no stage."""
        if walk.first_at is None:
            walk.first_at = at
        if flags is None:
            stage = self._by_status.get(word) if word is not None else None
            mapped = stage is not None or word is None
        else:
            stage = self._stage_map.stage_of_entry(word, flags)
            mapped = stage is not None or word is None or flags.signal
            if flags.blocked is not None and flags.blocked != walk.blocked:
                self._flag(walk, flags.blocked, at, tally)
            if flags.team is not None:
                self._hand_over(walk, flags.team, at, tally)
        if stage is not None:
            walk.known_stage = stage
        if walk.deleted or (flags is not None and flags.deleted):
            stage = self._presence(walk, stage, flags, at, tally)
        if stage is not None and stage != walk.stage:
            self._move(walk, stage, at, tally)
        return mapped

    def describe(self, walk: Walk, about: About, tally: StepTally) -> None:
        """What is known about the item is now this: what it finished counts under its type, with its value."""
        walk.worth = worth_of(about)
        item_type = self.other_type if about.type is None else self._type_of(about.type)
        value = 0 if about.value is None else round(about.value * 1000)
        if item_type == walk.item_type and value == walk.value:
            return
        walk.item_type, walk.value = item_type, value
        finish = walk.finish
        if finish is not None:
            tally.count_finish(finish, -1)
            finish.item_type, finish.value = item_type, value
            tally.count_finish(finish, 1)

    def _type_of(self, word: str) -> int:
        """The index of the item type that a provider's word means."""
        found = self._types.get(word)
        return self._types.get(word.casefold(), self.other_type) if found is None else found

    def claims(self, word: str | None, flags: Flags | None) -> bool:
        """Whether what a fact says of the item's status means a stage, or it says nothing of it."""
        if word is None or (flags is not None and flags.signal):
            return True
        return self._stage_map.stage_of_entry(word, flags) is not None

    def _presence(self, walk: Walk, stage: int | None, flags: Flags | None, at: int, tally: StepTally) -> int | None:
        """The stage that a deletion or a restoration leaves to arrive in.

        A deleted item comes back by a status, there, or by `deleted: false`, where it last was.
        """
        deleted = None if flags is None else flags.deleted
        if deleted:
            self._delete(walk, at, tally)
            return None
        if stage is None and deleted is None:
            return None
        walk.deleted = False
        return walk.known_stage if walk.known_stage != NOWHERE else None

    def _hand_over(self, walk: Walk, team: str, at: int, tally: StepTally) -> None:
        """Another team than before has the item: a handoff, while it is in progress."""
        if walk.team not in {None, team} and walk.stage != NOWHERE and not self.is_done[walk.stage]:
            tally.note(at, walk.stage, vector.HANDOFFS, 1)
        walk.team = team

    def _flag(self, walk: Walk, blocked: bool, at: int, tally: StepTally) -> None:
        if not blocked and walk.stage != NOWHERE:
            self._end_blocked(walk, at, tally)
        walk.blocked = blocked
        walk.blocked_since = at

    def _end_blocked(self, walk: Walk, at: int, tally: StepTally) -> None:
        """Count the blocked interval that ends now, unless the item is done."""
        spent = at - walk.blocked_since
        if spent and not self.is_done[walk.stage]:
            walk.blocked_in_visit += spent
            tally.note(at, walk.stage, vector.BLOCKED_TIME, spent)

    def _delete(self, walk: Walk, at: int, tally: StepTally) -> None:
        walk.deleted = True
        if walk.stage != NOWHERE and not self.is_done[walk.stage]:
            self._depart(walk, at, tally)
            tally.note(at, walk.stage, vector.REMOVED, 1)
            walk.stage = NOWHERE

    def _move(self, walk: Walk, stage: int, at: int, tally: StepTally) -> None:
        left = walk.stage
        if left != NOWHERE:
            self._depart(walk, at, tally)
            if self.is_done[left]:
                self._reopen(walk, tally)
            if stage < left or (self.is_done[left] and not self.is_done[stage]):
                tally.note(at, left, vector.REWORK, 1)
            else:
                walk.forwards.append(left)
                walk.forwards.append(at)
        self._arrive(walk, stage, at, tally)

    def _depart(self, walk: Walk, at: int, tally: StepTally) -> None:
        left = walk.stage
        spent = at - walk.since
        if walk.blocked:
            self._end_blocked(walk, at, tally)
        if self.is_active[left] and walk.committed_at is not None:
            walk.active_time += spent - walk.blocked_in_visit
        tally.departed(left, at, spent)

    def _arrive(self, walk: Walk, stage: int, at: int, tally: StepTally) -> None:
        walk.stage = stage
        walk.since = at
        walk.blocked_since = at
        walk.blocked_in_visit = 0
        if walk.committed_at is None and stage >= self.commitment:
            walk.committed_at = at
        forwards = walk.forwards
        while forwards and forwards[-2] >= stage:
            left_at, left = forwards.pop(), forwards.pop()
            tally.note(left_at, left, vector.RETURNED, 1)
        tally.arrived(stage, at)
        if self.is_done[stage]:
            self._finish(walk, at, tally)

    def _finish(self, walk: Walk, at: int, tally: StepTally) -> None:
        assert walk.committed_at is not None
        assert walk.first_at is not None
        cycle_time, lead_time = at - walk.committed_at, at - walk.first_at
        finish = Finish(at, walk.item_type, walk.value, cycle_time, lead_time, walk.active_time)
        walk.finish = finish
        tally.finished(finish)

    def _reopen(self, walk: Walk, tally: StepTally) -> None:
        finish = walk.finish
        assert finish is not None
        tally.count_finish(finish, -1)
        walk.finish = None
        key = vector.type_key(walk.item_type, vector.REOPENED)
        tally.observed[key] = tally.observed.get(key, 0) + 1


def _type_indices(stream: Stream) -> dict[str, int]:
    indices: dict[str, int] = {}
    for index, (name, words) in enumerate(stream.types.items()):
        for word in (name, *words):
            indices.setdefault(word.casefold(), index)
    return indices
