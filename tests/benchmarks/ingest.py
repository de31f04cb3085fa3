"""A native fact of 1 kB over HTTP until it is durable, against an empty Starlette route on the same server.

The log is the embedded Valkey with an fsync per round trip. Server, load and Valkey are three processes. Each round
measures both routes, one right after the other; the figure is the median of the rounds' ratios.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import tempfile
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import uvicorn
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from flow.definitions import Condition, Definitions, Stage, Stream
from service.app import IngestParts, build_app
from service.authorisation import TokenCheck
from service.bounds import IngestBounds
from service.command_line.composition import run_forever
from service.embedded import embedded_server
from service.http_protocol import OneWriteProtocol
from service.log import RedisLogWriter, open_log
from service.redis_client import connect
from service.self_metrics import SelfMetrics
from tests.benchmarks.fold import spread
from tests.benchmarks.http_load import PLACE

ROUNDS: Final = 5
CONNECTIONS: Final = 64
SECONDS: Final = 3.0

_EMPTY: Final = "/empty"
_PARTITIONS: Final = 2
_FACT: Final = {
    "subject": "item",
    "id": PLACE.decode(),
    "source": "acme",
    "project": "CHK",
    "item": "CHK-12",
    "at": "2026-11-22T09:30:00Z",
    "seq": 3,
    "status": "In Review",
    "blocked": False,
    "type": "feature",
    "team": "payments",
    "url": "https://tracker.example.org/browse/CHK-12",
    "labels": ["web", "mobile"],
    "value": 8,
    "size": 2,
    "title": "",
}


def fact_of(size: int = 1024) -> bytes:
    """A native fact of exactly this many bytes, whose id the load generator fills in."""
    short = len(json.dumps(_FACT).encode())
    return json.dumps(_FACT | {"title": "x" * (size - short)}).encode()


async def measure() -> dict[str, list[float]]:
    """Figures of all rounds, each as median, lowest, highest."""
    rounds = []
    with tempfile.TemporaryDirectory(prefix="sg-") as folder:
        body = Path(folder) / "fact.json"
        body.write_bytes(fact_of())
        data = Path(folder) / "data"
        async with embedded_server(data, log=logging.getLogger("bench")) as valkey, _server(valkey.url) as port:
            for _ in range(ROUNDS):
                empty = await _load(port, _EMPTY, body)
                rounds.append((empty, await _load(port, "/v1/facts", body)))
    return {
        "fact posted ≥ 0.5 × empty route": spread([facts["rate"] / empty["rate"] for empty, facts in rounds]),
        "fact posted, p99 ≤ 25 ms": spread([facts["p99"] for _, facts in rounds]),
        "facts a second": spread([facts["rate"] for _, facts in rounds]),
        "empty routes a second": spread([empty["rate"] for empty, _ in rounds]),
        "refused": [sum(facts["refused"] + empty["refused"] for empty, facts in rounds)],
    }


async def _load(port: int, path: str, body: Path) -> dict[str, Any]:
    arguments = ["--port", str(port), "--path", path, "--body-file", str(body)]
    arguments += ["--connections", str(CONNECTIONS), "--seconds", str(SECONDS)]
    process = await _python("tests.benchmarks.http_load", *arguments)
    printed, _ = await process.communicate()
    result: dict[str, Any] = json.loads(printed)
    return result


@asynccontextmanager
async def _server(redis_url: str) -> AsyncIterator[int]:
    process = await _python("tests.benchmarks.ingest", "--serve", redis_url)
    try:
        assert process.stdout is not None
        yield int(await process.stdout.readline())
    finally:
        process.terminate()
        await process.wait()


async def _python(module: str, *arguments: str) -> Process:
    root = Path(__file__).parents[2]
    return await asyncio.create_subprocess_exec(sys.executable, "-m", module, *arguments, stdout=PIPE, cwd=root)


async def _nothing(_: Request) -> Response:
    return Response(status_code=202)


async def serve(redis_url: str) -> None:
    """Serve both routes on a free port, and print which."""
    stage = Stage("review", "active", (Condition(status="In Review"),))
    definitions = Definitions({"checkout": Stream("checkout", (stage, Stage("done", "done")))})
    redis, metrics = connect(redis_url), SelfMetrics(["acme"])
    await open_log(redis, _PARTITIONS)

    def clock() -> int:
        return time.time_ns() // 1_000_000

    async with RedisLogWriter(redis, _PARTITIONS, clock, observe=metrics.observe_append) as writer:
        open_to_all = TokenCheck({}, open_access=True)
        parts = IngestParts(writer, definitions, open_to_all, {}, IngestBounds(), clock, metrics)
        app = build_app(FastAPI(), parts)
        empty = Starlette(routes=[Route(_EMPTY, _nothing, methods=["POST"])])

        async def both(scope: Any, receive: Any, send: Any) -> None:
            await (empty if scope["type"] == "http" and scope["path"] == _EMPTY else app)(scope, receive, send)

        server = uvicorn.Server(uvicorn.Config(both, port=0, http=OneWriteProtocol, log_config=None, access_log=False))
        running = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        print(server.servers[0].sockets[0].getsockname()[1], flush=True)
        await running
    await redis.aclose()


def main() -> None:
    """Without arguments: measure and print."""
    if sys.argv[1:2] == ["--serve"]:
        run_forever(lambda: serve(sys.argv[2]))
    else:
        print(json.dumps(asyncio.run(measure())))


if __name__ == "__main__":
    main()
