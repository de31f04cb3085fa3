"""What one bridge measures of itself, as it publishes it and as the exporter reads it. Instants in milliseconds."""

from __future__ import annotations

from typing import Final

import msgspec

from flow.errors import Reason

REASONS: Final = (
    Reason.MALFORMED_JSON,
    Reason.INVALID_FACT,
    Reason.AT_TOO_OLD,
    Reason.AT_IN_FUTURE,
    Reason.NOT_UNDERSTOOD,
    Reason.UNKNOWN_SOURCE,
    Reason.UNSUPPORTED_MEDIA_TYPE,
    Reason.TOO_LARGE,
)
"""Why records are refused. Shown before it happens: a counter that began at 1 would have no increase to be seen."""


class TopicMetrics(msgspec.Struct):
    """What became of the records of one topic since the start. A record of several facts, or parts, counts once.

    `refused` by reason: they are dead letters now. `lag` is how many records are not done with, of the partitions that
    this bridge has now, and `lag_age` how long the oldest of them has been seen to wait (ms).
    """

    records: int = 0
    facts: int = 0
    ignored: int = 0
    refused: dict[str, int] = msgspec.field(default_factory=lambda: {reason.value: 0 for reason in REASONS})
    lag: int = 0
    lag_age: int = 0

    @property
    def kept(self) -> int:
        """Records that are dead letters now."""
        return sum(self.refused.values())


class BridgeMetrics(msgspec.Struct):
    """One bridge's metrics since it started. `at` is when they were published; `waiting`: the log takes nothing now."""

    at: int = 0
    started_at: int = 0
    waiting: bool = False
    topics: dict[str, TopicMetrics] = msgspec.field(default_factory=dict)


_encoder: Final = msgspec.json.Encoder()
_decoder: Final[msgspec.json.Decoder[BridgeMetrics]] = msgspec.json.Decoder(BridgeMetrics)


def pack_bridge(metrics: BridgeMetrics) -> bytes:
    """The row that a bridge publishes."""
    return _encoder.encode(metrics)


def unpack_bridge(row: bytes) -> BridgeMetrics:
    """What `pack_bridge` wrote. Raises msgspec.DecodeError on anything else."""
    return _decoder.decode(row)
