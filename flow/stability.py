"""Whether what flows through is stable: the conditions of Little's law, checked over a window. A check, no forecast.

L = λW (Little 1961): over a window, average WIP = departures per time x mean time of what departed, if as much arrives
as departs, what starts also finishes, and what is inside gets neither older nor younger (Stidham 1974; D. Vacanti,
Actionable Agile Metrics for Predictability, 2015). The identity behind it is exact: the area under WIP is the time that
items spent inside, so (average WIP - λW) x window is by how much the ages of all that is inside grew together.

Average WIP is taken from its values at the edges of steps, as if it changed evenly between them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import sqrt
from typing import Any, Final

from flow import vector
from flow.definitions import Stream
from flow.vector import Vector, stage_key, type_key

STANDARD_DEVIATIONS: Final = 2.0
"""The difference of two Poisson counts has the variance of their sum: within so many of these it may be chance."""

TOLERANCE: Final = 0.2
"""Average WIP may be off by this share of itself before ages count as changing. Ours: the sources name no number."""

MOST_REMOVED: Final = 0.1
"""Of what left, the share that may have been deleted before the law is in doubt. Ours."""


@dataclass(frozen=True, slots=True)
class Passage:
    """What passed a stage, or the stream from its commitment on, in a window.

    `edges` are instants (ms), `wip` what was inside at each; `left` counts what departed, `removed` those of them that
    were deleted, `spent` the time (ms) that what departed had been inside.
    """

    edges: Sequence[int]
    wip: Sequence[int]
    left: int
    removed: int
    spent: int

    @property
    def arrived(self) -> int:
        """What came, less what went back to before: what left and what WIP grew by."""
        return self.left + self.wip[-1] - self.wip[0]

    @property
    def length(self) -> int:
        """The window in milliseconds."""
        return self.edges[-1] - self.edges[0]

    @property
    def average_wip(self) -> float:
        """Items inside, on average over the window."""
        inside = zip(pairwise(self.edges), pairwise(self.wip), strict=True)
        return sum((end - start) * (before + after) / 2 for (start, end), (before, after) in inside) / self.length


def stage_passage(index: int, edges: Sequence[int], counted: Sequence[Vector], wip_at_end: int) -> Passage:
    """Of one stage that is not done. `counted` holds a vector for each step between two edges."""
    left, removed, spent = (
        sum(part.get(stage_key(index, code), 0) for part in counted)
        for code in (vector.DEPARTURES, vector.REMOVED, vector.STAGE_TIME)
    )
    return Passage(edges, _wip(counted, [index], wip_at_end), left, removed, spent)


def stream_passage(
    stream: Stream, edges: Sequence[int], counted: Sequence[Vector], wips_at_end: Sequence[int | None]
) -> Passage:
    """Of the stream from its commitment on. `wips_at_end` by stage.

    What left is what went into `done`, less what came back from there, and what was deleted.
    """
    inside, done = [], []
    for index, stage in enumerate(stream.stages):
        if stage.kind == "done":
            done.append(index)
        elif index >= stream.commitment:
            inside.append(index)
    removed = sum(part.get(stage_key(index, vector.REMOVED), 0) for part in counted for index in inside)
    spent = sum(
        part.get(type_key(index, vector.CYCLE_TIME), 0) for part in counted for index in range(len(stream.item_types))
    )
    into_done = sum(_growth(part, done) for part in counted)
    wip_at_end = sum(wips_at_end[index] or 0 for index in inside)
    return Passage(edges, _wip(counted, inside, wip_at_end), into_done + removed, removed, spent)


def _growth(counted: Vector, stages: Sequence[int]) -> int:
    """By how much there was more in these stages after what was counted than before."""
    return sum(
        counted.get(stage_key(stage, vector.ARRIVALS), 0) - counted.get(stage_key(stage, vector.DEPARTURES), 0)
        for stage in stages
    )


def _wip(counted: Sequence[Vector], stages: Sequence[int], at_end: int) -> list[int]:
    growth = [_growth(part, stages) for part in counted]
    return list(accumulate(growth, initial=at_end - sum(growth)))


def stability(passage: Passage) -> dict[str, Any]:
    """What readers are told; `holds` is None where nothing was inside and nothing passed."""
    if not passage.left and not any(passage.wip):
        empty: dict[str, Any] = dict.fromkeys(("average_wip", "expected_wip", "balance", "ages", "holds"))
        return empty | {"arrived": 0, "left": 0, "removed": 0, "wip_at_start": 0, "wip_at_end": 0, "why": []}
    average, expected = passage.average_wip, passage.spent / passage.length
    balance, ages = balance_of(passage), _ages(average, expected)
    why = list(_why(passage, average, expected, balance, ages))
    return {
        "arrived": passage.arrived,
        "left": passage.left,
        "removed": passage.removed,
        "wip_at_start": passage.wip[0],
        "wip_at_end": passage.wip[-1],
        "average_wip": average,
        "expected_wip": expected,
        "balance": balance,
        "ages": ages,
        "holds": not why,
        "why": why,
    }


def balance_of(passage: Passage) -> str:
    """Whether as much arrived as left: `balanced`, or, beyond chance, `more_arrives` or `more_leaves`."""
    growth = passage.arrived - passage.left
    if abs(growth) <= STANDARD_DEVIATIONS * sqrt(max(0, passage.arrived + passage.left)):
        return "balanced"
    return "more_arrives" if growth > 0 else "more_leaves"


def _ages(average: float, expected: float) -> str:
    if abs(average - expected) <= TOLERANCE * average:
        return "steady"
    return "rising" if average > expected else "falling"


def _why(passage: Passage, average: float, expected: float, balance: str, ages: str) -> Iterator[str]:
    if balance != "balanced":
        more = "more arrives than leaves" if balance == "more_arrives" else "more leaves than arrives"
        yield f"{passage.arrived} arrived and {passage.left} left: {more}, beyond chance"
    if ages != "steady":
        older = "older" if ages == "rising" else "younger"
        yield (
            f"what is inside gets {older}: {average:.1f} items were inside on average, and what left accounts for "
            f"{expected:.1f}"
        )
    if passage.removed > MOST_REMOVED * max(0, passage.left):
        yield f"{passage.removed} of the {passage.left} that left were deleted: not all that starts is finished"
