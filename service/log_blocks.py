"""A group of appends, sorted into the blocks of the log that one round trip writes."""

from __future__ import annotations

from asyncio import Future
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from flow.facts import Fact, encode_fact, partition_of, subject_key

MOST_FACTS: Final = 500
MOST_BYTES: Final = 256 * 1024
"""Bounds of one block, so that readers can take the log in small bites."""

Line = tuple[int, bytes]
"""A partition, and a fact encoded for it."""


@dataclass(slots=True)
class Block:
    """Encoded facts for one partition, and the appends that wait for them."""

    partition: int
    lines: list[bytes] = field(default_factory=list)
    size: int = 0
    waiting: list[Future[None]] = field(default_factory=list)

    def takes(self, line: bytes) -> bool:
        """Whether the line fits in. A line that is longer than a block gets one of its own."""
        return len(self.lines) < MOST_FACTS and (not self.lines or self.size + len(line) <= MOST_BYTES)

    def add(self, line: bytes, waiting: Future[None]) -> None:
        """Put a line in, for this append."""
        self.lines.append(line)
        self.size += len(line) + 1
        if not self.waiting or self.waiting[-1] is not waiting:
            self.waiting.append(waiting)


def lines_of(facts: Sequence[Fact], partitions: int) -> list[Line]:
    """Each fact encoded, with its partition."""
    return [(partition_of(subject_key(fact), partitions), encode_fact(fact)) for fact in facts]


def blocks_of(appends: Iterable[tuple[Sequence[Line], Future[None]]]) -> list[Block]:
    """The blocks that hold these appends; within a partition the facts keep their order."""
    blocks: list[Block] = []
    latest: dict[int, Block] = {}
    for lines, waiting in appends:
        for partition, line in lines:
            block = latest.get(partition)
            if block is None or not block.takes(line):
                block = latest[partition] = Block(partition)
                blocks.append(block)
            block.add(line, waiting)
    return blocks
