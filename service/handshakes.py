"""Secrets that a sender makes up itself and tells once, when a webhook is made: Asana's.

https://developers.asana.com/docs/webhooks-guide. The first POST to a new webhook carries X-Hook-Secret and must be
answered with it, while the call that makes the webhook still waits. Every webhook has a secret of its own, so several
are kept: in Redis, where all processes find them. A handshake is taken only at an address that carries our own token,
and only while that token is set: nobody else can make us believe a secret.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hmac import compare_digest
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from flow import keys
from flow.errors import Reason, Unauthorised, Unavailable
from flow.instants import SECOND
from service.webhook_requests import IN_ADDRESS

HANDSHAKE_HEADER: Final = "x-hook-secret"
MOST_SECRETS: Final = 100
"""Of one source; the newest are kept."""

_LONGEST: Final = 255


class Handshakes:
    """The secrets of sources that told them, and the handshakes that bring new ones.

    `tokens` maps each source that may make a handshake to the token of its address. `clock` gives milliseconds.
    """

    def __init__(self, redis: Redis, tokens: Mapping[str, str], clock: Callable[[], int]) -> None:
        self._redis = redis
        self._tokens = {name: token.encode() for name, token in tokens.items()}
        self._clock = clock
        self._known: dict[str, tuple[str, ...]] = {}
        self._read_at: dict[str, int] = {}

    def expects(self, name: str) -> bool:
        """Whether this source may make a handshake, and so have secrets here."""
        return name in self._tokens

    async def take(self, name: str, headers: Mapping[str, str]) -> str:
        """Keep the secret of a handshake; it is durable as far as Redis is. Returns it, for the answer.

        Raises Unauthorised for a handshake that we did not ask for, Unavailable when Redis does not answer.
        """
        secret = headers[HANDSHAKE_HEADER].strip()
        token = self._tokens.get(name, b"")
        if not token or not compare_digest(headers.get(IN_ADDRESS, "").encode("latin-1", "replace"), token):
            message = "no handshake is expected here: set handshake_token, and end the address with ?token=<that token>"
            raise Unauthorised(Reason.BAD_SIGNATURE, message)
        if not secret or len(secret) > _LONGEST or not secret.isascii() or not secret.isprintable():
            raise Unauthorised(Reason.MISSING_SIGNATURE, f"the header {HANDSHAKE_HEADER} holds no secret")
        key = keys.webhook_secrets(name)
        try:
            if await self._redis.lpos(key, secret) is None:
                await self._redis.lpush(key, secret)
                await self._redis.ltrim(key, 0, MOST_SECRETS - 1)
        except (RedisError, OSError) as error:
            raise _unavailable(error) from None
        self._read_at.pop(name, None)
        return secret

    async def secrets(self, name: str) -> Sequence[str]:
        """The secrets that this source told, the newest first: as they were at most a second ago.

        Raises Unavailable when they were never read and Redis does not answer.
        """
        now = self._clock()
        read_at = self._read_at.get(name)
        if read_at is not None and 0 <= now - read_at < SECOND:
            return self._known[name]
        try:
            found: Any = await self._redis.lrange(keys.webhook_secrets(name), 0, MOST_SECRETS - 1)
        except (RedisError, OSError) as error:
            if name in self._known:
                return self._known[name]
            raise _unavailable(error) from None
        self._known[name] = tuple(secret.decode() for secret in found)
        self._read_at[name] = now
        return self._known[name]


def _unavailable(error: Exception) -> Unavailable:
    return Unavailable(Reason.STATE_UNAVAILABLE, f"Redis does not answer ({type(error).__name__}): try again")
