"""How much of the log a worker takes at once: all that there is, and less where that is too much for the state.

A commit that does not get through in time is taken back and read again. At the same size it would fail again, for ever:
so half as much is taken after each failure, and a quarter more after each commit that is quick.
"""

from __future__ import annotations

from typing import Final

from consumers.log import Batch, LogReading
from flow.instants import SECOND

QUICK: Final = SECOND
"""A commit that took less may be followed by a larger one (ms)."""

_ALL: Final = 1_000_000
"""More than any batch holds."""


class Portions:
    """Reads one partition. `most` is how many facts a batch may have now; what is read beyond that comes next."""

    def __init__(self, log: LogReading, partition: int) -> None:
        self.most = _ALL
        self._log = log
        self._partition = partition
        self._left: Batch | None = None
        self._largest = 0

    async def read(self, after: int, *, wait: bool) -> Batch | None:
        """The facts after this offset, waiting a moment for the first if asked to; None when there are none."""
        batch, self._left = self._left, None
        if batch is None:
            batch = await self._log.read(self._partition, after, wait=wait)
        if batch is not None and len(batch.offsets) > self.most:
            batch, self._left = parted(batch, self.most)
        if batch is not None:
            self._largest = max(self._largest, len(batch.offsets))
        return batch

    def committed(self, spent: int) -> None:
        """A batch is in the state, `spent` ms after it was sent."""
        self._largest = 0
        if spent < QUICK:
            self.most = min(self.most + self.most // 4 + 1, _ALL)

    def again(self, *, less: bool) -> None:
        """What was read since the last commit is read again; if that was perhaps too much, half of it at first."""
        if less and self._largest:
            self.most = max(min(self.most, self._largest) // 2, 1)
        self._largest, self._left = 0, None


def parted(batch: Batch, most: int) -> tuple[Batch, Batch]:
    """The first `most` facts of a batch that has more, and the others."""
    lines = batch.lines.split(b"\n", most)
    first, rest = batch.offsets[:most], batch.offsets[most:]
    received = [each for each in batch.received if each[0] < rest[0]]
    if not received or received[-1][0] < first[-1]:
        received.append((first[-1], batch.received_at_of(first[-1])))
    behind = [each for each in batch.received if each[0] >= rest[0]]
    return (
        Batch(batch.partition, b"\n".join(lines[:most]), first, received[-1][1], received),
        Batch(batch.partition, lines[most], rest, batch.received_at, behind),
    )
