"""Posts one request over and over on many connections, as fast as the server answers, and tells rate and latency.

Its own client on raw sockets, because an ordinary one costs more than the server that it measures. Run it in a process
of its own: `python -m tests.benchmarks.http_load --port 8080 --path /v1/facts --body-file fact.json`. In the body,
`@@@@@@@@@@@@` becomes another number in each request. Prints JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path
from time import perf_counter
from typing import Final, cast

PLACE: Final = b"@" * 12


@dataclass(frozen=True, slots=True)
class LoadResult:
    """`rate` in answers a second, latencies in milliseconds; `refused` counts answers that are not 2xx."""

    rate: float
    p50: float
    p99: float
    longest: float
    answered: int
    refused: int


@dataclass(slots=True)
class _Tally:
    """What all connections measured. Latencies of the warm-up are thrown away by setting `counting` late."""

    counting: bool = False
    latencies: list[float] = field(default_factory=list)
    refused: int = 0


class _Connection(asyncio.Protocol):
    """Sends the next request when the answer to the last one is whole."""

    def __init__(self, requests: Iterator[bytes], tally: _Tally) -> None:
        self._requests = requests
        self._tally = tally
        self._received = b""
        self._sent_at = 0.0
        self._transport: asyncio.Transport | None = None
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own is not a subclass of it
        self._send()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, rest = self._received.partition(b"\r\n\r\n")
        if not found or len(rest) < _length_in(head):
            return
        self._received = b""
        if self._tally.counting:
            self._tally.latencies.append(perf_counter() - self._sent_at)
            self._tally.refused += head[9:10] != b"2"
        self._send()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.lost.done():
            self.lost.set_result(error)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _send(self) -> None:
        assert self._transport is not None
        self._sent_at = perf_counter()
        self._transport.write(next(self._requests))


def _length_in(head: bytes) -> int:
    _, found, after = head.lower().partition(b"content-length:")
    return int(after.split(b"\r\n", 1)[0]) if found else 0


def requests_of(method: str, path: str, body: bytes, token: str = "") -> Iterator[bytes]:
    """The bytes of each request, for ever."""
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: bench",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    ]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    head = "\r\n".join([*lines, "", ""]).encode()
    request = head + body
    for number in count():
        yield request.replace(PLACE, b"%012d" % number)


async def load(
    host: str, port: int, requests: Iterator[bytes], *, connections: int, seconds: float, warm_up: float
) -> LoadResult:
    """Keep all connections busy for so many seconds after the warm-up. Raises ConnectionError when one is lost."""
    loop, tally = asyncio.get_running_loop(), _Tally()
    clients: list[_Connection] = []
    make: Callable[[], _Connection] = lambda: _Connection(requests, tally)  # noqa: E731
    for _ in range(connections):
        _, client = await loop.create_connection(make, host, port)
        clients.append(client)
    await asyncio.sleep(warm_up)
    started, tally.counting = perf_counter(), True
    done, _ = await asyncio.wait([client.lost for client in clients], timeout=seconds)
    tally.counting = False
    elapsed = perf_counter() - started
    for client in clients:
        client.close()
    if not tally.latencies:
        raise ConnectionError("the server answered nothing")
    if done:
        raise ConnectionError(f"the server closed {len(done)} of {connections} connections")
    return summary(tally.latencies, tally.refused, elapsed)


def summary(latencies: list[float], refused: int, elapsed: float) -> LoadResult:
    """Rate and latencies of one run."""
    ranked = sorted(latencies)

    def at(share: float) -> float:
        return round(1000 * ranked[min(len(ranked) - 1, int(len(ranked) * share))], 3)

    rate = round(len(latencies) / elapsed, 1)
    return LoadResult(rate, at(0.5), at(0.99), at(1.0), len(latencies), refused)


def main() -> None:
    """Read the arguments, run, print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--method", default="POST")
    parser.add_argument("--path", required=True)
    parser.add_argument("--body-file", type=Path)
    parser.add_argument("--token", default="")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--warm-up", type=float, default=0.5)
    options = parser.parse_args()
    body = options.body_file.read_bytes() if options.body_file else b""
    requests = requests_of(options.method, options.path, body, options.token)
    run = load(
        options.host,
        options.port,
        requests,
        connections=options.connections,
        seconds=options.seconds,
        warm_up=options.warm_up,
    )
    json.dump(asdict(_run(run)), sys.stdout)
    print()


def _run(main_task):
    try:
        import uvloop  # noqa: PLC0415
    except ImportError:
        return asyncio.run(main_task)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main_task)


if __name__ == "__main__":
    main()
