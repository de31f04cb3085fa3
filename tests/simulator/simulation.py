"""The event loop: items arrive, wait, are worked on and move on; every move is noted."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop, heappush
from math import log, sqrt
from random import Random

from tests.simulator.scenario import Scenario, Station

ARRIVE, FINISH = 0, 1


@dataclass(slots=True)
class Move:
    """An item went from one stage to another at this day. -1: from outside; the number of stages: done."""

    day: float
    item: int
    left: int
    reached: int


class Simulation:
    """One run. The same seed gives the same moves."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self.scenario = scenario
        self.moves: list[Move] = []
        self._random = Random(seed)
        self._events: list[tuple[float, int, int, int, int]] = []
        self._number = 0
        count = len(scenario.stations)
        self._waiting: list[deque[int]] = [deque() for _ in range(count)]
        self._working = [0] * count
        self._finished: list[deque[int]] = [deque() for _ in range(count)]
        self.wip = [0] * count
        self._items = 0

    def run(self) -> list[Move]:
        """All moves from day -warm_up to the end, in order."""
        end = self.scenario.days
        self._schedule_arrival(-self.scenario.warm_up)
        while self._events:
            day, _, what, stage, item = heappop(self._events)
            if day >= end:
                break
            if what == ARRIVE:
                self._arrive(day)
            else:
                self._finish(day, stage, item)
        return self.moves

    def _push(self, day: float, what: int, stage: int, item: int) -> None:
        self._number += 1
        heappush(self._events, (day, self._number, what, stage, item))

    def _factor(self, day: float, kinds: tuple[str, ...], stage: int) -> float:
        found = 1.0
        for trouble in self.scenario.troubles:
            if trouble.kind in kinds and trouble.stage == stage:
                found *= trouble.at(day)
        return found

    def _schedule_arrival(self, day: float) -> None:
        """Thinning, so that a surge begins when it begins."""
        most = max([1.0, *(t.size for t in self.scenario.troubles if t.kind == "surge")])
        rate = self.scenario.arrivals / self.scenario.batches * most
        while True:
            day += self._random.expovariate(rate)
            now = 1.0
            for trouble in self.scenario.troubles:
                if trouble.kind == "surge":
                    now *= trouble.at(day)
            if self._random.random() * most <= now:
                break
        self._push(day, ARRIVE, 0, -1)

    def _arrive(self, day: float) -> None:
        count, mean = 1, self.scenario.batches
        while mean > 1 and self._random.random() > 1 / mean:
            count += 1
        for _ in range(count):
            self._items += 1
            self._enter(day, self._items, -1, 0)
        self._schedule_arrival(day)

    def _enter(self, day: float, item: int, left: int, stage: int) -> None:
        self.moves.append(Move(day, item, left, stage))
        if stage == len(self.wip):
            return
        self.wip[stage] += 1
        self._waiting[stage].append(item)
        self._begin(day, stage)

    def _begin(self, day: float, stage: int) -> None:
        station = self.scenario.stations[stage]
        while self._waiting[stage] and self._working[stage] + len(self._finished[stage]) < station.people:
            item = self._waiting[stage].popleft()
            self._working[stage] += 1
            start, work = day, _work(station, self._random)
            for trouble in self.scenario.troubles:
                applies = trouble.kind == "blocked" and trouble.stage == stage and trouble.begins <= day < trouble.ends
                if applies and self._random.random() < trouble.size:
                    start += trouble.wait
            self._push(self._end_of(start, work, stage), FINISH, stage, item)

    def _end_of(self, day: float, work: float, stage: int) -> float:
        """When work that begins now is done, at the speed of each day."""
        if not any(t.kind in ("slowdown", "leave") and t.stage == stage for t in self.scenario.troubles):
            return day + work
        while day < self.scenario.days:
            speed = self._factor(day, ("slowdown", "leave"), stage)
            edge = float(int(day * 4 + 1e-9) + 1) / 4 if day >= 0 else min(0.0, day + 0.25)
            if speed * (edge - day) >= work:
                return day + work / speed
            work -= speed * (edge - day)
            day = edge
        return day

    def _finish(self, day: float, stage: int, item: int) -> None:
        self._working[stage] -= 1
        self._finished[stage].append(item)
        self._release(day, stage)
        self._begin(day, stage)

    def _release(self, day: float, stage: int) -> None:
        """Items that are finished move on while there is room; that may make room for the stage before."""
        moved = False
        while self._finished[stage]:
            target = stage + 1
            if stage > 0 and self.scenario.rework and self._random.random() < self.scenario.rework:
                target = stage - 1
            elif target < len(self.wip):
                limit = self.scenario.stations[target].limit
                if limit is not None and self.wip[target] >= limit:
                    break
            item = self._finished[stage].popleft()
            self.wip[stage] -= 1
            moved = True
            self._enter(day, item, stage, target)
        if moved:
            self._begin(day, stage)
            if stage > 0:
                self._release(day, stage - 1)


def _work(station: Station, random: Random) -> float:
    """Exponential where the variation is 1, else lognormal."""
    if station.variation == 1.0:
        return random.expovariate(1 / station.work)
    spread = sqrt(log(1 + station.variation**2))
    return random.lognormvariate(log(station.work) - spread**2 / 2, spread)


Clock = Callable[[float], int]
"""A working day as an instant, in milliseconds."""
