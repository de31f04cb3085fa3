"""Change lead times: which deployment first brought each change of a service to each environment.

Merged changes are in the order of their merges, as on the trunk. A deployment that names the commit of one of them
brings that change and all before it; one whose commit no known change has brings none, since nobody can know. A change
counts once an environment, at the first deployment that brought it, with the time since its code was written.

What a merged request and a pushed commit both tell of is one change: changes with the same commit are one.

Of the deployments of an environment only those matter that nothing else makes needless: one that reaches further, and
not later. Their list ascends in reach and in time, so that what a further change or deployment alters is found by
bisection, whether it comes in order or late. What can't be told by adding (a commit that was told otherwise before, a
merge that turns out earlier, two changes that turn out to be one) is read from the start.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from flow.facts import ChangeFact
from flow.lanes import LEAD_TIMES, Correction, Event

Place = tuple[int, int, str]
"""Where a change stands in the order of merges: (at, seq, id) of its first merge. No two changes share one."""


class Change(NamedTuple):
    """One merged change: its place, when its code was written (the merge, where nobody says), its commit."""

    place: Place
    written_at: int
    commit: str | None

    @classmethod
    def of(cls, facts: Iterable[ChangeFact]) -> Change | None:
        """What the facts of a change say, in their order; None until it is merged."""
        merges = [fact for fact in facts if fact.state == "merged"]
        if not merges:
            return None
        first = merges[0]
        written_at = min(map(_written_at, merges))
        commit = next((fact.commit for fact in merges if fact.commit), None)
        return cls((first.at, first.seq, first.id), written_at, commit)

    def with_other(self, other: Change) -> Change:
        """Two changes that are one: the earlier place and writing, and the commit that either has."""
        first, second = sorted((self, other), key=lambda change: change.place)
        return Change(first.place, min(first.written_at, second.written_at), first.commit or second.commit)


class Deployed(NamedTuple):
    """What matters here of a deployment: the commit that it names, and when it succeeded (ms)."""

    commit: str | None
    succeeded_at: int | None


class _Front:
    """The deployments of one environment that bring anything first: how far each reaches, and when it succeeded."""

    __slots__ = ("reaches", "times")

    def __init__(self) -> None:
        self.reaches: list[Place] = []
        self.times: list[int] = []

    def brought_at(self, place: Place) -> int | None:
        """When the change of this place was first brought."""
        index = bisect_left(self.reaches, place)
        return self.times[index] if index < len(self.times) else None

    def add(self, reach: Place, at: int) -> None:
        """One more deployment."""
        end = bisect_left(self.reaches, reach)
        if end < len(self.times) and self.times[end] <= at:
            return
        start = bisect_right(self.times, at)
        if end < len(self.reaches) and self.reaches[end] == reach:
            end += 1
        self.reaches[start:end] = [reach]
        self.times[start:end] = [at]

    def reached_by(self, at: int) -> Place | None:
        """The furthest reach of what had succeeded by then."""
        index = bisect_right(self.times, at)
        return self.reaches[index - 1] if index else None


class LeadTimes:
    """The merged changes and the deployments of one service, and which brought which first."""

    __slots__ = ("_deployed", "_fronts", "_known", "_naming", "_places", "_told")

    def __init__(self) -> None:
        self._told: dict[str, Change] = {}
        self._deployed: dict[tuple[str, str], Deployed] = {}
        self._naming: dict[str, set[tuple[str, str]]] = {}
        self._known: dict[str, Change] = {}
        self._places: list[tuple[Place, str]] = []
        self._fronts: dict[str, _Front] = {}

    @classmethod
    def of(cls, changes: Mapping[str, Change], deployed: Mapping[tuple[str, str], Deployed]) -> LeadTimes:
        """Of changes by name and deployments by (environment, name)."""
        found = cls()
        found._told |= changes
        for where, deployment in deployed.items():
            found._note(where, deployment)
        found._read()
        return found

    def merge(self, name: str, change: Change, into: Correction) -> None:
        """What is known of a change is now this."""
        was, key = self._told.get(name), _key_of(name, change)
        self._told[name] = change
        known = self._known.get(key)
        now = change if known is None else known.with_other(change)
        moved = was is not None and (was.place != change.place or _key_of(name, was) != key)
        if moved or (known is not None and known.place != now.place):
            self._read_anew(into)
            return
        self._known[key] = now
        if known is None:
            insort(self._places, (now.place, key))
        for environment, front in self._fronts.items():
            at = front.brought_at(now.place)
            if at is not None and now != known:
                if known is not None:
                    into.take_out([_event(environment, key, known, at)])
                into.put_in([_event(environment, key, now, at)])
        if now.commit is not None and (known is None or known.commit is None):
            for environment, deployment in sorted(self._naming.get(now.commit, ())):
                succeeded_at = self._deployed[environment, deployment].succeeded_at
                if succeeded_at is not None:
                    self._bring(environment, now.place, succeeded_at, into)

    def deploy(self, environment: str, name: str, deployed: Deployed, into: Correction) -> None:
        """What is known of a deployment is now this."""
        was = self._note((environment, name), deployed)
        if was is not None and was.succeeded_at is not None and was.commit not in {None, deployed.commit}:
            self._read_anew(into)
            return
        reach = self._reach_of(deployed.commit)
        if reach is not None and deployed.succeeded_at is not None and was != deployed:
            self._bring(environment, reach, deployed.succeeded_at, into)

    def in_order(self) -> list[str]:
        """The commits, or names, of the merged changes."""
        return [key for _, key in self._places]

    def names(self) -> dict[str, list[str]]:
        """By commit, or name, the names that a merged change goes by."""
        found: dict[str, list[str]] = {}
        for name, change in self._told.items():
            found.setdefault(_key_of(name, change), []).append(name)
        return found

    def _note(self, where: tuple[str, str], deployed: Deployed) -> Deployed | None:
        was = self._deployed.get(where)
        if was is not None and was.commit not in {None, deployed.commit}:
            self._naming[was.commit].discard(where)
        if deployed.commit is not None:
            self._naming.setdefault(deployed.commit, set()).add(where)
        self._deployed[where] = deployed
        return was

    def _reach_of(self, commit: str | None) -> Place | None:
        """The place of the change that has this commit."""
        change = None if commit is None else self._known.get(commit)
        return None if change is None or change.commit is None else change.place

    def _bring(self, environment: str, reach: Place, at: int, into: Correction) -> None:
        """A deployment brings all up to there that nothing had brought by then."""
        front = self._fronts.setdefault(environment, _Front())
        already = front.reached_by(at)
        start = 0 if already is None else bisect_right(self._places, already, key=_place_of)
        for place, key in self._places[start : bisect_right(self._places, reach, key=_place_of)]:
            change, before = self._known[key], front.brought_at(place)
            if before is not None:
                into.take_out([_event(environment, key, change, before)])
            into.put_in([_event(environment, key, change, at)])
        front.add(reach, at)

    def _read_anew(self, into: Correction) -> None:
        before = self._events()
        self._read()
        after = self._events()
        same = set(before) & set(after)
        into.take_out(event for event in before if event not in same)
        into.put_in(event for event in after if event not in same)

    def _read(self) -> None:
        self._known, self._fronts = {}, {}
        for name, change in self._told.items():
            key = _key_of(name, change)
            known = self._known.get(key)
            self._known[key] = change if known is None else known.with_other(change)
        self._places = sorted((change.place, key) for key, change in self._known.items())
        for (environment, _), (commit, succeeded_at) in self._deployed.items():
            reach = self._reach_of(commit)
            if reach is not None and succeeded_at is not None:
                self._fronts.setdefault(environment, _Front()).add(reach, succeeded_at)

    def _events(self) -> list[Event]:
        found = []
        for environment, front in self._fronts.items():
            for place, key in self._places:
                at = front.brought_at(place)
                if at is None:
                    break
                found.append(_event(environment, key, self._known[key], at))
        return found


def _written_at(fact: ChangeFact) -> int:
    """Of a merge. What claims to be from before 1970 says nothing."""
    committed_at = fact.committed_at
    return fact.at if committed_at is None or committed_at <= 0 else min(fact.at, committed_at)


def _key_of(name: str, change: Change) -> str:
    return name if change.commit is None else change.commit


def _place_of(placed: tuple[Place, str]) -> Place:
    return placed[0]


def _event(environment: str, key: str, change: Change, at: int) -> Event:
    return Event(environment, LEAD_TIMES, key, at, max(0, at - change.written_at))
