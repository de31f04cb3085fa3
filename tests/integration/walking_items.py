"""What items say that walk through the stages of `test_crash.DEFINITIONS`."""

from __future__ import annotations

import random
from collections.abc import Sequence

from flow.facts import ItemFact
from flow.instants import DAY, SECOND


class WalkingItems:
    """So many items, a fact each second from ten days before `now` (ms) on. `facts` is all that was told."""

    def __init__(self, count: int, statuses: Sequence[str], seed: int, now: int) -> None:
        self.facts: list[ItemFact] = []
        self._statuses = statuses
        self._seed = seed
        self._rng = random.Random(seed)
        self._stage = [0] * count
        self._since = now - 10 * DAY

    def tell(self, count: int) -> list[ItemFact]:
        """So many facts more."""
        told = [self._fact(len(self.facts) + place) for place in range(count)]
        self.facts += told
        return told

    def _fact(self, number: int) -> ItemFact:
        rng, item = self._rng, self._rng.randrange(len(self._stage))
        self._stage[item] = max(0, self._stage[item] + rng.choice((1, 1, 1, 0, -1))) % len(self._statuses)
        return ItemFact(
            id=f"evt-{self._seed}-{number}",
            source="acme",
            item=f"CHK-{item}",
            at=self._since + number * SECOND,
            seq=number,
            status=self._statuses[self._stage[item]],
            project="CHK",
            blocked=rng.random() < 0.1,
        )
