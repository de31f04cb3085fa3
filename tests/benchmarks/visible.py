"""From posting a fact to seeing it, while 64 connections post as fast as they can: a whole installation, for real.

Probes belong to a stream of their own. Two watchers ask /metrics and the API over and over.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from flow.instants import format_instant
from tests.integration.installation import ROOT, Installation

PROBES: Final = 100
PACE: Final = 0.2
PAUSE: Final = 0.02
LOAD_SECONDS: Final = 25
PATIENCE: Final = 60

DEFINITIONS: Final = """
streams:
  load:
    match: {source: load}
    stages:
      - {name: develop, kind: active, when: [{status: In Progress}]}
      - {name: done, kind: done, when: [{status: Done}]}
  probe:
    match: {source: probe}
    stages:
      - {name: develop, kind: active, when: [{status: In Progress}]}
      - {name: done, kind: done, when: [{status: Done}]}
"""
SHOWN: Final = 'flow_stage_arrivals_total{stream="probe",stage="develop"} '


def a_fact(source: str, number: str) -> dict[str, Any]:
    """A native fact that says that work on an item began."""
    at = format_instant(time.time_ns() // 1_000_000)
    return {"subject": "item", "id": f"{source}-{number}", "source": source, "item": f"{source}-{number}", "at": at,
            "status": "In Progress"}  # fmt: skip


async def post_probes(installation: Installation, posted: list[float]) -> None:
    """One after the other, at a steady pace, noting when each was sent."""
    for number in range(PROBES):
        posted.append(time.perf_counter())
        answer = await installation.client.post("/v1/facts", json=a_fact("probe", str(number)))
        assert answer.status_code == 202, answer.text
        await asyncio.sleep(PACE)


async def watch(count: Callable[[], Awaitable[float]]) -> list[float]:
    """When each probe was first seen."""
    seen: list[float] = []
    while len(seen) < PROBES:
        shown = int(await count())
        seen += [time.perf_counter()] * (shown - len(seen))
        await asyncio.sleep(PAUSE)
    return seen


async def in_metrics(installation: Installation) -> float:
    """The probes that /metrics shows."""
    page = (await installation.client.get("/metrics")).text
    line = next((line for line in page.splitlines() if line.startswith(SHOWN)), SHOWN + "0")
    return float(line.removeprefix(SHOWN))


async def in_api(installation: Installation) -> float:
    """The probes that the API shows."""
    answer = await installation.client.get("/v1/streams/probe")
    return float(answer.json()["wip"])


async def measure() -> dict[str, list[float]]:
    """99th percentiles in seconds, and how many facts a second were taken in meanwhile."""
    with tempfile.TemporaryDirectory() as folder:
        installation = Installation(Path(folder), DEFINITIONS)
        body = Path(folder) / "fact.json"
        body.write_text(json.dumps(a_fact("load", "@" * 12)))
        await installation.start()
        try:
            words = ("-m", "tests.benchmarks.http_load", "--port", str(installation.port), "--path", "/v1/facts")
            load = await asyncio.create_subprocess_exec(
                sys.executable, *words, "--body-file", str(body), "--seconds", str(LOAD_SECONDS),
                cwd=ROOT, stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
            await asyncio.sleep(2)
            posted: list[float] = []
            async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
                group.create_task(post_probes(installation, posted))
                metrics = group.create_task(watch(lambda: in_metrics(installation)))
                api = group.create_task(watch(lambda: in_api(installation)))
            answer, _ = await load.communicate()
        finally:
            await installation.close()
    delays = {name: delays_of(posted, task.result()) for name, task in (("/metrics", metrics), ("the API", api))}
    found = {f"posted → in {name}, p99 s": [p99(times), min(times), max(times)] for name, times in delays.items()}
    return found | {"facts taken in a second meanwhile": [json.loads(answer)["rate"]]}


def delays_of(posted: list[float], seen: list[float]) -> list[float]:
    """Seconds from posting to seeing, of each probe."""
    return [shown - sent for sent, shown in zip(posted, seen, strict=True)]


def p99(times: list[float]) -> float:
    """The 99th percentile."""
    return statistics.quantiles(times, n=100)[98]


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure())))
