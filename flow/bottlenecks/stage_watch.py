"""One stage, hour by hour: evidence that it slowed down, or that more arrives than usual, against its own baseline.

State and time are constant: a baseline, a few sums, and what was counted since the stage last looked as usual. That is
learned while little speaks for a change, and never while an alarm stands: trouble must not become what is usual.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from flow.bottlenecks.baseline import HALF_LIFE, Baseline, Counted
from flow.bottlenecks.cusum import Cusum
from flow.bottlenecks.history import Hour
from flow.bottlenecks.thresholds import threshold_for

SLOWER: Final = (0.35, 0.65)
"""Shares of their usual rate at which departures are looked for: from nearly stuck to slower by a third."""

SLOWER_SHARES: Final = (0.35, 0.65)
"""Of a stage's chance of a false slowdown: more for what is harder to see."""

MORE: Final = (1.6,)
"""How many times as many arrivals as usual are looked for."""

HORIZON: Final = 90.0
"""Days of the calendar over which a chance of false alarms is stated."""

LEAST_A_DAY: Final = 0.8
"""Departures a day that counts, below which counts say too little: an item more or less is then no evidence."""

LEAST_LEARNED: Final = 15
"""Departures of a baseline, below which nothing can be said of what is usual."""

RECENT: Final = 2.0
"""Days that count, after which what is called recent counts half."""

WORTH: Final = 0.6
"""What a departure of the baseline is worth, by simulation: c is estimated too, and the latest are missing."""

CLEARED_AT: Final = 0.5
"""An alarm ends when its evidence falls to this."""

USUAL_TO: Final = 0.25
"""Evidence up to which the latest days are learned.

Were they learned only once there is none, the baseline would keep what is lucky: slow days wait until fast ones come.
"""

LEAVING_TAIL: Final = 2.5
"""Power of the dispersion that thresholds grow with: one item that takes for ever holds up more than it tells."""

ARRIVING_TAIL: Final = 1.5
"""The same of arrivals, which hold nothing up."""

_LEARN_EVERY: Final = 3.0
"""Days that count between two estimates."""

_CALIBRATE_AT: Final = 1.05


class Chances(msgspec.Struct, frozen=True):
    """The chances of a false alarm of one stage within HORIZON, of each of its sums.

    `open_share` is the share of the calendar's days that count.
    """

    slower: tuple[float, ...]
    more: float
    open_share: float = 1.0


class StageWatch(msgspec.Struct, array_like=True):
    """What is known of a stage. `raised` is the cause of its alarm, `raised_at` since when (ms).

    `pending` was counted since the baseline was, `in_alarm` since the alarm; what is recent counts half after RECENT
    days that count.
    """

    baseline: Baseline
    slower: list[Cusum]
    more: list[Cusum]
    pending: Counted = msgspec.field(default_factory=Counted)
    in_alarm: Counted = msgspec.field(default_factory=Counted)
    calibrated_for: float = 0.0
    raised: str = ""
    raised_at: int = 0
    recent_arrivals: float = 0.0
    recent_departures: float = 0.0

    @classmethod
    def begin(cls, baseline: Baseline, at: int) -> StageWatch:
        """Watch from this instant (ms)."""
        return cls(baseline, [Cusum(q, since=at) for q in SLOWER], [Cusum(r, since=at) for r in MORE])

    def relearn(self, end: int) -> None:
        """What has been so for long is what is usual now: learn it from what was counted since the alarm.

        Where next to nothing left there is nothing to learn, and the alarm stays.
        """
        if self.in_alarm.departures < LEAST_LEARNED:
            return
        self.baseline = Baseline(self.in_alarm, self.baseline.leaving, self.baseline.arriving, gaps=self.baseline.gaps)
        self.baseline.estimate()
        self.pending, self.in_alarm, self.raised, self.calibrated_for = Counted(), Counted(), "", 0.0
        for cusum in (*self.slower, *self.more):
            cusum.reset(end)

    def step(self, days: float, hour: Hour, end: int, handed_on: float = 0.0) -> None:
        """One hour more, of which so much counts (days), up to `end` (ms).

        `handed_on`: how many were to come out of a backlog of the stage before; they are no overload.
        """
        baseline = self.baseline
        expected, departures = baseline.expected(days, hour), hour[1]
        for cusum in self.slower:
            cusum.step(expected * baseline.gaps.pace, departures, end)
        arrivals_expected = max(baseline.arrival_rate * days, handed_on)
        for cusum in self.more:
            cusum.step(arrivals_expected, hour[0], end)
        fade = 0.5 ** (days / RECENT)
        self.recent_arrivals = self.recent_arrivals * fade + hour[0]
        self.recent_departures = self.recent_departures * fade + departures
        self._judge(end)
        self.pending.note(days, hour)
        if self.raised:
            self.in_alarm.note(days, hour)
        else:
            baseline.judge(days, hour)
            if self.pending.days >= _LEARN_EVERY and self.looks_usual:
                self._learn()
        baseline.gaps.note(expected, departures, usual=not self.raised)

    @property
    def is_to_be_calibrated(self) -> bool:
        """Whether clearly more is known, or less, than when the thresholds were set."""
        known = self.baseline.counted.departures
        return known > self.calibrated_for * _CALIBRATE_AT or known * _CALIBRATE_AT < self.calibrated_for

    def calibrate(self, chances: Chances, others: Sequence[Baseline]) -> None:
        """Set the thresholds to what is known by now of this stage, and of the stream's other ones."""
        baseline, counted = self.baseline, self.baseline.counted
        self.calibrated_for = counted.departures
        horizon = HORIZON * chances.open_share / max(counted.days, 1e-9)
        left, came = counted.departures, counted.arrivals
        batch = baseline.leaving.dispersion([other.leaving for other in others]) ** LEAVING_TAIL
        for cusum, chance in zip(self.slower, chances.slower, strict=True):
            cusum.threshold = _threshold(cusum.factor, WORTH * left, left * horizon, batch, chance)
        batch = baseline.arriving.dispersion([other.arriving for other in others]) ** ARRIVING_TAIL
        for cusum in self.more:
            cusum.threshold = _threshold(cusum.factor, came, came * horizon, batch, chances.more)

    @property
    def is_known(self) -> bool:
        """Whether enough leaves the stage to tell a change from chance."""
        counted = self.baseline.counted
        return counted.departures >= LEAST_LEARNED and counted.departures >= LEAST_A_DAY * counted.days

    @property
    def slowdown(self) -> Cusum:
        """The sum with the most evidence that the stage slowed down."""
        return max(self.slower, key=lambda cusum: cusum.evidence)

    @property
    def overload(self) -> Cusum:
        """The sum with the most evidence that more arrives."""
        return max(self.more, key=lambda cusum: cusum.evidence)

    @property
    def looks_usual(self) -> bool:
        """Whether little speaks for a change by now."""
        return max(self.slowdown.evidence, self.overload.evidence) <= USUAL_TO

    def _judge(self, end: int) -> None:
        slowdown, overload = self.slowdown.evidence, self.overload.evidence
        # The other cause's evidence keeps no alarm up: it would be told with a reason that has gone.
        if self.raised and (slowdown if self.raised == "slowdown" else overload) <= CLEARED_AT:
            self.raised = ""
        if not self.raised and self.is_known and max(slowdown, overload) >= 1:
            self.raised, self.raised_at = ("slowdown" if slowdown >= overload else "overload"), end
            self.in_alarm = Counted()

    def _learn(self) -> None:
        self.baseline.counted.add(self.pending, weight=0.5 ** (self.pending.days / HALF_LIFE))
        self.baseline.estimate()
        self.pending = Counted()


def _threshold(factor: float, learned: float, horizon: float, batch: float, chance: float) -> float:
    """In batches of b everything is as for single events that are worth b each."""
    threshold = threshold_for(factor, round(learned / batch, 1), round(horizon / batch, 1), chance)
    return batch * threshold
