"""Entries that were appended are packed together: whatever their number, they read as if packed one by one."""

from __future__ import annotations

import pytest

from flow.entries import Flags
from flow.timeline import APPENDED, DUPLICATE, FULL, MAX_FACTS, NOTHING_SAID, Timeline


def append(timeline: Timeline, number: int) -> int:
    word = None if number % 3 == 0 else "Review"
    flags = Flags(blocked=True) if number % 5 == 0 else None
    added = timeline.append(number, number, f"fact-{number}", word, flags)
    if added == APPENDED:
        timeline.state(number, number, f"fact-{number}", NOTHING_SAID)
    return added


def packed(sizes: list[int]) -> Timeline:
    """A timeline whose entries were packed after so many facts each time."""
    timeline, number = Timeline(), 0
    for size in sizes:
        for _ in range(size):
            assert append(timeline, number) == APPENDED
            number += 1
        timeline.pack()
    return timeline


@pytest.mark.parametrize("count", [1, 2, 15, 16, 17, 255, 256, MAX_FACTS])
def test_entries_that_wait_are_packed_as_one_by_one(count: int) -> None:
    together = packed([count])
    assert together.pack() == packed([1] * count).pack() == packed([count // 2, count - count // 2]).pack()
    assert [entry.id for entry in Timeline.unpack(together.pack()).entries()] == [f"fact-{n}" for n in range(count)]


def test_what_waits_is_known_as_a_duplicate() -> None:
    timeline = packed([20])
    assert append(timeline, 20) == APPENDED
    assert [timeline.append(30, 0, f"fact-{number}", None, None) for number in (19, 20)] == [DUPLICATE, DUPLICATE]


def test_what_waits_counts_as_one_of_the_facts_that_it_may_have() -> None:
    timeline = packed([MAX_FACTS - 1])
    assert append(timeline, MAX_FACTS - 1) == APPENDED
    assert append(timeline, MAX_FACTS) == FULL
