"""Long times without a departure, and how much less they tell where single items take for ever.

Of a stage that works as usual, departures are expected at the rate of its WIP, however long ago the last one was. Where
a few people meet items that take ten times as long as most, that is not so: the longer nothing left, the longer nothing
will. So the rate is learned apart for long gaps: departures that ended one, over what was expected within them, as any
rate is. What long gaps count less, all other time counts more: as many are expected as leave.
"""

from __future__ import annotations

from typing import Final

import msgspec

LONG: Final = 3.0
"""Expected departures, none of which came, after which a gap is long: by chance one in twenty is."""

_PRIOR: Final = 3.0
"""Long gaps that ended as soon as by chance, which are mixed into those that were seen."""


class Gaps(msgspec.Struct, array_like=True):
    """What was expected apart from long gaps and within them, and how many of those ended.

    `since` is what was expected since the last departure.
    """

    since: float = 0.0
    apart: float = 0.0
    within: float = 0.0
    ended: float = 0.0

    @property
    def pace(self) -> float:
        """What an expected departure counts now: at most 1 in a long gap, a little more than 1 apart from them."""
        slow = min(1.0, (self.ended + _PRIOR) / (self.within + _PRIOR))
        if self.since >= LONG:
            return slow
        return 1.0 + (1.0 - slow) * self.within / max(self.apart, 1.0)

    def note(self, expected: float, seen: float, *, usual: bool) -> None:
        """Time went by in which so many were expected and seen. A gap is learned when it has ended, if that is `usual`.

        Were it learned before, a stage that nothing leaves any more would look more and more as if it were usual.
        """
        if not seen:
            self.since += expected
            return
        long, self.since = self.since, 0.0
        if not usual:
            return
        if long < LONG:
            self.apart += long + expected
            return
        self.apart += LONG
        self.within += long - LONG + expected
        self.ended += 1
