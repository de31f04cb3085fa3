"""What the embedded server and the supervisor both ask of a child process: not to outlive us, and to stop in time."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
import time
from asyncio.subprocess import Process
from collections.abc import Callable
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_PRIVATE: Final = 0o077


def monotonic_clock() -> int:
    """Milliseconds since some fixed moment; never goes back."""
    return time.monotonic_ns() // 1_000_000


def tied_to_us(death_signal: signal.Signals, *, private_files: bool = False) -> Callable[[], None]:
    """A `preexec_fn`: Linux sends the child `death_signal` when we die, however we die.

    Linux ties this to the *thread* that starts the child (prctl(2), PR_SET_PDEATHSIG): start children from a thread
    that outlives them, in practice the main one. The signal may come more than once, as our threads end one by one: a
    child must not take the second for an order to hurry. Other systems have nothing like it. With `private_files`,
    what the child writes is for our user alone.
    """
    set_death_signal = ctypes.CDLL(None, use_errno=True).prctl if sys.platform == "linux" else None
    parent = os.getpid()

    def in_the_child() -> None:
        if private_files:
            os.umask(_PRIVATE)
        if set_death_signal is not None:
            set_death_signal(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
            if os.getppid() != parent:  # we died before the signal was asked for: it will never come
                os._exit(1)

    return in_the_child


def kill_group(process: Process) -> None:
    """SIGKILL to the child and all that it started. The child must lead a group of its own (`start_new_session`)."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


async def end_now(process: Process) -> int:
    """SIGKILL to the child's group if the child still runs. Returns its exit code."""
    kill_group(process)
    return await process.wait()


async def stop_process(process: Process, seconds: float) -> int:
    """SIGTERM, and once `seconds` have passed SIGKILL to its group. Returns the exit code; nothing is left running."""
    try:
        async with asyncio.timeout(seconds):
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            return await process.wait()
    except TimeoutError:
        return await end_now(process)
    except asyncio.CancelledError:
        await end_now(process)
        raise
