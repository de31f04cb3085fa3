"""What every Kafka client here needs of the library at its end."""

from __future__ import annotations

import asyncio
from typing import Any, Final

_WITHIN: Final = 2.0
"""Seconds to say goodbye. A broker that hangs would hold us up for as long as a request may take, or for good."""


async def stop(consumer: Any) -> None:
    """Leave the group and let go of the connections; of a broker that does not answer, without its leave."""
    stopping = asyncio.create_task(consumer.stop())
    await asyncio.wait({stopping}, timeout=_WITHIN)
    if not stopping.done():
        await consumer._client.close()  # what waits for an answer fails now
        await asyncio.wait({stopping}, timeout=_WITHIN)
        stopping.cancel()
    await asyncio.gather(stopping, return_exceptions=True)
