"""Statuses that no stage claims: how the monitor counts them by name, and how they are listed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

PREFIX: Final = "unmapped|"
"""A count's name is this, the source, `|`, and the status as the source says it."""

MOST_NAMES: Final = 200
"""Of one stream in one partition; what comes beyond is counted together, by source."""

OTHER_NAMES: Final = "(other names)"


@dataclass(frozen=True, slots=True)
class UnmappedStatus:
    """A status that no stage claims, and how many facts had it. `status` None: names beyond those that are kept."""

    source: str
    status: str | None
    facts: int


def count_name(source: str, status: str) -> str:
    """Under what name the monitor counts it."""
    return f"{PREFIX}{source}|{status}"


def unmapped_in(counts: Mapping[str, int]) -> list[UnmappedStatus]:
    """What the monitor's counts say of such statuses: most facts first, then by source and name.

    >>> unmapped_in({"facts|jira": 9, "unmapped|jira|On | hold": 2})
    [UnmappedStatus(source='jira', status='On | hold', facts=2)]
    """
    found = []
    for name, facts in counts.items():
        if name.startswith(PREFIX):
            source, _, status = name.removeprefix(PREFIX).partition("|")
            found.append(UnmappedStatus(source, None if status == OTHER_NAMES else status, facts))
    return sorted(found, key=lambda each: (-each.facts, each.status is None, each.source, each.status or ""))
