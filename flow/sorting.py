"""Facts of one batch of the log, sorted by what they change: in brief, by stream and item."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, cast

import msgspec

from flow.brief import Brief, brief_of_item, brief_of_signal
from flow.facts import Fact, ItemFact, LaneFact, SignalFact
from flow.matching import Router

EARLIEST_AT: Final = 0

_astuple: Final = msgspec.structs.astuple

Briefs = dict[str, list[Brief]]
"""Facts of one stream: those of each item, in the order of the log."""


class Route:
    """The way of facts from one source to the same streams. `times` are their event times (ms)."""

    __slots__ = ("briefs", "is_claimed", "source", "streams", "times")

    def __init__(self, source: str, streams: tuple[str, ...], briefs: list[Briefs], is_claimed: bool) -> None:
        self.source = source
        self.streams = streams
        self.briefs = briefs
        self.is_claimed = is_claimed
        self.times: list[Any] = []

    def add(self, item: str, at: object, brief: Brief) -> None:
        """One fact more."""
        self.times.append(at)
        for items in self.briefs:
            found = items.get(item)
            if found is None:
                items[item] = [brief]
            else:
                found.append(brief)


class Sorting:
    """Takes the facts of a batch, some at a time, in their order.

    `latest_at` is how late a fact may be anywhere in the batch (ms), `latest_at_of` how late at its place. `skips` says
    whether a stream has the fact of a place already.
    """

    def __init__(
        self,
        router: Router,
        latest_at: int,
        latest_at_of: Callable[[int], int],
        skips: Callable[[str, int], bool] | None = None,
    ) -> None:
        self.streams: dict[str, Briefs] = {}
        self.lanes: list[tuple[LaneFact, int]] = []
        self.untimely: list[tuple[Fact, int]] = []
        self.unrouted: list[tuple[ItemFact | SignalFact, int]] = []
        self._routes: dict[tuple[str, tuple[str, ...], bool], Route] = {}
        self._words: dict[str, str] = {}
        self._router = router
        self._latest_at = latest_at
        self._latest_at_of = latest_at_of
        self._skips = skips

    def used(self) -> list[Route]:
        """All ways that facts went."""
        return [route for route in self._routes.values() if route.times]

    def add(self, facts: list[Fact], first: int) -> None:
        """Sort some facts, the first of which is at this place of the batch."""
        route: Route | None = None
        source = project = team = labels = None
        skips, latest_at, words = self._skips is not None, self._latest_at, self._words
        place = first - 1
        for fact in facts:
            place += 1
            if type(fact) is not ItemFact:
                self._add_other(fact, place)
                continue
            values = _astuple(fact)
            at: int = values[3]
            if (at < EARLIEST_AT or at > latest_at) and self._is_untimely(at, place):
                self.untimely.append((fact, place))
                continue
            if (
                route is None
                or skips
                or not _same(values[1], source)
                or not _same(values[9], project)
                or not _same(values[11], team)
                or not (values[8] is labels or values[8] == labels)
            ):
                source, project, team, labels = values[1], values[9], values[11], values[8]
                route = self._route_of(fact, place)
            if self._leads_on(route, fact, place):
                word = values[5]
                word = None if word is None else words.setdefault(word, word)
                route.add(values[2], values[3], brief_of_item(values, place, route.source, word))

    def _add_other(self, fact: Fact, place: int) -> None:
        if self._is_untimely(fact.at, place):
            self.untimely.append((fact, place))
        elif isinstance(fact, SignalFact):
            route = self._route_of(fact, place)
            if self._leads_on(route, fact, place):
                route.add(fact.item, fact.at, brief_of_signal(fact, place))
        else:
            self.lanes.append((cast(LaneFact, fact), place))

    def _leads_on(self, route: Route, fact: ItemFact | SignalFact, place: int) -> bool:
        """Whether a stream still needs this fact. One that no stream claims is noted."""
        if not route.briefs and not route.is_claimed:
            self.unrouted.append((fact, place))
        return bool(route.briefs)

    def _is_untimely(self, at: int, place: int) -> bool:
        return at < EARLIEST_AT or (at > self._latest_at and at > self._latest_at_of(place))

    def _route_of(self, fact: ItemFact | SignalFact, place: int) -> Route:
        streams = self._router.streams_of(fact)
        is_claimed = bool(streams)
        if self._skips is not None:
            skips = self._skips
            streams = tuple([stream for stream in streams if not skips(stream, place)])
        key = (fact.source, streams, is_claimed)
        route = self._routes.get(key)
        if route is None:
            briefs = [self.streams.setdefault(stream, {}) for stream in streams]
            route = self._routes[key] = Route(fact.source, streams, briefs, is_claimed)
        return route


def _same(one: str | None, other: str | None) -> bool:
    """Equality, without the general comparison that takes much longer once this is compiled."""
    if one is None or other is None:
        return one is other
    return one == other
