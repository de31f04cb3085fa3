"""What is simulated: stages with their people and their work, how much work comes, and what goes wrong when.

Time is in working days (1.0 a day); `simulation.Rhythm` says which hours of the calendar those are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["slowdown", "surge", "leave", "blocked"]
FOREVER = float("inf")


@dataclass(frozen=True, slots=True)
class Station:
    """One stage: so many people, who need `work` days an item each, with this coefficient of variation.

    With `limit`, an item that is finished waits here, holding its place and its person, until the next stage has room.
    """

    people: int
    work: float
    variation: float = 1.0
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Trouble:
    """From day `begins` on, stage `stage` works at `size` times its speed, or (a surge) `size` times the work arrives.

    A ramp of `ramp` days leads there. `leave`: nobody works (size 0). `blocked`: this share of the items that are
    begun waits for somebody else for `wait` days before it goes on, and holds its person.
    """

    kind: Kind
    stage: int
    begins: float
    size: float
    ramp: float = 0.0
    ends: float = FOREVER
    wait: float = 0.0

    def at(self, day: float) -> float:
        """The factor at this day."""
        if not self.begins <= day < self.ends:
            return 1.0
        done = 1.0 if self.ramp <= 0 else min(1.0, (day - self.begins) / self.ramp)
        return 1.0 + (self.size - 1.0) * done


@dataclass(frozen=True, slots=True)
class Scenario:
    """A stream and what happens to it. `rework`: this share of what leaves a stage goes back to the one before."""

    name: str
    arrivals: float
    stations: tuple[Station, ...]
    troubles: tuple[Trouble, ...] = ()
    rework: float = 0.0
    batches: float = 1.0
    days: float = 200.0
    warm_up: float = 60.0
    labels: dict[str, str] = field(default_factory=dict)
