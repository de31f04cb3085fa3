"""Bearer tokens of the API (RFC 6750). Settings hold only their SHA-256: a leaked file opens nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from hmac import compare_digest
from typing import Final

from flow.errors import Reason, SettingsError, Unauthorised

_HASH: Final = re.compile(r"[0-9a-f]{64}")


class TokenCheck:
    """Lets requests pass that carry a known token.

    `hashes` maps each token's name to the hex SHA-256 of the token. Without any, everybody may pass if `open_access`,
    and nobody otherwise. Raises SettingsError when a hash is not one.
    """

    def __init__(self, hashes: Mapping[str, str], open_access: bool) -> None:
        wrong = [name for name, text in hashes.items() if not _HASH.fullmatch(text.lower())]
        if wrong:
            raise SettingsError(
                [f"token {name!r}: write the hex SHA-256 of the token, 64 digits, not the token" for name in wrong]
            )
        self._hashes = [text.lower().encode() for text in hashes.values()]
        self._open = open_access and not hashes

    def check(self, headers: Mapping[str, str]) -> None:
        """Raises Unauthorised(missing_token or bad_token). Names of headers are in lower case."""
        if self._open:
            return
        scheme, _, token = headers.get("authorization", "").strip().partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Unauthorised(Reason.MISSING_TOKEN, "a token is needed: send `Authorization: Bearer <token>`")
        digest = sha256(token.strip().encode()).hexdigest().encode()
        # All are compared, so that how long it takes tells nothing of which one came near.
        if not sum([compare_digest(digest, known) for known in self._hashes]):
            raise Unauthorised(Reason.BAD_TOKEN, "this token is not known here: check it, or ask who runs this service")
