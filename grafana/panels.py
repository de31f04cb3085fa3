"""One function for each kind of panel. What every panel of a kind has is set here and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_uppercase
from typing import Any, Final, TypeVar

from grafana_foundation_sdk.builders import common, dashboard, heatmap, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    BigValueTextMode,
    DataSourceRef,
    GraphThresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    LineInterpolation,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DynamicConfigValue,
    FieldColorModeId,
    Panel,
)
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from grafana.colours import AMBER, PLAIN, Steps, thresholds
from grafana.links import link
from grafana.queries import Query

DATASOURCE: Final = DataSourceRef(type_val="prometheus", uid="${datasource}")

SECONDS: Final = units.Seconds
ITEMS: Final = units.Short
SHARE: Final = units.PercentUnit
PER_SECOND: Final = units.CountsPerSecond
REQUESTS: Final = units.RequestsPerSecond
SINCE: Final = units.DateTimeFromNow
TEXT: Final = units.String

ShownPanel = Builder[Panel]

_T = TypeVar("_T")


def single(
    title: str,
    description: str,
    queries: Sequence[Query],
    *,
    unit: str = ITEMS,
    steps: Steps = PLAIN,
    nothing: str = "–",
    decimals: int | None = None,
    names: bool | None = None,
    only_names: bool = False,
    click: tuple[str, str] | None = None,
    width: int = 4,
    height: int = 4,
) -> ShownPanel:
    """The value now, large. `names`: whether legends are shown too; by default where there are several values."""
    shown = (
        BigValueTextMode.VALUE_AND_NAME if (len(queries) > 1 if names is None else names) else BigValueTextMode.VALUE
    )
    panel = (
        stat.Panel()
        .unit(unit)
        .no_value(nothing)
        .thresholds(thresholds(steps))
        .color_scheme(dashboard.FieldColor().mode(FieldColorModeId.THRESHOLDS))
        .color_mode(BigValueColorMode.VALUE)
        .graph_mode(BigValueGraphMode.NONE)
        .text_mode(BigValueTextMode.NAME if only_names else shown)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False).fields(""))
    )
    if decimals is not None:
        panel = panel.decimals(decimals)
    if click is not None:
        panel = panel.data_links([link(*click)])
    now = [Query(query.expression, query.legend, instant=True) for query in queries]
    return common_of(panel, title, description, now, width=width, height=height)


def over_time(
    title: str,
    description: str,
    queries: Sequence[Query],
    *,
    unit: str = ITEMS,
    stacked: bool = False,
    of_whole: bool = False,
    steps: Steps | None = None,
    click: tuple[str, str] | None = None,
    width: int = 12,
    height: int = 8,
) -> ShownPanel:
    """Lines over the shown range. `stacked` areas, `of_whole` as shares. `steps` are drawn as dashed lines."""
    drawn = GraphThresholdsStyleMode.DASHED if steps else GraphThresholdsStyleMode.OFF
    panel = (
        _lines(stacked)
        .unit(unit)
        .thresholds(thresholds(steps or PLAIN))
        .thresholds_style(common.GraphThresholdsStyleConfig().mode(drawn))
        .stacking(_stacking(stacked, of_whole))
    )
    for ref, query in referred(queries):
        if query.goal:
            panel = panel.override_by_query(ref, _dashed())
    if click is not None:
        panel = panel.data_links([link(*click)])
    return common_of(panel, title, description, queries, width=width, height=height)


def _lines(stacked: bool) -> timeseries.Panel:
    return (
        timeseries.Panel()
        .no_value("nothing in this range")
        .color_scheme(dashboard.FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
        .axis_soft_min(0)
        .line_width(1 if stacked else 2)
        .fill_opacity(60 if stacked else 0)
        .line_interpolation(LineInterpolation.STEP_AFTER if stacked else LineInterpolation.LINEAR)
        .show_points(VisibilityMode.AUTO)
        .legend(_legend())
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.NONE))
    )


def _stacking(stacked: bool, of_whole: bool) -> common.StackingConfig:
    mode = StackingMode.PERCENT if of_whole else StackingMode.NORMAL if stacked else StackingMode.NONE
    return common.StackingConfig().mode(mode).group("A")


def _legend() -> common.VizLegendOptions:
    return (
        common.VizLegendOptions()
        .show_legend(True)
        .display_mode(LegendDisplayMode.LIST)
        .placement(LegendPlacement.BOTTOM)
        .calcs(["lastNotNull"])
    )


def distribution(title: str, description: str, query: Query, *, width: int = 12, height: int = 9) -> ShownPanel:
    """How often which duration, over the shown range: a heatmap of a histogram's buckets."""
    panel = (
        heatmap.Panel()
        .unit(ITEMS)
        .decimals(1)
        .no_value("nothing in this range")
        .calculate(False)
        .thresholds(thresholds(PLAIN))
        .y_axis(heatmap.YAxisConfig().unit(SECONDS).decimals(0))
        .color(heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Blues").steps(32).exponent(0.5))
        .tooltip(heatmap.HeatmapTooltip().mode(TooltipDisplayMode.SINGLE))
        .max_data_points(60)
    )
    return common_of(panel, title, description, [query], width=width, height=height)


def common_of(
    panel: Any,
    title: str,
    description: str,
    queries: Sequence[Query],
    *,
    width: int,
    height: int,
    as_table: bool = False,
) -> ShownPanel:
    """Fill in what every panel has. The SDK's builders share these methods and no type that has them."""
    panel = panel.title(title).description(description).datasource(DATASOURCE).span(width).height(height)
    for ref, query in referred(queries):
        panel = panel.with_target(target(ref, query, as_table))
    made: ShownPanel = panel
    return made


def target(ref: str, query: Query, as_table: bool = False) -> prometheus.Dataquery:
    """A query as Grafana takes it."""
    shape = PromQueryFormat.TABLE if as_table else PromQueryFormat.TIME_SERIES
    made = (
        prometheus.Dataquery()
        .expr(query.expression)
        .legend_format(query.legend or "__auto")
        .format(PromQueryFormat.HEATMAP if query.heatmap else shape)
        .ref_id(ref)
        .datasource(DATASOURCE)
    )
    return made.instant() if query.instant else made.range()


def referred(found: Sequence[_T]) -> list[tuple[str, _T]]:
    """Each with its letter: A, B, C …"""
    return list(zip(ascii_uppercase, found, strict=False))


def _dashed() -> list[DynamicConfigValue]:
    return [
        DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": [8, 6]}),
        DynamicConfigValue("custom.fillOpacity", 0),
        DynamicConfigValue("custom.stacking", {"mode": "none", "group": "A"}),
        DynamicConfigValue("color", {"mode": "fixed", "fixedColor": AMBER}),
    ]
