"""Stream definitions: which facts belong to a value stream, and what stage each of them means.

These are the checked values; `flow.definition_file` reads them from YAML and names every mistake with its line.
Durations are integer milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import Final, Literal

import msgspec

from flow.bottlenecks.business_time import BusinessCalendar
from flow.instants import DAY

StageKind = Literal["queue", "active", "done"]

OTHER_TYPE: Final = "other"
"""The item type of what no declared type claims: label values are bounded by the definition, whatever is sent."""

_MEASURES: Final = 2
"""Which measures rows hold. Raise it when `flow.vector` gets another one: state without it is then recomputed."""

DEFAULT_TYPES: Final[Mapping[str, tuple[str, ...]]] = {
    "feature": ("feature", "story", "user story", "enhancement", "epic"),
    "defect": ("defect", "bug"),
    "risk": ("risk", "security", "compliance", "vulnerability"),
    "debt": ("debt", "tech debt", "technical debt", "chore", "refactoring"),
}
"""SAFe's four item types, each with the words that trackers use for it; compared without regard to case."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One entry of a stage's `when`: all properties that are set must hold of the fact."""

    status: str | None = None
    label: str | None = None
    signal: str | None = None
    environment: str | None = None


@dataclass(frozen=True, slots=True)
class ServiceLevel:
    """SLE: this share (0 < quantile < 1) of the items leaves the stage within `within` milliseconds."""

    quantile: float
    within: int


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of a value stream. `queue`: work waits; `active`: work is worked on; `done`: it left."""

    name: str
    kind: StageKind
    when: tuple[Condition, ...] = ()
    wip_limit: int | None = None
    sle: ServiceLevel | None = None
    commitment: bool = False


@dataclass(frozen=True, slots=True)
class Match:
    """Which item facts belong to a stream: of each property that is set, one value must be the fact's.

    `repository` is compared with the project of the fact: a code host's project is its repository.
    """

    source: tuple[str, ...] = ()
    project: tuple[str, ...] = ()
    repository: tuple[str, ...] = ()
    team: tuple[str, ...] = ()
    label: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stream:
    """A value stream: the ordered stages that a kind of work passes through, from request to customer.

    `types` maps each item type to the providers' words for it. `targets` is the future state, by name:
    times in milliseconds, ratios and rates as they are. The last four are the bottleneck detector's: which hours count,
    how many false alarms it may raise, over how long it learns what is usual, and after how long it learns that anew.
    """

    name: str
    stages: tuple[Stage, ...]
    match: Match = Match()
    item_keys: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    types: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: dict(DEFAULT_TYPES))
    targets: Mapping[str, float] = field(default_factory=dict)
    windows: tuple[str, ...] = ("1d", "7d", "30d")
    calendar: BusinessCalendar | None = None
    false_alarms_per_year: float = 1.0
    baseline: int = 28 * DAY
    relearn_after: int = 30 * DAY

    @cached_property
    def commitment(self) -> int:
        """Index of the stage from which an item counts as started: the marked one, else the first active, else 0.

        It is never behind the first `done` stage: what is done was started.
        """
        marked = (index for index, stage in enumerate(self.stages) if stage.commitment)
        active = (index for index, stage in enumerate(self.stages) if stage.kind == "active")
        done = (index for index, stage in enumerate(self.stages) if stage.kind == "done")
        return min(next(marked, next(active, 0)), next(done, len(self.stages)))

    @cached_property
    def item_types(self) -> tuple[str, ...]:
        """Every value that `item_type` can take, in a fixed order; the last is `other`."""
        return (*self.types, OTHER_TYPE)

    @cached_property
    def fingerprint(self) -> str:
        """Changes whenever timelines would be counted differently, and then only: the state must be recomputed."""
        stages = [(asdict(stage) | {"wip_limit": None}) for stage in self.stages]
        types = {name: list(words) for name, words in self.types.items()}
        times = {name: value for name, value in self.targets.items() if "_time_" in name}
        return sha256(msgspec.json.encode([_MEASURES, stages, types, times])).hexdigest()[:16]

    def stage_index(self, name: str) -> int:
        """Position of the stage in the stream. Raises KeyError when there is none of that name."""
        for index, stage in enumerate(self.stages):
            if stage.name == name:
                return index
        raise KeyError(name)


@dataclass(frozen=True, slots=True)
class LaneTargets:
    """What is meant to hold of the delivery lanes whose service and environment are named; none named: of all.

    `change_fail_rate` is a share of 1, `failed_deployment_recovery_time` in milliseconds; None: nothing is meant.
    """

    service: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    change_fail_rate: float | None = None
    failed_deployment_recovery_time: int | None = None


@dataclass(frozen=True)
class Definitions:
    """All value streams that this installation watches, by name, in the order of the file; targets of deliveries."""

    streams: Mapping[str, Stream]
    deliveries: tuple[LaneTargets, ...] = ()

    def targets_of_lane(self, service: str, environment: str) -> LaneTargets:
        """The first entry that fits the lane; one without targets when none does."""
        for entry in self.deliveries:
            if service in (entry.service or (service,)) and environment in (entry.environment or (environment,)):
                return entry
        return LaneTargets()
