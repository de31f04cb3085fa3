"""What readers are told of each stage: a state, its cause, the evidence, since when, and why in one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

import msgspec

from flow.bottlenecks.ageing import age_limit
from flow.bottlenecks.cusum import Cusum
from flow.bottlenecks.stage_watch import LEAST_A_DAY, LEAST_LEARNED, StageWatch
from flow.bottlenecks.stream_watch import Detector, StreamWatch
from flow.bottlenecks.walk import Standing, constraint
from flow.instants import DAY, HOUR, MINUTE, format_instant

State = Literal["none", "insufficient_data", "stuck", "not_keeping_up", "steady_backlog", "catching_up"]

SLOWDOWN: Final = "slowdown"
OVERLOAD: Final = "overload"
AGEING: Final = "ageing"
CAUSES: Final = (SLOWDOWN, OVERLOAD, AGEING)

_STUCK_AT: Final = 3.0
"""Expected departures, none of which came: by chance that happens once in twenty times."""

_BACKLOG_AT: Final = 2.0
"""Standard deviations of WIP above its mean that are called a backlog."""


class Verdict(msgspec.Struct, frozen=True):
    """What is said of one stage.

    `evidence` is the cause's, 1 at the threshold of an alarm; `evidences` has all causes that are watched. `raised`: in
    alarm; `constrains`: of those the one that holds the stream up. `since` (ms): its likeliest beginning.
    """

    stage: str
    state: State
    cause: str | None
    evidence: float | None
    raised: bool
    constrains: bool
    since: int | None
    why: str
    evidences: dict[str, float]


class Said(msgspec.Struct, frozen=True):
    """All verdicts of a stream, and when they were made (ms)."""

    at: int
    stages: list[Verdict]


_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final[msgspec.msgpack.Decoder[Said]] = msgspec.msgpack.Decoder(Said)


def pack_said(said: Said) -> bytes:
    """As it is stored."""
    return _encoder.encode(said)


def unpack_said(row: bytes) -> Said | None:
    """What `pack_said` wrote; None when another version wrote it."""
    try:
        return _decoder.decode(row)
    except msgspec.MsgspecError:
        return None


def told(verdict: Verdict) -> dict[str, Any] | None:
    """What the API says of a stage. None where there is nothing to say. Instants as RFC 3339."""
    if verdict.state == "none":
        return None
    return {
        "state": verdict.state,
        "cause": verdict.cause,
        "evidence": verdict.evidence,
        "since": None if verdict.since is None else format_instant(verdict.since),
        "why": verdict.why,
        "raised": verdict.raised,
        "constrains": verdict.constrains,
    }


class Live(msgspec.Struct, frozen=True):
    """What is in a stage now: items, and when the earliest of them arrived (ms; None: empty)."""

    wip: int
    oldest_at: int | None


def still_learning(detector: Detector, until: int) -> list[Verdict]:
    """What is said of every stage while there is not enough history; `until` (ms) is when there will be."""
    history = short_time(detector.stream.baseline)
    return _unknown(
        detector, f"learning what is usual from {history} of history: there will be enough at {format_instant(until)}"
    )


def taking_in(detector: Detector) -> list[Verdict]:
    """What is said of every stage while history is still coming in: a half of it would look like trouble."""
    return _unknown(detector, "history is coming in: it is gone through a few seconds after the last of it")


def _unknown(detector: Detector, why: str) -> list[Verdict]:
    names = [detector.stream.stages[index].name for index in detector.stages]
    return [Verdict(name, "insufficient_data", None, None, False, False, None, why, {}) for name in names]


def verdicts(detector: Detector, watch: StreamWatch, live: Sequence[Live], now: int) -> list[Verdict]:
    """What is said of each stage that is not `done`, at `now` (ms), after the hours that the watch has seen."""
    definitions = [detector.stream.stages[index] for index in detector.stages]
    readers = [
        _Reader(detector, index, stage, place, now)
        for index, stage, place in zip(detector.stages, watch.stages, live, strict=True)
    ]
    found = constraint([reader.standing() for reader in readers])
    if found is None:
        return [reader.verdict() for reader in readers]
    alarm, name = readers[found.alarm], definitions[found.stage].name
    return [reader.verdict(alarm, name) for reader in readers]


class _Reader:
    """Reads one stage's watch."""

    def __init__(self, detector: Detector, index: int, watch: StageWatch, live: Live, now: int) -> None:
        self.definition = detector.stream.stages[index]
        self.watch = watch
        self.live = live
        self.now = now
        # What waits before the commitment may wait for ever: it was never promised to anybody.
        self.age_limit = self._age_limit(detector) if index >= detector.stream.commitment else None
        self.age = 0 if live.oldest_at is None else max(0, now - live.oldest_at)
        self.too_old = not watch.is_known and self.age_limit is not None and self.age > self.age_limit

    def _age_limit(self, detector: Detector) -> float | None:
        """The age that one visit in a year passes, by the stage's share of the budget; else the stage's SLE."""
        counted = self.watch.baseline.counted
        a_year = counted.departures / max(counted.days, 1e-9) * 365 * detector.open_share
        allowed = detector.stream.false_alarms_per_year / len(detector.stages)
        limit = age_limit(counted, allowed / max(a_year, 1e-9))
        if limit is None and self.definition.sle is not None:
            return float(self.definition.sle.within)
        return limit

    @property
    def raised(self) -> str:
        return self.watch.raised or (AGEING if self.too_old else "")

    def standing(self) -> Standing:
        baseline = self.watch.baseline
        load = baseline.arrival_rate / baseline.most_a_day if baseline.most_a_day else 0.0
        raised_at = self.watch.raised_at if self.watch.raised else self.now
        overload = self.watch.overload.evidence
        return Standing(self.raised, raised_at, overload, self.live.wip, self.definition.wip_limit, load)

    def verdict(self, alarm: _Reader | None = None, constraint: str = "") -> Verdict:
        """What is said, where another or this stage's alarm names the stage that constrains the stream."""
        constrains = self.definition.name == constraint
        evidences = self.evidences()
        cause = self.raised or None
        if constrains and alarm is not None:
            cause = alarm.raised
            evidences[cause] = max(evidences.get(cause, 0.0), alarm.evidences()[cause])
        return Verdict(
            stage=self.definition.name,
            state=self._state(cause is not None),
            cause=cause,
            evidence=evidences[cause] if cause else max(evidences.values(), default=None),
            raised=cause is not None,
            constrains=constrains,
            since=(alarm if constrains and alarm is not None else self)._since(cause),
            why=self._why(cause, alarm, constraint),
            evidences=evidences,
        )

    def evidences(self) -> dict[str, float]:
        if self.watch.is_known or self.watch.raised:
            return {SLOWDOWN: self.watch.slowdown.evidence, OVERLOAD: self.watch.overload.evidence}
        return {} if self.age_limit is None else {AGEING: self.age / self.age_limit}

    def _state(self, raised: bool) -> State:
        slowdown = self.watch.slowdown
        if raised:
            if slowdown.seen == 0 and slowdown.expected >= _STUCK_AT:
                return "stuck"
            if self.too_old:
                return "stuck"
            return "catching_up" if self._drains() else "not_keeping_up"
        if not self.watch.is_known:
            return "insufficient_data"
        baseline = self.watch.baseline
        if self.live.wip <= baseline.wip + max(1.0, _BACKLOG_AT * baseline.wip_deviation):
            return "none"
        return "catching_up" if self._drains() else "steady_backlog"

    def _drains(self) -> bool:
        """Whether clearly more left than arrived of late."""
        return self.watch.recent_departures > self.watch.recent_arrivals + 1

    def _since(self, cause: str | None) -> int | None:
        if cause == SLOWDOWN:
            return self.watch.slowdown.since
        if cause == OVERLOAD:
            return self.watch.overload.since
        return self.live.oldest_at if cause == AGEING else None

    def _why(self, cause: str | None, alarm: _Reader | None, constraint: str) -> str:
        text = self._evidence_text(cause)
        if cause is None or alarm is None:
            return text
        name = self.definition.name
        if name != constraint:
            return f"{text}; {constraint} constrains the stream"
        if alarm is self:
            return text
        if cause == OVERLOAD:
            return f"more arrives in {alarm.definition.name}, and this stage has the least room for it; {text}"
        return f"it is at its WIP limit of {self.definition.wip_limit} and holds up {alarm.definition.name}; {text}"

    def _evidence_text(self, cause: str | None) -> str:
        if cause == OVERLOAD:
            cusum = self.watch.overload
            came = f"{_count(cusum.seen)} arrived in {self._span(cusum)}, {_count(cusum.expected)} are usual"
            if cusum.value == 0:
                came = "no more arrives here than usual by now"
            return f"{came}; about {self.watch.baseline.most_a_day:.1f} a day can leave"
        if cause == AGEING or (cause is None and not self.watch.is_known):
            return self._age_text()
        cusum = self.watch.slowdown
        if cusum.value == 0:
            return "as many leave as usual at this WIP"
        return f"{_count(cusum.seen)} left in {self._span(cusum)}, {_count(cusum.expected)} expected at this WIP"

    def _age_text(self) -> str:
        counted = self.watch.baseline.counted
        few = f"{_count(counted.departures)} left in {max(counted.days, 0.0):.0f} days that count"
        rule = f"{LEAST_LEARNED} and {LEAST_A_DAY} a day are needed to see a slowdown or an overload"
        if self.too_old and self.age_limit is not None:
            age, limit = short_time(self.age), short_time(round(self.age_limit))
            return f"the oldest item is here for {age}, and {limit} are the most that is usual; {few}"
        return f"too little leaves to know: {few}; {rule}"

    def _span(self, cusum: Cusum) -> str:
        return short_time(self.now - cusum.since)


def _count(number: float) -> str:
    return f"{number:.0f}" if number >= 9.95 or number == int(number) else f"{number:.1f}"


def short_time(duration: int) -> str:
    """A duration (ms) as people say it.

    >>> short_time(3 * 86_400_000), short_time(5_400_000), short_time(0)
    ('3 days', '2 hours', '0 minutes')
    """
    for unit, size in (("day", DAY), ("hour", HOUR), ("minute", MINUTE)):
        if duration >= size * (2 if unit == "day" else 1) or unit == "minute":
            count = round(duration / size)
            return f"{count} {unit}{'' if count == 1 else 's'}"
    raise AssertionError
