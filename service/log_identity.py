"""Which log the state in a Redis is made from: positions in one log mean nothing in another."""

from __future__ import annotations

from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from flow import keys
from flow.errors import Reason, SettingsError, Unavailable

IN_REDIS: Final = "redis"


async def settle_log(redis: Redis, identity: str) -> None:
    """Note at first which log this Redis follows. Raises SettingsError when it follows another one, Unavailable."""
    try:
        opened_before = await redis.exists(keys.LOG_PARTITIONS)
        await redis.set(keys.LOG_IDENTITY, IN_REDIS if opened_before else identity, nx=True)
        stored: Any = await redis.get(keys.LOG_IDENTITY)
    except (RedisError, OSError) as error:
        message = f"Redis does not answer ({type(error).__name__}): try again in a few seconds"
        raise Unavailable(Reason.LOG_UNAVAILABLE, message) from None
    settled = identity if stored is None else stored.decode()
    if settled != identity:
        there, wanted = _told(settled), _told(identity)
        raise SettingsError(
            [
                f"STREAMGAUGE_KAFKA__BOOTSTRAP_SERVERS: this Redis holds the state of {there}, not of {wanted}: "
                "use another Redis, or flush this one to build the state from the log anew"
            ]
        )


def _told(identity: str) -> str:
    return "the log in Redis itself" if identity == IN_REDIS else f"the topic {identity}"
