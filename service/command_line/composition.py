"""What every command is put together from. Nothing here keeps state; whoever opens a thing closes it."""

from __future__ import annotations

import ctypes
import gc
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final

from consumers.stream_state import Bounds
from flow.errors import SettingsError
from service.embedded_folder import ServerFiles, noted_socket, socket_url
from service.settings import Settings

YOUNG_OBJECTS: Final = 50_000
"""After so many new objects the garbage collector looks, where somebody waits for an answer: it takes a few ms."""

YOUNG_OBJECTS_OF_WORKERS: Final = 500_000
"""The same where nobody does."""

_MEGABYTE: Final = 1 << 20
_KEEP_FREED_MEMORY: Final = ((-1, 1024 * _MEGABYTE), (-2, 16 * _MEGABYTE), (-3, 32 * _MEGABYTE))
"""M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD of mallopt(3): what is given back costs page faults later."""


def now() -> int:
    """The clock of all processes: milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def run_forever(main: Callable[[], Coroutine[Any, Any, None]], *, as_worker: bool = False) -> None:
    """Run a process on the fastest event loop there is here."""
    if as_worker:
        prepare_worker()
    else:
        look_for_garbage_after(YOUNG_OBJECTS)
    with _runner() as runner:
        runner.run(main())


def prepare_worker() -> None:
    """Set up the memory of a worker's process: nobody waits for it, and its next batch needs as much as the last."""
    look_for_garbage_after(YOUNG_OBJECTS_OF_WORKERS)
    set_allocator = getattr(ctypes.CDLL(None), "mallopt", None)  # the GNU C library's
    if set_allocator is not None:
        for option, size in _KEEP_FREED_MEMORY:
            set_allocator(option, size)


def look_for_garbage_after(young_objects: int) -> None:
    """What is kept in memory has no cycles, so the garbage collector looks seldom.

    At its defaults it would walk hundreds of thousands of items over and over.
    """
    gc.freeze()
    gc.set_threshold(young_objects, 20, 1000)


def _runner() -> Any:
    import asyncio  # noqa: PLC0415

    try:
        import uvloop  # noqa: PLC0415
    except ImportError:
        return asyncio.Runner()
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)


def bounds_of(settings: Settings) -> Bounds:
    """How much the aggregator keeps."""
    return Bounds(
        retention=settings.cell_retention(),
        finished_items=settings.aggregator.finished_items,
        items_in_memory=settings.aggregator.items_in_memory,
        cells_in_memory=settings.aggregator.cells_in_memory,
    )


def redis_url_of(settings: Settings) -> str:
    """Where Redis is. Raises SettingsError when nobody said: only `up` brings its own."""
    url = settings.redis_url()
    if url is None:
        raise SettingsError(
            ["STREAMGAUGE_REDIS__URL: say where Redis is, such as redis://localhost:6379; `up` brings its own"]
        )
    return url


def embedded_url(data: Path) -> str:
    """The server of the `up` that runs on this data folder. Raises SettingsError when none does."""
    socket = noted_socket(ServerFiles(data.expanduser().resolve()))
    if socket is None:
        problem = f"{data}: no embedded server runs there: start `streamgauge up`, or name its folder with --data"
        raise SettingsError([f"{problem}, or your Redis with STREAMGAUGE_REDIS__URL"])
    return socket_url(socket)
