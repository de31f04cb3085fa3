"""How long the oldest fact that is not in the state yet has waited, from where the log ended when. No I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Final

MOST_ENDS: Final = 512
"""Moments that are remembered of a partition; when there are more, every other one is forgotten."""


class LagAges:
    """Remembers when each partition's log was seen to have grown.

    A fact is as old as the look that first saw a log that long: too young by at most the time between two looks. One
    that was there before the first look is as old as that look.
    """

    def __init__(self) -> None:
        self._grown: dict[int, deque[tuple[int, int]]] = {}

    def note(self, ends: Mapping[int, int], read: Mapping[int, int], now: int) -> dict[int, int]:
        """The age (ms) by partition, from the offsets of its last fact and of the last in the state; 0 without lag."""
        return {number: self._age(number, end, read.get(number, 0), now) for number, end in ends.items()}

    def _age(self, number: int, end: int, read: int, now: int) -> int:
        grown = self._grown.setdefault(number, deque())
        if grown and end < grown[-1][0]:
            grown.clear()
        if end > (grown[-1][0] if grown else read):
            grown.append((end, now))
        while grown and grown[0][0] <= read:
            grown.popleft()
        if len(grown) > MOST_ENDS:
            self._grown[number] = grown = deque(list(grown)[::2])
        return now - grown[0][1] if grown else 0
