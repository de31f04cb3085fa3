"""Tables: a row for each stage, lane or source, and what is said of it beside each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import common, table
from grafana_foundation_sdk.models.dashboard import DataTransformerConfig, DynamicConfigValue

from grafana.colours import PLAIN, Steps, thresholds
from grafana.panels import ITEMS, ShownPanel, common_of, referred
from grafana.queries import Query


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its value in each row, or a label of the rows when `expression` is empty."""

    title: str
    expression: str = ""
    unit: str = ITEMS
    decimals: int | None = None
    steps: Steps | None = None
    width: int | None = None
    link: tuple[str, str] | None = None
    label: str = ""


def rows_of(
    title: str,
    description: str,
    keys: Sequence[Column],
    values: Sequence[Column],
    *,
    order: str = "",
    falling: bool = False,
    nothing: str = "nothing to show",
    width: int = 24,
    height: int = 9,
) -> ShownPanel:
    """A table: a row for each combination of `keys`, a column for each value.

    A key's label is its title in lower case, unless it names another. `order`: the title of the column that sorts.
    """
    labels = {column.label or column.title.lower(): column for column in keys}
    queries = [Query(column.expression, instant=True) for column in values]
    fields = {"Value" if len(values) == 1 else f"Value #{ref}": column for ref, column in referred(values)}
    panel = (
        table.Panel()
        .unit(ITEMS)
        .no_value(nothing)
        .thresholds(thresholds(PLAIN))
        .filterable(False)
        .with_transformation(DataTransformerConfig("merge", options={}))
        .with_transformation(_organized(labels | fields))
    )
    if order:
        panel = panel.sort_by([common.TableSortByFieldState().display_name(order).desc(falling)])
    for column in (*keys, *values):
        panel = panel.override_by_name(column.title, list(_column_properties(column)))
    return common_of(panel, title, description, queries, width=width, height=height, as_table=True)


def _organized(columns: Mapping[str, Column]) -> DataTransformerConfig:
    """Name and order the columns. The time of the query is left out only here: where a query has no answer, it is all
    that its rows and the others have in common, and without that nothing would be merged.
    """
    options = {
        "renameByName": {field: column.title for field, column in columns.items()},
        "indexByName": {field: place for place, field in enumerate(columns)},
        "excludeByName": {"Time": True},
    }
    return DataTransformerConfig("organize", options=options)


def _column_properties(column: Column) -> Iterator[DynamicConfigValue]:
    yield DynamicConfigValue("unit", column.unit)
    if column.decimals is not None:
        yield DynamicConfigValue("decimals", column.decimals)
    if column.width is not None:
        yield DynamicConfigValue("custom.width", column.width)
    if column.steps is not None:
        yield DynamicConfigValue("thresholds", thresholds(column.steps).build())
        yield DynamicConfigValue("color", {"mode": "thresholds"})
        yield DynamicConfigValue("custom.cellOptions", {"type": "color-background", "mode": "basic"})
    if column.link is not None:
        title, url = column.link
        yield DynamicConfigValue("links", [{"title": title, "url": url}])
