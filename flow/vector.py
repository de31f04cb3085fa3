"""Measures as sparse vectors of whole numbers: what a row holds, and what a fact adds to it.

Everything that Streamgauge counts is one entry `key -> count` of a vector. Vectors add and subtract entry by entry, so
correcting a window is "subtract what the item contributed, add what it contributes now", and partitions add up.
A key is `slot * SLOT + code`: the slot is a stage (its index) or an item type (TYPE_SLOT + its index), the code says
what is counted. Times are milliseconds, values are thousandths.

| code | in a cell, of a stage | in a cell, of an item type | in the totals only |
|---|---|---|---|
| 0 | arrivals | items finished (at their last arrival in `done`) | |
| 1 | departures | value delivered | |
| 2 | rework | sum of cycle times | |
| 3 | departures by deletion | sum of lead times | |
| 4 | forward moves whose item came back | unblocked time in active stages | |
| 5 | blocked time | | |
| 6 | sum of stage times | | |
| 7 | handoffs | | |
| 16…31 | | | counters and gauges, named below |
| 64… | histogram of stage times | histogram of cycle times | |
| 1024… | | histogram of lead times | |
| 2048… | | | Prometheus buckets of stage or cycle times |
| 3072… | | | Prometheus buckets of lead times |
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

Vector = dict[int, int]

SLOT: Final = 4096
TYPE_SLOT: Final = 1024

ARRIVALS: Final = 0
DEPARTURES: Final = 1
REWORK: Final = 2
REMOVED: Final = 3
RETURNED: Final = 4
BLOCKED_TIME: Final = 5
STAGE_TIME: Final = 6
HANDOFFS: Final = 7
STAGE_TIME_BINS: Final = 64

FINISHED: Final = 0
VALUE: Final = 1
CYCLE_TIME: Final = 2
LEAD_TIME: Final = 3
ACTIVE_TIME: Final = 4
CYCLE_TIME_BINS: Final = 64
LEAD_TIME_BINS: Final = 1024

BLOCKED_ITEMS: Final = 16
TYPE_WIP: Final = 17
COMPLETIONS: Final = 18
REOPENED: Final = 19
CYCLE_TIME_TOTAL: Final = 20
LEAD_TIME_TOTAL: Final = 21
VALUE_TOTAL: Final = 22
VALUE_WAITING: Final = 24
DELAY_COST: Final = 25
VALUED_ITEMS: Final = 26
BUCKETS: Final = 2048
LEAD_TIME_BUCKETS: Final = 3072

COUNTERS_OF_STAGES: Final = frozenset({ARRIVALS, DEPARTURES, REWORK, BLOCKED_TIME, STAGE_TIME, HANDOFFS})
"""Codes of a cell's stages that are also counters: the totals gain what the cells do."""

_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final[msgspec.msgpack.Decoder[dict[int, int]]] = msgspec.msgpack.Decoder(dict[int, int])


def stage_key(stage: int, code: int) -> int:
    """The key of a code of the stage with this index."""
    return stage * SLOT + code


def type_key(item_type: int, code: int) -> int:
    """The key of a code of the item type with this index."""
    return (TYPE_SLOT + item_type) * SLOT + code


def add(into: Vector, other: Vector) -> None:
    """into += other. Entries that become 0 go."""
    sums: dict[Any, Any] = into  # compiled, numbers that it knows as such would be unpacked and packed again
    entries: dict[Any, Any] = other
    for key, count in entries.items():
        had = sums.get(key)
        total = count if had is None else had + count
        if total:
            sums[key] = total
        elif had is not None:
            del sums[key]


def subtract(into: Vector, other: Vector) -> None:
    """into -= other. Entries that become 0 go."""
    add(into, {key: -count for key, count in other.items()})


def total_of(vectors: Iterable[Vector]) -> Vector:
    """The sum of some vectors, as a new one."""
    result: Vector = {}
    for vector in vectors:
        add(result, vector)
    return result


def bins(vector: Mapping[int, int], slot_key: int, first: int, end: int) -> dict[int, int]:
    """The entries of a slot with first ≤ code < end, by `code - first`. `slot_key` is the key of the slot's code 0."""
    low, high = slot_key + first, slot_key + end
    return {key - low: count for key, count in vector.items() if low <= key < high}


def pack(vector: Mapping[int, int]) -> bytes:
    """A row as it is stored: a MessagePack map."""
    return _encoder.encode(vector)


def unpack(row: bytes) -> Vector:
    """What `pack` wrote. Raises msgspec.DecodeError on anything else."""
    return _decoder.decode(row)
