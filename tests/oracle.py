"""A plain batch computation of everything that the state can be asked: slow, and easy to check by reading.

It takes facts and a stream definition as values and shares no code with `flow`: its own order, its own reading of
stages, its own measures. Each item is read from its whole timeline, as a list of visits; nothing goes step by step.

What is counted is a list of marks: "at this instant, so much of this measure, of this stage or item type". Any cell and
any window is then the sum of the marks in it. Times are milliseconds, values thousandths.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

from flow.buckets import COMMON
from flow.definitions import Condition, Stream
from flow.facts import ChangeFact, DeploymentFact, IncidentFact, ItemFact, LaneFact, SignalFact

MINUTE: Final = 60_000
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
GRAINS: Final = {"minute": MINUTE, "hour": HOUR, "day": DAY}

TimelineFact = ItemFact | SignalFact


class Mark(NamedTuple):
    """At this instant, `count` of a measure, of a stage, an item type or a lane. `detail`: the bin or bucket."""

    at: int
    measure: str
    of: str
    count: int  # type: ignore[assignment]  # a word of the oracle, not the tuple's method
    detail: int = 0


Figures = Counter[tuple[str, str, int]]
"""(measure, of, detail) → count, without zeros."""


@dataclass(frozen=True)
class Visit:
    """One uninterrupted stay. `end` is None while it lasts; then `forward`, `rework` and `removed` say how it ended."""

    stage: int
    start: int
    first: int
    end: int | None
    last: int
    next_stage: int | None


def summed(marks: Iterable[Mark]) -> Figures:
    """The marks by measure."""
    figures: Figures = Counter()
    for mark in marks:
        figures[mark.measure, mark.of, mark.detail] += mark.count
    return Counter({key: count for key, count in figures.items() if count})


def summed_between(marks: Iterable[Mark], start: int, end: int) -> Figures:
    """The marks with start ≤ at < end."""
    return summed(mark for mark in marks if start <= mark.at < end)


def added(many: Iterable[Figures]) -> Figures:
    """The sum of figures, negative ones too (`Counter + Counter` drops those)."""
    result: Figures = Counter()
    for figures in many:
        result.update(figures)
    return result


def cells_with(marks: Iterable[Mark]) -> dict[tuple[str, int], Figures]:
    """Figures by (grain, start of the cell), of every cell that is not empty."""
    by_cell: dict[tuple[str, int], list[Mark]] = {}
    for mark in marks:
        for grain, length in GRAINS.items():
            by_cell.setdefault((grain, mark.at - mark.at % length), []).append(mark)
    return {cell: figures for cell, some in by_cell.items() if (figures := summed(some))}


def in_order(facts: Iterable[TimelineFact]) -> list[TimelineFact]:
    """Sorted and each once: by event time, then the source's sequence number, then fact id."""
    return sorted({fact.id: fact for fact in facts}.values(), key=lambda fact: (fact.at, fact.seq, fact.id))


def bin_of(duration: int) -> int:
    """Number of the bin: one a millisecond below 32 ms; above, each power of two cut into 16 of equal width."""
    if duration < 32:
        return duration
    low, first = 32, 32
    while duration >= 2 * low:
        low, first = 2 * low, first + 16
    return first + (duration - low) * 16 // low


def claimed_stage(stream: Stream, fact: TimelineFact) -> int | None:
    """The last stage with a condition that holds of the fact."""
    claims = [i for i, stage in enumerate(stream.stages) if any(_holds(condition, fact) for condition in stage.when)]
    return max(claims, default=None)


def _holds(condition: Condition, fact: TimelineFact) -> bool:
    if isinstance(fact, SignalFact):
        if condition.signal is None or condition.status is not None or condition.label is not None:
            return False
        return condition.signal == fact.signal and condition.environment in (None, fact.environment)
    if condition.signal is not None or condition.environment is not None:
        return False
    return condition.status in (None, fact.status) and (
        condition.label is None or condition.label in (fact.labels or ())
    )


def says_unmapped(stream: Stream, fact: TimelineFact) -> bool:
    """Whether the fact has a status but no stage claims the fact."""
    return isinstance(fact, ItemFact) and fact.status is not None and claimed_stage(stream, fact) is None


class ItemStory:
    """One item, read from all its facts at once."""

    def __init__(self, stream: Stream, facts: Iterable[TimelineFact]) -> None:
        self.stream = stream
        self.facts = in_order(facts)
        self.claims = [claimed_stage(stream, fact) for fact in self.facts]
        self.places: list[int | None] = []
        for index in range(len(self.facts)):
            self.places.append(self._place_after(index))
        self.visits = self._visits()

    def _place_after(self, index: int) -> int | None:
        """The stage after this fact. Deleted: nowhere, but what was done stays there. Else: what was last claimed."""
        deletion = max((i for i in range(index + 1) if _flag(self.facts[i], "deleted")), default=None)
        if deletion is not None and not any(self._restores(i) for i in range(deletion + 1, index + 1)):
            before = self.places[deletion - 1] if deletion else None
            return before if before is not None and self._is_done(before) else None
        return next((claim for claim in reversed(self.claims[: index + 1]) if claim is not None), None)

    def _restores(self, index: int) -> bool:
        return self.claims[index] is not None or _flag(self.facts[index], "deleted") is False

    def _is_done(self, stage: int) -> bool:
        return self.stream.stages[stage].kind == "done"

    def _visits(self) -> list[Visit]:
        starts = [i for i, place in enumerate(self.places) if i == 0 or place != self.places[i - 1]]
        found = []
        for start, end in zip(starts, [*starts[1:], None], strict=True):
            stage = self.places[start]
            if stage is None:
                continue
            over = None if end is None else self.facts[end].at
            after = None if end is None else self.places[end]
            found.append(
                Visit(stage, self.facts[start].at, start, over, len(self.facts) if end is None else end, after)
            )
        return found

    def blocked_after(self, index: int) -> bool:
        """Whether the item is flagged after this fact: what was last said."""
        said = [flag for fact in self.facts[: index + 1] if (flag := _flag(fact, "blocked")) is not None]
        return bool(said) and bool(said[-1])

    def blocked_spans(self, visit: Visit) -> list[tuple[int, int]]:
        """The blocked intervals of a visit that are over, as (start, end); none in `done`."""
        if self._is_done(visit.stage):
            return []
        inside = range(visit.first, visit.last)
        starts = [i for i in inside if self.blocked_after(i) and (i == visit.first or not self.blocked_after(i - 1))]
        spans = []
        for start in starts:
            until = next((i for i in range(start, visit.last) if not self.blocked_after(i)), visit.last)
            if until < len(self.facts):
                spans.append((self.facts[start].at, self.facts[until].at))
        return spans

    def type_after(self, index: int) -> str:
        """The item type by what was last said up to this fact."""
        word = _last_said(self.facts[: index + 1], "type")
        for name, words in self.stream.types.items():
            if isinstance(word, str) and word.casefold() in {name.casefold(), *(other.casefold() for other in words)}:
                return name
        return "other"

    def value_after(self, index: int) -> int:
        """The business value in thousandths by what was last said up to this fact."""
        value = _last_said(self.facts[: index + 1], "value")
        return round(value * 1000) if isinstance(value, (int, float)) else 0

    @property
    def commitment(self) -> tuple[int, int] | None:
        """The first arrival at or past the commitment stage: its fact's index and instant."""
        marked = [i for i, stage in enumerate(self.stream.stages) if stage.commitment]
        active = [i for i, stage in enumerate(self.stream.stages) if stage.kind == "active"]
        threshold = [*marked, *active, 0][0]
        return next(((visit.first, visit.start) for visit in self.visits if visit.stage >= threshold), None)

    def place(self) -> tuple[str, int, bool, str] | None:
        """What readers see now: stage, since when, whether blocked, item type; None when it is nowhere."""
        if not self.visits or self.visits[-1].end is not None:
            return None
        visit, latest = self.visits[-1], len(self.facts) - 1
        blocked = self.blocked_after(latest) and not self._is_done(visit.stage)
        return self.stream.stages[visit.stage].name, visit.start, blocked, self.type_after(latest)

    def is_finished(self) -> bool:
        """Whether it is in `done` now."""
        return bool(self.visits) and self.visits[-1].end is None and self._is_done(self.visits[-1].stage)

    def marks(self) -> list[Mark]:
        """Everything that windows count of this item."""
        marks = [mark for number in range(len(self.visits)) for mark in self._marks_of_visit(number)]
        return marks + self._marks_of_finish() + self._marks_of_handoffs()

    def _marks_of_visit(self, number: int) -> list[Mark]:
        visit = self.visits[number]
        name = self.stream.stages[visit.stage].name
        marks = [Mark(visit.start, "arrivals", name, 1)]
        marks += [Mark(end, "blocked_time", name, end - start) for start, end in self.blocked_spans(visit)]
        if visit.end is None:
            return marks
        spent = visit.end - visit.start
        marks += [
            Mark(visit.end, "departures", name, 1),
            Mark(visit.end, "stage_time", name, spent),
            Mark(visit.end, "stage_time_bins", name, 1, bin_of(spent)),
        ]
        if visit.next_stage is None:
            marks.append(Mark(visit.end, "removed", name, 1))
        elif self._is_rework(visit.stage, visit.next_stage):
            marks.append(Mark(visit.end, "rework", name, 1))
        elif any(later.stage <= visit.stage for later in self.visits[number + 1 :]):
            marks.append(Mark(visit.end, "returned", name, 1))
        return marks

    def _marks_of_handoffs(self) -> list[Mark]:
        """Each fact that names another team than the last one that was named, of an item in progress before it."""
        named = [
            (i, fact.team) for i, fact in enumerate(self.facts) if isinstance(fact, ItemFact) and fact.team is not None
        ]
        changes = [i for (_, before), (i, team) in pairwise(named) if team != before]
        places = [(self.facts[i].at, self.places[i - 1]) for i in changes]
        return [
            Mark(at, "handoffs", self.stream.stages[place].name, 1)
            for at, place in places
            if place is not None and not self._is_done(place)
        ]

    def _is_rework(self, left: int, entered: int) -> bool:
        return entered < left or (self._is_done(left) and not self._is_done(entered))

    def active_time_before(self, number: int) -> int:
        """Unblocked time in active stages of the visits between commitment and the visit of this number."""
        commitment = self.commitment
        assert commitment is not None
        total = 0
        for visit in self.visits[:number]:
            if self.stream.stages[visit.stage].kind == "active" and visit.first >= commitment[0]:
                assert visit.end is not None
                total += visit.end - visit.start - sum(end - start for start, end in self.blocked_spans(visit))
        return total

    def _marks_of_finish(self) -> list[Mark]:
        """An item in `done` counts once, at its last arrival there, with what is known of it now."""
        if not self.is_finished():
            return []
        at, latest = self.visits[-1].start, len(self.facts) - 1
        commitment = self.commitment
        assert commitment is not None
        cycle_time, lead_time = at - commitment[1], at - self.facts[0].at
        item_type = self.type_after(latest)
        return [
            Mark(at, "finished", item_type, 1),
            Mark(at, "value", item_type, self.value_after(latest)),
            Mark(at, "cycle_time", item_type, cycle_time),
            Mark(at, "lead_time", item_type, lead_time),
            Mark(at, "active_time", item_type, self.active_time_before(len(self.visits) - 1)),
            Mark(at, "cycle_time_bins", item_type, 1, bin_of(cycle_time)),
            Mark(at, "lead_time_bins", item_type, 1, bin_of(lead_time)),
        ]

    def counters(self) -> Figures:
        """What counters hold of this item when its facts came in order. A bucket's `detail`: its bound, 0: +Inf."""
        plain = {"arrivals", "departures", "rework", "handoffs", "blocked_time", "stage_time"}
        marks = [mark for mark in self.marks() if mark.measure in plain]
        for visit in self.visits:
            stage = self.stream.stages[visit.stage]
            if visit.end is not None:
                objectives = [stage.sle.within] if stage.sle else []
                bound = _bucket(visit.end - visit.start, objectives)
                marks.append(Mark(visit.end, "stage_buckets", stage.name, 1, bound))
            if stage.kind == "done":
                marks += self._marks_of_completion(visit)
        return summed(marks)

    def _marks_of_completion(self, visit: Visit) -> list[Mark]:
        commitment = self.commitment
        assert commitment is not None
        at, item_type = visit.start, self.type_after(visit.first)
        cycle_time, lead_time = at - commitment[1], at - self.facts[0].at
        marks = [
            Mark(at, "completions", item_type, 1),
            Mark(at, "value_total", item_type, max(0, self.value_after(visit.first))),
            Mark(at, "cycle_time_total", item_type, cycle_time),
            Mark(at, "lead_time_total", item_type, lead_time),
            Mark(at, "cycle_buckets", item_type, 1, _bucket(cycle_time, self._targets("cycle_time_p"))),
            Mark(at, "lead_buckets", item_type, 1, _bucket(lead_time, self._targets("lead_time_p"))),
        ]
        if visit.end is not None:
            marks.append(Mark(visit.end, "reopened", self.type_after(visit.last), 1))
        return marks

    def _targets(self, start: str) -> list[int]:
        return [round(value) for name, value in self.stream.targets.items() if name.startswith(start)]

    def gauges(self) -> Figures:
        """Items in progress by type, blocked items by stage, and what waits in queues: nothing of what is done."""
        place = self.place()
        if place is None or self.is_finished():
            return Counter()
        marks = [Mark(0, "wip_of_type", place[3], 1)]
        if place[2]:
            marks.append(Mark(0, "blocked_items", place[0], 1))
        if self._waits():
            said = self.described()
            parts = [_thousandths(said[name]) for name in ("value", "criticality", "risk_reduction") if name in said]
            marks.append(Mark(0, "delay_cost", place[0], sum(parts)))
            if "value" in said:
                marks.append(Mark(0, "value_waiting", place[0], _thousandths(said["value"])))
                marks.append(Mark(0, "valued_items", place[0], 1))
        return summed(marks)

    def _waits(self) -> bool:
        return self.place() is not None and self.stream.stages[self.visits[-1].stage].kind == "queue"

    def rank(self) -> tuple[str, float] | None:
        """The queue that it waits in and its WSJF, where that is known."""
        place, said = self.place(), self.described()
        needed = ("value", "criticality", "risk_reduction", "size")
        if place is None or not self._waits() or any(name not in said for name in needed):
            return None
        value, criticality, risk_reduction, size = (_thousandths(said[name]) for name in needed)
        return (place[0], (value + criticality + risk_reduction) / size) if size > 0 else None

    def described(self) -> dict[str, object]:
        """Of each property that facts can tell of an item, what was said last; only what was said at all."""
        names = ("source", "project", "type", "title", "url", "value", "criticality", "risk_reduction", "size")
        told = [fact for fact in self.facts if isinstance(fact, ItemFact)]
        return {name: said for name in names if (said := _last_said(told, name)) is not None}


def stories_of(stream: Stream, facts: Iterable[TimelineFact]) -> dict[str, ItemStory]:
    """Each item's story, by name."""
    by_item: dict[str, list[TimelineFact]] = {}
    for fact in facts:
        by_item.setdefault(fact.item, []).append(fact)
    return {item: ItemStory(stream, some) for item, some in by_item.items()}


def _flag(fact: TimelineFact, name: str) -> bool | None:
    return getattr(fact, name) if isinstance(fact, ItemFact) else None


def _thousandths(amount: object) -> int:
    assert isinstance(amount, (int, float))
    return round(amount * 1000)


def _last_said(facts: Sequence[TimelineFact], name: str) -> object:
    return next((said for fact in reversed(facts) if (said := getattr(fact, name, None)) is not None), None)


def _bucket(duration: int, objectives: list[int]) -> int:
    return min((bound for bound in (*COMMON, *objectives) if duration <= bound), default=0)


# --- deliveries ------------------------------------------------------------------------------------------------------


def marks_of_lanes(facts: Iterable[LaneFact]) -> dict[tuple[str, str], list[Mark]]:
    """DORA's five of each (service, environment). A lane is known once a deployment or an incident names it."""
    ordered = sorted({(fact.service, fact.id): fact for fact in facts}.values(), key=lambda f: (f.at, f.seq, f.id))
    lanes = {(fact.service, fact.environment) for fact in ordered if not isinstance(fact, ChangeFact)}
    return {lane: _LaneStory(*lane, ordered).marks() for lane in lanes}


def open_failures(facts: Iterable[LaneFact]) -> dict[tuple[str, str], tuple[int, int]]:
    """Of each lane how many incidents that a deployment caused are not resolved, and when the oldest was opened."""
    ordered = sorted({(fact.service, fact.id): fact for fact in facts}.values(), key=lambda f: (f.at, f.seq, f.id))
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for lane in {(fact.service, fact.environment) for fact in ordered if not isinstance(fact, ChangeFact)}:
        there = [f for f in ordered if isinstance(f, IncidentFact) and (f.service, f.environment) == lane]
        opened = {
            fact.incident: fact.at
            for fact in reversed(there)
            if fact.state == "opened"
            and not any(f.incident == fact.incident and f.state == "resolved" for f in there)
            and any(f.incident == fact.incident and f.deployment for f in there)
        }
        found[lane] = len(opened), min(opened.values(), default=0)
    return found


class _LaneStory:
    def __init__(self, service: str, environment: str, ordered: Sequence[LaneFact]) -> None:
        mine = [fact for fact in ordered if fact.service == service]
        there = [fact for fact in mine if not isinstance(fact, ChangeFact) and fact.environment == environment]
        self.merges = [fact for fact in mine if isinstance(fact, ChangeFact) and fact.state == "merged"]
        self.deployed = [fact for fact in there if isinstance(fact, DeploymentFact)]
        self.incidents = [fact for fact in there if isinstance(fact, IncidentFact)]

    def marks(self) -> list[Mark]:
        marks = []
        for name in {fact.deployment for fact in self.deployed}:
            marks += self._marks_of_deployment(name)
        for name in {fact.incident for fact in self.incidents}:
            marks += self._marks_of_incident(name)
        return marks + self._marks_of_changes()

    def _first(self, name: str, state: str) -> int | None:
        return min((fact.at for fact in self.deployed if fact.deployment == name and fact.state == state), default=None)

    def _told(self, name: str, about: str) -> object:
        return _last_of([getattr(fact, about) for fact in self.deployed if fact.deployment == name])

    def _is_blamed(self, deployment: str) -> bool:
        return any(self._caused_by(fact.incident) == deployment for fact in self.incidents)

    def _caused_by(self, incident: str) -> object:
        return _last_of([fact.deployment for fact in self.incidents if fact.incident == incident])

    def _marks_of_deployment(self, name: str) -> list[Mark]:
        succeeded, failed, back = (self._first(name, state) for state in ("succeeded", "failed", "rolled_back"))
        marks = []
        if succeeded is not None:
            marks.append(Mark(succeeded, "succeeded", "", 1))
            if back is not None or self._is_blamed(name):
                marks.append(Mark(succeeded, "failed_changes", "", 1))
            if self._told(name, "remediates") is not None:
                marks.append(Mark(succeeded, "rework", "", 1))
        if failed is not None:
            marks.append(Mark(failed, "failed", "", 1))
        if back is not None:
            marks.append(Mark(back, "rolled_back", "", 1))
        if back is not None and succeeded is not None and not self._is_blamed(name):
            marks += _times(back, back - succeeded, "recoveries", "recovery_time")
        return marks

    def _marks_of_incident(self, name: str) -> list[Mark]:
        """From the first opening to the last resolution, of an incident that a deployment caused."""
        opened = [fact.at for fact in self.incidents if fact.incident == name and fact.state == "opened"]
        resolved = [fact.at for fact in self.incidents if fact.incident == name and fact.state == "resolved"]
        if not opened or not resolved or self._caused_by(name) is None:
            return []
        return _times(max(resolved), max(resolved) - min(opened), "recoveries", "recovery_time")

    def _marks_of_changes(self) -> list[Mark]:
        """Merges of one name are one change, with the commit told first; and so are names of one commit."""
        commit_of = {fact.change: fact.commit for fact in reversed(self.merges) if fact.commit is not None}
        named = [(commit_of.get(fact.change, fact.change), fact) for fact in self.merges]
        changes = list(dict.fromkeys(change for change, _ in named))
        names = {fact.deployment for fact in self.deployed}
        deployed = [
            (at, self._told(name, "commit")) for name in names if (at := self._first(name, "succeeded")) is not None
        ]
        marks = []
        for place, change in enumerate(changes):
            told = [fact for named_so, fact in named if named_so == change]
            said = [at for fact in told if (at := fact.committed_at) is not None and at > 0]
            written = min([*said, *(fact.at for fact in told)])
            up_to = set(changes[place:]) & set(commit_of.values())
            brought = [at for at, commit in deployed if commit in up_to]
            if brought:
                marks += _times(min(brought), min(brought) - written, "lead_times", "lead_time")
        return marks


def _last_of(said: Sequence[object]) -> object:
    return next((one for one in reversed(said) if one is not None), None)


def _times(at: int, spent: int, count: str, total: str) -> list[Mark]:
    spent = max(0, spent)
    return [Mark(at, count, "", 1), Mark(at, total, "", spent), Mark(at, f"{total}_bins", "", 1, bin_of(spent))]
