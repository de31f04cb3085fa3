"""Webhooks while Prometheus scrapes 200 streams of 6 stages: a whole installation, for real.

Signed webhooks come at a steady pace, each about another stream, so that every scrape renders what changed; another
process scrapes once a second. A webhook counts as `during a scrape` when the two overlap.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import itertools
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx

from flow.instants import format_instant
from tests.benchmarks.http_load import LoadResult, summary
from tests.integration.installation import ROOT, Installation

STREAMS: Final = 200
SECONDS: Final = 40.0
WORKERS: Final = 4
PAUSE: Final = 0.02
EVERY: Final = 1.0
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
    client: httpx.AsyncClient, deliveries: Iterator[tuple[bytes, dict[str, str]]], spans: list[Span]
) -> None:
    """One after the other at a steady pace, noting when each was sent and answered."""
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        body, headers = next(deliveries)
        sent = time.perf_counter()
        answer = await client.post("/webhooks/github", content=body, headers=headers)
        spans.append((sent, time.perf_counter()))
        assert answer.is_success, answer.text
        await asyncio.sleep(PAUSE)


async def measure() -> dict[str, list[float]]:
    """Latencies in milliseconds, of webhooks that overlap with a scrape and of the others."""
    settings = {"HTTP__OPEN_ACCESS": "true", "HTTP__PUBLIC_METRICS": "true", "SOURCES__GITHUB__SECRET": SECRET}
    with tempfile.TemporaryDirectory(prefix="sg-") as folder:
        product = Installation(
            Path(folder), definitions(), **{f"STREAMGAUGE_{name}": text for name, text in settings.items()}
        )
        try:
            await product.start()
            deliveries, spans = webhooks(), list[Span]()
            await _warm_up(product, deliveries)
            scraper = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.benchmarks.scrape", product.base, stdout=subprocess.PIPE, cwd=ROOT
            )
            await asyncio.gather(*(post(product.client, deliveries, spans) for _ in range(WORKERS)))
            printed, _ = await scraper.communicate()
        finally:
            await product.close()
    scrapes = json.loads(printed)
    return _figures(spans, [tuple(span) for span in scrapes["spans"]], scrapes["samples"])


async def _warm_up(product: Installation, deliveries: Iterator[tuple[bytes, dict[str, str]]]) -> None:
    """Every stream has seen something, and the first page was made."""
    for body, headers in itertools.islice(deliveries, 3 * STREAMS):
        (await product.client.post("/webhooks/github", content=body, headers=headers)).raise_for_status()
    await product.settled()
    await asyncio.sleep(2)
    (await product.client.get("/metrics")).raise_for_status()


def _figures(spans: list[Span], scrapes: list[Span], samples: int) -> dict[str, list[float]]:
    during, others = list[float](), list[float]()
    for sent, answered in spans:
        overlaps = any(sent < end and answered > start for start, end in scrapes)
        (during if overlaps else others).append(answered - sent)
    busy, idle = _summary(during), _summary(others)
    return {
        "webhook p99, rise during a scrape ≤ 10 ms": [busy.p99 - idle.p99],
        "webhook p50, p99, longest during a scrape, ms": [busy.p50, busy.p99, busy.longest],
        "webhook p50, p99, longest otherwise, ms": [idle.p50, idle.p99, idle.longest],
        "webhooks during a scrape, otherwise": [busy.answered, idle.answered],
        "scrape, ms": [1000 * sorted(end - start for start, end in scrapes)[len(scrapes) // 2]],
        "samples on the page": [samples],
    }


def _summary(latencies: list[float]) -> LoadResult:
    return summary(latencies, 0, SECONDS)


def scrape(base: str) -> dict[str, Any]:
    """Once a second, as Prometheus does; when each began and ended, and how many samples there were."""
    spans, page = list[Span](), b""
    request = urllib.request.Request(f"{base}/metrics", headers={"Accept-Encoding": "gzip"})
    end = time.perf_counter() + SECONDS - 1
    while time.perf_counter() < end:
        start = time.perf_counter()
        with urllib.request.urlopen(request) as answer:
            answer.read()
        spans.append((start, time.perf_counter()))
        time.sleep(max(0.0, start + EVERY - time.perf_counter()))
    with urllib.request.urlopen(f"{base}/metrics") as answer:
        page = answer.read()
    return {"spans": spans, "samples": sum(not line.startswith(b"#") for line in page.splitlines())}


def main() -> None:
    """Without arguments: measure and print. With a URL: scrape it."""
    print(json.dumps(scrape(sys.argv[1]) if sys.argv[1:] else asyncio.run(measure())))


if __name__ == "__main__":
    main()
