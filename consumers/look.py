"""One look of the detector at one stream: what is to be read, what is to be said and what to remember. No I/O."""

from __future__ import annotations

from dataclasses import dataclass

from consumers.stream_reading import Reading
from flow.bottlenecks.cells import hours_of
from flow.bottlenecks.follow import CORRECTED, Memory, follow, learned_at, remembers, start_of_reading
from flow.bottlenecks.past import STILL, Days, changed_share, earliest_change
from flow.bottlenecks.stream_watch import Detector
from flow.bottlenecks.verdict import Said, still_learning, taking_in, verdicts
from flow.cells import Retention
from flow.instants import DAY, HOUR


@dataclass(frozen=True, slots=True)
class Kept:
    """The history that is there: the first instant, and the first day that is whole (ms)."""

    start: int
    first_day: int

    @classmethod
    def at(cls, now: int, retention: Retention) -> Kept:
        """At this instant (ms): a day less than the hours are kept, so that nothing goes while it is read."""
        start = now - max(2 * HOUR, retention.hours - DAY)
        return cls(start, -(-start // DAY) * DAY)


@dataclass(frozen=True, slots=True)
class Found:
    """The outcome of a look. `enough_at` (ms; 0: there is) and `settling` as the detector knows them of a stream."""

    said: Said
    memory: Memory
    enough_at: int = 0
    settling: bool = False


class Look:
    """At a stream, at `now` (ms), with what is stored as its memory.

    `earlier` is what the last look of this process counted of each day, None before the first; `counted` is of now.
    """

    def __init__(  # noqa: PLR0917  (all that a look depends on)
        self, detector: Detector, memory: Memory, earlier: Days | None, counted: Days, now: int, kept: Kept
    ) -> None:
        self._detector = detector
        self._stored = memory
        self._counted = counted
        self._now = now
        self._kept = kept
        self._goes_on = remembers(detector, memory, now, kept.start)
        self._earlier = memory.counted if earlier is None and self._goes_on else earlier
        self._memory = memory
        if self._goes_on and memory.is_outdated(counted, kept.first_day):
            self._memory, self._goes_on = Memory(), False

    @property
    def start(self) -> int:
        """From which hour on (ms) the hours are to be read."""
        return start_of_reading(
            self._detector, self._memory, self._now, kept_from=self._kept.start, counted=self._counted
        )

    def without_reading(self, enough_at: int) -> Found | None:
        """What can be said without the hours; None: they are to be read.

        While history is coming in there is nothing to learn from it: what is not there yet would look like trouble.
        """
        if self._goes_on or self._earlier is None:
            return None
        today = self._now // DAY * DAY
        if changed_share(self._earlier, self._counted, self._kept.first_day, today) > STILL:
            return Found(Said(self._now, taking_in(self._detector)), self._stored, settling=True)
        begin = enough_at - self._detector.stream.baseline
        changed = earliest_change(self._earlier, self._counted, self._kept.first_day)
        if begin < today and self._now < enough_at and (changed is None or changed >= today):
            return Found(Said(self._now, still_learning(self._detector, enough_at)), self._stored, enough_at)
        return None

    def judge(self, reading: Reading) -> Found:
        """What is to be said, and what to remember, from what was read from `start` on."""
        detector, start, now = self._detector, self.start, self._now
        hours = hours_of(reading.cells, detector.stages, [live.wip for live in reading.live], start, now)
        watch, remembered = follow(detector, self._memory, hours)
        remembered = remembered.with_counted(self._counted, start, self._memory.counted, self._kept.first_day)
        if watch is None:
            enough_at = learned_at(detector, hours)
            return Found(Said(now, still_learning(detector, enough_at)), remembered, enough_at)
        return Found(Said(now, verdicts(detector, watch, reading.live, now)), remembered)

    def is_to_be_remembered(self, memory: Memory) -> bool:
        """Whether it differs from what is stored in more than today's figures, which are gone through again anyway."""
        if _named(memory) != _named(self._stored):
            return True
        changed = earliest_change(self._stored.counted, memory.counted, self._kept.first_day)
        return bool(memory.days) and changed is not None and changed <= self._now - CORRECTED


def _named(memory: Memory) -> list[tuple[int, str]]:
    return [(day.through, day.fingerprint) for day in memory.days]
