"""A batch of the log, decoded and sorted by what it changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from consumers.dead_letters import Letter
from consumers.log import Batch
from flow.errors import Reason, Rejected
from flow.facts import Fact, ItemFact, LaneFact, SignalFact, decode_fact, decode_facts, encode_fact
from flow.fold import Item
from flow.instants import DAY
from flow.keys import DELIVERIES
from flow.matching import Router
from flow.sorting import EARLIEST_AT, Briefs, Sorting

FUTURE_TOLERANCE: Final = DAY

_AT_ONCE: Final = 500
"""About how many facts are decoded before they are sorted: they then still lie in the processor's cache."""

_UNKNOWN_SOURCE: Final = "unknown"


@dataclass(frozen=True, slots=True)
class Refused:
    """A fact that can't be applied, by its place in the batch, and why."""

    place: int
    source: str
    reason: Reason
    message: str


@dataclass(slots=True)
class Sorted:
    """One batch by what it changes: facts of each stream by item, and those items; deliveries; what can't be applied.

    `told` counts the facts of each stream by their source. `times` are the event times (ms) of all that is applied, by
    source.
    """

    batch: Batch
    items: dict[str, Briefs] = field(default_factory=dict)
    held: dict[str, list[Item]] = field(default_factory=dict)
    told: dict[str, dict[str, int]] = field(default_factory=dict)
    lanes: list[tuple[LaneFact, int]] = field(default_factory=list)
    letters: list[Letter] = field(default_factory=list)
    times: dict[str, list[int]] = field(default_factory=dict)

    def letters_for(self, refused: Sequence[Refused]) -> list[Letter]:
        """What to write of facts that could not be applied."""
        if not refused:
            return []
        lines, offsets = self.batch.lines.split(b"\n"), self.batch.offsets
        return [
            Letter(each.source, each.reason, each.message, offsets[each.place], lines[each.place])
            for each in sorted(refused, key=lambda each: each.place)
        ]


def sort_batch(batch: Batch, router: Router, positions: Mapping[str, int]) -> Sorted:
    """Decode a batch and route each fact. Nothing is dropped: what can't be routed becomes a letter.

    What is too far in the future is decided by when the log took the fact, so that reading it later decides the same.

    `positions` says of streams, and of the deliveries, up to which offset their state has all: what it has is left out.
    """
    result, offsets = Sorted(batch), batch.offsets
    ahead = {name: position for name, position in positions.items() if position >= offsets[0]}
    sorting = _sorting(batch, router, ahead)
    if not _sort_at_once(batch, sorting):
        sorting = _sorting(batch, router, ahead)
        result.letters = _sort_one_by_one(batch, sorting)
    _note(sorting, result, ahead.get(DELIVERIES, 0))
    return result


def _sorting(batch: Batch, router: Router, ahead: Mapping[str, int]) -> Sorting:
    offsets = batch.offsets
    return Sorting(
        router,
        batch.earliest_received_at() + FUTURE_TOLERANCE,
        lambda place: batch.received_at_of(offsets[place]) + FUTURE_TOLERANCE,
        (lambda stream, place: offsets[place] <= ahead.get(stream, 0)) if ahead else None,
    )


def _sort_at_once(batch: Batch, sorting: Sorting) -> bool:
    """Decode many lines at a time, which is far faster. False when any is wrong; what was sorted is then worthless."""
    place = 0
    try:
        for block in _blocks(batch.lines, len(batch.offsets)):
            facts = decode_facts(block)
            sorting.add(facts, place)
            place += len(facts)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, RecursionError):
        return False
    return place == len(batch.offsets)


def _blocks(lines: bytes, facts: int) -> Iterator[bytes]:
    """Whole lines, about so many at a time."""
    begin, size = 0, len(lines) * _AT_ONCE // facts
    while (end := lines.find(b"\n", begin + size)) >= 0:
        yield lines[begin:end]
        begin = end + 1
    yield lines[begin:]


def _sort_one_by_one(batch: Batch, sorting: Sorting) -> list[Letter]:
    """Sort those lines that are facts. Returns the letters of the others."""
    letters: list[Letter] = []
    for place, (offset, line) in enumerate(zip(batch.offsets, batch.lines.split(b"\n"), strict=True)):
        try:
            sorting.add([decode_fact(line)], place)
        except Rejected as error:
            letters.append(Letter(_UNKNOWN_SOURCE, error.reason, error.message, offset, line))
    return letters


def _note(sorting: Sorting, result: Sorted, deliveries: int) -> None:
    """Note what was sorted. Deliveries up to that offset are left out."""
    offsets = result.batch.offsets
    result.items = sorting.streams
    result.lanes = [(fact, place) for fact, place in sorting.lanes if offsets[place] > deliveries]
    for route in sorting.used():
        result.times.setdefault(route.source, []).extend(route.times)
        for stream in route.streams:
            told = result.told.setdefault(stream, {})
            told[route.source] = told.get(route.source, 0) + len(route.times)
    for fact, _ in result.lanes:
        result.times.setdefault(fact.source, []).append(fact.at)
    result.letters += [_untimely(fact, offsets[place]) for fact, place in sorting.untimely]
    result.letters += [_unrouted(fact, offsets[place]) for fact, place in sorting.unrouted]
    result.letters.sort(key=lambda letter: letter.offset)


def _untimely(fact: Fact, offset: int) -> Letter:
    old = fact.at < EARLIEST_AT
    reason = Reason.AT_TOO_OLD if old else Reason.AT_IN_FUTURE
    bound = "before 1970" if old else "more than a day later than the log took it in"
    return Letter(fact.source, reason, f"`at` is {bound}", offset, encode_fact(fact))


def _unrouted(fact: ItemFact | SignalFact, offset: int) -> Letter:
    message = f"no stream claims item {fact.item} of source {fact.source}: add it to a stream's `match` or `item_keys`"
    return Letter(fact.source, Reason.NO_STREAM, message, offset, encode_fact(fact))
