"""Real processes for tests: small Python parents that can be killed, and whether a process still runs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PATIENCE = 40.0
"""Seconds after which a test that waits for a process fails: later than a supervisor kills what does not end."""


def runs(pid: int) -> bool:
    """Whether the process still runs. One that has ended but that nobody has waited for does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    with contextlib.suppress(OSError):
        return stat.read_text().rpartition(")")[2].split()[0] not in "ZX"
    return not Path("/proc/self/stat").exists()


def is_stopped(pid: int) -> bool:
    """Whether all threads of a process have stopped (proc(5): the state comes behind the name in brackets)."""
    with contextlib.suppress(OSError):  # a thread that ended meanwhile: the next look knows
        states = {path.read_text().rpartition(") ")[2][0] for path in Path(f"/proc/{pid}/task").glob("*/stat")}
        return states == {"T"}
    return False


async def until(condition: Callable[[], bool]) -> None:
    """Return once the condition holds; TimeoutError when it doesn't come to hold."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def python_parent(script: str, *arguments: object) -> AsyncIterator[Process]:
    """A Python process in a session of its own, with the project on its path. Killed at the end if it still runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        script,
        *map(str, arguments),
        stdout=PIPE,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"},
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@contextlib.contextmanager
def none_left(pids: list[int]) -> Iterator[None]:
    """Whatever the test finds, these processes are gone after it."""
    try:
        yield
    finally:
        for pid in filter(runs, pids):
            os.kill(pid, signal.SIGKILL)


async def next_line(process: Process) -> str:
    """The next line that the process prints."""
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE):
        return (await process.stdout.readline()).decode().rstrip("\n")


async def until_settled(readiness: Callable[[], Awaitable[dict[str, Any]]], folder: Path, within: float) -> None:
    """Return once everything in the log is in the state, and nothing waits in the spool.

    Raises AssertionError, with the last answer of /readyz and the ends of all logs in `folder`, after so many seconds.
    """
    answer: dict[str, Any] = {}
    try:
        async with asyncio.timeout(within):
            while not is_settled(answer):
                await asyncio.sleep(0.05)
                answer = await readiness()
    except TimeoutError:
        logged = [f"{log.name}:\n{log.read_text(errors='replace')[-3000:]}" for log in sorted(folder.glob("*.log"))]
        raise AssertionError("\n".join([f"not settled: {answer}", *logged])) from None


def is_settled(readiness: dict[str, Any]) -> bool:
    """Whether this answer of /readyz says that all that was taken in is in the state."""
    spool = readiness.get("checks", {}).get("spool", {"detail": "0 deliveries"})
    return readiness.get("lag_facts") == 0 and str(spool["detail"]).startswith("0 deliveries")
