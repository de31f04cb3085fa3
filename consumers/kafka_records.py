"""Takes what a Kafka consumer has fetched, batch by batch of the wire format, as lines.

The client's own `getmany` makes an object with eleven fields of every record: most of what reading a fact costs. Of a
fact only its value is needed; offsets and time stand once in each batch. So this reads the client's fetched batches in
its place, and keeps its books (position, what to fetch next) as `FetchResult.getall` does. Tests compare the two.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat
from operator import contains
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import FetchResult
from aiokafka.errors import CorruptRecordException

_LINE_END: Final = 10
"""As a byte: to look for that is far faster than for a string."""


@dataclass(slots=True)
class Taken:
    """Records in the order of the log: how many, their values, and the offset of each as Kafka counts, from 0.

    `blocks` holds a line for each value; values of a batch become lines at once, as thousands of them that wait would
    need fresh memory. `times` holds of each batch its last offset and its newest time (ms).
    """

    count: int = 0
    blocks: list[bytes] = field(default_factory=list)
    ranges: list[Sequence[int]] = field(default_factory=list)
    times: list[tuple[int, int]] = field(default_factory=list)

    @property
    def offsets(self) -> Sequence[int]:
        """The offset of each value; without gaps, as they nearly always are, a range."""
        first, last = self.ranges[0][0], self.ranges[-1][-1]
        if last - first + 1 == self.count:
            return range(first, last + 1)
        return list(chain.from_iterable(self.ranges))


async def wait_for_fetch(consumer: Any, seconds: float) -> None:
    """Return when something was fetched, of whatever partition, or after so many seconds."""
    waiter = consumer._fetcher._create_fetch_waiter()
    await asyncio.wait({waiter}, timeout=seconds)
    if waiter.done():
        waiter.result()
    else:
        waiter.cancel()


def take(consumer: Any, place: TopicPartition, most: int) -> Taken | None:
    """What is fetched of this partition: whole batches, until there are `most` records. None: nothing is.

    Raises the error that fetching it met.
    """
    fetcher = consumer._fetcher
    result = fetcher._records.get(place)
    if result is None:
        return None
    taken, more = Taken(), False
    if type(result) is FetchResult and result.check_assignment(place):
        more = _take_batches(result._partition_records, taken, most)
        result._update_position()
    if not more:
        del fetcher._records[place]
        fetcher._notify(fetcher._wait_consume_future)
    if type(result) is not FetchResult:
        result.check_raise()
    return taken if taken.count else None


def _take_batches(fetched: Any, taken: Taken, most: int) -> bool:
    """Whether there are more batches."""
    batches = fetched._records
    while batches.has_next():
        batch = batches.next_batch()
        if not batch.validate_crc():
            raise CorruptRecordException(f"a batch of {fetched._tp} is damaged")
        if not batch.is_control_batch:
            _take_batch(batch, taken, fetched.next_fetch_offset)
        fetched.next_fetch_offset = batch.next_offset
        if taken.count >= most:
            return bool(batches.has_next())
    return False


def _take_batch(batch: Any, taken: Taken, first: int) -> None:
    """The records of one batch from offset `first` on: reading may begin in the midst of one."""
    begin, end = batch.base_offset, batch.next_offset
    records = list(batch)
    offsets: Sequence[int]
    if end - begin == len(records):
        values, offsets = [record.value for record in records], range(begin, end)
        if begin < first:
            values, offsets = values[first - begin :], offsets[first - begin :]
    else:
        kept = [record for record in records if record.offset >= first]
        values, offsets = [record.value for record in kept], [record.offset for record in kept]
    if values:
        taken.count += len(values)
        taken.blocks.append(lines_of(values))
        taken.ranges.append(offsets)
        taken.times.append((end - 1, batch.max_timestamp))


def lines_of(values: Sequence[bytes | None]) -> bytes:
    """One value a line. JSON has no line end of its own but between words: there a space is as good."""
    try:
        if not any(map(contains, values, repeat(_LINE_END))):  # type: ignore[arg-type]  # as below
            return b"\n".join(values)  # type: ignore[arg-type]  # a value may be missing: that is what fails
    except TypeError:
        pass
    return b"\n".join([(value or b"").replace(b"\n", b" ") for value in values])
