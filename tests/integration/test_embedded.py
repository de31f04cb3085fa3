from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import stat
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from flow.errors import SettingsError, Unavailable
from service.embedded import EmbeddedServer, embedded_server
from service.embedded_folder import LARGEST_LOG
from tests.integration.processes import next_line, none_left, python_parent, runs, until

LOG = logging.getLogger("test")

PARENT = """
import asyncio, logging, pathlib, sys
import service.embedded
from redis.asyncio import Redis

async def main():
    async with service.embedded.embedded_server(pathlib.Path(sys.argv[1]), log=logging.getLogger()) as server:
        client = Redis.from_url(server.url)
        await client.xadd("s", {"f": "kept"})
        print(server.process.pid, flush=True)
        await server.wait()

if "untied" in sys.argv:  # as on a system that can't tie a child to its parent
    service.embedded.tied_to_us = lambda death_signal, private_files: lambda: None
asyncio.run(main())
"""


@contextlib.asynccontextmanager
async def running(folder: Path) -> AsyncIterator[tuple[EmbeddedServer, Redis]]:
    async with embedded_server(folder, log=LOG) as server:
        client = Redis.from_url(server.url)
        try:
            yield server, client
        finally:
            await client.aclose()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_folder_socket_and_data_are_for_our_user_alone(tmp_path):
    folder = tmp_path / "data"
    async with running(folder) as (_, client):
        await client.set("k", "v")
        assert mode(folder) == 0o700
        assert mode(folder / "valkey.sock") == 0o700
        assert {mode(path) & 0o077 for path in (folder / "appendonlydir").iterdir()} == {0}


async def test_every_write_is_on_disk_before_it_is_acknowledged_and_no_network_port_is_open(tmp_path):
    async with running(tmp_path) as (_, client):
        found: dict[str | None, str | None] = {}
        for name in ("appendonly", "appendfsync", "no-appendfsync-on-rewrite", "save", "maxmemory-policy", "port"):
            found |= await client.config_get(name)
    assert found == {
        "appendonly": "yes",
        "appendfsync": "always",
        "no-appendfsync-on-rewrite": "no",
        "save": "",
        "maxmemory-policy": "noeviction",
        "port": "0",
    }


async def test_the_server_ends_with_the_context_and_its_data_is_there_at_the_next_start(tmp_path):
    async with running(tmp_path) as (first, client):
        await client.xadd("s", {"f": "kept"})
    assert first.process.returncode == 0
    assert not runs(first.process.pid)
    async with running(tmp_path) as (_, client):
        assert await client.xlen("s") == 1


async def test_the_server_ends_when_the_body_fails(tmp_path):
    with pytest.raises(ZeroDivisionError):
        async with running(tmp_path) as (server, _):
            raise ZeroDivisionError
    assert not runs(server.process.pid)


async def test_a_second_start_on_the_same_folder_is_refused_and_names_who_holds_it(tmp_path):
    async with running(tmp_path) as (server, client):
        with pytest.raises(SettingsError) as refusal:
            async with running(tmp_path):
                pass
        assert await client.ping()
        assert server.process.returncode is None
    assert str(tmp_path) in refusal.value.message
    assert f"process {os.getpid()}:" in refusal.value.message
    async with running(tmp_path):
        pass


async def test_what_was_acknowledged_before_a_crash_of_the_server_is_there_after_the_restart(tmp_path):
    acknowledged: list[bytes] = []

    async def write(client: Redis) -> None:
        while True:
            pipeline = client.pipeline(transaction=False)
            for _ in range(32):
                pipeline.xadd("s", {"f": b"x" * 200})
            acknowledged.extend(await pipeline.execute())

    async with running(tmp_path) as (server, client):
        writers = [asyncio.create_task(write(client)) for _ in range(4)]
        await until(lambda: len(acknowledged) > 2_000)
        server.process.kill()
        assert await server.wait() == -signal.SIGKILL
        ends = await asyncio.gather(*writers, return_exceptions=True)
    assert all(isinstance(end, (RedisConnectionError, OSError)) for end in ends), ends
    async with running(tmp_path) as (_, client):
        kept = {entry for entry, _ in await client.xrange("s") or ()}
    assert len(kept) >= len(acknowledged) == len(set(acknowledged))
    assert set(acknowledged) <= kept


async def test_a_log_that_was_cut_off_in_the_middle_of_a_write_still_loads(tmp_path):
    async with running(tmp_path) as (_, client):
        for number in range(3):
            await client.xadd("s", {"f": str(number)})
    increment = next((tmp_path / "appendonlydir").glob("*.incr.aof"))
    with increment.open("r+b") as file:
        file.truncate(increment.stat().st_size - 5)
    async with running(tmp_path) as (_, client):
        assert await client.xlen("s") == 2


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can tie a child to its parent")
async def test_no_server_is_left_behind_when_its_parent_is_killed(tmp_path):
    async with python_parent(PARENT, tmp_path) as parent:
        server = int(await next_line(parent))
        with none_left([server]):
            parent.kill()
            await parent.wait()
            await until(lambda: not runs(server))
    async with running(tmp_path) as (_, client):
        assert await client.xlen("s") == 1


@pytest.mark.parametrize("depth", [0, 3], ids=["socket in the folder", "socket elsewhere"])
async def test_a_server_that_was_left_behind_is_ended_before_ours_starts(tmp_path, depth):
    folder = tmp_path.joinpath(*["d" * 60] * depth)
    async with python_parent(PARENT, folder, "untied") as parent:
        left_over = int(await next_line(parent))
        parent.kill()
        await parent.wait()
    old_socket = Path((folder / "socket-path").read_text())
    with none_left([left_over]):
        assert runs(left_over)
        async with running(folder) as (server, client):
            assert not runs(left_over)
            assert server.process.pid != left_over
            assert await client.xlen("s") == 1
            assert (old_socket.parent == folder) == old_socket.parent.exists()


async def test_a_stale_socket_is_no_obstacle(tmp_path):
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(tmp_path / "valkey.sock"))
    (tmp_path / "socket-path").write_text(str(tmp_path / "valkey.sock"))
    async with running(tmp_path) as (_, client):
        assert await client.ping()


@pytest.mark.parametrize("name", ["with spaces", "größe-データ", "50% #1?", 'quo"te', "new\nline"])
async def test_any_characters_in_the_path_will_do(tmp_path, name):
    folder = tmp_path / name
    async with running(folder) as (_, client):
        await client.xadd("s", {"f": "kept"})
    async with running(folder) as (_, client):
        assert await client.xlen("s") == 1
    assert (folder / "appendonlydir").is_dir()


async def test_a_path_too_long_for_a_socket_gets_its_socket_in_a_private_place_that_is_removed_at_the_end(tmp_path):
    folder = tmp_path.joinpath(*["d" * 60] * 3)
    async with running(folder) as (server, client):
        assert await client.ping()
        place = Path(server.url.removeprefix("unix://")).parent
        assert place != folder
        assert mode(place) == 0o700
    assert not place.exists()


@pytest.mark.parametrize("below", [".", "made/by/us"])
async def test_a_folder_that_we_may_not_write_in_is_refused(below):
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o555)
        folder = Path(place, below).resolve()
        with as_ordinary_user(), pytest.raises(SettingsError, match="can't keep data there") as refusal:
            async with running(folder):
                pass
        assert str(folder) in refusal.value.message
        Path(place).chmod(0o700)


async def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "data").write_text("")
    with pytest.raises(SettingsError, match="can't keep data there"):
        async with running(tmp_path / "data"):
            pass


async def test_a_server_that_ends_instead_of_starting_is_reported_with_what_it_said(tmp_path):
    async with running(tmp_path) as (_, client):
        await client.set("k", "v")
    next((tmp_path / "appendonlydir").glob("*.manifest")).write_text("no manifest\n")
    with pytest.raises(Unavailable, match="ended with code 1") as failure:
        async with running(tmp_path):
            pass
    assert "manifest" in failure.value.message.partition(":\n")[2]


async def test_a_server_that_is_not_ready_in_time_is_ended(tmp_path):
    with pytest.raises(Unavailable, match="not ready within 0 seconds"):
        async with embedded_server(tmp_path, log=LOG, ready_within=0):
            pass
    async with running(tmp_path) as (_, client):
        assert await client.ping()


async def test_a_large_log_is_set_aside_at_the_start(tmp_path):
    (tmp_path / "valkey.log").write_bytes(b"x" * (LARGEST_LOG + 1))
    async with running(tmp_path):
        assert (tmp_path / "valkey.log").stat().st_size < LARGEST_LOG
        assert (tmp_path / "valkey.log.1").stat().st_size == LARGEST_LOG + 1


async def test_ctrl_c_in_the_terminal_does_not_reach_the_server(tmp_path):
    async with running(tmp_path) as (server, _):
        assert os.getsid(server.process.pid) != os.getsid(0)


@contextlib.contextmanager
def as_ordinary_user():
    """Root may write anywhere: give that up for a moment."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)
