"""The boards as Grafana reads them, for tests: their panels, their queries, and queries as Prometheus reads them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

GRAFANA: Final = Path(__file__).parents[1] / "grafana"
FOLDER: Final = GRAFANA / "dashboards"

CHOSEN: Final = {
    "stream": "checkout", "stage": "review", "window": "7d", "service": ".*", "environment": ".*", "source": ".*",
    "__rate_interval": "5m", "__range": "1d",
}  # fmt: skip
"""What stands for each variable where only the form of a query matters."""

BUILT_IN: Final = {"__rate_interval", "__range", "__url_time_range", "__data", "__field", "__value"}

_VARIABLE: Final = re.compile(r"\$(\w+)|\$\{(\w+)[^}]*\}")
_METRIC: Final = re.compile(r"(?:label_values|query_result)\((.*?)(?:,\s*\w+)?\)$")


@dataclass(frozen=True, slots=True)
class Asked:
    """One query of a board: which panel, annotation or variable it is for, and how it is asked there."""

    board: str
    place: str
    ref: str
    expression: str
    legend: str = ""
    instant: bool = False

    def __str__(self) -> str:
        return f"{self.board}: {self.place} {self.ref}"


def boards() -> dict[str, Any]:
    """Every committed board by its uid."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))]
    return {board["uid"]: board for board in found}


def panels_of(board: Mapping[str, Any]) -> list[Any]:
    """Its panels, those in closed rows among them, without the rows themselves."""
    flat = [each for panel in board["panels"] for each in (panel, *panel.get("panels", ()))]
    return [panel for panel in flat if panel["type"] != "row"]


def queries_of_panels(board: Mapping[str, Any]) -> Iterator[Asked]:
    """Every query of its panels."""
    for panel in panels_of(board):
        for target in panel["targets"]:
            expression, legend, instant = target["expr"], target["legendFormat"], bool(target.get("instant"))
            yield Asked(board["uid"], panel["title"], target["refId"], expression, legend, instant)


def queries_of_annotations(board: Mapping[str, Any]) -> Iterator[Asked]:
    """Every query of its annotations; the legend is all text that they show."""
    for annotation in board["annotations"]["list"]:
        text = f"{annotation['titleFormat']} {annotation['textFormat']}"
        yield Asked(board["uid"], annotation["name"], "annotation", annotation["target"]["expr"], text)


def queries_of_variables(board: Mapping[str, Any]) -> Iterator[Asked]:
    """What its variables read their values from."""
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            found = _METRIC.match(variable["query"])
            assert found is not None, variable["query"]
            yield Asked(board["uid"], variable["name"], "variable", found[1], f"{{{{{variable['name']}}}}}")


def queries_of(board: Mapping[str, Any]) -> list[Asked]:
    """All of them."""
    return [*queries_of_panels(board), *queries_of_annotations(board), *queries_of_variables(board)]


def variables_in(text: str) -> set[str]:
    """The names of the variables that a text uses."""
    return {plain or braced for plain, braced in _VARIABLE.findall(text)}


def as_promql(expression: str, **chosen: str) -> str:
    """The query as Grafana sends it, with these values for its variables."""
    values = CHOSEN | chosen
    return _VARIABLE.sub(lambda found: values[found[1] or found[2]], expression)
