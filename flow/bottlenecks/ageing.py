"""An item that is too old: the alarm that is left where too little leaves to count.

Lengths of visits are taken to be lognormal, as elapsed times of knowledge work about are; an item alarms when its age
is one that in a year at most the budget's number of visits reach by chance. The spread of few visits is itself
uncertain, so the limit is that of Student's t, by the expansion of Cornish and Fisher, for one visit more.
"""

from __future__ import annotations

from math import exp, sqrt
from statistics import NormalDist
from typing import Final

from flow.bottlenecks.baseline import Counted

LEAST_VISITS: Final = 10
"""Finished visits, below which no limit can be told from them."""

_LEAST_SPREAD: Final = 0.3


def age_limit(counted: Counted, chance: float) -> float | None:
    """The age (ms) that a visit passes with this chance; None where there are too few visits.

    >>> visits = Counted(departures=100, log_time=1800.0, log_square=32500.0)  # about e^18 ms: 18 hours
    >>> round(age_limit(visits, 0.01) / 3_600_000)
    199
    """
    visits = counted.departures
    if visits < LEAST_VISITS:
        return None
    mean = counted.log_time / visits
    spread = sqrt(max(_LEAST_SPREAD**2, (counted.log_square / visits - mean**2) * visits / (visits - 1)))
    z = NormalDist().inv_cdf(1 - min(0.5, max(chance, 1e-9)))
    t = z + (z**3 + z) / (4 * (visits - 1))
    return exp(mean + t * spread * sqrt(1 + 1 / visits))
