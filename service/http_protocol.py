"""uvicorn's HTTP protocol with one system call an answer.

uvicorn writes the head and the body of an answer apart, and the event loop sends each at once. For the short answers
to webhooks the second call costs as much as decoding and appending the fact. Here what is written in one turn of the
event loop is sent together. Use it as `uvicorn.Config(..., http=OneWriteProtocol)`.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_SENT_AT_ONCE: Final = 64 * 1024
"""Bytes: more is sent at once, without a copy."""

_TAKEN_WITHIN: Final = 10.0
"""Seconds that a peer has to take the rest of an answer once the connection is to close."""


class OneWriteProtocol(HttpToolsProtocol):
    """One connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Put the gathering transport in front of the real one."""
        super().connection_made(cast(asyncio.Transport, GatheringTransport(transport, self.loop)))


class GatheringTransport:
    """A transport that sends at the end of the turn what was written in it. All else is the real transport's."""

    __slots__ = ("_loop", "_transport", "_waiting")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._waiting: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send it with what else is written in this turn."""
        if not data:
            return
        if not self._waiting:
            self._loop.call_soon(self._send)
        self._waiting.append(data)
        if len(data) > _SENT_AT_ONCE:
            self._send()

    def close(self) -> None:
        """Send what waits, then close."""
        self._send()
        self._transport.close()
        if self._transport.get_write_buffer_size():
            self._loop.call_later(_TAKEN_WITHIN, self._transport.abort)  # a peer may have stopped reading for ever

    def _send(self) -> None:
        waiting, self._waiting = self._waiting, []
        if waiting and not self._transport.is_closing():
            self._transport.writelines(waiting)
