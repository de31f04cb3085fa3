"""What goes into an adapter and what comes out of it.

An adapter is a pure function: one authentic delivery in, the facts that it tells out. The same delivery always gives
the same facts under the same ids, so a redelivery adds nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from flow.facts import Fact

ItemNames = Callable[[Iterable[str]], tuple[str, ...]]
"""Finds the names of work items in free text: a title, a branch, a commit message."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One request as it was received. Header names are in lower case; `received_at` is in milliseconds."""

    source: str
    headers: Mapping[str, str]
    body: bytes
    received_at: int


@dataclass(slots=True)
class Translation:
    """What a delivery told. `ignored` says why nothing was made of it, such as "ping"; then there are no facts.

    `unread` names what changed without the delivery saying to what: it is to be read through the provider's API.
    """

    facts: list[Fact]
    ignored: str | None = None
    unread: tuple[str, ...] = ()


Adapter = Callable[[Delivery, ItemNames], Translation]
"""Raises Rejected (not_understood or malformed_json) for what can't be understood, and nothing else."""
