"""A sorted batch has every fact once, where it belongs, in the order of the log."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from flow.definitions import Condition, Definitions, Match, Stage, Stream
from flow.entries import About, decode_about
from flow.facts import DeploymentFact, Fact, ItemFact, SignalFact
from flow.matching import Router
from flow.sorting import Sorting

NOW = 1_000_000
STAGES = (Stage("work", "active", (Condition(status="S"),)), Stage("done", "done", ()))
DEFINITIONS = Definitions(
    {
        "a": Stream("a", STAGES, Match(project=("A",)), item_keys=(r"A-\d+",)),
        "b": Stream("b", STAGES, Match(source=("jira",), team=("red",))),
        "c": Stream("c", STAGES, Match(label=("urgent",)), item_keys=(r"[AC]-\d+",)),
    }
)
ROUTER = Router(DEFINITIONS)
TIMES = st.sampled_from([-1, 0, NOW - 1, NOW, NOW + 1, NOW + 2])
SOURCES, ITEMS = st.sampled_from(["jira", "acme"]), st.sampled_from(["A-1", "C-2", "X-3"])

ABOUT_ITEMS = st.builds(
    ItemFact,
    st.just("id"),
    SOURCES,
    ITEMS,
    TIMES,
    status=st.sampled_from([None, "S"]),
    project=st.sampled_from([None, "A", "Z"]),
    team=st.sampled_from([None, "", "red"]),
    labels=st.sampled_from([None, (), ("urgent",)]),
    title=st.sampled_from([None, "t"]),
)
SIGNALS = st.builds(SignalFact, st.just("id"), SOURCES, ITEMS, TIMES, st.just("change.opened"))
DEPLOYMENTS = st.builds(
    DeploymentFact, st.just("id"), SOURCES, st.just("s"), st.just("e"), st.just("d"), TIMES, st.just("succeeded")
)
BATCHES = st.lists(ABOUT_ITEMS | SIGNALS | DEPLOYMENTS, max_size=12)


def expected(facts: list[Fact], had: dict[str, int]) -> tuple[dict[tuple[str, str], list[int]], list[int], list[int]]:
    """Places by stream and item; those that are untimely; those that no stream claims. Said one fact at a time."""
    sorted_to: dict[tuple[str, str], list[int]] = {}
    untimely, unclaimed = [], []
    for place, fact in enumerate(facts):
        if not 0 <= fact.at <= NOW + place % 2:
            untimely.append(place)
        elif isinstance(fact, (ItemFact, SignalFact)):
            streams = Router(DEFINITIONS).streams_of(fact)
            if not streams:
                unclaimed.append(place)
            for stream in streams:
                if place > had.get(stream, -1):
                    sorted_to.setdefault((stream, fact.item), []).append(place)
    return sorted_to, untimely, unclaimed


@given(BATCHES, st.dictionaries(st.sampled_from("abc"), st.integers(0, 11)), st.lists(st.integers(0, 12)))
def test_each_fact_comes_once_to_each_stream_that_claims_it(facts, had, cuts) -> None:
    skips = (lambda stream, place: place <= had.get(stream, -1)) if had else None
    sorting = Sorting(ROUTER, NOW, lambda place: NOW + place % 2, skips)
    bounds = sorted({0, len(facts), *(cut for cut in cuts if cut < len(facts))})
    for begin, end in itertools.pairwise(bounds):
        sorting.add(facts[begin:end], begin)
    found = {
        (stream, item): [brief.place for brief in briefs]
        for stream, items in sorting.streams.items()
        for item, briefs in items.items()
    }
    untimely = [place for _, place in sorting.untimely]
    unclaimed = [place for _, place in sorting.unrouted]
    assert (found, untimely, unclaimed) == expected(facts, had)
    deliveries = [
        place for place, fact in enumerate(facts) if isinstance(fact, DeploymentFact) and place not in untimely
    ]
    assert [place for _, place in sorting.lanes] == deliveries


@given(BATCHES)
def test_times_are_those_of_what_is_applied_once_each(facts) -> None:
    sorting = Sorting(ROUTER, NOW + 9, lambda _: NOW + 9)
    sorting.add(facts, 0)
    applied = {brief.place for items in sorting.streams.values() for briefs in items.values() for brief in briefs}
    told = sorted((route.source, at) for route in sorting.used() for at in route.times)
    assert told == sorted((facts[place].source, facts[place].at) for place in applied)


def test_a_brief_has_all_that_a_timeline_takes() -> None:
    fact = ItemFact(
        *("id", "jira", "A-1", 5, 7, "S", True, False, ("urgent",), "A", "bug", "red", "t", "u", 1.0, 2.0, 3.0, 4.0)
    )
    sorting = Sorting(ROUTER, NOW, lambda _: NOW)
    sorting.add([fact], 3)
    [brief] = sorting.streams["a"]["A-1"]
    assert (brief.place, brief.id, brief.source, brief.at, brief.seq, brief.word) == (3, "id", "jira", 5, 7, "S")
    assert brief.flags is not None
    flags = brief.flags
    assert (flags.signal, flags.blocked, flags.deleted, flags.labels, flags.team) == (
        *(False, True, False),
        *(("urgent",), "red"),
    )
    assert decode_about(brief.about) == About("jira", "A", "bug", "t", "u", 1.0, 2.0, 3.0, 4.0)
    assert sorting.streams["b"]["A-1"][0] is brief
