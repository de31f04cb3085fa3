"""One stream, hour by hour. The state after some hours is a function of those hours and of the definition alone."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

import msgspec

from flow.bottlenecks.baseline import learn
from flow.bottlenecks.business_time import learn_rhythm, slot_of
from flow.bottlenecks.history import StreamHour
from flow.bottlenecks.stage_watch import HORIZON, MORE, SLOWER_SHARES, Chances, StageWatch
from flow.definitions import Stream
from flow.instants import DAY

SLOWDOWN_SHARE: Final = 0.9
"""Of the budget of false alarms; the rest is for overload."""

_ALIKE: Final = 2.0
"""What arrives passes all stages: their overload sums alarm together, about as often as two stages' would alone."""

_LAYOUT: Final = 3
"""Counts up when what is stored, or what it means, changes."""

_YEAR: Final = 365.0


class StreamWatch(msgspec.Struct, array_like=True):
    """What is known of a stream: its stages that are not `done`, in order, after the hours up to `through` (ms).

    `rhythm` weighs the hours of the week where no calendar is given. `fingerprint` names the definition it holds for.
    """

    fingerprint: str
    through: int
    rhythm: list[float]
    stages: list[StageWatch]


_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final[msgspec.msgpack.Decoder[StreamWatch]] = msgspec.msgpack.Decoder(StreamWatch)


def pack_watch(watch: StreamWatch) -> bytes:
    """As it is stored."""
    return _encoder.encode(watch)


def unpack_watch(row: bytes) -> StreamWatch:
    """What `pack_watch` wrote. Raises msgspec.DecodeError on anything else."""
    return _decoder.decode(row)


class Detector:
    """Watches one stream."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.stages = [index for index, stage in enumerate(stream.stages) if stage.kind != "done"]
        self.fingerprint = _fingerprint(stream)
        calendar = stream.calendar
        self.open_share = 1.0 if calendar is None else len(calendar.days) / 7
        allowed = stream.false_alarms_per_year * HORIZON / _YEAR
        self.chances = Chances(
            tuple(min(0.5, allowed * SLOWDOWN_SHARE / len(self.stages) * share) for share in SLOWER_SHARES),
            min(0.5, allowed * (1 - SLOWDOWN_SHARE) / min(_ALIKE, len(self.stages)) / len(MORE)),
            self.open_share,
        )

    def learn(self, hours: Sequence[StreamHour]) -> StreamWatch:
        """What is usual, from the first hours that there are."""
        rhythm: Sequence[float] = ()
        if self.stream.calendar is None:
            rhythm = learn_rhythm((hour.start, sum(stage.departures for stage in hour.stages)) for hour in hours)
        end = hours[-1].end
        days = [self._days(rhythm, hour.start, hour.end) for hour in hours]
        stages = [
            StageWatch.begin(learn(zip(days, (hour.stages[place] for hour in hours), strict=True)), end)
            for place in range(len(self.stages))
        ]
        return StreamWatch(self.fingerprint, end, list(rhythm), stages)

    def step(self, watch: StreamWatch, hour: StreamHour) -> None:
        """One hour further."""
        days = self._days(watch.rhythm, hour.start, hour.end)
        handed_on = 0.0
        for place, (stage, counted) in enumerate(zip(watch.stages, hour.stages, strict=True)):
            if stage.is_to_be_calibrated:
                others = [other.baseline for other in watch.stages[:place] + watch.stages[place + 1 :]]
                stage.calibrate(self.chances, others)
            caught_up = stage.baseline.caught_up(days, counted)
            stage.step(days, counted, hour.end, handed_on)
            handed_on = caught_up
            if stage.raised and hour.end - stage.raised_at >= self.stream.relearn_after:
                stage.relearn(hour.end)
        watch.through = hour.end

    def after(self, watch: StreamWatch, hour: StreamHour) -> StreamWatch:
        """The watch as it would be after this hour; the watch itself stays as it is."""
        moved = unpack_watch(pack_watch(watch))
        self.step(moved, hour)
        return moved

    def _days(self, rhythm: Sequence[float], start: int, end: int) -> float:
        """How much of a time counts, in days."""
        calendar = self.stream.calendar
        if calendar is not None:
            return calendar.open_time(start, end) / calendar.open_a_day
        return (end - start) / DAY * rhythm[slot_of(start)]


def _fingerprint(stream: Stream) -> str:
    """Changes when what was learned does not hold any more."""
    calendar = None if stream.calendar is None else msgspec.to_builtins(stream.calendar, enc_hook=str)
    parts = [_LAYOUT, stream.fingerprint, calendar, stream.baseline]
    return sha256(msgspec.json.encode(parts)).hexdigest()[:16]
