"""What a snapshot says of delivery lanes: as points, and as text that is kept while a lane is as it was."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import partial
from operator import eq
from typing import Final

from flow import lanes
from flow.buckets import COMMON
from flow.definitions import Definitions
from flow.lanes import lane_of
from flow.status import thousandths
from flow.vector import Vector
from service.exporter_text import Distribution, Labels, Part, Points, Texts, labels, le_of

_OUTCOMES: Final = {"succeeded": lanes.SUCCEEDED, "failed": lanes.FAILED, "rolled_back": lanes.ROLLED_BACK}
_LE: Final = le_of(edge / 1000 for edge in COMMON)


class LaneTexts:
    """What the page says of all lanes."""

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions
        self._parts: dict[str, Part[Vector]] = {}

    def of(self, lanes_now: Mapping[str, Vector]) -> Iterator[Texts]:
        """Lane by lane. One that is gone is forgotten."""
        for gone in self._parts.keys() - lanes_now.keys():
            del self._parts[gone]
        for lane, counts in lanes_now.items():
            if lane not in self._parts:
                self._parts[lane] = Part(partial(lane_points, self._definitions, lane), eq)
            yield self._parts[lane].of(counts)


def lane_points(definitions: Definitions, lane: str, counts: Vector) -> Points:
    """All points of one lane, which is named as in rows."""
    service, environment = lane_of(lane)
    where = labels(("service", service), ("environment", environment))
    found = _counted(where, counts)
    found["delivery_open_failures"].append((where, counts.get(lanes.OPEN_FAILURES, 0)))
    since, targets = counts.get(lanes.OPEN_SINCE), definitions.targets_of_lane(service, environment)
    rate, recovery = targets.change_fail_rate, targets.failed_deployment_recovery_time
    if since is not None:
        found["delivery_oldest_open_failure_timestamp_seconds"].append((where, thousandths(since)))
    if rate is not None:
        found["delivery_change_fail_rate_target_ratio"].append((where, rate))
    if recovery is not None:
        found["delivery_recovery_target_seconds"].append((where, thousandths(recovery)))
    return found


def _counted(where: Labels, counts: Vector) -> Points:
    found: Points = defaultdict(list)
    for outcome, code in _OUTCOMES.items():
        found["delivery_deployments_total"].append((where.plus("outcome", outcome), counts.get(code, 0)))
    found["delivery_failed_changes_total"].append((where, counts.get(lanes.FAILED_CHANGES, 0)))
    found["delivery_rework_deployments_total"].append((where, counts.get(lanes.REWORK, 0)))
    for name, first, total in (
        ("delivery_change_lead_time_seconds", lanes.LEAD_TIME_BUCKETS, lanes.LEAD_TIME),
        ("delivery_failed_deployment_recovery_seconds", lanes.RECOVERY_BUCKETS, lanes.RECOVERY_TIME),
    ):
        buckets = [counts.get(key, 0) for key in range(first, first + len(COMMON) + 1)]
        found[name].append((where, Distribution(_LE, buckets, thousandths(counts.get(total, 0)))))
    return found
