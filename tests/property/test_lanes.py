"""DORA's five of any facts in any order equal the oracle's; counters only grow, whatever the order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from hypothesis import given, settings
from hypothesis import strategies as st

from flow import deployed_service, vector
from flow.cells import Retention, containing
from flow.deployed_service import DeployedService
from flow.facts import ChangeFact, DeploymentFact, IncidentFact, LaneFact
from flow.instants import DAY
from flow.lanes import correct
from flow.tally import Tally
from flow.vector import Vector
from tests import oracle
from tests.property.readable import by_cell, figures_of_lane, not_less
from tests.property.strategies import BASE, INSTANTS, arrivals, deliveries

FOREVER = Retention(minutes=300 * DAY, hours=300 * DAY, days=300 * DAY)
NOW = INSTANTS[-1]
MORE = settings(max_examples=3 * settings.default.max_examples)

EVENTS = ("succeeded", "failed", "rolled_back", "failed_changes", "rework", "lead_times", "recoveries")
"""Counters that a correction can't leave below the truth."""

Lane = tuple[str, str]


class Lanes:
    """Folds as the consumers do, one fact at a time. `forgetful`: nothing stays in memory between them."""

    def __init__(self, forgetful: bool = False) -> None:
        self.forgetful = forgetful
        self.services: dict[str, DeployedService] = {}
        self.rows: dict[str, dict[str, bytes]] = {}
        self.cells: dict[Lane, dict[int, Vector]] = {}
        self.totals: dict[Lane, Vector] = {}

    def apply(self, fact: LaneFact) -> None:
        rows = self.rows.setdefault(fact.service, {})
        service = self.services.setdefault(fact.service, DeployedService())
        if self.forgetful:
            service = DeployedService.load(rows)
        if service.holds(fact.id):
            return
        changed = service.add(fact).by_environment()
        name = deployed_service.row_name(fact)
        row = service.row(name)
        assert row is not None
        rows[name] = row
        if not isinstance(fact, ChangeFact):
            changed.setdefault(fact.environment, ([], []))
        for environment, (before, after) in changed.items():
            lane, tally = (fact.service, environment), Tally(NOW, FOREVER)
            correct(tally, before, after)
            vector.add(self.totals.setdefault(lane, {}), tally.observed)
            cells = self.cells.setdefault(lane, {})
            for finest, delta in tally.cells.items():
                for cell in containing(finest):
                    vector.add(cells.setdefault(cell, {}), delta)

    def windows(self):
        return {
            lane: by_cell({cell: figures_of_lane(row) for cell, row in cells.items()})
            for lane, cells in self.cells.items()
        }

    def counters(self):
        return {lane: figures_of_lane(row) for lane, row in self.totals.items()}

    def open_failures(self):
        loaded = {name: DeployedService.load(rows) for name, rows in self.rows.items()}
        services = loaded if self.forgetful else self.services
        return {lane: services[lane[0]].open_failures(lane[1]) for lane in self.cells}


def lanes_of(facts: Iterable[LaneFact], forgetful: bool = False) -> Lanes:
    lanes = Lanes(forgetful)
    for fact in facts:
        lanes.apply(fact)
    return lanes


def plain_sums(facts: Iterable[LaneFact]):
    """What counters hold when each event was counted as it is now."""
    marks = oracle.marks_of_lanes(facts)
    return {lane: oracle.summed(mark for mark in some if mark.measure[-5:] != "_bins") for lane, some in marks.items()}


@MORE
@given(st.data(), st.booleans())
def test_any_order_and_duplication_gives_what_the_oracle_computes(data, forgetful) -> None:
    facts = data.draw(deliveries())
    lanes = lanes_of(data.draw(arrivals(facts)), forgetful)
    assert lanes.windows() == {lane: oracle.cells_with(some) for lane, some in oracle.marks_of_lanes(facts).items()}
    expected = {
        lane: {vector_code: value for vector_code, value in zip((9, 10), told, strict=True) if told[0]}
        for lane, told in oracle.open_failures(facts).items()
    }
    assert lanes.open_failures() == expected


_MERGES = st.lists(st.tuples(st.integers(BASE, BASE + 60), st.integers(0, 6), st.booleans()), min_size=3, max_size=8)
_SUCCESSES = st.lists(
    st.tuples(st.integers(BASE, BASE + 90), st.integers(0, 6), st.sampled_from("ab")), min_size=3, max_size=8
)


@MORE
@given(_MERGES, _SUCCESSES, st.data(), st.booleans())
def test_each_change_counts_at_the_deployment_that_first_brought_it(merges, successes, data, forgetful) -> None:
    """Many changes and deployments: forwards, backwards, twice the same commit, and in any order of arrival."""
    facts: list[LaneFact] = [
        ChangeFact(
            f"m{number}", "forge", "shop", f"pr-{number}", at, "merged", 0, at - 50 if told else None, f"c{commit}"
        )
        for number, (at, commit, told) in enumerate(merges)
    ]
    facts += [
        DeploymentFact(f"d{number}", "forge", "shop", where, f"d-{number}", at, "succeeded", commit=f"c{commit}")
        for number, (at, commit, where) in enumerate(successes)
    ]
    lanes = lanes_of(data.draw(st.permutations(facts)), forgetful)
    marks = oracle.marks_of_lanes(facts)
    assert lanes.windows() == {lane: oracle.cells_with(some) for lane, some in marks.items()}
    for lane, figures in lanes.counters().items():
        counted, least = (
            figures["lead_times", "", 0],
            sum(mark.count for mark in marks[lane] if mark.measure == "lead_times"),
        )
        assert least <= counted <= len(merges)


@given(deliveries(), st.booleans())
def test_in_order_the_counts_of_events_are_exact_too(facts, forgetful) -> None:
    """Their times are those that were known when they were counted: a later resolution counts no recovery again."""
    ordered = sorted(facts, key=lambda fact: (fact.at, fact.seq, fact.id))
    lanes = Lanes(forgetful)
    for fact in ordered:
        before = {lane: figures.copy() for lane, figures in lanes.counters().items()}
        lanes.apply(fact)
        for lane, figures in before.items():
            assert not_less(lanes.counters()[lane], figures, (*EVENTS, "lead_time", "recovery_time"))
    least = plain_sums(facts)
    assert lanes.counters().keys() == least.keys()
    for lane, figures in lanes.counters().items():
        assert not_less(figures, least[lane], EVENTS)
        for measure in ("succeeded", "failed", "rolled_back"):
            assert figures[measure, "", 0] == least[lane][measure, "", 0]


@MORE
@given(st.data(), st.booleans())
def test_counters_never_shrink_and_histograms_are_whole(data, forgetful) -> None:
    facts = data.draw(deliveries())
    lanes = Lanes(forgetful)
    for fact in data.draw(arrivals(facts)):
        before = {lane: figures.copy() for lane, figures in lanes.counters().items()}
        lanes.apply(fact)
        for lane, figures in before.items():
            assert not_less(lanes.counters()[lane], figures, (*EVENTS, "lead_time", "recovery_time"))
    least = plain_sums(facts)
    for lane, totals in lanes.totals.items():
        figures = figures_of_lane(totals)
        assert not_less(figures, least[lane], EVENTS)
        assert sum(count for key, count in totals.items() if 2048 <= key < 3072) == figures["lead_times", "", 0]
        assert sum(count for key, count in totals.items() if key >= 3072) == figures["recoveries", "", 0]


@given(st.data())
def test_what_stays_in_memory_does_not_matter(data) -> None:
    arriving = data.draw(arrivals(data.draw(deliveries())))
    assert lanes_of(arriving, forgetful=True).totals == lanes_of(arriving).totals


def test_the_first_resolution_counts_a_recovery_and_a_later_one_only_corrects_windows() -> None:
    facts: list[LaneFact] = [
        DeploymentFact("1", "forge", "shop", "live", "d1", 0, "succeeded"),
        IncidentFact("2", "pager", "shop", "live", "P-1", 0, "opened", deployment="d1"),
        IncidentFact("3", "pager", "shop", "live", "P-1", 5000, "resolved"),
        IncidentFact("4", "pager", "shop", "live", "P-1", 90_000, "resolved"),
    ]
    lanes = lanes_of(facts)
    figures = lanes.counters()["shop", "live"]
    assert (figures["recoveries", "", 0], figures["recovery_time", "", 0]) == (1, 5000)
    [day] = [figures for (grain, _), figures in lanes.windows()["shop", "live"].items() if grain == "day"]
    assert (day["recoveries", "", 0], day["recovery_time", "", 0]) == (1, 90_000)


def test_an_incident_that_blames_another_deployment_later_counts_no_second_failed_change() -> None:
    facts: list[LaneFact] = [
        DeploymentFact(name, "forge", "shop", "live", name, 10, "succeeded") for name in ("d1", "d2")
    ]
    facts += [
        IncidentFact(f"i{at}", "pager", "shop", "live", "P-1", at, "opened", deployment=name)
        for at, name in ((20, "d1"), (30, "d2"))
    ]
    lanes = lanes_of(facts)
    assert lanes.counters()["shop", "live"]["failed_changes", "", 0] == 1


def test_a_change_whose_commit_only_one_fact_tells_is_one_change() -> None:
    lanes = lanes_of(
        [
            ChangeFact("1", "forge", "shop", "7", 1000, "merged"),
            ChangeFact("2", "forge", "shop", "7", 2000, "merged", commit="c1"),
            DeploymentFact("3", "forge", "shop", "live", "d1", 9000, "succeeded", commit="c1"),
        ]
    )
    assert lanes.counters()["shop", "live"]["lead_times", "", 0] == 1


def test_going_back_and_forth_brings_no_change_twice() -> None:
    facts: list[LaneFact] = [
        ChangeFact(f"{n}", "forge", "shop", f"{n}", n, "merged", commit=f"c{n}") for n in (1, 2, 3)
    ]
    for number, (at, commit) in enumerate([(10, "c3"), (20, "c1"), (30, "c2"), (40, "c3")]):
        facts.append(
            DeploymentFact(f"d{number}", "forge", "shop", "live", f"d{number}", at, "succeeded", commit=commit)
        )
    figures = lanes_of(facts).counters()["shop", "live"]
    assert (figures["lead_times", "", 0], figures["lead_time", "", 0]) == (3, 9 + 8 + 7)


def test_a_merge_that_arrives_after_its_deployment_counts_once_with_its_lead_time() -> None:
    lanes = lanes_of(
        [
            DeploymentFact("1", "forge", "shop", "live", "d1", 9000, "succeeded", commit="c2"),
            DeploymentFact("2", "forge", "shop", "live", "d2", 7000, "succeeded", commit="c2"),
            ChangeFact("3", "forge", "shop", "8", 2000, "merged", commit="c2"),
            ChangeFact("4", "forge", "shop", "7", 1000, "merged", committed_at=500, commit="c1"),
        ]
    )
    figures = lanes.counters()["shop", "live"]
    assert (figures["lead_times", "", 0], figures["lead_time", "", 0]) == (2, 5000 + 6500)
    assert Counter(lanes.counters().keys()) == {("shop", "live"): 1}
