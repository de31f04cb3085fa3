"""Of the stages in alarm, the one that constrains the stream.

A stage that slows down starves what comes after it, and, where there are WIP limits, blocks what comes before it: a
blocked stage can't hand over and looks slow itself. So of the stages in alarm the most downstream counts; and if the
stage after it is at its WIP limit, the blame moves down (the bottleneck walk of Roser et al.; Flink's back-pressure).
When more arrives than usual, every stage sees it; the one that can take the least more is the constraint.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_SEES_IT_TOO: Final = 0.4
"""Evidence of overload from which a stage before the one in alarm is thought to receive the same surge."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a stage stands. `load` is what usually arrives over the most that it was seen to hand on."""

    raised: str
    raised_at: int
    overload: float
    wip: int
    limit: int | None
    load: float

    @property
    def is_full(self) -> bool:
        """Whether it is at its WIP limit."""
        return self.limit is not None and self.wip >= self.limit


@dataclass(frozen=True, slots=True)
class Constraint:
    """The stage that constrains the stream, and the stage whose alarm says so, which may be another one; by index."""

    stage: int
    alarm: int


def constraint(stages: Sequence[Standing]) -> Constraint | None:
    """What constrains the stream; None when no stage is in alarm. Of several causes the one that came first counts."""
    raised = [index for index, stage in enumerate(stages) if stage.raised]
    if not raised:
        return None
    first = min(raised, key=lambda index: stages[index].raised_at)
    if stages[first].raised == "overload":
        return Constraint(_least_room(stages, first), first)
    alarm = max(index for index in raised if stages[index].raised == stages[first].raised)
    place = alarm
    while place + 1 < len(stages) and stages[place + 1].is_full:
        place += 1
    return Constraint(place, alarm)


def _least_room(stages: Sequence[Standing], first: int) -> int:
    while first > 0 and stages[first - 1].overload >= _SEES_IT_TOO:
        first -= 1
    return max(range(first, len(stages)), key=lambda index: (stages[index].load, -index))
