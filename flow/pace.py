"""Pace percentiles: how old finished items were when they left each stage, beside the age of items in progress.

Age is since the commitment. For each stage that a finished item left after its commitment, its age at the last
departure from there counts once (the ageing chart: D. Vacanti, Actionable Agile Metrics for Predictability, 2015).
Nearest rank, over the ages themselves: exact for the items that were looked at.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from typing import Final

from flow.definitions import Stream
from flow.matching import StageMap
from flow.timeline import Timeline
from flow.visits import story_of
from flow.walk import Walker

SHARES: Final = {"p50": 0.5, "p70": 0.7, "p85": 0.85, "p95": 0.95}

Ages = Mapping[int, Sequence[int]]
"""By stage index: ages (ms) at the departure, ascending."""


def ages_at_departure(stream: Stream, finished: Iterable[Timeline]) -> Ages:
    """Of items that are done, how old they were when they left each stage."""
    walker, stage_map = Walker(stream), StageMap(stream)
    found: dict[int, list[int]] = {}
    for timeline in finished:
        story = story_of(timeline, walker, stage_map)
        committed_at = story.walk.committed_at
        if committed_at is None or story.walk.finish is None:
            continue
        left_at = {visit.stage: visit.departed_at for visit in story.visits if not walker.is_done[visit.stage]}
        for stage, at in left_at.items():
            if at is not None and at > committed_at:
                insort(found.setdefault(stage, []), at - committed_at)
    return found


def pace(ages: Sequence[int]) -> dict[str, float | None]:
    """The percentiles of a stage in seconds; None of nothing.

    >>> pace([1000, 2000, 3000, 4000])
    {'p50': 2.0, 'p70': 3.0, 'p85': 4.0, 'p95': 4.0}
    """
    return {name: ages[ceil(share * len(ages)) - 1] / 1000 if ages else None for name, share in SHARES.items()}


def passed(ages: Sequence[int], age: int) -> str | None:
    """The highest percentile that an age (ms) is over; None when it is over none, or nothing is known.

    >>> passed([1000, 2000, 3000, 4000], 3500), passed([1000, 2000], 900)
    ('p70', None)
    """
    over = [name for name, share in SHARES.items() if ages and age > ages[ceil(share * len(ages)) - 1]]
    return over[-1] if over else None
