"""Cumulative sums of evidence that events come slower, or faster, than they should.

`factor` q < 1: departures come at q times their usual rate. `factor` r > 1: arrivals come at r times it. Over a time in
which `expected` events were to come and `seen` came, the logarithm of the likelihood ratio of "changed" to "as usual"
for a Poisson process is `seen · ln factor − (factor − 1) · expected`. Its sum, never below 0, is the evidence (Page
1954, "Continuous inspection schemes", Biometrika 41): it forgets every quiet time at once.
"""

from __future__ import annotations

from math import log

import msgspec

MOST_EVIDENCE = 1.5
"""Evidence over the threshold, relative to it, is not piled up: else an alarm would outlast its cause by as long."""


class Cusum(msgspec.Struct, array_like=True):
    """One sum. `since` is when it last was 0 (ms): the likeliest beginning of the change. 0 threshold: not watched."""

    factor: float
    threshold: float = 0.0
    value: float = 0.0
    since: int = 0
    expected: float = 0.0
    seen: float = 0.0

    def step(self, expected: float, seen: float, end: int) -> None:
        """A time went by, up to `end` (ms), in which so many were expected and seen."""
        value = self.value + seen * log(self.factor) - (self.factor - 1.0) * expected
        if value <= 0.0:
            self.reset(end)
            return
        if self.threshold:
            value = min(value, self.threshold * MOST_EVIDENCE)
        self.value = value
        self.expected += expected
        self.seen += seen

    def reset(self, at: int) -> None:
        """Start again from here (ms)."""
        self.value, self.since, self.expected, self.seen = 0.0, at, 0.0, 0.0

    @property
    def evidence(self) -> float:
        """1 is the threshold; 0 where none is set."""
        return self.value / self.threshold if self.threshold else 0.0
