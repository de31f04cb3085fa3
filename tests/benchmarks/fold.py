"""The fold against a bare loop that decodes the same facts and updates the same counters in plain dicts.

The loop keeps no facts, knows no duplicates, corrects nothing, writes nothing: it is what the exactness is added to.
Times are CPU seconds of this process; both run in turn, so that a slow moment of the machine meets both.
"""

from __future__ import annotations

import gc
import json
import statistics
import time
from bisect import bisect_left
from typing import Any, Final

from flow.buckets import COMMON
from flow.cells import Retention
from flow.facts import decode_facts, encode_facts
from flow.fold import Fold
from flow.matching import Router
from flow.sorting import Sorting
from tests.benchmarks.workload import DEFINITIONS, NAMES, STREAM, facts_until

NOW: Final = 1_795_339_800_000
FACTS: Final = 200_000
IN_BATCH: Final = 2_000
ROUNDS: Final = 7
ACTIVE: Final = {1, 2, 3}
DONE: Final = len(NAMES) - 1
STAGES: Final = {name.title(): index for index, name in enumerate(NAMES)}
TYPES: Final = {"feature": 0, "bug": 1}


def bin_of(duration: int) -> int:
    """The same bins, in plain Python whatever is compiled."""
    shift = duration.bit_length() - 5
    return duration if shift <= 0 else 16 * shift + (duration >> shift)


class PlainDicts:
    """What a loop without any exactness keeps: counts by cell, buckets, WIP, and where each item is."""

    def __init__(self) -> None:
        self.cells: dict[int, dict[Any, float]] = {}
        self.buckets: dict[Any, int] = {}
        self.wip: dict[int, int] = {}
        self.items: dict[str, list[Any]] = {}

    def count(self, facts: list[Any]) -> None:
        """Count in dicts."""
        cells, buckets, wip, items = self.cells, self.buckets, self.wip, self.items
        for fact in facts:
            stage, at = STAGES[fact.status], fact.at
            cell = cells.setdefault(at // 60_000, {})
            item = items.get(fact.item)
            if item is None:
                items[fact.item] = item = [-1, 0, at, None, 0]
            left = item[0]
            if stage == left:
                continue
            if left >= 0:
                spent = at - item[1]
                for key, count in (
                    ((left, "departures"), 1),
                    ((left, "time"), spent),
                    ((left, "bin", bin_of(spent)), 1),
                ):
                    cell[key] = cell.get(key, 0) + count
                bucket = (left, bisect_left(COMMON, spent))
                buckets[bucket] = buckets.get(bucket, 0) + 1
                if stage < left:
                    cell[left, "rework"] = cell.get((left, "rework"), 0) + 1
                if left in ACTIVE:
                    item[4] += spent
                wip[left] = wip.get(left, 0) - 1
            cell[stage, "arrivals"] = cell.get((stage, "arrivals"), 0) + 1
            wip[stage] = wip.get(stage, 0) + 1
            item[0], item[1] = stage, at
            if item[3] is None and stage >= 1:
                item[3] = at
            if stage == DONE:
                finish(cell, buckets, TYPES.get(fact.type, 2), fact, item)


def bare_loop(batches: list[bytes]) -> None:
    """Decode, and count in dicts."""
    plain = PlainDicts()
    for batch in batches:
        plain.count(decode_facts(batch))


def finish(cell: dict[Any, float], buckets: dict[Any, int], item_type: int, fact: Any, item: list[Any]) -> None:
    """Count an item that is done."""
    cycle, lead = fact.at - item[3], fact.at - item[2]
    for key, count in (
        ((item_type, "finished"), 1),
        ((item_type, "value"), fact.value or 0),
        ((item_type, "cycle"), cycle),
        ((item_type, "lead"), lead),
        ((item_type, "active"), item[4]),
        ((item_type, "cycle bin", bin_of(cycle)), 1),
        ((item_type, "lead bin", bin_of(lead)), 1),
    ):
        cell[key] = cell.get(key, 0) + count
    for name, spent in (("cycle", cycle), ("lead", lead)):
        bucket = (item_type, name, bisect_left(COMMON, spent))
        buckets[bucket] = buckets.get(bucket, 0) + 1


def fold(batches: list[bytes]) -> None:
    """Decode, sort, fold, and take the packed timelines and deltas of each batch, as the aggregator does."""
    folding = Fold(STREAM, Retention())
    items: dict[str, Any] = {}
    router = Router(DEFINITIONS)
    for batch in batches:
        folding.begin(NOW)
        sorting = Sorting(router, NOW, lambda _: NOW)
        sorting.add(decode_facts(batch), 0)
        briefs = sorting.streams[STREAM.name]
        for name in briefs:
            if name not in items:
                items[name] = folding.new_item()
        folding.apply_all([(told, items[told[0]]) for told in briefs.items()])
        folding.take()


def cpu_seconds(work: Any, batches: list[bytes]) -> float:
    """CPU time of one run, without the garbage collector's."""
    gc.collect()
    gc.disable()
    try:
        began = time.process_time()
        work(batches)
        return time.process_time() - began
    finally:
        gc.enable()


def main() -> None:
    """Print one JSON object: microseconds a fact, and the ratio, as median, lowest and highest."""
    facts = facts_until(NOW, FACTS)
    batches = [encode_facts(facts[start : start + IN_BATCH]).rstrip() for start in range(0, FACTS, IN_BATCH)]
    del facts
    bare_loop(batches[:5])
    fold(batches[:5])
    pairs = [(cpu_seconds(bare_loop, batches), cpu_seconds(fold, batches)) for _ in range(ROUNDS)]
    ratios = [bare / full for bare, full in pairs]
    print(
        json.dumps(
            {
                "bare loop, µs a fact": spread([bare / FACTS * 1e6 for bare, _ in pairs]),
                "fold, µs a fact": spread([full / FACTS * 1e6 for _, full in pairs]),
                "fold ≥ 0.4 × bare loop": spread(ratios),
            }
        )
    )


def spread(figures: list[float]) -> list[float]:
    """Median, lowest, highest."""
    return [round(figure, 3) for figure in (statistics.median(figures), min(figures), max(figures))]


if __name__ == "__main__":
    main()
