"""A deadline as a value: several steps share one, and each is told how much of it is left."""

from __future__ import annotations

from dataclasses import dataclass

from flow.instants import SECOND


@dataclass(frozen=True, slots=True)
class Deadline:
    """The moment `seconds` after `set_at`, which is in milliseconds of a clock of the caller's, a monotonic one."""

    set_at: int
    seconds: float

    def remaining(self, now: int) -> float:
        """Seconds that are left at `now`, in milliseconds of the same clock; 0.0 once it has passed.

        >>> Deadline(10_000, 2.5).remaining(11_000)
        1.5
        """
        return max(0.0, self.seconds - (now - self.set_at) / SECOND)
