"""What is sent while faults happen: facts of items and deliveries, some of them twice, late, or of no stream.

Everything follows from the seed. Facts get numbers in the order in which they happened; they are sent in another one.
"""

from __future__ import annotations

import json
import random
from typing import Any, Final

from flow.definition_file import read_definitions
from flow.facts import ChangeFact, DeploymentFact, DeploymentState, Fact, IncidentFact, ItemFact
from flow.instants import DAY, HOUR, MINUTE, format_instant

STREAMS: Final = ("checkout", "search", "billing", "stock", "support", "mobile")
SHOP: Final = "shop"
"""The stream of what comes as GitHub's webhooks."""

STATUSES: Final = ("To Do", "In Progress", "In Review", "Ready", "Done")
SERVICES: Final = tuple(f"service-{number}" for number in range(12))
ENVIRONMENTS: Final = ("production", "staging")
SPAN: Final = 20 * DAY
ITEMS: Final = 110
"""Of each stream."""

TEXT: Final = (
    "streams:"
    + "".join(
        f"""
  {name}:
    match: {{source: acme, project: {name.upper()}}}
    stages:
      - {{name: backlog, kind: queue, when: [{{status: To Do}}]}}
      - {{name: develop, kind: active, when: [{{status: In Progress}}], wip_limit: 20}}
      - {{name: review, kind: active, when: [{{status: In Review}}], sle: {{p85: 1d}}}}
      - {{name: release, kind: queue, when: [{{status: Ready}}]}}
      - {{name: done, kind: done, when: [{{status: Done}}]}}
    targets: {{cycle_time_p85: 10d}}
"""
        for name in STREAMS
    )
    + f"""
  {SHOP}:
    match: {{project: acme/shop}}
    stages:
      - {{name: open, kind: active, when: [{{status: open}}]}}
      - {{name: closed, kind: done, when: [{{status: closed}}]}}
"""
)
DEFINITIONS: Final = read_definitions(TEXT)

_OUTCOMES: Final[tuple[DeploymentState, ...]] = ("succeeded", "succeeded", "succeeded", "failed", "rolled_back")
_TWICE: Final = 0.05
_LATE: Final = 0.06
_DELIVERY: Final = 0.08
_OF_NO_STREAM: Final = 0.004
_UNMAPPED: Final = 0.01
_DELETED: Final = 0.004


class Source:
    """Facts without end. About `facts` of them make the 20 days before `until` (ms)."""

    def __init__(self, seed: int, facts: int, until: int) -> None:
        self.made = 0
        self._rng = random.Random(f"load {seed}")
        self._until = until
        self._step = max(1, SPAN // facts)
        self._places: dict[str, int] = {}
        self._held: list[tuple[int, Fact]] = []
        self._recent: list[Fact] = []
        self._deployed: list[DeploymentFact] = []
        self._opened: list[IncidentFact] = []

    def take(self, count: int) -> list[Fact]:
        """The next ones to send."""
        return [self._next() for _ in range(count)]

    def rest(self) -> list[Fact]:
        """Those that are late and not sent yet."""
        held, self._held = [fact for _, fact in self._held], []
        return held

    def _next(self) -> Fact:
        rng = self._rng
        if self._held and self._held[0][0] <= self.made:
            return self._held.pop(0)[1]
        if self._recent and rng.random() < _TWICE:
            return rng.choice(self._recent)
        fact = self._delivery() if rng.random() < _DELIVERY else self._item()
        self.made += 1
        if rng.random() < _LATE:
            self._held.append((self.made + rng.choice((3, 30, 300, 3000)), fact))
            self._held.sort(key=lambda pair: pair[0])
            return self._next()
        self._recent.append(fact)
        del self._recent[:-2000]
        return fact

    def _instant(self) -> int:
        at = self._until - SPAN + self.made * self._step + self._rng.randrange(self._step)
        return min(at, self._until - self._rng.randrange(HOUR))

    def _item(self) -> ItemFact:
        rng = self._rng
        project = rng.choice(STREAMS).upper() if rng.random() > _OF_NO_STREAM else "NOBODY"
        item = f"{project}-{rng.randrange(ITEMS)}"
        self._places[item] = (self._places.get(item, 0) + rng.choice((1, 1, 1, 0, -1))) % len(STATUSES)
        said: dict[str, Any] = {"status": STATUSES[self._places[item]], "blocked": rng.random() < 0.1}
        if rng.random() < _UNMAPPED:
            said["status"] = "Somewhere"
        if rng.random() < _DELETED:
            said = {"deleted": True}
        if rng.random() < 0.2:
            said |= {"value": rng.randrange(1, 20), "team": rng.choice(("red", "blue")), "title": f"title {self.made}"}
        said["type"] = rng.choice(("Story", "Bug", "Spike"))
        name = f"evt-{self.made}"
        return ItemFact(name, "acme", item, self._instant(), seq=self.made, project=project, **said)

    def _delivery(self) -> ChangeFact | DeploymentFact | IncidentFact:
        rng = self._rng
        service, environment = rng.choice(SERVICES), rng.choice(ENVIRONMENTS)
        name, at, kind = f"evt-{self.made}", self._instant(), rng.random()
        commit = f"c{self.made // 60}"
        if kind < 0.4:
            written = at - rng.randrange(1, 2 * DAY)
            return ChangeFact(
                name, "acme", service, f"pr-{self.made}", at, "merged", self.made, committed_at=written, commit=commit
            )
        if kind < 0.8 or not self._deployed:
            state = rng.choice(_OUTCOMES)
            deployment = f"d-{self.made}"
            if self._deployed and rng.random() < 0.2:
                before = rng.choice(self._deployed[-50:])
                service, environment, deployment = before.service, before.environment, before.deployment
            deployed = DeploymentFact(name, "acme", service, environment, deployment, at, state, self.made, commit)
            self._deployed.append(deployed)
            return deployed
        return self._incident(name, at)

    def _incident(self, name: str, at: int) -> IncidentFact:
        rng = self._rng
        if self._opened and rng.random() < 0.5:
            before = self._opened.pop(rng.randrange(len(self._opened)))
            return IncidentFact(
                name, "acme", before.service, before.environment, before.incident, at, "resolved", self.made,
                before.deployment,
            )  # fmt: skip
        cause = rng.choice(self._deployed[-50:])
        opened = IncidentFact(
            name, "acme", cause.service, cause.environment, f"P-{self.made}", at, "opened", self.made,
            cause.deployment,
        )  # fmt: skip
        self._opened.append(opened)
        return opened


_SUBJECTS: Final = {ItemFact: "item", ChangeFact: "change", DeploymentFact: "deployment", IncidentFact: "incident"}
_INSTANTS: Final = ("at", "committed_at")


def native(fact: Fact) -> dict[str, Any]:
    """The fact as a user posts it."""
    told = {name: getattr(fact, name) for name in fact.__struct_fields__}
    told = {name: value for name, value in told.items() if value is not None and value != ()}
    told |= {name: format_instant(told[name]) for name in _INSTANTS if name in told}
    return {"subject": _SUBJECTS[type(fact)], **told}


def issue(number: int, at: int) -> bytes:
    """A webhook's body: the issue of this number was opened then."""
    instant = format_instant(at - at % MINUTE)
    told = {"number": number, "state": "open", "title": f"issue {number}", "created_at": instant, "updated_at": instant}
    return json.dumps({"action": "opened", "repository": {"full_name": "acme/shop"}, "issue": told}).encode()


def unreadable(number: int) -> bytes:
    """A webhook's body that is no JSON: it is kept as a dead letter."""
    return b'{"number": %d' % number
