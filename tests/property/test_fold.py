"""Invariant 2 on the domain alone: the state is a function of the set of facts, and equals the oracle's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from flow import vector
from flow.buckets import stage_edges, target_edges
from flow.cells import Retention, containing
from flow.definitions import Stream
from flow.entries import About, decode_about, decode_row
from flow.facts import ItemFact
from flow.fold import Fold, Item
from flow.instants import DAY
from flow.matching import StageMap
from flow.timeline import Timeline
from flow.vector import Vector
from flow.visits import story_of
from tests import oracle
from tests.briefs import fold_in
from tests.oracle import TimelineFact
from tests.property.readable import by_cell, figures_of_cell, figures_of_totals, measured, not_less, total
from tests.property.strategies import BASE, INSTANTS, PLAIN, STREAMS, arrivals, timelines

FOREVER = Retention(minutes=300 * DAY, hours=300 * DAY, days=300 * DAY)
NOW = INSTANTS[-1]

MORE = settings(max_examples=3 * settings.default.max_examples)
"""For the tests that the others lean on."""

GROWING = ("arrivals", "departures", "rework", "handoffs", "blocked_time")
"""Counters that a correction can't leave below the truth, stage by stage."""


class State:
    """Folds as the consumers do: batches in, rows added up. `forgetful`: nothing stays in memory between them."""

    def __init__(self, stream: Stream, forgetful: bool = False) -> None:
        self.stream = stream
        self.fold = Fold(stream, FOREVER)
        self.forgetful = forgetful
        self.items: dict[str, Item] = {}
        self.rows: dict[str, bytes] = {}
        self.cells: dict[int, Vector] = {}
        self.totals: Vector = {}
        self.stages: dict[int, dict[str, int]] = {index: {} for index in range(len(stream.stages))}
        self.ranked: dict[int, dict[str, float]] = {index: {} for index in range(len(stream.stages))}
        self.finished: set[str] = set()

    def apply(self, batch: Sequence[TimelineFact]) -> None:
        self.fold.begin(NOW)
        if self.forgetful:
            self.items = {name: self.fold.load_item(row) for name, row in self.rows.items()}
        fold_in(self.fold, self.items, batch)
        self.take()

    def recount(self, rows: dict[str, bytes]) -> None:
        self.fold.begin(NOW)
        for name, row in rows.items():
            self.fold.recount(name, self.fold.load_item(row))
        self.take()

    def take(self) -> None:
        changes = self.fold.take()
        for finest, delta in changes.cells.items():
            for cell in containing(finest):
                vector.add(self.cells.setdefault(cell, {}), delta)
        vector.add(self.totals, changes.totals)
        self.rows |= dict(zip(changes.rows[::2], changes.rows[1::2], strict=True))  # type: ignore[arg-type]
        for stage, names in changes.left.items():
            for name in names:
                del self.stages[stage][name]
        for stage, scored in changes.arrived.items():
            self.stages[stage] |= dict(zip(scored[1::2], scored[::2], strict=True))  # type: ignore[arg-type]
        for stage, names in changes.unranked.items():
            for name in names:
                del self.ranked[stage][name]
        for stage, ranks in changes.ranked.items():
            self.ranked[stage] |= {name: -float(score) for score, name in zip(ranks[::2], ranks[1::2], strict=True)}
        self.finished -= set(changes.reopened)
        self.finished |= set(changes.written_done)

    def windows(self):
        return by_cell({cell: figures_of_cell(self.stream, row) for cell, row in self.cells.items()})

    def counters(self):
        return figures_of_totals(self.stream, self.totals)[0]

    def gauges(self):
        return figures_of_totals(self.stream, self.totals)[1]

    def placed(self):
        return sorted(
            (name, self.stream.stages[stage].name, since)
            for stage, arrived in self.stages.items()
            for name, since in arrived.items()
        )

    def ranks(self):
        return sorted(
            (name, self.stream.stages[stage].name, rank)
            for stage, ranks in self.ranked.items()
            for name, rank in ranks.items()
        )

    def described(self):
        found = {}
        for name, row in self.rows.items():
            about = msgspec.structs.asdict(Timeline.unpack(row).about())
            found[name] = {key: value for key, value in about.items() if value is not None}
        return found


def batches_of(facts: Sequence[TimelineFact], cuts: Iterable[int]) -> list[Sequence[TimelineFact]]:
    edges = [0, *sorted({cut for cut in cuts if 0 < cut < len(facts)}), len(facts)]
    return [facts[start:end] for start, end in pairwise(edges)]


def stories(stream: Stream, facts: Iterable[TimelineFact]) -> dict[str, oracle.ItemStory]:
    return oracle.stories_of(stream, facts)


def expected_windows(told: dict[str, oracle.ItemStory]):
    return oracle.cells_with([mark for story in told.values() for mark in story.marks()])


def expected_counters(told: dict[str, oracle.ItemStory]):
    return oracle.added(story.counters() for story in told.values())


def assert_equal_to_oracle(state: State, facts: Iterable[TimelineFact]) -> None:
    """All that is a function of the set of facts: windows, places, gauges, timelines and what they say of the item."""
    told = stories(state.stream, facts)
    assert state.windows() == expected_windows(told)
    places = {name: place for name, story in told.items() if (place := story.place()) is not None}
    assert state.placed() == sorted((name, *place[:2]) for name, place in places.items())
    ranks = {name: rank for name, story in told.items() if (rank := story.rank()) is not None}
    assert state.ranks() == sorted((name, *rank) for name, rank in ranks.items())
    assert state.finished == {name for name, story in told.items() if story.is_finished()}
    assert state.gauges() == oracle.added(story.gauges() for story in told.values())
    assert state.described() == {name: story.described() for name, story in told.items()}
    for name, story in told.items():
        entries = Timeline.unpack(state.rows[name]).entries()
        assert [(entry.at, entry.seq, entry.id) for entry in entries] == [(f.at, f.seq, f.id) for f in story.facts]


@MORE
@given(STREAMS, st.data(), st.booleans(), st.lists(st.integers(1, 17), max_size=5))
def test_any_order_duplication_and_batching_gives_what_the_oracle_computes(stream, data, forgetful, cuts) -> None:
    facts = data.draw(timelines())
    state = State(stream, forgetful)
    for batch in batches_of(data.draw(arrivals(facts)), cuts):
        state.apply(batch)
    assert_equal_to_oracle(state, facts)


@MORE
@given(STREAMS, timelines(), st.booleans(), st.lists(st.integers(1, 17), max_size=5))
def test_in_order_the_counters_are_exact_too(stream, facts, forgetful, cuts) -> None:
    state = State(stream, forgetful)
    ordered = sorted(facts, key=lambda fact: (fact.at, fact.seq, fact.id))
    for batch in batches_of(ordered, cuts):
        state.apply(batch)
    assert_equal_to_oracle(state, facts)
    assert state.counters() == expected_counters(stories(stream, facts))


@given(STREAMS, st.data(), st.booleans())
def test_counters_never_shrink_and_never_count_less_than_there_is(stream, data, forgetful) -> None:
    facts = data.draw(timelines())
    state = State(stream, forgetful)
    for fact in data.draw(arrivals(facts)):
        before = state.counters()
        state.apply([fact])
        assert not_less(state.counters(), before, {key[0] for key in before})
    least = expected_counters(stories(stream, facts))
    assert not_less(state.counters(), least, GROWING)
    assert total(state.counters(), "completions") >= total(least, "completions")
    assert total(state.counters(), "reopened") >= total(least, "reopened")


@MORE
@given(STREAMS, st.data(), st.booleans())
def test_histograms_count_what_the_counters_beside_them_count(stream, data, forgetful) -> None:
    """For every label: as many times as events, and a sum that such times can have."""
    facts = data.draw(timelines())
    state = State(stream, forgetful)
    for fact in data.draw(arrivals(facts)):
        state.apply([fact])
    counters = state.counters()
    for stage in stream.stages:
        assert_one_histogram(counters, stage.name, ("departures", "stage_buckets", "stage_time"), stage_edges(stage))
    for name in stream.item_types:
        for measure, buckets in (("cycle_time", "cycle_buckets"), ("lead_time", "lead_buckets")):
            edges = target_edges(stream, measure)
            assert_one_histogram(counters, name, ("completions", buckets, f"{measure}_total"), edges)


def assert_one_histogram(counters, of: str, names: tuple[str, str, str], edges: list[int]) -> None:
    events, buckets, sum_of_times = names
    counted = {bound: count for (measure, name, bound), count in counters.items() if (measure, name) == (buckets, of)}
    assert sum(counted.values()) == counters[events, of, 0]
    lowest = dict(zip([*edges, 0], [0, *(edge + 1 for edge in edges)], strict=True))
    shortest = sum(count * lowest[bound] for bound, count in counted.items())
    longest = sum(count * (bound or 300 * DAY) for bound, count in counted.items())
    assert shortest <= counters[sum_of_times, of, 0] <= longest


@given(STREAMS, st.data(), st.booleans())
def test_one_fact_adds_at_most_one_event_of_each_kind(stream, data, forgetful) -> None:
    """So whatever the order of arrival, no counter of events is ever above the number of facts.

    Only between two stages of kind done may one fact add two completions and two reopenings: it goes from one to the
    other and back.
    """
    facts = data.draw(timelines())
    state = State(stream, forgetful)
    done = sum(stage.kind == "done" for stage in stream.stages)
    for fact in data.draw(arrivals(facts)):
        before = state.counters()
        state.apply([fact])
        more = state.counters()
        more.subtract(before)
        kinds = [(measure, stage.name) for stage in stream.stages for measure in ("arrivals", "departures", "rework")]
        assert all(total(more, measure, of=name) <= 1 for measure, name in kinds)
        assert total(more, "completions") <= done
        assert total(more, "reopened") <= done
    span = max(fact.at for fact in facts) - min(fact.at for fact in facts)
    counters = state.counters()
    for measure in ("cycle_time_total", "lead_time_total"):
        assert total(counters, measure) <= span * total(counters, "completions")
    assert total(counters, "stage_time") <= span * total(counters, "departures")


def test_a_late_completion_that_brings_another_type_adds_its_own_cycle_time_only() -> None:
    state, minute = State(PLAIN), 60_000
    for name, at, status, item_type in (
        ("1", 0, "S1", "Bug"), ("2", 100, "S3", "Bug"), ("3", 300, "S1", None), ("4", 200, "S1", None),
        ("5", 250, "S3", "story"),
    ):  # fmt: skip
        state.apply([ItemFact(name, "acme", "CHK-1", BASE + at * minute, status=status, type=item_type)])
    counters = state.counters()
    assert measured(counters, "completions", "cycle_time_total") == {
        ("completions", "defect", 0): 1, ("cycle_time_total", "defect", 0): 100 * minute,
        ("completions", "feature", 0): 1, ("cycle_time_total", "feature", 0): 250 * minute,
    }  # fmt: skip


def test_a_late_completion_before_a_known_one_adds_its_own_times_and_not_the_known_ones_again() -> None:
    state, minute = State(PLAIN), 60_000
    for name, at, status in (("1", 0, "S1"), ("2", 300, "S3"), ("3", 200, "S1"), ("4", 100, "S3")):
        state.apply([ItemFact(name, "acme", "CHK-1", BASE + at * minute, status=status)])
    assert total(state.counters(), "completions") == 2
    assert total(state.counters(), "cycle_time_total") == (300 + 100) * minute


@given(STREAMS, st.data(), st.booleans())
def test_the_batches_do_not_matter_to_the_counters(stream, data, forgetful) -> None:
    facts = data.draw(timelines())
    arriving = data.draw(arrivals(facts))
    one_by_one, at_once = State(stream, forgetful), State(stream)
    for fact in arriving:
        one_by_one.apply([fact])
    at_once.apply(arriving)
    assert one_by_one.totals == at_once.totals


@given(STREAMS, st.data())
def test_a_completion_counts_for_a_type_that_the_item_had(stream, data) -> None:
    facts = [
        msgspec.structs.replace(fact, type="story") if isinstance(fact, ItemFact) else fact
        for fact in data.draw(timelines(items=1))
    ]
    facts = [fact for fact in facts if isinstance(fact, ItemFact)]
    state = State(stream)
    for fact in data.draw(arrivals(facts)) if facts else ():
        state.apply([fact])
    assert {key[1] for key in measured(state.counters(), "completions", "reopened")} <= {"feature"}
    again = State(stream)
    again.recount(state.rows)
    assert {key[1] for key in measured(again.counters(), "completions", "reopened")} <= {"feature"}


@given(STREAMS, st.data())
def test_timelines_alone_give_the_same_state_again(stream, data) -> None:
    facts = data.draw(timelines())
    state = State(stream)
    state.apply(data.draw(arrivals(facts)))
    again = State(stream)
    again.recount(state.rows)
    assert_equal_to_oracle(again, facts)
    growing = ("arrivals", "departures", "rework", "handoffs", "blocked_time", "stage_time", "stage_buckets")
    assert measured(again.counters(), *growing) == measured(expected_counters(stories(stream, facts)), *growing)


@given(STREAMS, STREAMS, st.data())
def test_another_definition_reads_the_same_timelines_as_if_it_had_always_been_there(before, after, data) -> None:
    facts = data.draw(timelines())
    state = State(before)
    state.apply(data.draw(arrivals(facts)))
    again = State(after)
    again.recount(state.rows)
    assert_equal_to_oracle(again, facts)


@given(STREAMS, st.data())
def test_unmapped_statuses_are_counted_once_a_fact_in_the_order_of_the_log(stream, data) -> None:
    facts = data.draw(timelines())
    fold, items = Fold(stream, FOREVER), {}
    fold.begin(NOW)
    arriving = data.draw(arrivals(facts))
    fold_in(fold, items, arriving)

    def told(of: Iterable[TimelineFact]) -> list[tuple[str, str | None]]:
        said = [fact for fact in of if isinstance(fact, ItemFact) and oracle.says_unmapped(stream, fact)]
        return [(fact.source, fact.status) for fact in said]

    found = fold.take().unmapped
    assert Counter(found) == Counter(told(facts))
    assert list(found) == list(dict.fromkeys(told(arriving)))


@given(STREAMS, st.data())
def test_the_integral_of_wip_is_the_sum_of_the_times_that_items_spent(stream, data) -> None:
    """Exact for any set of facts (METHODS part 1); the WIP is read off the state after each instant's facts."""
    facts = data.draw(timelines())
    until = NOW + 1
    state, integral, previous = State(stream), 0, BASE - DAY
    wip = 0
    for fact in sorted(facts, key=lambda fact: (fact.at, fact.seq, fact.id)):
        integral += wip * (fact.at - previous)
        previous = fact.at
        state.apply([fact])
        wip = len(state.placed())
    integral += wip * (until - previous)
    spent = total(state.counters(), "stage_time") + sum(until - since for *_, since in state.placed())
    assert integral == spent


@given(STREAMS, st.data())
def test_an_items_story_tells_the_visits_that_are_counted(stream, data) -> None:
    facts = data.draw(timelines(items=1))
    state = State(stream)
    state.apply(data.draw(arrivals(facts)))
    expected = oracle.ItemStory(stream, facts)
    found = story_of(Timeline.unpack(state.rows[facts[0].item]), state.fold.walker, StageMap(stream))
    assert [told.stage for told in found.facts] == expected.claims
    assert [(visit.stage, visit.arrived_at, visit.departed_at, visit.blocked_time) for visit in found.visits] == [
        (visit.stage, visit.start, visit.end, sum(end - start for start, end in expected.blocked_spans(visit)))
        for visit in expected.visits
    ]


@given(STREAMS, st.data())
def test_a_timeline_keeps_no_statement_that_could_never_show(stream, data) -> None:
    """However many facts say something of the item, a row holds at most one statement a property."""
    facts = data.draw(timelines())
    state = State(stream)
    state.apply(data.draw(arrivals(facts)))
    for row in map(decode_row, state.rows.values()):
        known = decode_about(row.about) if row.about else About()
        for statement in map(decode_about, [earlier.about for earlier in reversed(row.earlier)]):
            assert not known.covers(statement)
            known = known.over(statement)
