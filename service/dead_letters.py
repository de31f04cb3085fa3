"""Deliveries that are authentic but could not be understood: what is kept of one, and what is not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from flow.errors import Reason
from flow.signatures import SCHEMES

_PROOFS: Final = frozenset(
    part.header for scheme in SCHEMES.values() for part in (scheme, scheme.otherwise) if part is not None
)
_PRIVATE: Final = re.compile(r"authori[sz]ation|cookie|signature|token|secret|password|api-?key|credential|jwt")
"""Headers that prove who somebody is. A letter is read by people, and sent again without any proof."""


@dataclass(frozen=True, slots=True)
class DeliveryLetter:
    """One delivery as it came. `at` is when it was received, in milliseconds."""

    source: str
    reason: Reason
    message: str
    at: int
    headers: Mapping[str, str]
    body: bytes

    def fields(self) -> dict[str | bytes, str | bytes | int]:
        """The fields of its entry in the dead letters; those of a fact's letter are in `consumers.dead_letters`."""
        return {
            "kind": "delivery",
            "source": self.source,
            "reason": self.reason.value,
            "message": self.message,
            "at": self.at,
            "headers": msgspec.json.encode(public_headers(self.headers)),
            "body": self.body,
        }


def public_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers without those that prove who sent them."""
    return {name: value for name, value in headers.items() if name not in _PROOFS and not _PRIVATE.search(name)}
