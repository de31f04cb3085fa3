"""What the aggregator asks of the log, whether it is Kafka or a Redis stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Batch:
    """Facts of one partition, in the order of the log.

    `lines` holds one encoded fact a line, `offsets` the offset of each, ascending. `received_at` is when the log took
    the newest of them (ms).
    """

    partition: int
    lines: bytes
    offsets: Sequence[int]
    received_at: int


class Log(Protocol):
    """A partitioned, ordered, durable sequence of facts."""

    async def partitions(self) -> Sequence[int]:
        """The partitions that this worker reads."""

    async def read(self, partition: int, after: int, *, wait: bool = True) -> Batch | None:
        """The facts after this offset, waiting a moment for the first if asked to; None when there are none.

        0 is before the first.
        """

    async def committed(self, partition: int, offset: int) -> None:
        """Everything up to this offset is in the state: the log may be trimmed behind it."""
