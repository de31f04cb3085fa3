"""The question that a sender of CloudEvents may ask before it delivers: is it welcome here?

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/http-webhook.md, section 4. We take what is sent: who may
deliver is decided by the proof that each delivery brings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_LONGEST_ORIGIN: Final = 255


def answer_to_origin(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """The headers of the answer to OPTIONS."""
    answers = [(b"allow", b"POST, OPTIONS")]
    origin = headers.get("webhook-request-origin", "")
    if origin:
        allowed = origin if len(origin) <= _LONGEST_ORIGIN and origin.isascii() else "*"
        answers.append((b"webhook-allowed-origin", allowed.encode()))
        answers.append((b"webhook-allowed-rate", b"*"))
    return answers
