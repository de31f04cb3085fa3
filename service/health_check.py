"""Is the process of this container well? `python -m service.health_check` says why not, and exits 1 then.

Asks the command that the container was started with, or the one that is named: `serve` and `up` at /healthz, a worker
(`aggregate`) and a `bridge` whether they told of themselves lately. Other commands end by themselves: nothing is asked
of them.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec

from flow import keys
from flow.bridge_metrics import BridgeMetrics, unpack_bridge
from flow.errors import Reason, SettingsError, StreamgaugeError, Unavailable
from flow.instants import SECOND
from flow.worker_metrics import WorkerMetrics, unpack_worker
from service.redis_client import connect
from service.setting_sections import HttpSettings
from service.settings import Settings

SILENT_AFTER: Final = 30 * SECOND
"""Workers and bridges tell of themselves every few seconds."""

_WITHIN: Final = 5.0
_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104  (what it is called, not listened on)
_FIRST_PROCESS: Final = Path("/proc/1/cmdline")


def main() -> None:
    """Ask, and end with the answer."""
    words = sys.argv[1:] or command_words(_FIRST_PROCESS.read_bytes())
    try:
        asyncio.run(check(words, Settings.load(os.environ)))
    except StreamgaugeError as error:
        sys.exit(error.message)


def command_words(line: bytes) -> list[str]:
    """The words of a command as Linux tells them.

    >>> command_words(b"/usr/bin/python\\0/usr/bin/streamgauge\\0serve\\0")
    ['/usr/bin/python', '/usr/bin/streamgauge', 'serve']
    """
    return [word.decode(errors="replace") for word in line.split(b"\0") if word]


async def check(words: Collection[str], settings: Settings) -> None:
    """Return when the process is well. Raises Unavailable when it is not."""
    if "serve" in words or "up" in words:
        await asyncio.to_thread(check_http, settings.http)
    elif "aggregate" in words:
        rows = await published(settings, keys.WORKER_METRICS)
        check_published("worker", _told(rows, unpack_worker), socket.gethostname(), _now())
    elif "bridge" in words:
        rows = await published(settings, keys.BRIDGE_METRICS)
        check_published("bridge", _told(rows, unpack_bridge), socket.gethostname(), _now())


def check_http(http: HttpSettings, transport: httpx.BaseTransport | None = None) -> None:
    """Raises Unavailable when nobody answers as they should. `transport` takes the place of the network in tests."""
    host = _EVERYWHERE.get(http.host, http.host)
    url = f"http://{host}:{http.port}/healthz"
    try:
        with httpx.Client(timeout=_WITHIN, trust_env=False, transport=transport) as client:
            answer = client.get(url)
    except httpx.HTTPError as error:
        raise _unwell(f"{url} does not answer: {type(error).__name__}") from None
    if not answer.is_success:
        raise _unwell(f"{url} answers {answer.status_code}")


async def published(settings: Settings, key: str) -> Mapping[bytes, bytes]:
    """What processes of one kind tell of themselves, by process. Raises SettingsError, Unavailable."""
    url = settings.redis_url()
    if url is None:
        raise SettingsError(["STREAMGAUGE_REDIS__URL: say where Redis is, such as redis://localhost:6379"])
    redis = connect(url)
    try:
        async with asyncio.timeout(_WITHIN):
            rows: Any = await redis.hgetall(key)
            return {bytes(name): bytes(row) for name, row in rows.items()}
    except Exception as error:
        raise _unwell(f"Redis does not answer: {type(error).__name__}") from None
    finally:
        await redis.aclose()


def check_published(kind: str, told: Mapping[str, int], host: str, now: int) -> None:
    """Raises Unavailable when no process of this host told of itself lately. `told`, by process, and `now` in ms."""
    ours = [at for name, at in told.items() if name.rpartition("-")[0] == host]
    if not ours:
        raise _unwell(f"no {kind} of {host} has told of itself")
    silent = now - max(ours)
    if silent > SILENT_AFTER:
        raise _unwell(f"the {kind} of {host} last told of itself {silent // SECOND} s ago")


def _told(rows: Mapping[bytes, bytes], unpack: Callable[[bytes], WorkerMetrics | BridgeMetrics]) -> dict[str, int]:
    """When each process told of itself (ms); 0 where that can't be read."""
    found = {}
    for name, row in rows.items():
        try:
            found[name.decode()] = unpack(row).at
        except msgspec.DecodeError:
            found[name.decode()] = 0
    return found


def _now() -> int:
    return time.time_ns() // 1_000_000


def _unwell(why: str) -> Unavailable:
    return Unavailable(Reason.PROCESS_ENDED, why)


if __name__ == "__main__":
    main()
