"""What this HTTP process counts of itself. Plain numbers on the hot path; Prometheus's own objects only at a scrape."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, product
from typing import Final

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from flow.adapters import ADAPTERS
from flow.catalogue import METRICS
from flow.errors import Reason
from flow.facts import Fact

OTHER: Final = "other"
"""The label of what has no name of its own: a source that nobody configured, a path that leads nowhere."""

FACTS, WEBHOOKS, CLOUDEVENTS = "/v1/facts", "/webhooks/{source}", "/v1/cloudevents"

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_REFUSALS: Final = (
    Reason.SOURCE_OFF,
    Reason.MISSING_SIGNATURE,
    Reason.BAD_SIGNATURE,
    Reason.OLD_TIMESTAMP,
    Reason.TOO_LARGE,
    Reason.OVERLOADED,
    Reason.LOG_UNAVAILABLE,
    Reason.NOT_UNDERSTOOD,
    Reason.MALFORMED_JSON,
)


class Timings:
    """How often something took how long, by upper bound."""

    def __init__(self, edges: Sequence[float]) -> None:
        self._edges = edges
        self._counts = [0] * (len(edges) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        """Count one of this length."""
        self._counts[bisect_left(self._edges, seconds)] += 1
        self._sum += seconds

    def buckets(self) -> tuple[list[tuple[str, float]], float]:
        """Cumulative counts by upper bound, and the sum, as Prometheus has them."""
        names = [*map(floatToGoString, self._edges), "+Inf"]
        return list(zip(names, map(float, accumulate(self._counts)), strict=True)), self._sum


class SelfMetrics(Collector):
    """The counters of one process. Register it in a registry of your own.

    `sources` are the names that may stand in the label `source`, beside those of the adapters.
    """

    def __init__(self, sources: Iterable[str] = ()) -> None:
        self._facts = dict.fromkeys([*ADAPTERS, *sources, OTHER], 0)
        self._webhooks = dict.fromkeys([*ADAPTERS, OTHER], 0)
        known = product(self._webhooks, _REFUSALS)
        self._rejections: dict[tuple[str, ...], int] = dict.fromkeys(known, 0)
        self._requests: dict[tuple[str, str, int], int] = {(FACTS, "POST", 202): 0, (WEBHOOKS, "POST", 202): 0}
        self._appends = Timings(_edges("streamgauge_append_seconds"))
        self._times = {route: _request_timings() for route in (FACTS, WEBHOOKS, CLOUDEVENTS)}
        self.observe_append = self._appends.observe

    def count_facts(self, facts: Iterable[Fact]) -> None:
        """These facts are durable."""
        counts = self._facts
        for fact in facts:
            counts[fact.source if fact.source in counts else OTHER] += 1

    def count_webhook(self, source: str) -> None:
        """A webhook was received."""
        self._webhooks[source if source in self._webhooks else OTHER] += 1

    def count_rejection(self, source: str, reason: Reason) -> None:
        """A webhook was refused, or kept because it was not understood."""
        key = (source if source in self._webhooks else OTHER, reason)
        self._rejections[key] = self._rejections.get(key, 0) + 1

    def count_request(self, route: str, method: str, status: int, seconds: float | None = None) -> None:
        """A request was answered. `route` is a template, never a path that a sender chose."""
        key = (route, method if method in _METHODS else OTHER, status)
        self._requests[key] = self._requests.get(key, 0) + 1
        if seconds is not None:
            times = self._times.get(route)
            if times is None:
                times = self._times[route] = _request_timings()
            times.observe(seconds)

    def collect(self) -> Iterator[Metric]:
        """What a scrape sees. Requests may be answered between two families; each family is of one instant."""
        facts, webhooks = self._facts, self._webhooks
        yield _counter("streamgauge_ingest_facts_total", {(name,): count for name, count in facts.items()})
        yield _counter("streamgauge_webhook_requests_total", {(name,): count for name, count in webhooks.items()})
        yield _counter("streamgauge_webhook_rejections_total", self._rejections)
        answered: dict[tuple[str, ...], int] = {
            (route, method, str(status)): count for (route, method, status), count in self._requests.items()
        }
        yield _counter("streamgauge_http_requests_total", answered)
        timed: dict[tuple[str, ...], Timings] = {(route,): timings for route, timings in self._times.items()}
        yield _histogram("streamgauge_http_request_seconds", timed)
        yield _histogram("streamgauge_append_seconds", {(): self._appends})


def _edges(name: str) -> Sequence[float]:
    buckets = METRICS[name].buckets
    return buckets.edges if buckets else ()


def _request_timings() -> Timings:
    return Timings(_edges("streamgauge_http_request_seconds"))


def _counter(name: str, counts: Mapping[tuple[str, ...], int]) -> Metric:
    described = METRICS[name]
    family = CounterMetricFamily(name, described.help, labels=described.labels)
    for values, count in counts.items():
        family.add_metric(values, count)
    return family


def _histogram(name: str, timings: Mapping[tuple[str, ...], Timings]) -> Metric:
    described = METRICS[name]
    family = HistogramMetricFamily(name, described.help, labels=described.labels)
    for values, timing in timings.items():
        buckets, total = timing.buckets()
        family.add_metric(values, buckets, total)
    return family
