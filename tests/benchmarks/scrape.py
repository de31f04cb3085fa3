"""Webhooks while Prometheus scrapes 200 streams of 6 stages: a whole installation, for real.

Signed webhooks come at a steady pace, each about another stream, so that every scrape writes what changed. For some
seconds nobody scrapes, for as many another process does once a second, and so on: machines are noisy, so a webhook that
overlaps with a scrape is compared with those of the quiet seconds right before. Beside it, in this process: how long
one turn of the event loop takes at most while a page is made of which nothing is kept yet.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Final

import httpx
from prometheus_client import CollectorRegistry

from flow.cells import Retention
from flow.definition_file import read_definitions
from flow.instants import format_instant
from service.command_line.composition import now, run_forever
from service.exporter import Exporter
from service.reader import StateReader
from service.self_metrics import SelfMetrics
from service.snapshots import Snapshots
from tests.benchmarks.http_load import LoadResult, summary
from tests.integration.installation import ROOT, Installation

STREAMS: Final = 200
ROUNDS: Final = 6
HALF: Final = 6.0
"""Seconds without scrapes, then with them: a round."""

SECONDS: Final = ROUNDS * 2 * HALF
WORKERS: Final = 4
PAUSE: Final = 0.02
EVERY: Final = 1.0
PAGES: Final = 10
SECRET: Final = "a secret of the benchmark"

_STAGES: Final = """    match: {{project: acme/p{number}}}
    stages:
      - {{name: backlog, kind: queue, when: [{{status: open}}]}}
      - {{name: refine, kind: active, when: [{{label: refine}}], wip_limit: 8, sle: {{p85: 2d}}}}
      - {{name: develop, kind: active, when: [{{label: develop}}], wip_limit: 8, sle: {{p85: 3d}}}}
      - {{name: review, kind: active, when: [{{label: review}}], wip_limit: 8, sle: {{p85: 1d}}}}
      - {{name: release, kind: queue, when: [{{label: release}}], wip_limit: 8}}
      - {{name: done, kind: done, when: [{{status: closed}}]}}
"""

Span = tuple[float, float]


def definitions() -> str:
    """All streams."""
    return "streams:\n" + "".join(f"  s{number:03d}:\n{_STAGES.format(number=number)}" for number in range(STREAMS))


def webhooks() -> Iterator[tuple[bytes, dict[str, str]]]:
    """Bodies and headers, for ever: an issue of the next stream moves on."""
    steps = ("refine", "develop", "review", "release", None)
    for number in itertools.count():
        turn, stream = divmod(number, STREAMS)
        label = steps[turn % len(steps)]
        now = format_instant(time.time_ns() // 1_000_000)
        issue: dict[str, Any] = {"number": 1 + turn // len(steps), "title": "", "created_at": now, "updated_at": now}
        issue |= {"state": "open" if label else "closed", "labels": [{"name": label}] if label else []}
        body: dict[str, Any] = {"action": "labeled" if label else "closed", "issue": issue}
        body |= {"repository": {"full_name": f"acme/p{stream}"}} | ({"label": {"name": label}} if label else {})
        raw = json.dumps(body).encode()
        signature = "sha256=" + hmac.new(SECRET.encode(), raw, hashlib.sha256).hexdigest()
        yield raw, {"Content-Type": "application/json", "X-GitHub-Event": "issues", "X-Hub-Signature-256": signature}


async def post(
    client: httpx.AsyncClient, deliveries: Iterator[tuple[bytes, dict[str, str]]], end: float, spans: list[Span]
) -> None:
    """One after the other at a steady pace, noting when each was sent and answered."""
    while time.perf_counter() < end:
        body, headers = next(deliveries)
        sent = time.perf_counter()
        answer = await client.post("/webhooks/github", content=body, headers=headers)
        spans.append((sent, time.perf_counter()))
        assert answer.is_success, answer.text
        await asyncio.sleep(PAUSE)


async def measure() -> dict[str, list[float]]:
    """Latencies in milliseconds, of webhooks that overlap with a scrape and of those while nobody scrapes."""
    settings = {"HTTP__OPEN_ACCESS": "true", "HTTP__PUBLIC_METRICS": "true", "SOURCES__GITHUB__SECRET": SECRET}
    with tempfile.TemporaryDirectory(prefix="sg-") as folder:
        product = Installation(
            Path(folder), definitions(), **{f"STREAMGAUGE_{name}": text for name, text in settings.items()}
        )
        try:
            await product.start()
            deliveries, spans = webhooks(), list[Span]()
            await _warm_up(product, deliveries)
            began = time.perf_counter() + 1
            words = (sys.executable, "-m", "tests.benchmarks.scrape", product.base, str(began))
            scraper = await asyncio.create_subprocess_exec(*words, stdout=subprocess.PIPE, cwd=ROOT)
            end = began + SECONDS
            await asyncio.gather(*(post(product.client, deliveries, end, spans) for _ in range(WORKERS)))
            printed, _ = await scraper.communicate()
            turns = await _longest_turns(product)
        finally:
            await product.close()
    scrapes = json.loads(printed)
    found = _figures(began, spans, [tuple(span) for span in scrapes["spans"]])
    return found | {
        "longest turn of the event loop while a page is made ≤ 5 ms": _spread(turns),
        "samples on the page": [scrapes["samples"]],
    }


async def _warm_up(product: Installation, deliveries: Iterator[tuple[bytes, dict[str, str]]]) -> None:
    """Every stream has seen something, and the first page was made."""
    for body, headers in itertools.islice(deliveries, 3 * STREAMS):
        (await product.client.post("/webhooks/github", content=body, headers=headers)).raise_for_status()
    await product.settled()
    await asyncio.sleep(2)
    (await product.client.get("/metrics")).raise_for_status()


async def _longest_turns(product: Installation) -> list[float]:
    """CPU time in milliseconds, which others on the machine do not lengthen: the longest turn of each page."""
    streams = read_definitions(definitions(), "streams.yaml")
    found = list[float]()
    async with product.redis() as redis:
        registry = CollectorRegistry()
        registry.register(SelfMetrics(["github"]))
        snapshots = Snapshots(redis, StateReader(redis, streams, Retention(), 1, now), registry)
        await snapshots.turn()
        for _ in range(PAGES):
            exporter = Exporter(lambda: snapshots.latest, streams, registry, now, "bench")
            turns = list[float]()
            watching = asyncio.create_task(_watch(turns))
            await exporter.page(openmetrics=False, compressed=True)
            watching.cancel()
            found.append(max(turns))
    return found


async def _watch(turns: list[float]) -> None:
    while True:
        began = time.thread_time()
        await asyncio.sleep(0)
        turns.append(1000 * (time.thread_time() - began))


def _figures(began: float, spans: list[Span], scrapes: list[Span]) -> dict[str, list[float]]:
    during, quiet = [list[float]() for _ in range(ROUNDS)], [list[float]() for _ in range(ROUNDS)]
    for sent, answered in spans:
        number, since = divmod(sent - began, 2 * HALF)
        if 0 <= number < ROUNDS and any(sent < end and answered > start for start, end in scrapes):
            during[int(number)].append(answered - sent)
        elif 0 <= number < ROUNDS and since < HALF:
            quiet[int(number)].append(answered - sent)
    pairs = [(_summary(busy), _summary(idle)) for busy, idle in zip(during, quiet, strict=True)]
    all_busy, all_idle = _summary([*chain(*during)]), _summary([*chain(*quiet)])
    return {
        "webhook p99 of all rounds, rise during a scrape ≤ 10 ms": [all_busy.p99 - all_idle.p99],
        "webhook p99 of a round, rise during a scrape, ms": _spread([busy.p99 - idle.p99 for busy, idle in pairs]),
        "webhook p50, p99, longest during a scrape, ms": [all_busy.p50, all_busy.p99, all_busy.longest],
        "webhook p50, p99, longest without scrapes, ms": [all_idle.p50, all_idle.p99, all_idle.longest],
        "webhooks during a scrape, without": [all_busy.answered, all_idle.answered],
        "scrape, ms": _spread([1000 * (end - start) for start, end in scrapes]),
    }


def _summary(latencies: list[float]) -> LoadResult:
    return summary(latencies, 0, SECONDS)


def _spread(values: Sequence[float]) -> list[float]:
    return [statistics.median(values), min(values), max(values)]


def scrape(base: str, began: float) -> dict[str, Any]:
    """In the second half of each round, once a second: when each began and ended, and how many samples there were."""
    spans = list[Span]()
    request = urllib.request.Request(f"{base}/metrics", headers={"Accept-Encoding": "gzip"})
    for number in range(ROUNDS):
        first = began + (2 * number + 1) * HALF
        for start in itertools.takewhile(
            lambda at, first=first: at < first + HALF - 0.5, itertools.count(first, EVERY)
        ):
            time.sleep(max(0.0, start - time.perf_counter()))
            sent = time.perf_counter()
            with urllib.request.urlopen(request) as answer:
                answer.read()
            spans.append((sent, time.perf_counter()))
    with urllib.request.urlopen(f"{base}/metrics") as answer:
        page = answer.read()
    return {"spans": spans, "samples": sum(not line.startswith(b"#") for line in page.splitlines())}


def main() -> None:
    """Without arguments: measure and print. With a URL and a time of this machine's clock: scrape it from then on."""
    if sys.argv[1:]:
        print(json.dumps(scrape(sys.argv[1], float(sys.argv[2]))))
    else:
        run_forever(_print_figures)


async def _print_figures() -> None:
    print(json.dumps(await measure()))


if __name__ == "__main__":
    main()
