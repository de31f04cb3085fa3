"""What this HTTP process tells of its spool."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from flow.adapters import ADAPTERS
from flow.catalogue import METRICS
from flow.instants import SECOND
from flow.redelivery import sends_again
from service.spool_files import Level

_OTHER: Final = "other"


class SpoolMetrics(Collector):
    """Register it in a registry of your own. `level` says how full the spool is; without one it is empty."""

    def __init__(self, level: Callable[[], Level] = Level) -> None:
        self.level = level
        covered = [name for name in ADAPTERS if not sends_again(name)]
        self._spooled = dict.fromkeys([*covered, _OTHER], 0)

    def count(self, source: str) -> None:
        """A delivery of this source was spooled."""
        self._spooled[source if source in self._spooled else _OTHER] += 1

    def collect(self) -> Iterator[Metric]:
        """What a scrape sees."""
        level = self.level()
        yield _gauge("streamgauge_spool_deliveries", level.deliveries)
        yield _gauge("streamgauge_spool_filled_ratio", level.filled)
        oldest = None if level.oldest is None else level.oldest / SECOND
        yield _gauge("streamgauge_spool_oldest_timestamp_seconds", oldest)
        described = METRICS["streamgauge_spooled_deliveries_total"]
        spooled = CounterMetricFamily(described.name, described.help, labels=described.labels)
        for source, count in self._spooled.copy().items():
            spooled.add_metric([source], count)
        yield spooled


def _gauge(name: str, value: float | None) -> Metric:
    """Without a value there is no sample, but the metric is told of."""
    return GaugeMetricFamily(name, METRICS[name].help, value=value)
