"""What can be chosen on a board: values are read from the metrics."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models.dashboard import VariableOption, VariableRefresh, VariableSort

from grafana.panels import DATASOURCE
from grafana.queries import STREAM, series, state

ALL: Final = VariableOption(text="All", value="$__all")


def datasource() -> build.DatasourceVariable:
    """Which Prometheus."""
    return build.DatasourceVariable("datasource").label("Data source").type("prometheus")


def stream() -> build.QueryVariable:
    """One value stream."""
    return _values("stream", "Stream", series("flow_stage_position"))


def stage() -> build.QueryVariable:
    """One stage of it, in the order of the stream."""
    ordered = f"query_result(sort({state('flow_stage_position', STREAM, by='stage')}))"
    made = _variable("stage", "Stage", ordered).sort(VariableSort.DISABLED)
    return made.regex('/stage="([^"]+)"/')


def window(metric: str = "flow_window_throughput_items", *where: str) -> build.QueryVariable:
    """Over how long figures are taken. The streams' definitions say which windows there are."""
    made = _values("window", "Window", series(metric, *where)).sort(VariableSort.NUMERICAL_ASC)
    return made.current(VariableOption(text="7d", value="7d"))


def service() -> build.QueryVariable:
    """Services, any number of them."""
    return _any_of(_values("service", "Service", series("delivery_open_failures")))


def environment() -> build.QueryVariable:
    """Environments of these services."""
    return _any_of(_values("environment", "Environment", series("delivery_open_failures", 'service=~"$service"')))


def source() -> build.QueryVariable:
    """Sources of facts, any number of them."""
    return _any_of(_values("source", "Source", series("streamgauge_facts_total")))


def _values(name: str, label: str, selector: str) -> build.QueryVariable:
    return _variable(name, label, f"label_values({selector}, {name})").sort(VariableSort.ALPHABETICAL_ASC)


def _variable(name: str, label: str, query: str) -> build.QueryVariable:
    made = build.QueryVariable(name).label(label).query(query).datasource(DATASOURCE)
    return made.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)


def _any_of(made: build.QueryVariable) -> build.QueryVariable:
    return made.multi(True).include_all(True).all_value(".*").current(ALL)
