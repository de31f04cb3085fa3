"""How cost grows with streams, stages, items, partitions and windows: `make bench-scale`.

Each part runs in a process of its own and takes minutes: `python -m tests.benchmarks.scale PART …` runs some of them.
What was measured is kept in build/scale.json, part by part; the tables of docs/scale.md are written from it. CPU time
is what is compared: on a machine with other work, how long something took says little. STREAMGAUGE_BENCH_ROUNDS and
STREAMGAUGE_BENCH_ITEMS make it shorter: how often the first parts run, how many items the reading part opens.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import uvloop

from consumers.log import FACTS_AT_ONCE
from service.command_line.composition import prepare_worker
from tests.benchmarks import scale_hundred
from tests.benchmarks.scale_load import Worker, definitions, opened, patient_valkey
from tests.benchmarks.scale_reading import reading, reading_definitions
from tests.benchmarks.scale_writing import (
    MOST,
    Figures,
    beginning,
    by_partitions,
    by_streams,
    open_items,
    rows,
)

ROOT: Final = Path(__file__).parents[2]
COMPILED: Final = ROOT / "build" / "compiled"
KEPT: Final = ROOT / "build" / "scale.json"
PAGE: Final = ROOT / "docs" / "scale.md"
LONGEST: Final = 1800.0
"""Seconds after which a part is given up."""

PARTITIONS: Final = 2
READ_ITEMS: Final = int(os.environ.get("STREAMGAUGE_BENCH_ITEMS", "1000000"))

_BLOCK: Final = re.compile(r"(<!-- measured: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


async def million() -> Figures:
    """A thousand streams with a million open items. On Ctrl-C what was found until then counts."""
    found: Figures = {}
    with contextlib.suppress(asyncio.CancelledError):
        async with patient_valkey() as redis:
            await open_items(redis, PARTITIONS, found)
    return found


async def read() -> Figures:
    """A thousand streams with as many open items as are asked for, read. On Ctrl-C what was found counts."""
    found: Figures = {"open items": [READ_ITEMS]}
    with contextlib.suppress(asyncio.CancelledError):
        async with patient_valkey() as redis:
            worker, each = Worker(redis, definitions(MOST), FACTS_AT_ONCE // PARTITIONS), READ_ITEMS // PARTITIONS
            await worker.take({n: (each, opened(MOST, 0, each, n)) for n in range(PARTITIONS)})
            await asyncio.sleep(2.5)  # the next chores move all positions up: the next worker reads from the lowest
            await worker.stop()
            await reading(redis, definitions(MOST), PARTITIONS, found)
    return found


async def start() -> Figures:
    """What a process does before its first fact."""
    found = reading_definitions(100) | reading_definitions(MOST)
    async with patient_valkey() as redis:
        return found | await beginning(redis, MOST)


PARTS: Final[dict[str, Callable[[], Awaitable[Figures]]]] = {
    "streams": by_streams,
    "partitions": by_partitions,
    "rows": rows,
    "start": start,
    "million": million,
    "reading": read,
}


def main() -> None:
    """Run all parts, or those named, each in a process of its own; then write the page."""
    subprocess.run([sys.executable, ROOT / "deploy" / "compile_flow.py", COMPILED], check=True)
    kept: dict[str, Figures] = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    for name in sys.argv[1:] or PARTS:
        words = [sys.executable, "-P", "-m", "tests.benchmarks.scale", "--here", name]
        environment = os.environ | {"PYTHONPATH": f"{COMPILED}:{ROOT}"}
        done = subprocess.run(words, cwd=ROOT, env=environment, stdout=subprocess.PIPE, check=True, timeout=LONGEST)
        kept = (json.loads(KEPT.read_text()) if KEPT.exists() else {}) | {name: json.loads(done.stdout)}
        KEPT.write_text(json.dumps(kept, indent=1))
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), kept), encoding="utf-8")


def run_here(name: str) -> None:
    """Measure one part and print its figures as JSON."""
    prepare_worker()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(_awaited(PARTS[name]))))


async def _awaited(part: Callable[[], Awaitable[Figures]]) -> Figures:
    return await part()


def written(text: str, kept: dict[str, Figures]) -> str:
    """The page with its tables anew; a table whose part was not measured stays as it is."""
    tables = {name: _table(figures) for name, figures in kept.items()}
    tables["machine"] = f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}.\n"
    if kept.keys() >= PARTS.keys():
        every = {name: values for figures in kept.values() for name, values in figures.items()}
        tables["hundred"] = scale_hundred.table(every)

    def fill(found: re.Match[str]) -> str:
        return f"{found[1]}{tables[found[2]]}{found[3]}" if found[2] in tables else found[0]

    return _BLOCK.sub(fill, text)


def _table(figures: Figures) -> str:
    """One row a figure; of a figure with three values the heading says which they are, else median, lowest, highest."""
    lines = ["| figure | | | |", "|---|---|---|---|"]
    for name, values in figures.items():
        cells = [_short(value) for value in values] + [""] * (3 - len(values))
        lines.append(f"| {name.replace('|', '')} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


if __name__ == "__main__":
    if sys.argv[1:2] == ["--here"]:
        run_here(sys.argv[2])
    else:
        main()
