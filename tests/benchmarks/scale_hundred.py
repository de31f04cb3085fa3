"""What the measurements say of a hundred times as much, in one installation: each quantity by its formula."""

from __future__ import annotations

from math import ceil
from typing import Final

STREAMS: Final = 1_000
ITEMS: Final = 1_000_000
TIMES: Final = 100
FACTS_AN_ITEM_AND_DAY: Final = 1.0
PEAK: Final = 5
"""How many times as many facts as on average come in the busiest minutes."""

USE: Final = 0.5
"""Share of a core, or of a server's memory, that is planned for."""

SHARD_BYTES: Final = 32e9
PROMETHEUS_BYTES: Final = 4_000
"""Memory of a Prometheus server for one series, about: 3 to 4 kB by its makers' rule of thumb."""

SNAPSHOT_EVERY: Final = 0.5
QUIET_EVERY: Final = 60.0
DAY: Final = 86_400
MINUTE_ROWS, HOUR_ROWS, DAY_ROWS = 26 * 60, 35 * 24, 731

Figures = dict[str, list[float]]
Row = tuple[str, str, str, str]


def cell_rows(facts_a_day: float, partitions: int) -> float:
    """Rows of cells of one stream: a cell has a row of each partition that told of it."""
    asked = (MINUTE_ROWS, HOUR_ROWS, DAY_ROWS)
    days = (26 / 24, 35, 731)
    return sum(min(rows * partitions, facts_a_day * span) for rows, span in zip(asked, days, strict=True))


def estimate(figures: Figures, times: int) -> dict[str, float]:
    """All quantities at this many times a thousand streams and a million open items."""
    streams, items = STREAMS * times, ITEMS * times
    average = items * FACTS_AN_ITEM_AND_DAY / DAY
    peak = average * PEAK
    small = "1,000 streams, batches of 1,000: "
    worker = peak * figures[f"{small}worker CPU, µs a fact"][0] / 1e6
    valkey = peak * figures[f"{small}Valkey CPU, µs a fact"][0] / 1e6
    partitions = max(2, ceil(worker / USE))
    cells = streams * cell_rows(average * DAY / streams, partitions)
    cell_bytes = cells * figures["bytes a cell and partition, few facts in it"][0]
    item_bytes = items * figures["1,000,000 items: bytes an item in Valkey"][0]
    name = "1,000 streams, 2 partitions"
    samples = figures[f"{name}: samples on the page"][0] * times
    # A turn reads what every stream's monitor counted, and each stream that changed since the last one.
    quiet = figures[f"{name}: snapshot when nothing changed: wall ms, CPU ms, Valkey CPU ms"]
    busy = figures[f"{name}: snapshot when 1,000 streams changed: wall ms, CPU ms, Valkey CPU ms"]
    changed = min(streams, peak * SNAPSHOT_EVERY)
    snapshot = quiet[1] * times + changed * (busy[1] - quiet[1]) / STREAMS
    detector = figures["detector looks at all again: wall ms, CPU ms, Valkey CPU ms"][1] * times / 1000
    return {
        "facts": average,
        "peak": peak,
        "worker": worker,
        "partitions": partitions,
        "valkey": valkey,
        "item bytes": item_bytes,
        "cell bytes": cell_bytes,
        "shards": max(1, ceil((item_bytes + cell_bytes) / SHARD_BYTES / USE), ceil(valkey / USE)),
        "snapshot": snapshot / 1000,
        "http": snapshot / 1000 / SNAPSHOT_EVERY,
        "detector": detector / QUIET_EVERY,
        "begin": figures["a partition begins: s, worker CPU s, Valkey CPU s"][1] * times * partitions,
        "definitions": figures["definitions of 1,000 streams read, CPU s"][0] * times,
        "samples": samples,
        "page": figures[f"{name}: page, MB; gzipped, MB"][0] * times,
        "scrape": figures[f"{name}: scrape when 1,000 streams changed, CPU ms"][0] * times / 1000,
        "prometheus": samples * PROMETHEUS_BYTES,
    }


def table(figures: Figures) -> str:
    """One row a quantity: its formula, now, and a hundred times that."""
    rows = [
        ("facts a second, on average", f"items × {FACTS_AN_ITEM_AND_DAY:g} a day", "facts", 1.0),
        ("facts a second, at the peak", f"average × {PEAK}", "peak", 1.0),
        ("workers' CPU at the peak, cores", "peak × µs a fact, one fact a commit", "worker", 1.0),
        ("partitions, which is the most workers", f"workers' CPU / {USE:g}, at least 2", "partitions", 1.0),
        ("Redis' CPU at the peak, cores", "peak × µs a fact", "valkey", 1.0),
        ("items in Redis, GB", "items × bytes an item", "item bytes", 1e9),
        ("cells in Redis, GB, once they are two years old", "streams × rows × bytes a row", "cell bytes", 1e9),
        ("shards of Redis", f"memory / ({SHARD_BYTES / 1e9:g} GB × {USE:g}) or CPU / {USE:g}", "shards", 1.0),
        ("a worker begins, CPU s", "partitions × streams", "begin", 1.0),
        ("definitions are read, CPU s", "streams", "definitions", 1.0),
        ("the snapshot of an HTTP process, CPU s", "streams, and those that changed", "snapshot", 1.0),
        ("an HTTP process for its snapshot alone, cores", f"snapshot / {SNAPSHOT_EVERY:g} s", "http", 1.0),
        ("the detector, cores; it runs in one process", f"streams × look / {QUIET_EVERY:g} s", "detector", 1.0),
        ("samples on the page, millions", "streams × samples of one", "samples", 1e6),
        ("the page, MB", "streams", "page", 1.0),
        ("a scrape after all changed, CPU s", "streams", "scrape", 1.0),
        ("memory of Prometheus, GB", f"samples × {PROMETHEUS_BYTES / 1000:g} kB", "prometheus", 1e9),
    ]
    now, then = estimate(figures, 1), estimate(figures, TIMES)
    lines = [
        f"| | formula | {STREAMS:,} streams, {ITEMS:,} open items | {TIMES} times that |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {how} | {_short(now[key] / unit)} | {_short(then[key] / unit)} |" for name, how, key, unit in rows
    ]
    return "\n".join(lines) + "\n"


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
