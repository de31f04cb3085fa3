"""Points as text: the Prometheus format 0.0.4 and OpenMetrics 1.0, which differ in the heads of counters and the end.

The client library writes the same samples twenty times slower; a test compares the two, sample by sample.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import is_
from typing import Any, Final, Generic, TypeVar

from prometheus_client.utils import floatToGoString

from flow.metric import Metric

Told = TypeVar("Told")

_NOTHING: Final = object()


@dataclass(frozen=True, slots=True)
class Labels:
    """Names and values, in the order of the catalogue; `text` is how both formats write them."""

    pairs: tuple[tuple[str, str], ...]
    text: str

    def plus(self, name: str, value: str) -> Labels:
        """These and one more."""
        return labels(*self.pairs, (name, value))


def labels(*pairs: tuple[str, str]) -> Labels:
    r"""Labels with their text; backslashes, quotes and line ends in values are escaped.

    >>> print(labels(("stream", "web"), ("stage", 'a "b"')).text)
    stream="web",stage="a \"b\""
    """
    return Labels(pairs, ",".join(f'{name}="{_escaped(value)}"' for name, value in pairs))


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


@dataclass(frozen=True, slots=True)
class Distribution:
    """A histogram: `edges` as `le` has them, without +Inf; `counts` one more than edges, not cumulative."""

    edges: Sequence[str]
    counts: Sequence[int]
    total: float


Value = int | float | Distribution
Point = tuple[Labels, Value]
Points = defaultdict[str, list[Point]]
"""By the metric's name in the catalogue."""


def le_of(edges: Iterable[float]) -> tuple[str, ...]:
    """Upper bounds in seconds, as the Prometheus client writes them.

    >>> le_of([0.5, 10, 2592000])
    ('0.5', '10.0', '2.592e+06')
    """
    return tuple(floatToGoString(edge) for edge in edges)  # type: ignore[no-untyped-call]


def head(metric: Metric, openmetrics: bool) -> str:
    """The lines before a metric's samples."""
    name, text = metric.name, metric.help.replace("\\", r"\\").replace("\n", r"\n")
    if openmetrics:
        text = text.replace('"', r"\"")
        name = name.removesuffix("_total") if metric.kind == "counter" else name
    return f"# HELP {name} {text}\n# TYPE {name} {metric.kind}\n"


Texts = Mapping[str, bytes]
"""Samples as they stand on the page, by the metric's name in the catalogue."""


def texts_of(points: Points) -> Texts:
    """The samples of these points."""
    return {name: lines(name, found).encode() for name, found in points.items() if found}


class Part(Generic[Told]):
    """The text of what was told last, which is kept. `same` says whether what is told now is still that."""

    def __init__(self, points: Callable[[Told], Points], same: Callable[[Any, Any], bool] = is_) -> None:
        self._points = points
        self._same = same
        self._told: object = _NOTHING
        self._texts: Texts = {}

    def of(self, told: Told) -> Texts:
        """Its text, made anew when it is another."""
        if self._told is _NOTHING or not self._same(self._told, told):
            self._texts = texts_of(self._points(told))
            self._told = told
        return self._texts


def lines(name: str, points: Iterable[Point]) -> str:
    """The samples of one metric."""
    found: list[str] = []
    for where, value in points:
        if isinstance(value, Distribution):
            _add_distribution(name, where.text, value, found)
        elif where.text:
            found.append(f"{name}{{{where.text}}} {value}\n")
        else:
            found.append(f"{name} {value}\n")
    return "".join(found)


def _add_distribution(name: str, where: str, value: Distribution, found: list[str]) -> None:
    start = f"{name}_bucket{{{where}{',' if where else ''}le="
    cumulative = 0
    for edge, count in zip(value.edges, value.counts, strict=False):
        cumulative += count
        found.append(f'{start}"{edge}"}} {cumulative}\n')
    cumulative += value.counts[-1]
    found.append(f'{start}"+Inf"}} {cumulative}\n')
    braced = f"{{{where}}}" if where else ""
    found.append(f"{name}_sum{braced} {value.total}\n{name}_count{braced} {cumulative}\n")
