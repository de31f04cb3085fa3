"""A batch of the log, decoded and sorted by what it changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from operator import attrgetter
from typing import Final, cast

import msgspec

from consumers.dead_letters import Letter
from consumers.log import Batch
from flow.errors import Reason, Rejected
from flow.facts import (
    ChangeFact,
    DeploymentFact,
    Fact,
    IncidentFact,
    ItemFact,
    LaneFact,
    SignalFact,
    decode_fact,
    decode_facts,
    encode_fact,
)
from flow.fold import Item
from flow.instants import DAY
from flow.keys import DELIVERIES
from flow.matching import Router

EARLIEST_AT: Final = 0
FUTURE_TOLERANCE: Final = DAY

_LANE_FACTS: Final = frozenset({ChangeFact, DeploymentFact, IncidentFact})
_UNKNOWN_SOURCE: Final = "unknown"
_at_of = attrgetter("at")
_source_of = attrgetter("source")


@dataclass(frozen=True, slots=True)
class Refused:
    """A fact that can't be applied, and why."""

    fact: Fact
    reason: Reason
    message: str


@dataclass(slots=True)
class Sorted:
    """One batch by what it changes: facts of each stream, with their items; deliveries; what can't be applied.

    `source` is the source of all of them and `times` are their event times, where that is known to be so simple.
    """

    batch: Batch
    decoded: list[Fact] = field(default_factory=list)
    decoded_offsets: Sequence[int] = ()
    items: dict[str, list[ItemFact | SignalFact]] = field(default_factory=dict)
    held: dict[str, dict[str, Item]] = field(default_factory=dict)
    lanes: list[LaneFact] = field(default_factory=list)
    letters: list[Letter] = field(default_factory=list)
    source: str | None = None
    times: list[int] = field(default_factory=list)

    def times_by_source(self) -> dict[str, list[int]]:
        """Event times (ms) of the facts that are applied, by their source; those of two streams stand twice."""
        if self.source is not None:
            return {self.source: self.times}
        found: dict[str, list[int]] = {}
        for fact in chain(chain.from_iterable(self.items.values()), self.lanes):
            found.setdefault(fact.source, []).append(fact.at)
        return found

    def letters_for(self, refused: Sequence[Refused]) -> list[Letter]:
        """What to write of facts that could not be applied."""
        if not refused:
            return []
        places = zip(map(id, self.decoded), self.decoded_offsets, strict=True)
        offset_of = dict(places)
        return [
            Letter(each.fact.source, each.reason, each.message, offset_of[id(each.fact)], encode_fact(each.fact))
            for each in refused
        ]


def sort_batch(batch: Batch, router: Router, positions: Mapping[str, int]) -> Sorted:
    """Decode a batch and route each fact. Nothing is dropped: what can't be routed becomes a letter.

    What is too far in the future is decided by when the log took the fact, so that reading it later decides the same.

    `positions` says of streams, and of the deliveries, up to which offset their state has all: what it has is left out.
    """
    result = Sorted(batch)
    _decode(result)
    ahead = {name: position for name, position in positions.items() if position >= batch.offsets[0]}
    if ahead or not _route_at_once(result, router):
        _route_one_by_one(result, router, ahead)
    return result


def _route_at_once(result: Sorted, router: Router) -> bool:
    """Route what nearly every batch holds, only timely item facts of known streams; False if there is anything else."""
    facts = result.decoded
    if set(map(type, facts)) != {ItemFact}:
        return False
    times = list(map(_at_of, facts))
    if min(times) < EARLIEST_AT or max(times) > result.batch.earliest_received_at() + FUTURE_TOLERANCE:
        return False
    found = router.by_streams(cast(list[ItemFact], facts))
    names = [name for streams in found for name in streams]
    if () in found or len(set(names)) < len(names):
        return False  # a stream's facts must keep the order of the log
    result.items = {
        name: cast(list[ItemFact | SignalFact], group) for streams, group in found.items() for name in streams
    }
    sources = set(map(_source_of, facts))
    if len(sources) == 1 and len(names) == len(found):
        result.source, result.times = sources.pop(), times
    return True


def _route_one_by_one(result: Sorted, router: Router, ahead: Mapping[str, int]) -> None:
    streams_of, items, batch = router.streams_of, result.items, result.batch
    surely = batch.earliest_received_at() + FUTURE_TOLERANCE
    for index, fact in enumerate(result.decoded):
        if not EARLIEST_AT <= fact.at <= surely:
            offset = result.decoded_offsets[index]
            if fact.at < EARLIEST_AT or fact.at > batch.received_at_of(offset) + FUTURE_TOLERANCE:
                result.letters.append(_untimely(fact, offset))
                continue
        if type(fact) in _LANE_FACTS:
            if not ahead or result.decoded_offsets[index] > ahead.get(DELIVERIES, 0):
                result.lanes.append(cast(LaneFact, fact))
            continue
        about_item = cast(ItemFact | SignalFact, fact)
        streams = streams_of(about_item)
        if not streams:
            result.letters.append(_unrouted(about_item, result.decoded_offsets[index]))
        for stream in streams:
            if ahead and result.decoded_offsets[index] <= ahead.get(stream, 0):
                continue
            if stream in items:
                items[stream].append(about_item)
            else:
                items[stream] = [about_item]


def _decode(result: Sorted) -> None:
    batch = result.batch
    try:
        result.decoded, result.decoded_offsets = decode_facts(batch.lines), batch.offsets
        matched = len(result.decoded) == len(batch.offsets)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, RecursionError):
        matched = False
    if not matched:
        _decode_one_by_one(result)


def _decode_one_by_one(result: Sorted) -> None:
    facts: list[Fact] = []
    offsets: list[int] = []
    for offset, line in zip(result.batch.offsets, result.batch.lines.split(b"\n"), strict=True):
        try:
            facts.append(decode_fact(line))
            offsets.append(offset)
        except Rejected as error:
            result.letters.append(Letter(_UNKNOWN_SOURCE, error.reason, error.message, offset, line))
    result.decoded, result.decoded_offsets = facts, offsets


def _untimely(fact: Fact, offset: int) -> Letter:
    old = fact.at < EARLIEST_AT
    reason = Reason.AT_TOO_OLD if old else Reason.AT_IN_FUTURE
    bound = "before 1970" if old else "more than a day later than the log took it in"
    return Letter(fact.source, reason, f"`at` is {bound}", offset, encode_fact(fact))


def _unrouted(fact: ItemFact | SignalFact, offset: int) -> Letter:
    message = f"no stream claims item {fact.item} of source {fact.source}: add it to a stream's `match` or `item_keys`"
    return Letter(fact.source, Reason.NO_STREAM, message, offset, encode_fact(fact))
