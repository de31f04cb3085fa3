"""Colour says state and nothing else: green, amber where a warning would fire, red where a page would. Counts are blue.

The thresholds are those of the alerts in `deploy/prometheus`, or 1 where a query divides by what a definition sets.
"""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models.dashboard import Threshold, ThresholdsMode

GREEN: Final = "green"
AMBER: Final = "orange"
RED: Final = "red"
BLUE: Final = "blue"
GREY: Final = "text"

Steps = tuple[tuple[float | None, str], ...]
"""From which value on which colour; the first from None, that is from the lowest."""

PLAIN: Final[Steps] = ((None, BLUE),)
ANY_IS_WARNING: Final[Steps] = ((None, GREEN), (1, AMBER))
NONE_IS_PAGE: Final[Steps] = ((None, RED), (1, GREEN))
OVER_TARGET: Final[Steps] = ((None, GREEN), (1, AMBER))
"""Of a share of a target that is not to be exceeded."""
UNDER_TARGET: Final[Steps] = ((None, AMBER), (1, GREEN))
"""Of a share of a target that is to be reached."""
ROOM: Final[Steps] = ((None, RED), (0, AMBER), (1, GREEN))
"""Of the room below a WIP limit: none left is amber, FlowWipLimitBreached pages below 0."""
EVIDENCE: Final[Steps] = ((None, GREEN), (1, AMBER))
"""Of the detector's evidence: FlowBottleneckEmerging is raised at 1."""
BOTTLENECK: Final[Steps] = ((None, GREY), (0, GREEN), (1, AMBER))
SNAPSHOT_AGE: Final[Steps] = ((None, GREEN), (60, RED))
"""StreamgaugeDown takes a state that was read longer ago for lost."""
LAG: Final[Steps] = ((None, GREEN), (60, RED))
"""StreamgaugeLagging."""
OVERDUE: Final[Steps] = ((None, GREEN), (1, RED))
"""Of a share of the recovery target: DeliveryRecoveryOverdue pages."""


def thresholds(steps: Steps) -> build.ThresholdsConfig:
    """As Grafana takes them."""
    made = [Threshold(value=value, color=colour) for value, colour in steps]
    return build.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(made)
