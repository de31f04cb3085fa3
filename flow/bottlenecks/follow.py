"""Keeps up with a stream: from what is remembered and the hours since, to what is known now and what to remember.

What is remembered are the states at the ends of the last days. From which of them the hours are gone through again is
the caller's choice: late facts changed the cells, and so everything after them comes out as if they had been in time.
A restart changes nothing: the state is a function of the first state that is kept and of the hours after it.

History that is there at once is gone through as if it had been lived through: usual is what its first days show, and
the days after them are watched. So trouble at its end is seen as trouble, not learned as usual.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from flow.bottlenecks.history import StreamHour
from flow.bottlenecks.past import OUTDATED, Days, changed_share, earliest_change
from flow.bottlenecks.stream_watch import Detector, StreamWatch
from flow.instants import DAY, HOUR

KEPT: Final = 8
"""Days whose states are remembered."""

CORRECTED: Final = DAY
"""So much of the past is gone through again at each look."""

LEAST_LEARNED_FROM: Final = 14 * DAY
"""Two weeks show the rhythm of a week; three quarters of the baseline, if that is more, are learned from at first."""


class Memory(msgspec.Struct, array_like=True):
    """States at the ends of days (UTC), the oldest first; and what was counted of each day that they were made from."""

    days: list[StreamWatch] = msgspec.field(default_factory=list)
    counted: dict[int, int] = msgspec.field(default_factory=dict)

    def is_outdated(self, counted: Days, since: int) -> bool:
        """Whether the days from `since` (ms) on, before the first state, are no longer those that were learned from."""
        return bool(self.days) and changed_share(self.counted, counted, since, self.days[0].through) > OUTDATED

    def with_counted(self, counted: Days, start: int, before: Days, since: int) -> Memory:
        """With what was counted when the hours from `start` (ms) on were gone through.

        Of older days, from `since` (ms) on, it stays as it was `before`.
        """
        first = start // DAY * DAY
        kept = {day: count for day, count in before.items() if since <= day < first}
        return Memory(self.days, kept | {day: count for day, count in counted.items() if day >= first})


_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final[msgspec.msgpack.Decoder[Memory]] = msgspec.msgpack.Decoder(Memory)


def pack_memory(memory: Memory) -> bytes:
    """As it is stored."""
    return _encoder.encode(memory)


def unpack_memory(row: bytes) -> Memory:
    """What `pack_memory` wrote; empty when another version wrote it."""
    try:
        return _decoder.decode(row)
    except msgspec.MsgspecError:
        return Memory()


def start_of_reading(detector: Detector, memory: Memory, now: int, *, kept_from: int, counted: Days) -> int:
    """From which hour on (ms) the hours are to be read, before `now`; cells are kept from `kept_from` on.

    That is a day back, or as far as what is counted of the days now differs from what was gone through.
    """
    usable = [watch.through for watch in _usable(detector, memory, kept_from) if watch.through < now]
    if not usable:
        return -(-kept_from // HOUR) * HOUR
    changed = earliest_change(memory.counted, counted, usable[0])
    settled = now - CORRECTED if changed is None else min(changed, now - CORRECTED)
    return max((through for through in usable if through <= settled), default=usable[0])


def remembers(detector: Detector, memory: Memory, now: int, kept_from: int) -> bool:
    """Whether there is a state to go on from; else what is usual is to be learned."""
    return any(watch.through < now for watch in _usable(detector, memory, kept_from))


def follow(detector: Detector, memory: Memory, hours: Sequence[StreamHour]) -> tuple[StreamWatch | None, Memory]:
    """The state at the end of the last hour, which may be unfinished, and what to remember.

    None: the stream has too little history yet; see `learned_at`.
    """
    start = hours[0].start
    before = [watch for watch in _usable(detector, memory, 0) if watch.through <= start]
    if before and before[-1].through == start:
        watch, rest = _copy(before[-1]), hours
    else:
        begin = _first_active(hours)
        if hours[-1].end < hours[begin].start + detector.stream.baseline:
            return None, Memory()
        until = hours[begin].start + learned_at_once(detector)
        learned = [hour for hour in hours[begin:] if hour.end <= until]
        watch, rest, before = detector.learn(learned), hours[begin + len(learned) :], []
    days = list(before)
    for hour in rest:
        detector.step(watch, hour)
        if hour.end % DAY == 0:
            days.append(_copy(watch))
    return watch, Memory(days[-KEPT:])


def learned_at_once(detector: Detector) -> int:
    """How much (ms) of a history that is there at once is learned from; what follows is gone through."""
    return max(LEAST_LEARNED_FROM, detector.stream.baseline * 3 // 4)


def learned_at(detector: Detector, hours: Sequence[StreamHour]) -> int:
    """When there will be enough history (ms), if the first hour in which something happened is its beginning."""
    return hours[_first_active(hours)].start + detector.stream.baseline


def _first_active(hours: Sequence[StreamHour]) -> int:
    active = (
        place for place, hour in enumerate(hours) if any(stage.arrivals or stage.departures for stage in hour.stages)
    )
    return next(active, len(hours) - 1)


def _usable(detector: Detector, memory: Memory, kept_from: int) -> list[StreamWatch]:
    return [watch for watch in memory.days if watch.fingerprint == detector.fingerprint and watch.through >= kept_from]


def _copy(watch: StreamWatch) -> StreamWatch:
    return msgspec.msgpack.decode(msgspec.msgpack.encode(watch), type=StreamWatch)
