"""What the aggregator asks of the log, whether it is Kafka or a Redis stream, and what the log asks of it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

FACTS_AT_ONCE: Final = 64_000
"""About how many facts the batches of a worker's partitions have together, at most.

The more, the cheaper each, as an item is folded and written once a batch; and the longer a commit takes.
"""


@dataclass(frozen=True, slots=True)
class Batch:
    """Facts of one partition, in the order of the log.

    `lines` holds one encoded fact a line, `offsets` the offset of each, ascending. `received_at` is when the log took
    the newest of them (ms); `received`, where known, the last offset of each block that was appended, and when.
    """

    partition: int
    lines: bytes
    offsets: Sequence[int]
    received_at: int
    received: Sequence[tuple[int, int]] = ()

    def without_lines(self) -> Batch:
        """What is left to say of it once its facts are in commits: lines are much of what a worker has in memory."""
        return replace(self, lines=b"")

    def earliest_received_at(self) -> int:
        """When the log took the first of them (ms)."""
        return min((instant for _, instant in self.received), default=self.received_at)

    def received_at_of(self, offset: int) -> int:
        """When the log took this one (ms): however the log is cut into batches, always the same."""
        index = bisect_left(self.received, (offset,))
        return self.received[index][1] if index < len(self.received) else self.received_at


class LogReading(Protocol):
    """A partitioned, ordered, durable sequence of facts. Offsets count from 1; 0 is before the first fact."""

    async def partitions(self) -> Sequence[int]:
        """The partitions that are read here."""

    async def read(self, partition: int, after: int, *, wait: bool = True) -> Batch | None:
        """The facts after this offset, waiting a moment for the first if asked to; None when there are none."""


class Owner(Protocol):
    """Who works on partitions as the log hands them out."""

    async def hold(self) -> None:
        """Return when nothing is being committed any more; nothing will be until `own` is called."""

    async def own(self, partitions: Sequence[int]) -> None:
        """These partitions, and no others, are this worker's from now on."""


class Log(LogReading, Protocol):
    """The log as a worker follows it."""

    async def follow(self, owner: Owner) -> None:
        """Tell the owner which partitions are its own, whenever that changes. Ends when it is cancelled."""

    def expect(self, partition: int, offset: int) -> None:
        """The state has facts up to this offset, though reading may begin before it: the log must not end earlier."""

    async def committed(self, partition: int, offset: int) -> None:
        """Everything up to this offset is in the state: the log may be trimmed behind it."""
