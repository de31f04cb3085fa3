"""What a metric is: its name, kind, labels, buckets and help; and how a list of them reads as a page of the docs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["gauge", "counter", "histogram"]
Part = Literal["state", "process"]


@dataclass(frozen=True, slots=True)
class Buckets:
    """Where a histogram's upper bounds come from. `edges` in seconds, without +Inf; empty when definitions decide."""

    text: str
    edges: tuple[float, ...] = ()


def fixed(edges: tuple[float, ...]) -> Buckets:
    """Buckets that no definition changes. `edges` in seconds."""
    return Buckets(", ".join(f"{edge:g}" for edge in edges) + " s", edges)


@dataclass(frozen=True, slots=True, eq=False)
class Metric:
    """One metric. `name` is as PromQL has it, a histogram's without suffix.

    `part`: `state` metrics come from Redis, so every process shows the same value: aggregate them with max. `process`
    metrics are counted by each process for itself: add them up. With `open_labels`, the labels that a stream's
    definition sets come too.
    """

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str
    buckets: Buckets | None = None
    part: Part = "state"
    open_labels: bool = False

    def samples(self) -> Mapping[str, tuple[str, ...]]:
        """The names of its samples, each with its labels."""
        if self.kind != "histogram":
            return {self.name: self.labels}
        series = {f"{self.name}_{suffix}": self.labels for suffix in ("sum", "count")}
        return {f"{self.name}_bucket": (*self.labels, "le")} | series


def gauge(name: str, labels: tuple[str, ...], text: str, part: Part = "state", open_labels: bool = False) -> Metric:
    """A metric that goes up and down."""
    return Metric(name, "gauge", labels, text, None, part, open_labels)


def counter(name: str, labels: tuple[str, ...], text: str, part: Part = "state") -> Metric:
    """A metric that only grows."""
    return Metric(name, "counter", labels, text, None, part)


def histogram(name: str, labels: tuple[str, ...], text: str, buckets: Buckets, part: Part = "state") -> Metric:
    """Observations counted by upper bound."""
    return Metric(name, "histogram", labels, text, buckets, part)


def markdown(sections: Mapping[str, Sequence[Metric]]) -> str:
    """The page that lists all metrics."""
    return "\n".join(_page(sections)) + "\n"


def _page(sections: Mapping[str, Sequence[Metric]]) -> Iterator[str]:
    yield from _OPENING
    for title, metrics in sections.items():
        yield from ("", f"## {title}", "", "| metric | kind | labels | meaning |", "|---|---|---|---|")
        for metric in metrics:
            labels = [*metric.labels, *(["those of the definition"] if metric.open_labels else [])]
            meaning = metric.help + (f" Buckets: {metric.buckets.text}." if metric.buckets is not None else "")
            yield f"| `{metric.name}` | {metric.kind} | {', '.join(labels)} | {meaning} |"


_OPENING = (
    "# Metrics",
    "",
    "Made from `flow/catalogue.py`; a test compares. To write it again:",
    "`python -c 'from flow import catalogue; print(catalogue.page(), end=\"\")' > docs/metrics.md`",
    "",
    "Times are in seconds, instants in seconds since the epoch. Every process exports the same values of what it reads",
    "from the state: aggregate them with `max`, never `sum`. Only the last section counts by process: there use `sum`.",
    "",
    "Counters only grow. A fact that comes late corrects gauges and windows exactly; counters gain what is new. Gauges",
    "of the state are not exported when it could not be read for 30 s; `streamgauge_snapshot_timestamp_seconds` is.",
    "",
    "A source that no stream's `match` names and that is not a provider's is shown as `other`.",
)
