"""How much is taken in at once, and how much may wait. The settings need these, and must not load the HTTP server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from flow.instants import DAY, SECOND

MEGABYTE: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class IngestBounds:
    """Sizes in bytes; how far a fact may be ahead of our clock, and how long a webhook waits for the log (ms)."""

    most_body: int = 10 * MEGABYTE
    most_webhook_body: int = 25 * MEGABYTE
    future_tolerance: int = DAY
    webhook_within: int = 3 * SECOND


@dataclass(frozen=True, slots=True)
class AppendBounds:
    """How much may wait. `within` is the longest that an append waits, in milliseconds; `keep_letters` a number.

    `replicas` of a Redis must have an append before it is acknowledged.
    """

    most_pending: int = 50_000
    within: int = 5 * SECOND
    keep_letters: int = 10_000
    replicas: int = 0
