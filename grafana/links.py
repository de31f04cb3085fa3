"""Where a click leads: from one board to the next, with what was chosen."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.dashboard import DashboardLinkType

TAG: Final = "flow"

_DATASOURCE: Final = "${datasource:queryparam}"
_TIME: Final = "${__url_time_range}"


def board(uid: str, *chosen: str) -> str:
    """The address of a board. `chosen`: variables to pass on (`stream`), or to set: `set_to`."""
    passed = [f"var-{name}" if "=" in name else f"${{{name}:queryparam}}" for name in chosen]
    return f"/d/{uid}?{'&'.join((_DATASOURCE, *passed, _TIME))}"


def set_to(name: str, value: str) -> str:
    """A variable of the other board, set to what Grafana puts in: a label's value, or a cell's of the row."""
    return f"{name}=${{{value}:percentencode}}"


def link(title: str, url: str) -> build.DashboardLink:
    """A link of a value or a cell."""
    return build.DashboardLink(title).url(url).type(DashboardLinkType.LINK)


def boards() -> build.DashboardLink:
    """The menu of all boards, on every board."""
    menu = build.DashboardLink("Flow boards").type(DashboardLinkType.DASHBOARDS).tags([TAG])
    menu = menu.as_dropdown(True).keep_time(True).include_vars(True)
    in_sight(menu.build())
    return menu


def in_sight(made: models.DashboardLink | models.AnnotationQuery) -> None:
    """Show it above the panels: the SDK's own default hides it behind a menu."""
    made.placement = None  # type: ignore[assignment]
