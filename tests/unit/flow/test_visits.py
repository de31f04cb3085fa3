from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from flow import vector
from flow.cells import Retention
from flow.definitions import Condition, Stage, Stream
from flow.facts import ItemFact
from flow.fold import Fold, Item
from flow.instants import MINUTE
from flow.matching import StageMap
from flow.vector import stage_key
from flow.visits import Story, story_of
from flow.walk import NOWHERE, Walker
from tests.briefs import fold_in

STREAM = Stream(
    "s",
    (
        Stage("backlog", "queue", (Condition(status="A"),)),
        Stage("develop", "active", (Condition(status="B"),)),
        Stage("dropped", "done", (Condition(status="E"),)),
        Stage("review", "active", (Condition(status="C"),)),
        Stage("done", "done", (Condition(status="D"),)),
    ),
)


def folded(facts: list[ItemFact]) -> tuple[Item, vector.Vector]:
    """The item after these facts, and all that its cells count."""
    fold = Fold(STREAM, Retention())
    items: dict[str, Item] = {}
    fold_in(fold, items, facts)
    changes = fold.take()
    item = next(iter(items.values()), None) or fold.new_item()
    return item, vector.total_of(changes.cells.values())


def story(facts: list[ItemFact]) -> Story:
    return story_of(folded(facts)[0].timeline, Walker(STREAM), StageMap(STREAM))


def fact(minute: int, status: str | None = None, **said: Any) -> ItemFact:
    return ItemFact(id=f"{minute}", source="acme", item="X-1", at=minute * MINUTE, status=status, **said)


FACTS: st.SearchStrategy[list[dict[str, Any]]] = st.lists(
    st.builds(
        dict,
        minute=st.integers(0, 15),
        status=st.sampled_from([None, "A", "B", "C", "D", "E", "unmapped"]),
        blocked=st.sampled_from([None, None, None, True, False]),
        deleted=st.sampled_from([None, None, None, None, True, False]),
    ),
    max_size=14,
)


@given(FACTS)
def test_visits_agree_with_what_the_fold_counts(drawn):
    facts = [
        ItemFact(id=str(index), source="acme", item="X-1", at=said.pop("minute") * MINUTE, **said)
        for index, said in enumerate(map(dict, drawn))
    ]
    item, counted = folded(facts)
    told = story_of(item.timeline, Walker(STREAM), StageMap(STREAM))
    assert len(told.facts) == len(facts)
    for stage in range(len(STREAM.stages)):
        visits = [visit for visit in told.visits if visit.stage == stage]
        over = [visit for visit in visits if visit.departed_at is not None]
        expected = {
            vector.ARRIVALS: len(visits),
            vector.DEPARTURES: len(over),
            vector.REWORK: sum(visit.ending == "rework" for visit in over),
            vector.REMOVED: sum(visit.ending == "removed" for visit in over),
            vector.STAGE_TIME: sum((visit.departed_at or 0) - visit.arrived_at for visit in over),
            vector.BLOCKED_TIME: sum(visit.blocked_time for visit in visits),
        }
        assert {code: counted.get(stage_key(stage, code), 0) for code in expected} == expected
    folded_walk, last = item.walk, told.visits[-1] if told.visits else None
    if last is None or last.departed_at is not None:
        assert (folded_walk.stage, told.walk.stage) == (NOWHERE, NOWHERE)
    else:
        assert (folded_walk.stage, folded_walk.since) == (last.stage, last.arrived_at)


def test_visits_follow_each_other_with_how_each_ended():
    found = story([fact(0, "A"), fact(1, "B"), fact(3, "A"), fact(6, "D"), fact(10, "B"), fact(11, deleted=True)])
    assert [(visit.stage, visit.arrived_at // MINUTE, visit.ending) for visit in found.visits] == [
        (0, 0, "forward"), (1, 1, "rework"), (0, 3, "forward"), (4, 6, "rework"), (1, 10, "removed"),
    ]  # fmt: skip


def test_a_move_between_done_stages_is_no_rework_unless_it_goes_back():
    assert story([fact(0, "E"), fact(1, "D")]).visits[0].ending == "forward"
    assert story([fact(0, "D"), fact(1, "E")]).visits[0].ending == "rework"


def test_out_of_done_is_rework_even_to_a_later_stage():
    assert story([fact(0, "E"), fact(1, "C")]).visits[0].ending == "rework"


def test_blocked_time_is_cut_by_visits_and_not_counted_in_done():
    found = story(
        [fact(0, "A"), fact(1, blocked=True), fact(3, "B"), fact(4, "D"), fact(6, blocked=False), fact(7, blocked=True)]
    )
    assert [visit.blocked_time // MINUTE for visit in found.visits] == [2, 1, 0]
    assert found.blocked == [(MINUTE, 6 * MINUTE), (7 * MINUTE, None)]


def test_each_fact_is_told_with_the_stage_that_it_means():
    found = story([fact(0, "A"), fact(1, "unmapped"), fact(2, blocked=True), fact(3, "C")])
    assert [told.stage for told in found.facts] == [0, None, None, 3]
