"""A simulated organisation: people who refine, develop, review, test and release what is asked for. Pure and seeded.

A discrete-event simulation: each stage has so many people, work queues before them, and takes a random time. Given
an instant it tells what has happened until then, as the organisation's tools would.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from random import Random
from typing import Final

from flow.instants import DAY, SECOND
from service.demo.happenings import (
    Happening,
    Item,
    deployment_status,
    incident,
    issue,
    pull_request,
    push,
    remedy,
    test_result,
    worth,
)
from service.demo.rhythm import Rhythm

REPOSITORIES: Final = ("acme/shop", "acme/payments", "acme/search")
KINDS: Final = {"enhancement": 50, "bug": 30, "tech debt": 12, "security": 8}
"""Labels of GitHub, and how many of 100 issues have each."""

WHAT: Final = ("checkout", "basket", "search page", "invoice", "sign-in", "refund", "price list", "delivery address")

BETWEEN_REQUESTS: Final = 4.0
BETWEEN_RELEASES: Final = 9.0
"""Hours, on average, where there is one team: requests, and releases of each repository."""

NUMBERS: Final = (1, 2, 3, 5, 8)
"""What value, criticality, risk reduction and size are chosen from."""

SLOW_FOR: Final = 5 * DAY
SLOW_EVERY: Final = 60 * DAY
SLOW_PACE: Final = 1.9
"""In the slow time a review takes so many times as long: the reviewers only just keep up."""


@dataclass(slots=True)
class Team:
    """So many people, who take `hours` for an item on average."""

    people: int
    hours: float
    waiting: deque[tuple[Item, float]] = field(default_factory=deque)
    busy: int = 0


class Organisation:
    """Begins with nothing to do at `start`. Instants are in milliseconds; an hour of work takes `hour` of them.

    It has so many `teams` of each kind, who share what is asked for. From `slow_from` on reviews are slow for SLOW_FOR
    in every SLOW_EVERY; None: never. Without a `rhythm` all hours are alike.
    """

    def __init__(
        self,
        seed: int,
        start: int,
        *,
        slow_from: int | None = None,
        hour: float = SECOND,
        teams: int = 1,
        repositories: Sequence[str] = REPOSITORIES,
        rhythm: Rhythm | None = None,
    ) -> None:
        self._random = Random(seed)
        self._hour = hour
        self._slow_from = slow_from
        self._repositories = repositories
        self._rhythm = rhythm
        self._due: list[tuple[int, int, Callable[[int], None]]] = []
        self._order = count()
        self._numbers = count(1)
        self._told: list[Happening] = []
        self._teams = teams
        self._refining, self._developing = Team(2 * teams, 7.4), Team(6 * teams, 14.0)
        self._reviewing, self._testing = Team(2 * teams, 5.3), Team(2 * teams, 4.0)
        self._releasable: dict[str, list[Item]] = {repository: [] for repository in repositories}
        self._at(start, self._ask)
        for repository in repositories:
            self._after(start, self._about(BETWEEN_RELEASES / self._teams), partial(self._release, repository))

    def until(self, now: int) -> list[Happening]:
        """What has happened since the last call, in order."""
        while self._due and self._due[0][0] <= now:
            at, _, happen = heapq.heappop(self._due)
            happen(at)
        told, self._told = self._told, []
        return told

    def _at(self, at: int, happen: Callable[[int], None]) -> None:
        heapq.heappush(self._due, (at, next(self._order), happen))

    def _after(self, at: int, hours: float, happen: Callable[[int], None]) -> None:
        work = hours * self._hour
        self._at(at + max(1, round(work)) if self._rhythm is None else self._rhythm.after(at, work), happen)

    def _about(self, hours: float) -> float:
        """A random time with this mean: most are shorter, a few much longer."""
        return self._random.gammavariate(2.0, hours / 2.0)

    def _chance(self, share: float) -> bool:
        return self._random.random() < share

    def _join(self, team: Team, item: Item, at: int, share: float, begin: Callable[[Item, float, int], None]) -> None:
        """The item waits until somebody of the team is free; `share` of the usual time is needed."""
        team.waiting.append((item, share))
        self._take_next(team, at, begin)

    def _take_next(self, team: Team, at: int, begin: Callable[[Item, float, int], None]) -> None:
        while team.waiting and team.busy < team.people:
            team.busy += 1
            item, share = team.waiting.popleft()
            begin(item, share, at)

    def _ask(self, at: int) -> None:
        [kind] = self._random.choices(list(KINDS), list(KINDS.values()))
        title = f"{kind.capitalize()}: {self._random.choice(WHAT)}"
        item = Item(self._random.choice(self._repositories), next(self._numbers), at, title, {kind})
        self._told.append(issue("opened", item, at))
        if self._chance(0.9):
            self._told.append(worth(item, [float(self._random.choice(NUMBERS)) for _ in range(4)], at))
        self._join(self._refining, item, at, 1.0, self._refine)
        self._after(at, self._about(BETWEEN_REQUESTS / self._teams), self._ask)

    def _label(self, item: Item, at: int, *, add: str = "", remove: str = "") -> None:
        item.labels -= {remove}
        item.labels |= {add} if add else set()
        self._told.append(issue("labeled" if add else "unlabeled", item, at))

    def _refine(self, item: Item, share: float, at: int) -> None:
        self._label(item, at, add="refining")
        self._after(at, self._about(self._refining.hours) * share, partial(self._refined, item))

    def _refined(self, item: Item, at: int) -> None:
        self._refining.busy -= 1
        self._join(self._developing, item, at, 1.0, self._develop)
        self._take_next(self._refining, at, self._refine)

    def _develop(self, item: Item, share: float, at: int) -> None:
        if "in progress" not in item.labels:
            self._label(item, at, add="in progress", remove="refining")
        hours = self._about(self._developing.hours) * share
        if share == 1.0 and self._chance(0.1):
            self._after(at, hours * 0.3, lambda then: self._label(item, then, add="blocked"))
            self._after(at, hours, lambda then: self._label(item, then, remove="blocked"))
            hours *= 1.5
        self._after(at, hours, partial(self._developed, item))

    def _developed(self, item: Item, at: int) -> None:
        """A new pull request, or the one that was sent back, ready again."""
        self._developing.busy -= 1
        item.developed_at = at
        opened = item.pull is None
        if opened:
            item.pull, item.pull_opened_at = next(self._numbers), at
        self._told.append(pull_request("opened" if opened else "ready_for_review", item, at))
        self._join(self._reviewing, item, at, 1.0, self._review)
        self._take_next(self._developing, at, self._develop)

    def _review(self, item: Item, share: float, at: int) -> None:
        self._after(at, self._about(self._reviewing.hours) * share * self._pace(at), partial(self._reviewed, item))

    def _pace(self, at: int) -> float:
        if self._slow_from is None or at < self._slow_from:
            return 1.0
        return SLOW_PACE if (at - self._slow_from) % SLOW_EVERY < SLOW_FOR else 1.0

    def _reviewed(self, item: Item, at: int) -> None:
        self._reviewing.busy -= 1
        if self._chance(0.12):
            self._label(item, at, add="changes requested")
            self._join(self._developing, item, at, 0.4, self._develop)
        else:
            self._told += [push(item, at), pull_request("merged", item, at)]
            self._join(self._testing, item, at, 1.0, self._test)
        self._take_next(self._reviewing, at, self._review)

    def _test(self, item: Item, share: float, at: int) -> None:
        self._after(at, self._about(self._testing.hours) * share, partial(self._tested, item))

    def _tested(self, item: Item, at: int) -> None:
        self._testing.busy -= 1
        if self._chance(0.06):
            self._told.append(test_result("Test failed", item, at))
            item.pull = None
            self._join(self._developing, item, at, 0.4, self._develop)
        else:
            self._told.append(test_result("Test passed", item, at))
            self._releasable[item.repository].append(item)
        self._take_next(self._testing, at, self._test)

    def _release(self, repository: str, at: int) -> None:
        items, self._releasable[repository] = self._releasable[repository], []
        self._after(at, self._about(BETWEEN_RELEASES / self._teams), partial(self._release, repository))
        if items:
            number = next(self._numbers)
            self._told.append(deployment_status("in_progress", number, items, at))
            self._after(at, 0.5 + self._about(0.5), partial(self._released, number, items))

    def _released(self, number: int, items: list[Item], at: int) -> None:
        """What could not be deployed waits for the next release."""
        repository = items[0].repository
        if self._chance(0.08):
            self._told.append(deployment_status("failure", number, items, at))
            self._releasable[repository] = items + self._releasable[repository]
            return
        self._told.append(deployment_status("success", number, items, at))
        for item in items:
            self._after(at, 0.2, lambda then, item=item: self._told.append(issue("closed", item, then)))  # type: ignore[misc]
        if self._chance(0.05):
            self._after(at, self._about(1.0), partial(self._break, number, repository))

    def _break(self, number: int, repository: str, at: int) -> None:
        name = f"INC-{repository.rpartition('/')[2]}-{number}"
        self._told.append(incident("opened", name, repository, number, at))
        self._after(at, 1.0 + self._about(4.0), partial(self._mend, name, number, repository))

    def _mend(self, name: str, number: int, repository: str, at: int) -> None:
        self._told += [remedy(name, repository, at), incident("resolved", name, repository, number, at)]
