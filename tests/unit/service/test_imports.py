from __future__ import annotations

import json
from datetime import UTC
from zoneinfo import ZoneInfo

import pytest

from flow.errors import Reason, Rejected
from flow.instants import parse_instant
from service.import_rows import Row
from service.imports import Clock, Columns, MappedRows, NativeRows, check_columns

COLUMNS = Columns(item="case", at="time", status="state")


def row(number=1, **values):
    content = "\x1f".join(map(str, values.values())).encode()
    return Row(number, number + 1, content, values)


def native(text, number=1):
    try:
        values = json.loads(text)
    except ValueError:
        values = {}
    return Row(number, number, text.encode(), values)


def mapped(columns=COLUMNS, **options):
    return MappedRows(columns, source="desk", **options)


def line(reader, made, shift=0):
    return json.loads(reader.fact(made).line(shift))


def test_a_row_becomes_a_native_fact_with_only_what_it_says():
    columns = Columns(
        item="case", at="time", status="state", type="kind", title="about", team="who", labels=("tags", "more")
    )
    reader = mapped(columns, project="DESK", item_prefix="D-", seq_is_row=True)
    made = row(
        number=7, case=" 12 ", time="2026-11-22T09:30:00+02:00", state="Open", kind="", about="Help", who=None,
        tags="web, slow", more="web",
    )  # fmt: skip
    fact = line(reader, made)
    assert fact.pop("id").startswith("row-7-")
    assert fact == {
        "subject": "item",
        "source": "desk",
        "project": "DESK",
        "item": "D-12",
        "at": "2026-11-22T07:30:00Z",
        "seq": 7,
        "status": "Open",
        "title": "Help",
        "labels": ["web", "slow"],
    }


def test_the_id_is_the_same_at_every_import_and_another_for_another_row():
    same = {"case": "A", "time": "2026-11-22T09:30:00Z", "state": "Open"}
    first, again, later = (mapped().fact(row(number=number, **same)).fields["id"] for number in (1, 1, 2))
    changed = mapped().fact(row(number=1, **(same | {"state": "Shut"}))).fields["id"]
    elsewhere = MappedRows(COLUMNS, source="other").fact(row(number=1, **same)).fields["id"]
    assert first == again
    assert len({first, later, changed, elsewhere}) == 4


def test_given_ids_and_sequence_numbers_are_taken():
    reader = mapped(Columns(item="case", at="time", id="key", seq="order"))
    fact = line(reader, row(case="A", time="2026-11-22T09:30:00Z", key="e-1", order=" 4 "))
    assert (fact["id"], fact["seq"]) == ("e-1", 4)


@pytest.mark.parametrize(
    ("text", "clock", "instant"),
    [
        ("2026-11-22T09:30:00Z", Clock(), "2026-11-22T09:30:00Z"),
        ("2026-11-22 09:30:00 UTC", Clock(), "2026-11-22T09:30:00Z"),
        ("2026-11-22 09:30:00.5+01:00", Clock(), "2026-11-22T08:30:00.500Z"),
        ("2026-11-22 09:30", Clock(zone=UTC), "2026-11-22T09:30:00Z"),
        ("2026-07-01T09:30", Clock(zone=ZoneInfo("Europe/Lisbon")), "2026-07-01T08:30:00Z"),
        ("22/11/2026 09:30", Clock("%d/%m/%Y %H:%M", UTC), "2026-11-22T09:30:00Z"),
        ("1795339800.25", Clock("epoch"), "2026-11-22T09:30:00.250Z"),
        ("1795339800250", Clock("epoch-ms"), "2026-11-22T09:30:00.250Z"),
    ],
)
def test_times_are_read_in_the_ways_that_logs_write_them(text, clock, instant):
    assert mapped(clock=clock).fact(row(case="A", time=text, state="")).at == parse_instant(instant)


def test_a_time_without_a_zone_stops_the_import_and_says_what_to_write():
    with pytest.raises(Rejected, match="--timezone") as caught:
        mapped().fact(row(case="A", time="2026-11-22 09:30", state="Open"))
    assert caught.value.reason == Reason.INVALID_REQUEST


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"case": " ", "time": "2026-11-22T09:30:00Z"}, "'case' is empty"),
        ({"case": "A", "time": ""}, "'time' is empty"),
        ({"case": "A", "time": "yesterday"}, "'yesterday' is not a time"),
        ({"case": "A", "time": "2026-13-01T00:00:00Z"}, "is not a time"),
        ({"case": "A", "time": "1960-01-01T00:00:00Z"}, "before 1970"),
        ({"case": "A" * 256, "time": "2026-11-22T09:30:00Z"}, "`item`"),
        ({"case": "A\x07", "time": "2026-11-22T09:30:00Z"}, "control character"),
    ],
)
def test_a_row_that_cannot_be_a_fact_says_why(values, said):
    with pytest.raises(Rejected, match=said) as caught:
        mapped().fact(row(state="Open", **values))
    assert caught.value.reason == Reason.INVALID_FACT


def test_a_sequence_that_is_no_number_and_a_missing_id_are_problems_of_the_row():
    reader = mapped(Columns(item="case", at="time", id="key", seq="order"))
    good = {"case": "A", "time": "2026-11-22T09:30:00Z"}
    with pytest.raises(Rejected, match="has no id"):
        reader.fact(row(**good, key="", order="1"))
    with pytest.raises(Rejected, match="not a whole number"):
        reader.fact(row(**good, key="k", order="first"))


def test_native_facts_go_as_they_are_and_are_checked():
    text = '{"subject": "change", "id": "c-1", "source": "acme", "service": "shop", "change": "7", '
    text += '"at": "2026-11-22T09:30:00Z", "committed_at": "2026-11-21T09:30:00Z", "items": ["A-1"]}'
    assert line(NativeRows(), native(text)) == json.loads(text)
    with pytest.raises(Rejected, match="did you mean `change`"):
        NativeRows().fact(native(text.replace('"change":', '"chnge":')))


def test_a_shift_moves_every_instant_of_a_fact():
    text = '{"subject": "change", "id": "c-1", "source": "acme", "change": "7", '
    text += '"at": "2026-11-22T09:30:00Z", "committed_at": "2026-11-21T09:30:00+01:00"}'
    moved = line(NativeRows(), native(text), shift=3_600_000)
    assert (moved["at"], moved["committed_at"]) == ("2026-11-22T10:30:00Z", "2026-11-21T09:30:00Z")


def test_every_missing_column_is_named_with_what_comes_near():
    with pytest.raises(Rejected) as caught:
        check_columns(["case", "tmie", "tmie", "state"], ["case", "time"])
    assert caught.value.message.splitlines()[0] == "no column is called 'tmie'; near it: time"
    assert len(caught.value.message.splitlines()) == 2
    check_columns(["case"], ["case", "time"])
