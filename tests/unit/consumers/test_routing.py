"""What of a batch can be applied: decided by the log alone, so that reading it again decides the same."""

from __future__ import annotations

import pytest

from consumers.log import Batch
from consumers.routing import sort_batch
from flow.definitions import Condition, Definitions, Stage, Stream
from flow.facts import DeploymentFact, ItemFact, encode_facts
from flow.instants import DAY, HOUR
from flow.matching import Router

NOW = 1_795_305_600_000
CHECKOUT = Stream("checkout", (Stage("work", "active", (Condition(status="S"),)), Stage("done", "done", ())))
ROUTER = Router(Definitions({"checkout": CHECKOUT}))


def item(name: str, at: int) -> ItemFact:
    return ItemFact(name, "acme", "CHK-1", at, status="S")


def sort(facts: list[ItemFact | DeploymentFact], received: list[tuple[int, int]]) -> tuple[list[str], list[int]]:
    lines = encode_facts(facts).rstrip(b"\n")
    batch = Batch(0, lines, range(1, len(facts) + 1), received[-1][1], received)
    found = sort_batch(batch, ROUTER, {})
    briefs = [brief.id for told in found.items.get("checkout", {}).values() for brief in told]
    return [*briefs, *(fact.id for fact, _ in found.lanes)], [letter.offset for letter in found.letters]


@pytest.mark.parametrize("later", [0, 1, 400 * DAY])
def test_a_fact_from_the_future_is_refused_however_late_it_is_read_and_in_whatever_batch(later: int) -> None:
    """What follows in the batch may have been received much later: that must not make it acceptable."""
    facts = [item("a", NOW), item("b", NOW + DAY + 1), item("c", NOW + DAY), item("d", NOW + DAY + HOUR)]
    received = [(2, NOW), (3, NOW), (4, NOW + HOUR + later)]
    assert sort(list(facts), received) == (["a", "c", "d"], [2])


def test_a_block_that_was_received_earlier_than_the_one_before_it_has_its_own_instant() -> None:
    facts = [item("a", NOW + 2 * DAY), item("b", NOW + 2 * DAY)]
    assert sort(list(facts), [(1, NOW + DAY), (2, NOW)]) == (["a"], [2])


def test_deliveries_from_the_future_are_refused_too() -> None:
    fact = DeploymentFact("x", "forge", "shop", "live", "d1", NOW + 2 * DAY, "succeeded")
    assert sort([fact], [(1, NOW)]) == ([], [1])
    assert sort([fact], [(1, NOW + DAY)]) == (["x"], [])


def test_without_blocks_the_batch_as_a_whole_says_when_it_was_received() -> None:
    batch = Batch(0, encode_facts([item("a", NOW + 2 * DAY)]).rstrip(b"\n"), [7], NOW)
    assert [letter.offset for letter in sort_batch(batch, ROUTER, {}).letters] == [7]


def test_times_of_what_is_applied_are_told_by_source_however_it_was_routed() -> None:
    own, other = item("a", NOW), ItemFact("b", "jira", "CHK-2", NOW + 1, status="S")
    deployed = DeploymentFact("x", "forge", "shop", "live", "d1", NOW + 2, "succeeded")
    cases: list[tuple[list[ItemFact | DeploymentFact], dict[str, list[int]]]] = [
        ([own, own], {"acme": [NOW, NOW]}),
        ([own, other], {"acme": [NOW], "jira": [NOW + 1]}),
        ([own, deployed, item("c", NOW + 2 * DAY)], {"acme": [NOW], "forge": [NOW + 2]}),
    ]
    for facts, expected in cases:
        lines = encode_facts(facts).rstrip(b"\n")
        found = sort_batch(Batch(0, lines, range(1, len(facts) + 1), NOW), ROUTER, {})
        assert found.times == expected
