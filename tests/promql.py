"""Which labels a PromQL expression has, and what in it can't be right: unknown metrics, labels that are not there.

`known` maps each series to its labels: `flow.catalogue.SAMPLES`, and what recording rules add. Every scraped series
also has `job` and `instance`. Grafana's variables must be replaced first: this is for plain PromQL.

>>> problems_of('sum by (stage) (rate(flow_stage_wip[5m]))', {"flow_stage_wip": ("stream", "stage")})
[]
>>> problems_of('max by (team) (flow_stage_wip{color="red"})', {"flow_stage_wip": ("stream", "stage")})
['flow_stage_wip has no label color', 'by (team): there is no such label below it']
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import promql_parser

Labels = frozenset[str]
Known = Mapping[str, tuple[str, ...]]

TARGET: Final = ("job", "instance")
OF_PROMETHEUS: Final[Known] = {
    "up": (),
    "ALERTS": ("alertname", "alertstate", "severity", "stream", "stage", "cause", "source", "service", "environment"),
    "ALERTS_FOR_STATE": ("alertname", "severity", "stream", "stage", "cause", "source", "service", "environment"),
}
NOTHING: Final[Labels] = frozenset()


def problems_of(expression: str, known: Known) -> list[str]:
    """What is wrong with it. Raises ValueError when it is not PromQL."""
    return _read(expression, known).problems


def labels_of(expression: str, known: Known) -> Labels:
    """The labels that its result has. Raises ValueError when it is not PromQL, or something is wrong with it."""
    reading = _read(expression, known)
    if reading.problems:
        raise ValueError(f"{expression}: {'; '.join(reading.problems)}")
    return reading.labels or NOTHING


def selectors_of(expression: str, known: Known) -> list[tuple[str, Mapping[str, str]]]:
    """Each series that it reads, with what its labels are compared with."""
    return _read(expression, known).selectors


def added_up(expression: str, known: Known) -> set[str]:
    """The series below an aggregation that counts each of several that say the same."""
    return _read(expression, known).added_up


def _read(expression: str, known: Known) -> _Reading:
    reading = _Reading(known)
    reading.labels = reading.of(promql_parser.parse(expression))
    return reading


class _Reading:
    """Walks one expression. Labels are None where the value is a scalar."""

    def __init__(self, known: Known) -> None:
        self.known = {**OF_PROMETHEUS, **known}
        self.problems: list[str] = []
        self.labels: Labels | None = None
        self.selectors: list[tuple[str, Mapping[str, str]]] = []
        self.added_up: set[str] = set()

    def of(self, node: Any) -> Labels | None:
        """The labels of what this node gives."""
        readers: dict[str, Callable[[Any], Labels | None]] = {
            "NumberLiteral": self._of_scalar,
            "StringLiteral": self._of_scalar,
            "ParenExpr": self._of_inner,
            "UnaryExpr": self._of_inner,
            "SubqueryExpr": self._of_inner,
            "MatrixSelector": self._of_range,
            "VectorSelector": self._of_selector,
            "AggregateExpr": self._of_aggregation,
            "Call": self._of_call,
            "BinaryExpr": self._of_operation,
        }
        return readers[type(node).__name__](node)

    def _of_scalar(self, _: Any) -> None:
        return None

    def _of_inner(self, node: Any) -> Labels | None:
        return self.of(node.expr)

    def _of_range(self, node: Any) -> Labels | None:
        return self.of(node.vector_selector)

    def _of_selector(self, node: Any) -> Labels:
        if node.name not in self.known:
            self.problems.append(f"no metric is called {node.name}")
            return NOTHING
        self.selectors.append((node.name, {matcher.name: matcher.value for matcher in node.matchers.matchers}))
        labels = frozenset(self.known[node.name])
        if ":" not in node.name:
            labels |= set(TARGET)
        for matcher in node.matchers.matchers:
            if matcher.name not in labels:
                self.problems.append(f"{node.name} has no label {matcher.name}")
        return labels

    def _of_aggregation(self, node: Any) -> Labels:
        before = len(self.selectors)
        inner = self.of(node.expr) or NOTHING
        if str(node.op) in {"sum", "avg", "count", "stddev", "stdvar", "quantile", "topk", "bottomk"}:
            self.added_up |= {name for name, _ in self.selectors[before:]}
        if node.modifier is None:
            return inner if str(node.op) in {"topk", "bottomk"} else NOTHING
        named = frozenset(node.modifier.labels)
        made = {node.param.val} if str(node.op) == "count_values" else set()
        word = "by" if node.modifier.type == promql_parser.AggModifierType.By else "without"
        if not named <= inner:
            self.problems.append(f"{word} ({', '.join(sorted(named - inner))}): there is no such label below it")
        return (named if word == "by" else inner - named) | made

    def _of_call(self, node: Any) -> Labels | None:
        called, arguments = node.func.name, list(node.args)
        found = [self.of(argument) for argument in arguments]
        vectors = [labels for labels in found if labels is not None]
        if called in {"time", "scalar", "pi"}:
            return None
        if called == "absent":
            selector = arguments[0]
            matchers = selector.matchers.matchers if type(selector).__name__ == "VectorSelector" else []
            return frozenset(matcher.name for matcher in matchers)
        labels = vectors[0] if vectors else NOTHING
        if called in {"label_replace", "label_join"}:
            return labels | {arguments[1].val}
        return labels - {"le"} if called == "histogram_quantile" else labels

    def _of_operation(self, node: Any) -> Labels | None:
        left, right = self.of(node.lhs), self.of(node.rhs)
        if left is None or right is None:
            return left if right is None else right
        operator, modifier = str(node.op), node.modifier
        matching = modifier.matching if modifier is not None else None
        matched = self._matched(matching, left, right, f"{operator}")
        if operator == "or":
            return left | right
        if operator in {"and", "unless"} or (modifier is not None and "ManyToOne" in str(modifier.card)):
            return left | frozenset(modifier.group_labels or () if modifier is not None else ())
        return matched

    def _matched(self, matching: Any, left: Labels, right: Labels, operator: str) -> Labels:
        """The labels by which both sides are matched. Without `on` both sides must have the same."""
        if matching is None:
            if left != right and operator != "or":
                self.problems.append(f"the sides of {operator} differ in {', '.join(sorted(left ^ right))}")
            return left & right
        named = frozenset(matching.labels)
        if matching.type == promql_parser.LabelModifierType.Include:
            for side in (left, right):
                if not named <= side:
                    self.problems.append(f"on ({', '.join(sorted(named - side))}): one side of {operator} has no such")
            return named
        if left - named != right - named:
            self.problems.append(f"the sides of {operator} differ in {', '.join(sorted((left ^ right) - named))}")
        return left - named
