"""The live page in a real browser while 60 facts a second come in for 200 streams: its memory, and the service's.

`python -m tests.benchmarks page --minutes 60`. Half of the facts belong to the stream that is shown: items come, pass
through all stages and are done, so nothing is the same twice. `--file` keeps every minute's figures, one JSON object a
line. The first paint is measured before, on a service that has nothing else to do.
"""

from __future__ import annotations

import argparse
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from statistics import mean, median
from typing import Any, Final

import httpx

from tests.integration.gauges import Gauge
from tests.integration.live_page import OTHERS, STATUSES, Poster, installation, process_of
from tests.servers.chromium import Browser, running_chromium

FACTS: Final = 6
EVERY: Final = 0.1
"""Sixty facts a second, six in a request: what is measured is not how fast requests are answered."""

SHOWN_ITEMS: Final = 60
OTHER_ITEMS: Final = 3
"""Items that are on their way at once in the stream that is shown, and in each of the others."""

MINUTE: Final = 60.0
PAINTS: Final = 10
PATIENCE: Final = 20.0
ROLES: Final = ("serve", "aggregate", "valkey")
MEGABYTE: Final = 1e6

_FINISHED: Final = """
const figure = [...document.querySelectorAll('#summary .figure')].find((one) => one.innerText.startsWith('Finished'));
return Number(figure.querySelector('.value').innerText.replaceAll(',', ''));
"""

Sample = dict[str, float]
Figures = dict[str, list[float]]


class Traffic:
    """Posts facts at a steady pace until it is stopped: one half of the stream that is shown, one of all others."""

    def __init__(self, poster: Poster) -> None:
        self.posted = 0
        self.refused = 0
        self._poster = poster
        self._random = Random(6)
        self._items: dict[str, list[tuple[str, int]]] = {}
        self._begun = 0
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin to post."""
        self._thread.start()

    def stop(self) -> None:
        """Post no more."""
        self._ends.set()
        self._thread.join()

    def _run(self) -> None:
        due = time.monotonic()
        while not self._ends.is_set():
            projects = ["CHK", f"T{self._random.randrange(OTHERS)}"] * (FACTS // 2)
            try:
                self._poster.post(*map(self._next, projects))
                self.posted += FACTS
            except httpx.HTTPError:
                self.refused += FACTS
            due += EVERY
            self._ends.wait(max(0.0, due - time.monotonic()))

    def _next(self, project: str) -> dict[str, Any]:
        """An item of the project moves on, or a new one comes where one was done."""
        items = self._items.setdefault(project, [])
        if len(items) < (SHOWN_ITEMS if project == "CHK" else OTHER_ITEMS):
            self._begun += 1
            item = f"{project}-FLOW-{self._begun}"
            items.append((item, 0))
            about: dict[str, Any] = {
                "title": f"Invented work number {self._begun}",
                "type": "Story",
                "value": self._begun % 5,
            }
            return self._poster.fact(project=project, item=item, status=STATUSES[0], **about)
        place = self._random.randrange(len(items))
        item, step = items[place]
        if step + 2 == len(STATUSES):
            del items[place]
        else:
            items[place] = (item, step + 1)
        return self._poster.fact(project=project, item=item, status=STATUSES[step + 1])


def paints(browser: Browser, url: str) -> list[float]:
    """First contentful paints in milliseconds."""
    found = []
    for _ in range(PAINTS):
        open_page(browser, url)
        asked = "return performance.getEntriesByName('first-contentful-paint')[0].startTime"
        found.append(float(browser.run(asked)))
    return found


def open_page(browser: Browser, url: str) -> None:
    """Open it, and wait until it shows everything."""
    browser.open(f"{url}/?stream=checkout&window=7d")
    browser.until(lambda: browser.texts(".stage .wip") and browser.shows("#cycle-times .dot"))


def sample(browser: Browser, gauge: Gauge, poster: Poster) -> Sample:
    """What page and processes hold now, and how long the page takes to show what the API says."""
    heap, nodes, listeners = min(browser.held() for _ in range(5))
    found: Sample = {"heap_bytes": heap, "nodes": nodes, "listeners": listeners, "delay": delay(browser, poster)}
    return found | {f"{role}_rss_bytes": resident(process_of(gauge, role)) for role in ROLES}


def delay(browser: Browser, poster: Poster) -> float:
    """Seconds from an answer of the API until the page shows as many finished items, or more; at most PATIENCE.

    It asks seldom: each script that the driver runs leaves some 150 bytes in the page.
    """
    asked = poster.get("/v1/streams/checkout", window="7d")["throughput"]
    began = time.monotonic()
    while browser.run(_FINISHED) < asked and time.monotonic() - began < PATIENCE:
        time.sleep(0.1)
    return time.monotonic() - began


def resident(process: int) -> float:
    """Bytes of memory that a process has for itself and shares."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(1024.0 * float(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


def minutes_of(browser: Browser, gauge: Gauge, poster: Poster, traffic: Traffic, minutes: int) -> Iterator[Sample]:
    """A sample at the end of each minute."""
    began, before = time.monotonic(), 0
    for minute in range(1, minutes + 1):
        time.sleep(max(0.0, began + minute * MINUTE - time.monotonic()))
        posted, before = traffic.posted - before, traffic.posted
        found = sample(browser, gauge, poster)
        said = [entry for entry in browser.said() if "favicon" not in entry]
        browser.requests()
        yield {"minute": minute, "facts_a_second": posted / MINUTE, "complaints": len(said)} | found


def measure(minutes: int, file: Path | None) -> Figures:
    """Median, lowest and highest of the minutes; of memory also what it grew by."""
    samples: list[Sample] = []
    with installation() as (gauge, poster), running_chromium() as browser:
        first = paints(browser, gauge.url)
        posting = Poster(gauge)
        posting.count = poster.count  # ids go on, so that no fact is taken for one of the history
        with posting.client:
            traffic = Traffic(posting)
            traffic.start()
            for found in minutes_of(browser, gauge, poster, traffic, minutes):
                samples.append(found)
                if file is not None:
                    with file.open("a") as lines:
                        lines.write(json.dumps(found) + "\n")
            traffic.stop()
    return figures_of(first, samples, traffic)


def figures_of(first: list[float], samples: list[Sample], traffic: Traffic) -> Figures:
    """The table."""
    held = {"heap_bytes": "page, JS heap, MB", "nodes": "page, nodes", "listeners": "page, listeners"}
    held |= {f"{role}_rss_bytes": f"{role}, resident, MB" for role in ROLES}
    found = {"first paint, ms": spread(first)}
    found["facts a second"] = spread([each["facts_a_second"] for each in samples])
    found["API → page, s"] = spread([each["delay"] for each in samples])
    for name, title in held.items():
        values = [each[name] / (MEGABYTE if name.endswith("_bytes") else 1) for each in samples]
        part = max(1, len(values) // 6)
        found[title] = spread(values)
        found[f"{title}, last sixth − second sixth"] = [mean(values[-part:]) - mean(values[part:][:part] or values)]
    found["facts posted, refused"] = [traffic.posted, traffic.refused]
    found["lines on the console"] = [sum(each["complaints"] for each in samples)]
    return found


def spread(values: list[float]) -> list[float]:
    """Median, lowest, highest."""
    return [median(values), min(values), max(values)]


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=int, default=2)
    parser.add_argument("--file", type=Path, default=None)
    options = parser.parse_args()
    print(json.dumps(measure(options.minutes, options.file)))


if __name__ == "__main__":
    main()
