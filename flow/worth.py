"""What an item is worth, and what waiting costs: cost of delay and WSJF, out of the four numbers that facts carry.

Cost of delay = value + time criticality + risk reduction or opportunity enablement; WSJF (weighted shortest job
first) = cost of delay / job size (SAFe; after D. Reinertsen, The Principles of Product Development Flow, 2009).
The numbers are relative ones of whoever estimates them: they compare items of one stream, and are no money.
"""

from __future__ import annotations

from typing import NamedTuple

from flow.entries import About

NUMBERS = ("value", "criticality", "risk_reduction", "size")
"""What WSJF is made of, by the names that facts have for it."""


class Worth(NamedTuple):
    """Amounts in thousandths. `value` is None where none was said; `cost_of_delay` adds up what was said.

    `wsjf` is None unless all four numbers are known and the size is over 0.
    """

    value: int | None
    cost_of_delay: int
    wsjf: float | None


def worth_of(about: About) -> Worth | None:
    """What is known of the item's worth; None when nothing is.

    >>> worth_of(About(value=8, criticality=3, risk_reduction=1, size=2))
    Worth(value=8000, cost_of_delay=12000, wsjf=6.0)
    >>> worth_of(About(value=8)), worth_of(About(size=2))
    (Worth(value=8000, cost_of_delay=8000, wsjf=None), None)
    """
    value, criticality, risk_reduction = about.value, about.criticality, about.risk_reduction
    if value is None and criticality is None and risk_reduction is None:
        return None
    cost = sum(round(part * 1000) for part in (value, criticality, risk_reduction) if part is not None)
    size = 0 if about.size is None else round(about.size * 1000)
    known = value is not None and criticality is not None and risk_reduction is not None and size > 0
    return Worth(None if value is None else round(value * 1000), cost, cost / size if known else None)


def missing_numbers(about: About) -> list[str]:
    """Which of the four numbers keep the item from having a WSJF: not said, or a size that is not over 0.

    >>> missing_numbers(About(value=8, criticality=3, size=0))
    ['risk_reduction', 'size']
    """
    missing = [name for name in NUMBERS[:3] if getattr(about, name) is None]
    return missing if about.size is not None and round(about.size * 1000) > 0 else [*missing, "size"]
