"""Runs every benchmark, each in a process of its own, the pure ones also compiled: `make bench`.

`python -m tests.benchmarks NAME …` runs some of them; `--write` puts the figures into docs/measurements.md. `page` runs
only when it is named: it needs a browser, and takes as long as `--minutes` says.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.servers.kafka import has_apache_kafka

ROOT: Final = Path(__file__).parents[2]
COMPILED: Final = ROOT / "build" / "compiled"
PAGE: Final = ROOT / "docs" / "measurements.md"
LONGEST: Final = 200.0
"""Seconds after which a benchmark is given up."""

PURE: Final = ("fold", "aggregate", "kafka")
WHOLE: Final = ("adapters", "ingest", "visible", "scrape")
LONG: Final = "page"

Figures = dict[str, list[float]]


def main() -> None:
    """Print all figures: median, lowest, highest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join((*PURE, *WHOLE, LONG)))
    parser.add_argument("--write", action="store_true", help="put the figures into docs/measurements.md")
    parser.add_argument("--minutes", type=int, default=2, help="how long `page` watches")
    options = parser.parse_args()
    chosen = list(options.names) or [*PURE, *WHOLE]
    if set(chosen) & set(PURE):
        subprocess.run([sys.executable, ROOT / "deploy" / "compile_flow.py", COMPILED], check=True)
    if "kafka" in chosen and not has_apache_kafka():
        print("kafka is left out: `make bench` fetches Apache Kafka where Maven and Java are at hand")
        chosen.remove("kafka")
    found: dict[str, Figures] = {}
    for name in chosen:
        if name in PURE:
            found[f"{name}, `flow` compiled with mypyc"] = run(name, f"{COMPILED}:{ROOT}")
        title = f"{name}, `flow` as source" if name in PURE else name
        found[title] = run(name, str(ROOT), *(["--minutes", str(options.minutes)] if name == LONG else []))
    for title, figures in found.items():
        print(f"\n{title}")
        for figure, values in figures.items():
            print(f"  {figure:<44} {'   '.join(f'{value:>12,.4g}' for value in values)}")
    if options.write:
        PAGE.write_text(page(found), encoding="utf-8")


def run(name: str, path: str, *arguments: str) -> Figures:
    """Run one benchmark. Ends the whole when it fails."""
    words = [sys.executable, "-P", "-m", f"tests.benchmarks.{name}", *arguments]
    environment = os.environ | {"PYTHONPATH": path}
    longest = None if name == LONG else LONGEST
    done = subprocess.run(
        words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=longest
    )
    if done.returncode:
        sys.exit(f"{done.stderr[-2000:]}\n{name} failed")
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures


def page(found: dict[str, Figures]) -> str:
    """The figures as a page."""
    machine = f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}"
    lines = [
        "# Measurements",
        "",
        f"Written by `python -m tests.benchmarks --write`, on {machine}. Load, server and Valkey share the cores.",
        "Each figure is a median with the lowest and highest of its rounds; of percentiles, of what was seen.",
        "Ratios are taken within one run.",
    ]
    for title, figures in found.items():
        lines += ["", f"## {title}", "", "| figure | median | lowest | highest |", "|---|---|---|---|"]
        for figure, values in figures.items():
            cells = [f"{value:,.4g}" for value in values] + ["" for _ in range(3 - len(values))]
            lines.append(f"| {figure} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
