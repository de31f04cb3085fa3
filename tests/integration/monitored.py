"""A monitored world for tests of the reading side: facts go in through the real fold and commit, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from redis.asyncio import Redis

from consumers.log import Batch
from consumers.measurements import Measurements
from consumers.partition import Partition, Work
from consumers.stream_state import Bounds
from flow.cells import Retention
from flow.definition_file import read_definitions
from flow.definitions import Definitions
from flow.facts import ChangeFact, DeploymentFact, Fact, IncidentFact, ItemFact, encode_facts, partition_of, subject_key
from flow.instants import DAY, instant_of
from service.reader import StateReader

PARTITIONS = 2
NOW = instant_of(datetime(2026, 11, 22, 12, tzinfo=UTC))
_LONG = 36_500 * DAY
KEPT = Bounds(Retention(minutes=_LONG, hours=_LONG, days=_LONG))
"""The server lets cells expire by its own clock: what is of November 2026 must be there in later years."""

STREAMS = """
streams:
  checkout:
    match: {project: CHK}
    labels: {portfolio: retail}
    stages:
      - {name: backlog, kind: queue, when: [{status: To Do}]}
      - {name: develop, kind: active, when: [{status: In Progress}], wip_limit: 2, sle: {p85: 3d}}
      - {name: review, kind: active, when: [{status: In Review}], sle: {p85: 1d}}
      - {name: done, kind: done, when: [{status: Done}]}
    targets: {cycle_time_p85: 10d, flow_efficiency: 0.4, throughput_per_week: 12, wip: 5}
  support:
    match: {project: SUP}
    stages:
      - {name: open, kind: active, when: [{status: Open}]}
      - {name: closed, kind: done, when: [{status: Closed}]}
"""


def on(day_and_time: str) -> int:
    """An instant of November 2026.

    >>> on("22 12:00") == NOW
    True
    """
    return instant_of(datetime.strptime(f"2026-11-{day_and_time}", "%Y-%m-%d %H:%M").replace(tzinfo=UTC))


@dataclass
class Monitored:
    """Definitions, a clock that stands still, and the state of what was posted so far."""

    redis: Redis
    definitions: Definitions = field(default_factory=lambda: read_definitions(STREAMS))
    now: int = NOW
    offset: int = 0
    facts: int = 0

    def reader(self) -> StateReader:
        """A reader that has read nothing yet."""
        return StateReader(self.redis, self.definitions, Retention(), PARTITIONS, lambda: self.now)

    async def post(self, *facts: Fact) -> None:
        """Fold and commit these facts, each in its partition."""
        work = Work(self.redis, self.definitions, KEPT, 1000, lambda: self.now, Measurements(self.now))
        for number in range(PARTITIONS):
            mine = [fact for fact in facts if partition_of(subject_key(fact), PARTITIONS) == number]
            if mine:
                partition = Partition(number, work)
                await partition.load()
                offsets = range(self.offset + 1, self.offset + 1 + len(mine))
                batch = Batch(number, encode_facts(mine).rstrip(b"\n"), offsets, self.now)
                await partition.commit(await partition.fold(await partition.prepare(batch)))
        self.offset += len(facts)

    def item(self, name: str, at: str | int, status: str | None = None, **said: object) -> ItemFact:
        """A fact about an item; its project is the first part of its name."""
        self.facts += 1
        instant = at if isinstance(at, int) else on(at)
        fields: dict[str, Any] = {"project": name.partition("-")[0], "source": "acme", "status": status, **said}
        return ItemFact(id=f"evt-{self.facts}", item=name, at=instant, seq=self.facts, **fields)


def checkout_facts(world: Monitored) -> list[ItemFact]:
    """Seven items with every kind of story: straight, sent back, blocked, overdue, waiting, reopened, deleted."""
    item = world.item
    return [
        item("CHK-1", "10 00:00", "To Do", type="feature", value=5.0, title="Pay by card", url="https://t.example/1"),
        item("CHK-1", "12 00:00", "In Progress"),
        item("CHK-1", "14 00:00", "In Review"),
        item("CHK-1", "16 00:00", "Done"),
        item("CHK-2", "11 00:00", "To Do", type="Bug", value=3.5),
        item("CHK-2", "13 00:00", "In Progress"),
        item("CHK-2", "15 00:00", "In Review"),
        item("CHK-2", "15 12:00", blocked=True),
        item("CHK-2", "15 18:00", blocked=False),
        item("CHK-2", "16 00:00", "In Progress"),
        item("CHK-2", "17 00:00", "In Review"),
        item("CHK-2", "18 00:00", "Done"),
        item("CHK-3", "12 00:00", "To Do", type="story", title="Refund"),
        item("CHK-3", "20 00:00", "In Progress"),
        item("CHK-3", "21 00:00", blocked=True),
        item("CHK-4", "13 00:00", "To Do"),
        item("CHK-4", "18 00:00", "In Review"),
        item("CHK-5", "21 12:00", "To Do"),
        item("CHK-6", "09 00:00", "To Do"),
        item("CHK-6", "10 00:00", "In Progress"),
        item("CHK-6", "17 00:00", "Done"),
        item("CHK-6", "19 00:00", "In Progress"),
        item("CHK-7", "10 00:00", "To Do"),
        item("CHK-7", "18 00:00", "In Progress"),
        item("CHK-7", "19 00:00", deleted=True),
    ]


def delivery_facts() -> list[Fact]:
    """A change, the deployment that brought it and broke something, the incident, and the deployment that mended it."""
    lane: dict[str, Any] = {"source": "acme", "service": "shop", "environment": "production"}
    return [
        ChangeFact("c1", "acme", "shop", "pr-1", on("20 00:00"), "merged", committed_at=on("19 00:00"), commit="abc"),
        DeploymentFact(id="d1", deployment="d-1", at=on("20 12:00"), state="succeeded", commit="abc", **lane),
        IncidentFact(id="i1", incident="P-1", at=on("20 13:00"), state="opened", deployment="d-1", **lane),
        IncidentFact(id="i2", incident="P-1", at=on("20 15:00"), state="resolved", **lane),
        DeploymentFact(id="d2", deployment="d-2", at=on("20 16:00"), state="succeeded", remediates="P-1", **lane),
        DeploymentFact(id="d3", deployment="d-3", at=on("20 17:00"), state="failed", **lane),
        DeploymentFact(id="d5", deployment="d-5", at=on("20 18:00"), state="succeeded", remediates="P-1", **lane),
        DeploymentFact("d4", "acme", "mail", "staging", "d-4", on("01 00:00"), "succeeded"),
    ]
