"""DORA's five of a delivery lane, under their current names (dora.dev): from what a window counted to what is told.

What each of them counts, and at which instant, is said in `flow.lanes`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flow import lanes, vector
from flow.cells import Window
from flow.instants import DAY
from flow.status import ratio, times
from flow.vector import Vector


def delivery_status(name: str, counted: Vector, window: Window) -> dict[str, Any]:
    """One lane. Times in seconds, rates as shares of 1, None where there is nothing to say.

    `deployments` are those that succeeded, `deployment_frequency` is theirs, a day.
    """
    service, environment = lanes.lane_of(name)
    succeeded = counted.get(lanes.SUCCEEDED, 0)
    return {
        "service": service,
        "environment": environment,
        "deployments": succeeded,
        "failed_deployments": counted.get(lanes.FAILED, 0),
        "rolled_back_deployments": counted.get(lanes.ROLLED_BACK, 0),
        "deployment_frequency": succeeded * DAY / (window.end - window.start),
        "change_lead_time": times(
            counted.get(lanes.LEAD_TIMES, 0),
            counted.get(lanes.LEAD_TIME, 0),
            vector.bins(counted, 0, lanes.LEAD_TIME_BINS, lanes.RECOVERY_BINS),
        ),
        "change_fail_rate": ratio(counted.get(lanes.FAILED_CHANGES, 0), succeeded),
        "failed_deployment_recovery_time": times(
            counted.get(lanes.RECOVERIES, 0),
            counted.get(lanes.RECOVERY_TIME, 0),
            vector.bins(counted, 0, lanes.RECOVERY_BINS, lanes.LEAD_TIME_BUCKETS),
        ),
        "deployment_rework_rate": ratio(counted.get(lanes.REWORK, 0), succeeded),
    }


def chosen_lanes(names: Iterable[str], service: str | None = None, environment: str | None = None) -> list[str]:
    """The lanes of one service, of one environment, or all: by service, then environment."""
    wanted = [
        (lane, name)
        for name in names
        if service in {None, (lane := lanes.lane_of(name))[0]} and environment in {None, lane[1]}
    ]
    return [name for _, name in sorted(wanted)]
