"""What one service keeps of its facts, what it lets go of, and that a fact costs what it touches."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flow import deployed_service
from flow.deployed_service import DeployedService, row_name
from flow.facts import ChangeFact, DeploymentFact, IncidentFact, IncidentState, LaneFact
from flow.lanes import LEAD_TIMES, OPEN_FAILURES, OPEN_SINCE, SUCCEEDED
from tests.property.strategies import deliveries


def merged(number: int, at: int) -> ChangeFact:
    return ChangeFact(f"m{number}", "forge", "shop", f"pr-{number}", at, "merged", commit=f"c{number}")


def deployed(number: int, at: int, commit: str | None = None) -> DeploymentFact:
    return DeploymentFact(f"d{number}", "forge", "shop", "live", f"d-{number}", at, "succeeded", commit=commit)


def history(count: int) -> Iterator[LaneFact]:
    for number in range(count):
        yield merged(number, number * 1000)
        yield deployed(number, number * 1000 + 500, f"c{number}")


def service_of(facts: Iterator[LaneFact] | list[LaneFact]) -> DeployedService:
    service = DeployedService()
    for fact in facts:
        service.add(fact)
    return service


def test_a_service_lets_go_of_its_oldest_facts_and_says_from_when_on_it_has_all() -> None:
    service = service_of(history(40))
    gone = service.let_go()
    assert gone == sorted(row_name(fact) for fact in history(10))
    assert (service.size, service.horizon) == (60, 10_000)
    assert service.facts()[0].at == 10_000
    assert all(service.row(name) is None for name in gone)


def test_what_was_let_go_is_not_brought_again() -> None:
    service = service_of(history(40))
    service.let_go()
    service.add(merged(40, 40_000))
    before, after = service.add(deployed(40, 41_000, "c40")).by_environment()["live"]
    assert before == []
    assert [(event.kind, event.name, event.spent) for event in after] == [
        (SUCCEEDED, "d-40", 0), (LEAD_TIMES, "c40", 1000)
    ]  # fmt: skip


def test_the_horizon_is_stored_beside_the_rows() -> None:
    service = service_of(history(8))
    service.let_go()
    names = {row_name(fact) for fact in service.facts()} | {deployed_service.HORIZON}
    rows = {name: row for name in names if (row := service.row(name)) is not None}
    again = DeployedService.load(rows)
    assert (again.horizon, again.facts()) == (service.horizon, service.facts())


def test_changes_go_in_the_order_of_their_merges_and_deployments_after_the_change_that_they_name() -> None:
    """One change of the first that is told of again keeps all behind it: else they would count again."""
    service = service_of(history(8))
    service.add(ChangeFact("again", "forge", "shop", "pr-0", 7_900, "merged", commit="c0"))
    assert service.let_go() == []
    assert service.let_go() == []
    assert service.size == 17


@given(deliveries(), st.sampled_from([0.0, 0.25, 0.5, 0.9]), st.sampled_from(["c1", "c2", "c3"]))
def test_whatever_is_let_go_nothing_counts_a_second_time(facts, share, commit) -> None:
    service, brought = DeployedService(), set()
    for fact in facts:
        if fact.service == "shop" and fact.at >= 0:
            for before, after in service.add(fact).by_environment().values():
                brought -= {event[:3] for event in before if event.kind == LEAD_TIMES}
                brought |= {event[:3] for event in after if event.kind == LEAD_TIMES}
    if not service.size:
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deployed_service, "LET_GO", share)
        service.let_go()
    last = max(fact.at for fact in facts) + 1
    for before, after in service.add(deployed(99, last, commit)).by_environment().values():
        assert before == []
        assert not {event[:3] for event in after} & brought


def test_open_failures_are_those_with_a_deployment_to_blame_and_without_a_resolution() -> None:
    def incident(number: int, name: str, at: int, state: IncidentState, deployment: str | None = None) -> IncidentFact:
        return IncidentFact(f"i{number}", "pager", "shop", "live", name, at, state, deployment=deployment)

    service = DeployedService()
    seen = []
    for fact in (
        incident(1, "P-1", 500, "opened"), incident(2, "P-2", 300, "opened", "d1"),
        incident(3, "P-1", 600, "acknowledged", "d1"), incident(4, "P-2", 700, "resolved"),
        incident(5, "P-1", 800, "resolved"),
    ):  # fmt: skip
        service.add(fact)
        seen.append(service.open_failures("live"))
    assert seen == [
        {}, {OPEN_FAILURES: 1, OPEN_SINCE: 300}, {OPEN_FAILURES: 2, OPEN_SINCE: 300},
        {OPEN_FAILURES: 1, OPEN_SINCE: 500}, {},
    ]  # fmt: skip


@pytest.mark.parametrize("late", [False, True])
def test_a_fact_touches_only_what_it_changes_however_large_the_service_is(late: bool) -> None:
    """Counted in comparisons of places and in rows read, not in time."""
    service = service_of(history(5000))
    _Counted.compared = 0
    number, at = 9000, (2500 * 1000 + 100 if late else 5000 * 1000)
    service.add(ChangeFact("x", "forge", "shop", "pr-x", _Counted(at), "merged", commit="cx"))
    service.add(
        DeploymentFact("y", "forge", "shop", "live", f"d-{number}", _Counted(at + 600), "succeeded", commit="cx")
    )
    assert 0 < _Counted.compared < 300


class _Counted(int):
    """An instant that counts how often it is compared."""

    compared = 0

    def __lt__(self, other: int) -> bool:
        _Counted.compared += 1
        return int.__lt__(self, other)

    def __gt__(self, other: int) -> bool:
        _Counted.compared += 1
        return int.__gt__(self, other)

    def __eq__(self, other: object) -> bool:
        _Counted.compared += 1
        return int.__eq__(self, other)

    __hash__ = int.__hash__
