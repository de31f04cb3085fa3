"""Every metric that Streamgauge exports, once. What is not here is not exported; docs, rules and dashboards are checked
against it, and `docs/metrics.md` is made from it.

Base units; `_total` on counters, `_seconds` on times. `stage` is a label on purpose: it is the noun of this domain.
No label ever holds an item, a person or a title, and each has a bounded set of values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from flow.catalogue_monitor import BRIDGES, FACTS, MONITOR, PROCESS, WORKERS
from flow.catalogue_work import DELIVERIES, STAGES, STREAMS
from flow.metric import Metric, markdown

SECTIONS: Final[Mapping[str, Sequence[Metric]]] = {
    "Stages": STAGES,
    "Streams": STREAMS,
    "Deliveries": DELIVERIES,
    "Facts": FACTS,
    "Workers": WORKERS,
    "Bridges": BRIDGES,
    "The monitor": MONITOR,
    "The HTTP process": PROCESS,
}

METRICS: Final[Mapping[str, Metric]] = {metric.name: metric for section in SECTIONS.values() for metric in section}

SAMPLES: Final[Mapping[str, tuple[str, ...]]] = {
    name: labels for metric in METRICS.values() for name, labels in metric.samples().items()
}
"""Every sample's name with its labels: a histogram has three."""


def page() -> str:
    """The page of the docs that lists all metrics."""
    return markdown(SECTIONS)
