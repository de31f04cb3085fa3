"""The application behind a real web server: what only the wire shows."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager

import pytest
import uvicorn

from service.http_protocol import OneWriteProtocol
from tests.integration.taking_in import BOUNDS, TOKEN, taking

FACT = json.dumps({
    "subject": "item", "id": "1", "source": "acme", "project": "CHK", "item": "CHK-1", "at": "2026-11-22T09:30:00Z",
}).encode()  # fmt: skip
HEAD = f"POST /v1/facts HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n"
PATIENCE = 60


@asynccontextmanager
async def serving(world):
    """The port of a server that runs the application."""
    config = uvicorn.Config(world.app, port=0, http=OneWriteProtocol, log_config=None, access_log=False, lifespan="off")
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve())
    async with asyncio.timeout(PATIENCE):
        while not server.started:
            await asyncio.sleep(0.01)
        try:
            yield server.servers[0].sockets[0].getsockname()[1]
        finally:
            server.should_exit = True
            await running


@pytest.fixture
async def world(redis):
    async with taking(redis) as world:
        yield world


async def answer(reader):
    """Status and body of the next answer on this connection."""
    async with asyncio.timeout(PATIENCE):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.split("content-length:")[1].split("\r\n")[0])
        return int(head.split()[1]), await reader.readexactly(length)


async def test_a_body_over_the_limit_is_refused_before_it_is_sent(world):
    async with serving(world) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"{HEAD}Content-Length: {10**12}\r\n\r\n".encode())
        status, body = await answer(reader)
        assert (status, json.loads(body)["reason"]) == (413, "too_large")
        writer.close()


async def test_a_sender_that_asks_first_is_told_to_keep_a_large_body(world):
    async with serving(world) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"{HEAD}Expect: 100-continue\r\nContent-Length: {BOUNDS.most_body + 1}\r\n\r\n".encode())
        assert (await answer(reader))[0] == 413
        writer.close()


async def test_a_chunked_body_is_refused_where_it_grows_too_large(world):
    async with serving(world) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"{HEAD}Transfer-Encoding: chunked\r\n\r\n".encode())
        for _ in range(BOUNDS.most_body // 10_000 + 1):
            writer.write(b"2710\r\n" + b" " * 10_000 + b"\r\n")
        assert (await answer(reader))[0] == 413
        writer.close()


async def test_many_connections_at_once_each_get_their_own_answer(world):
    async def send(port, number):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        answers = []
        for part in range(10):
            body = FACT.replace(b'"id": "1"', b'"id": "%d-%d"' % (number, part))
            writer.write(f"{HEAD}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            answers.append(await answer(reader))
        writer.close()
        return answers

    async with serving(world) as port:
        answers = await asyncio.gather(*[send(port, number) for number in range(30)])
    assert [pair for each in answers for pair in each] == [(202, b'{"accepted":1}')] * 300
    assert {fact.id for fact in await world.facts()} == {f"{n}-{part}" for n in range(30) for part in range(10)}


async def test_a_connection_that_breaks_off_leaves_nothing(world):
    async with serving(world) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"{HEAD}Content-Length: {len(FACT)}\r\n\r\n".encode() + FACT[:-1])
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"{HEAD}Content-Length: {len(FACT)}\r\n\r\n".encode() + FACT)
        assert (await answer(reader))[0] == 202
        writer.close()
    assert len(await world.facts()) == 1
