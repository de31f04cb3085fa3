"""Which errors pass by themselves, so that a worker waits; every other one ends it, because waiting would hide it.

Redis says some of its troubles as answers: it is full, still loading, a replica now, or in a cluster without a node.
Nothing of a commit was written then: each of them is checked before a script writes for the first time.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from typing import Final

from redis import exceptions

from flow.errors import Unavailable

_logger: Final = logging.getLogger("streamgauge.aggregator")

PASSING: Final = (Unavailable, OSError, exceptions.RedisError, exceptions.RedisClusterException)
"""Every error that may pass is one of these; not every one of these passes."""

_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 5.0

_CLASSES: Final = (
    Unavailable,
    OSError,
    exceptions.ConnectionError,  # loading, and a password that is wrong for the moment, among them
    exceptions.TimeoutError,
    exceptions.OutOfMemoryError,
    exceptions.ReadOnlyError,
    exceptions.ClusterError,
    exceptions.RedisClusterException,
    exceptions.AskError,
    exceptions.TryAgainError,
    exceptions.MasterDownError,
)
_WORDS: Final = re.compile(
    r"\b(?:OOM|READONLY|LOADING|MISCONF|NOREPLICAS|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|BUSY|UNBLOCKED|NOAUTH|FAILOVER)\b"
)
"""Words of Redis at the start of an answer. A pipeline and a script put their own before them."""


def passes(error: BaseException) -> bool:
    """Whether it is worth waiting.

    >>> passes(exceptions.ConnectionError("gone")), passes(exceptions.ResponseError("MISCONF Errors writing the AOF"))
    (True, True)
    >>> passes(exceptions.ResponseError("WRONGTYPE Operation against a key")), passes(ValueError("a fault of ours"))
    (False, False)
    """
    if isinstance(error, BaseExceptionGroup):
        return all(passes(each) for each in error.exceptions)
    if isinstance(error, _CLASSES):
        return True
    return isinstance(error, exceptions.ResponseError) and _WORDS.search(str(error)) is not None


async def when_reached(work: Callable[[], Awaitable[None]]) -> None:
    """Return when the work is done; it is begun again, with growing pauses, as long as what it raises passes.

    What is waited for is said once, and again when it is something else.
    """
    pause, told = _FIRST_PAUSE, ""
    while True:
        try:
            return await work()
        except PASSING as error:
            if not passes(error):
                raise
            what = f"{type(error).__name__} {error}"
            if what != told:
                _logger.warning("waiting for=%s", what)
            told = what
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)


def waiting_for(failures: BaseExceptionGroup[BaseException]) -> str:
    """What is waited for, for our log. Raises those of the failures that do not pass."""
    _, lasting = failures.split(passes)
    if lasting is not None:
        raise lasting
    first: BaseException = failures
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return f"{type(first).__name__} {first}"
