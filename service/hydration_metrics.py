"""What this HTTP process tells of the items that it read again."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Final, get_args

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from flow.catalogue import METRICS
from service.hydration import Outcome
from service.rereading.sources import REREADINGS

_NAME: Final = "streamgauge_hydrated_items_total"


class HydrationMetrics(Collector):
    """Register it in a registry of your own."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], int] = dict.fromkeys(product(REREADINGS, get_args(Outcome)), 0)

    def count(self, source: str, outcome: Outcome) -> None:
        """This came of an item."""
        self._counts[source, outcome] += 1

    def collect(self) -> Iterator[Metric]:
        """What a scrape sees."""
        described = METRICS[_NAME]
        family = CounterMetricFamily(_NAME, described.help, labels=described.labels)
        for labels, count in self._counts.copy().items():
            family.add_metric(labels, count)
        yield family
