"""JSON Web Tokens (RFC 7519) as proof of a sender. They prove who sent a request, and nothing of its body.

Only HS256 is taken, with a secret that both sides know: what a token says of its own algorithm decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import jwt

from flow.errors import Reason, Unauthorised
from flow.instants import MINUTE, SECOND

TOLERANCE: Final = MINUTE
"""How far, in milliseconds, the sender's clock may be off."""

_LONGEST: Final = 8_192
_SHORTEST_KEY: Final = 32
"""RFC 7518, section 3.2: a key of HS256 has at least the length of its hash."""
_LATEST: Final = 2**53


def verify_token(authorization: str, keys: Sequence[bytes], now: int) -> None:
    """Return when one of the keys signed the token of this Authorization header, `Bearer` or `JWT`, for now (ms).

    Keys of less than 32 bytes sign nothing. Raises Unauthorised: bad_signature, or old_timestamp for a good token that
    is over, not yet begun, or without an end.
    """
    word, _, token = authorization.strip().partition(" ")
    claims = _claims(token.strip(), keys) if word.lower() in {"bearer", "jwt"} and len(token) <= _LONGEST else None
    if claims is None or not isinstance(claims.get("iss"), str):
        raise Unauthorised(Reason.BAD_SIGNATURE, "the header authorization holds no token that our secret signed")
    ends, begins = _instant(claims.get("exp")), _instant(claims.get("nbf", claims.get("iat", 0)))
    if ends is None or begins is None or now > ends + TOLERANCE:
        raise Unauthorised(Reason.OLD_TIMESTAMP, "the token in the header authorization is over, or says no end")
    if now < begins - TOLERANCE:
        raise Unauthorised(
            Reason.OLD_TIMESTAMP, "the token in the header authorization has not begun: check the clocks"
        )


def _instant(seconds: object) -> int | None:
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds < _LATEST:
        return None
    return int(seconds) * SECOND


def _claims(token: str, keys: Sequence[bytes]) -> dict[str, Any] | None:
    """The times are compared by us, with our own clock."""
    for key in (key for key in keys if len(key) >= _SHORTEST_KEY):
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=["HS256"],
                options={"verify_exp": False, "verify_iat": False, "verify_nbf": False, "verify_aud": False},
            )
        except (jwt.InvalidTokenError, ValueError, RecursionError):
            continue
        return claims
    return None
