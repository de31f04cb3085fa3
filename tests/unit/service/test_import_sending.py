from __future__ import annotations

import json

import pytest

from flow.errors import Reason, Rejected, Unavailable
from service import import_sending
from service.import_rows import Row
from service.import_sending import PATIENCE, Batch, batches, send, survey
from service.imports import Columns, MappedRows

READER = MappedRows(Columns(item="case", at="time"), source="desk")


def rows(*items, time="2026-11-22T09:30:00Z"):
    """A row for each item; an empty one can't be a fact. Lines are ten times the row's number."""
    return [
        Row(number, number * 10, item.encode(), {"case": item, "time": time}) for number, item in enumerate(items, 1)
    ]


def batches_of(made, after=0, most=2):
    return list(batches(made, READER, after=after, shift=0, most=most))


class Service:
    """Takes what is posted, but first gives the answers that it was told to give."""

    def __init__(self, *errors):
        self.errors = list(errors)
        self.taken = []
        self.pauses = []

    def post(self, body):
        if self.errors:
            raise self.errors.pop(0)
        self.taken.append(body)


def not_now(retry_after=1):
    return Unavailable(Reason.OVERLOADED, "later", retry_after)


def test_a_survey_counts_rows_names_the_bad_ones_and_knows_the_latest_instant():
    made = [*rows("A", "", "B"), Row(4, 40, b"", {}, "is not JSON")]
    found = survey(made, READER)
    assert found.rows == 4
    assert list(found.bad) == [20, 40]
    assert found.latest == 1795339800000


def test_a_survey_stops_at_what_is_wrong_with_all_rows_and_names_the_line():
    with pytest.raises(Rejected, match=r"line 10: .*--timezone"):
        survey(rows("A", time="2026-11-22 09:30"), READER)


def test_batches_hold_every_good_row_once_and_count_the_bad_ones():
    found = batches_of(rows("A", "", "B", "C", ""))
    assert [[json.loads(fact)["item"] for fact in batch.facts] for batch in found] == [["A", "B"], ["C"]]
    assert [batch.rows for batch in found] == [3, 5]
    assert [batch.lines for batch in found] == [[10, 30], [40]]


def test_batches_go_on_behind_the_rows_that_were_acknowledged():
    made = rows("A", "B", "C", "D", "E")
    whole = [fact for batch in batches_of(made) for fact in batch.facts]
    for first in batches_of(made):
        rest = [fact for batch in batches_of(made, after=first.rows) for fact in batch.facts]
        assert whole[first.rows :] == rest
    assert batches_of(made, after=5) == []


def test_a_batch_is_bounded_in_bytes_and_a_long_fact_has_one_of_its_own(monkeypatch):
    monkeypatch.setattr(import_sending, "MOST_BYTES", 150)
    assert [len(batch.facts) for batch in batches_of(rows("A" * 200, "B", "C"), most=10)] == [1, 1, 1]


def test_what_is_unavailable_is_tried_again_after_a_growing_pause_or_as_long_as_asked():
    service = Service(not_now(0), not_now(0), not_now(20), not_now(0))
    [batch] = batches_of(rows("A"))
    send(batch, service.post, service.pauses.append)
    assert service.pauses == [0.5, 1.0, 20.0, 4.0]
    assert service.taken == [batch.body()]


def test_patience_ends():
    service = Service(*[not_now() for _ in range(1000)])
    [batch] = batches_of(rows("A"))
    with pytest.raises(Unavailable):
        send(batch, service.post, service.pauses.append)
    assert PATIENCE / 1000 <= sum(service.pauses) <= PATIENCE / 1000 + 30


def test_a_refusal_names_the_lines_of_the_file():
    problems = [("line 2", "`at` is too far ahead")]
    service = Service(Rejected(Reason.AT_IN_FUTURE, "1 bad fact is described; line 2: `at` is too far ahead", problems))
    [batch] = batches_of(rows("", "A", "B"))
    with pytest.raises(Rejected) as caught:
        send(batch, service.post, service.pauses.append)
    assert "lines 20 to 30" in caught.value.message
    assert "line 30: `at` is too far ahead" in caught.value.message
    assert caught.value.problems == (("line 30", "`at` is too far ahead"),)
    assert (service.pauses, service.taken) == ([], [])


def test_a_batch_without_facts_posts_nothing():
    service = Service(not_now())
    send(Batch(rows=3), service.post, service.pauses.append)
    assert service.taken == []
