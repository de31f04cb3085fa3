"""Where a page ended, as an opaque text that may stand in an address."""

from __future__ import annotations

import base64
import binascii
from typing import TypeVar

import msgspec

from flow.errors import Reason, Rejected

Cursor = TypeVar("Cursor", bound=msgspec.Struct)


def pack_cursor(cursor: msgspec.Struct) -> str:
    """The text of a cursor."""
    return base64.urlsafe_b64encode(msgspec.json.encode(cursor)).decode().rstrip("=")


def unpack_cursor(text: str, kind: type[Cursor]) -> Cursor:
    """What `pack_cursor` made of a cursor of this kind. Raises Rejected(invalid_request) on anything else."""
    try:
        packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(packed, type=kind)
    except (binascii.Error, msgspec.DecodeError, UnicodeDecodeError, ValueError):
        raise Rejected(
            Reason.INVALID_REQUEST, "`cursor` is not one of ours: take next_cursor of the page before, unchanged"
        ) from None
