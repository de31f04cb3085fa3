"""Facts of the log written as native facts, for whoever posts what an adapter told."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from flow.facts import ChangeFact, DeploymentFact, IncidentFact, ItemFact
from flow.instants import format_instant

_INSTANTS: Final = ("at", "committed_at")


def native_line(fact: ItemFact | ChangeFact | DeploymentFact | IncidentFact) -> bytes:
    """One fact on one line. `flow.native.decode_native` makes the same fact of it again.

    >>> native_line(ItemFact(id="1", source="acme", item="CHK-12", at=1795339800000, status="To Do"))
    b'{"subject":"item","id":"1","source":"acme","item":"CHK-12","at":"2026-11-22T09:30:00Z","status":"To Do"}'
    """
    fields: dict[str, Any] = msgspec.to_builtins(fact)
    for name in _INSTANTS:
        if name in fields:
            fields[name] = format_instant(fields[name])
    return msgspec.json.encode(fields)
