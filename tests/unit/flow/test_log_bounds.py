"""Whatever stands in the log, no line of it may stop the worker."""

from __future__ import annotations

import json

import pytest

from flow.cells import Retention
from flow.definitions import Condition, Stage, Stream
from flow.errors import Reason, Rejected
from flow.facts import ItemFact, decode_fact
from flow.fold import Fold, Item
from tests.briefs import fold_in


@pytest.mark.parametrize(
    "said", [{"seq": 10**30}, {"value": 1e307}, {"size": -1e200}, {"at": 10**19}], ids=lambda said: next(iter(said))
)
def test_a_number_that_no_sum_could_hold_is_not_a_fact(said: dict[str, float]) -> None:
    line = json.dumps({"subject": "item", "id": "1", "source": "s", "item": "i", "at": 0} | said).encode()
    with pytest.raises(Rejected) as refused:
        decode_fact(line)
    assert refused.value.reason == Reason.INVALID_FACT


def test_an_item_that_is_done_before_a_commitment_marked_too_late_was_started_when_it_was_done() -> None:
    stages = (
        Stage("work", "active", (Condition(status="A"),)),
        Stage("done", "done", (Condition(status="D"),)),
        Stage("archived", "done", (Condition(status="E"),), commitment=True),
    )
    fold = Fold(Stream("s", stages), Retention())
    fold.begin(1000)
    items: dict[str, Item] = {}
    fold_in(fold, items, [ItemFact("1", "s", "i", 10, status="D")])
    assert items["i"].walk.committed_at == 10
