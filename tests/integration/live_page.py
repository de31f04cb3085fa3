"""A whole Streamgauge with 200 streams and some invented work, and a browser that looks at it."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from flow.instants import DAY, HOUR, format_instant
from tests.integration.gauges import Gauge, running_gauge

OTHERS: Final = 198
STAGES: Final = """
      - {name: backlog, kind: queue, when: [{status: To Do}]}
      - {name: develop, kind: active, when: [{status: In Progress}], wip_limit: 2, sle: {p85: 3d}}
      - {name: review, kind: active, when: [{status: In Review}], wip_limit: 4, sle: {p85: 1d}}
      - {name: release, kind: queue, when: [{status: Ready}]}
      - {name: done, kind: done, when: [{status: Done}]}
"""
STATUSES: Final = ("To Do", "In Progress", "In Review", "Ready", "Done")

STREAMS: Final = f"""
streams:
  checkout:
    match: {{source: acme, project: CHK}}
    labels: {{portfolio: retail}}
    targets: {{cycle_time_p85: 10d, flow_efficiency: 0.4}}
    stages:{STAGES}
  empty:
    match: {{source: acme, project: EMPTY}}
    stages:{STAGES}
""" + "".join(
    f"  team-{number:03}:\n    match: {{source: acme, project: T{number}}}\n    stages:{STAGES}"
    for number in range(OTHERS)
)

HOSTILE: Final = "<img src=x onerror=document.title='owned'> & \"quotes\""


def now() -> int:
    return time.time_ns() // 1_000_000


class Poster:
    """Posts facts of invented items, each with an id of its own."""

    def __init__(self, gauge: Gauge, token: str | None = None) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.client = httpx.Client(base_url=gauge.url, headers=headers, timeout=20)
        self.count = 0

    def fact(self, at: int | None = None, **fields: Any) -> dict[str, Any]:
        self.count += 1
        instant = format_instant(now() if at is None else at)
        return {
            "subject": "item",
            "id": f"fact-{self.count}",
            "source": "acme",
            "project": "CHK",
            "at": instant,
        } | fields

    def post(self, *facts: dict[str, Any]) -> None:
        self.client.post("/v1/facts", json=list(facts)).raise_for_status()

    def get(self, path: str, **parameters: Any) -> Any:
        return self.client.get(path, params=parameters).raise_for_status().json()


def history(poster: Poster) -> Iterable[dict[str, Any]]:
    """Forty items, one a day: most are done, the last ones are somewhere on their way."""
    today = now()
    for number in range(40):
        at = today - (40 - number) * DAY // 2
        for step, status in enumerate(STATUSES):
            at += (6 + (number * 7 + step * 5) % 11) * HOUR
            if at < today:
                title = HOSTILE if number == 33 else f"Work number {number}"
                about = {"title": title, "type": "Story", "url": "https://tracker.example/x", "value": number % 5}
                yield poster.fact(at, item=f"CHK-{number}", status=status, **(about if step == 0 else {}))
    for number in range(6):
        name = f"d-{number}"
        yield {
            "subject": "deployment", "id": name, "source": "acme", "service": "shop", "environment": "production",
            "deployment": name, "at": format_instant(today - (number + 1) * DAY), "state": "succeeded",
        }  # fmt: skip


def process_of(gauge: Gauge, role: str) -> int:
    """The process id of a child of `up`: serve, aggregate, valkey."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and parent_of(entry) == gauge.process.pid:
            words = (entry / "cmdline").read_bytes().decode()
            if role in words.split("\0")[0 if role == "valkey" else -2]:
                return int(entry.name)
    raise ProcessLookupError(role)


def parent_of(process: Path) -> int:
    with contextlib.suppress(OSError):
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    return 0


@contextmanager
def installation(**settings: str) -> Iterator[tuple[Gauge, Poster]]:
    """It runs, with the history in its state."""
    token = settings.pop("token", None)
    with running_gauge(STREAMS, settings) as gauge:
        poster = Poster(gauge, token)
        with poster.client:
            facts = list(history(poster))
            body = "\n".join(map(json.dumps, facts))
            answer = poster.client.post("/v1/facts", content=body, headers={"Content-Type": "application/x-ndjson"})
            answer.raise_for_status()
            while poster.client.get("/readyz").json()["lag_facts"] != 0:
                time.sleep(0.05)
            yield gauge, poster
