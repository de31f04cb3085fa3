"""Counters only grow. This is what they gain when a late fact changes what an item or lane contributes."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass

from flow import vector
from flow.definitions import Stream
from flow.vector import SLOT, Vector, stage_key, type_key


@dataclass(frozen=True, slots=True)
class Family:
    """Keys that can't gain more than something else does.

    The keys in `bounded` together gain at most what the keys in `limit` gain together; those in `sums` gain nothing
    unless the limit does. So a time that only moved to another bucket, or an item to another type, is not new.
    """

    limit: Sequence[int]
    bounded: Container[int]
    sums: Sequence[int] = ()


def gained(before: Vector, after: Vector, families: Sequence[Family]) -> Vector:
    """What counters gain: never less than nothing, and no more than what is new."""
    more = {key: count for key in after if (count := after[key] - before.get(key, 0)) > 0}
    for family in families:
        room = max(0, sum(after.get(key, 0) - before.get(key, 0) for key in family.limit))
        if not room:
            for key in family.sums:
                more.pop(key, None)
        for key in sorted(key for key in more if key in family.bounded):
            more[key] = min(more[key], room)
            room -= more[key]
    return {key: count for key, count in more.items() if count}


def families_of(stream: Stream) -> list[Family]:
    """The families of a stream's counters: each stage's times, and over all item types what is completed."""
    families = [
        Family(
            limit=(stage_key(stage, vector.DEPARTURES),),
            bounded=_slot_range(stage_key(stage, vector.BUCKETS)),
            sums=(stage_key(stage, vector.STAGE_TIME),),
        )
        for stage in range(len(stream.stages))
    ]
    types = range(len(stream.item_types))
    completions = [type_key(index, vector.COMPLETIONS) for index in types]
    sums = (vector.CYCLE_TIME_TOTAL, vector.LEAD_TIME_TOTAL, vector.VALUE_TOTAL)
    families.append(Family(completions, (), [type_key(index, code) for index in types for code in sums]))
    for first in (vector.BUCKETS, vector.LEAD_TIME_BUCKETS):
        buckets = {key for index in types for key in _slot_range(type_key(index, first))}
        families.append(Family(completions, buckets))
    families.append(Family(completions, frozenset(completions)))
    return families


def _slot_range(first: int) -> range:
    return range(first, first + SLOT // 4)
