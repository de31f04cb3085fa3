"""DORA's five of any facts in any order equal the oracle's."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from flow import vector
from flow.cells import Retention, containing
from flow.facts import ChangeFact, DeploymentFact
from flow.instants import DAY
from flow.lanes import ServiceTimeline, measure_service, read_service
from flow.vector import Vector
from tests import oracle
from tests.property.readable import by_cell, figures_of_lane
from tests.property.strategies import INSTANTS, arrivals, deliveries

FOREVER = Retention(minutes=300 * DAY, hours=300 * DAY, days=300 * DAY)
NOW = INSTANTS[-1]


def lanes_of(timelines):
    """Of each lane its windows, and what its counters hold when all facts came at once."""
    cells, counters = {}, {}
    for service, timeline in timelines.items():
        for environment, tally in measure_service(read_service(timeline), NOW, FOREVER).items():
            rows: dict[int, Vector] = {}
            for finest, delta in tally.cells.items():
                for cell in containing(finest):
                    vector.add(rows.setdefault(cell, {}), delta)
            lane = service, environment
            cells[lane] = by_cell({cell: figures_of_lane(row) for cell, row in rows.items()})
            counters[lane] = Counter({key: count for key, count in figures_of_lane(tally.observed).items() if count})
    return cells, counters


@settings(max_examples=3 * settings.default.max_examples)
@given(st.data(), st.booleans())
def test_any_order_and_duplication_gives_what_the_oracle_computes(data, through_rows) -> None:
    facts = data.draw(deliveries())
    timelines: dict[str, ServiceTimeline] = {}
    for fact in data.draw(arrivals(facts)):
        timeline = timelines.setdefault(fact.service, ServiceTimeline())
        known = any(fact.id == other.id for other in timeline.facts)
        assert timeline.add(fact) is not known
        if through_rows:
            timelines[fact.service] = ServiceTimeline.unpack(timeline.pack())
    cells, counters = lanes_of(timelines)
    marks = oracle.marks_of_lanes(facts)
    assert cells == {lane: oracle.cells_with(some) for lane, some in marks.items()}
    plain = {lane: [mark for mark in some if not mark.measure.endswith("_bins")] for lane, some in marks.items()}
    assert counters == {lane: oracle.summed(some) for lane, some in plain.items()}


@given(deliveries())
def test_each_lead_time_and_each_recovery_is_in_one_bucket(facts) -> None:
    timelines: dict[str, ServiceTimeline] = {}
    for fact in facts:
        timelines.setdefault(fact.service, ServiceTimeline()).add(fact)
    for timeline in timelines.values():
        for tally in measure_service(read_service(timeline), NOW, FOREVER).values():
            observed = tally.observed
            lead_times = sum(count for key, count in observed.items() if 2048 <= key < 3072)
            recoveries = sum(count for key, count in observed.items() if key >= 3072)
            figures = figures_of_lane(observed)
            assert lead_times == figures["lead_times", "", 0]
            assert recoveries == figures["recoveries", "", 0]


def test_a_change_whose_commit_only_one_fact_tells_is_one_change() -> None:
    timeline = ServiceTimeline()
    timeline.add(ChangeFact("1", "forge", "shop", "7", 1000, "merged"))
    timeline.add(ChangeFact("2", "forge", "shop", "7", 2000, "merged", commit="c1"))
    timeline.add(DeploymentFact("3", "forge", "shop", "live", "d1", 9000, "succeeded", commit="c1"))
    tally = measure_service(read_service(timeline), NOW, FOREVER)["live"]
    assert figures_of_lane(tally.observed)["lead_times", "", 0] == 1


def test_going_back_and_forth_brings_no_change_twice() -> None:
    facts = [ChangeFact(f"{n}", "forge", "shop", f"{n}", n, "merged", commit=f"c{n}") for n in (1, 2, 3)]
    timeline = ServiceTimeline()
    for fact in facts:
        timeline.add(fact)
    for number, (at, commit) in enumerate([(10, "c3"), (20, "c1"), (30, "c2"), (40, "c3")]):
        timeline.add(
            DeploymentFact(f"d{number}", "forge", "shop", "live", f"d{number}", at, "succeeded", commit=commit)
        )
    tally = measure_service(read_service(timeline), NOW, FOREVER)["live"]
    figures = figures_of_lane(tally.observed)
    assert (figures["lead_times", "", 0], figures["lead_time", "", 0]) == (3, 9 + 8 + 7)
