"""A network that is too slow for large requests: what is too long for the patience of a client gets stuck for good."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

_CHUNK: Final = 64 * 1024


class NarrowLink:
    """Stands before a server. Between two answers it carries `most` bytes of requests; the rest never arrives.

    `stuck` counts the connections that wanted more.
    """

    def __init__(self, host: str, port: int, most: int) -> None:
        self.most = most
        self.stuck = 0
        self._host = host
        self._port = port

    async def __call__(self, client: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        server, requests = await asyncio.open_connection(self._host, self._port)
        carried = 0

        async def up() -> None:
            nonlocal carried
            while chunk := await client.read(_CHUNK):
                room, carried = self.most - carried, carried + len(chunk)
                requests.write(chunk[: max(room, 0)])
                await requests.drain()
                if len(chunk) > room:
                    self.stuck += 1
                    while await client.read(_CHUNK):
                        pass
                    return

        async def down() -> None:
            nonlocal carried
            while chunk := await server.read(_CHUNK):
                carried = 0
                answers.write(chunk)
                await answers.drain()

        ways = [asyncio.create_task(up()), asyncio.create_task(down())]
        with suppress(OSError):
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        for writer in (requests, answers):
            writer.close()


@asynccontextmanager
async def narrow_link(host: str, port: int, most: int) -> AsyncIterator[tuple[NarrowLink, int]]:
    """The link, and the port that it listens on."""
    link = NarrowLink(host, port, most)
    server = await asyncio.start_server(link, "127.0.0.1")
    try:
        yield link, server.sockets[0].getsockname()[1]
    finally:
        server.close()
