"""Native facts: what users post is read strictly, and what is wrong is said with the field and the fix."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flow.errors import Reason, Rejected
from flow.facts import ChangeFact, DeploymentFact, IncidentFact, ItemFact, decode_facts, encode_facts
from flow.instants import DAY, parse_instant
from flow.native import decode_native

NOW = parse_instant("2026-11-22T12:00:00Z")
ITEM = {"subject": "item", "id": "evt-1", "source": "acme", "item": "CHK-12", "at": "2026-11-22T09:30:00Z"}
CHANGE = ITEM | {"subject": "change", "change": "pr-77"}
DEPLOYMENT = ITEM | {"subject": "deployment", "deployment": "d-9"}
INCIDENT = ITEM | {"subject": "incident", "incident": "P-3"}
for other in (CHANGE, DEPLOYMENT, INCIDENT):
    del other["item"]


def decode(what, kind="json"):
    body = what if isinstance(what, bytes) else json.dumps(what).encode()
    return decode_native(body, kind, NOW, DAY)


def refused(what, kind="json"):
    with pytest.raises(Rejected) as caught:
        decode(what, kind)
    return caught.value


def said(what, kind="json"):
    return "\n".join(f"{where}: {text}" for where, text in refused(what, kind).problems)


def test_an_item_is_read_with_every_field():
    full = ITEM | {
        "project": "CHK", "seq": 3, "status": "In Review", "blocked": False, "type": "feature", "team": "payments",
        "title": "Pay\nwith a card", "url": "HTTPS://tracker.example.org/CHK-12", "labels": ["web", "app"],
        "value": 8, "criticality": 3.5, "risk_reduction": -1, "size": 2, "deleted": False,
    }  # fmt: skip
    assert decode(full) == [
        ItemFact(
            id="evt-1", source="acme", item="CHK-12", at=parse_instant("2026-11-22T09:30:00Z"), seq=3,
            status="In Review", blocked=False, deleted=False, labels=("web", "app"), project="CHK", type="feature",
            team="payments", title="Pay\nwith a card", url="HTTPS://tracker.example.org/CHK-12", value=8.0,
            criticality=3.5, risk_reduction=-1.0, size=2.0,
        )
    ]  # fmt: skip


def test_a_change_a_deployment_and_an_incident_are_read_with_every_field():
    at = parse_instant("2026-11-22T09:30:00Z")
    lane = {"service": "checkout", "environment": "staging"}
    change = CHANGE | {
        "service": "checkout", "state": "merged", "committed_at": "2026-11-22T10:00:00+02:00", "commit": "4f2a",
        "items": ["CHK-12", "", "CHK-12"],
    }  # fmt: skip
    deployment = DEPLOYMENT | lane | {"state": "failed", "commit": "4f2a", "items": ["CHK-12"], "remediates": "P-3"}
    incident = INCIDENT | lane | {"state": "resolved", "deployment": "d-9", "seq": 7}
    assert decode([change, deployment, incident]) == [
        ChangeFact(
            id="evt-1", source="acme", service="checkout", change="pr-77", at=at, state="merged",
            committed_at=parse_instant("2026-11-22T08:00:00Z"), commit="4f2a", items=("CHK-12",),
        ),
        DeploymentFact(
            id="evt-1", source="acme", service="checkout", environment="staging", deployment="d-9", at=at,
            state="failed", commit="4f2a", items=("CHK-12",), remediates="P-3",
        ),
        IncidentFact(
            id="evt-1", source="acme", service="checkout", environment="staging", incident="P-3", at=at,
            state="resolved", seq=7, deployment="d-9",
        ),
    ]  # fmt: skip


def test_only_subject_id_source_at_and_the_own_name_are_required():
    item, change, deployment, incident = decode([ITEM, CHANGE, DEPLOYMENT, INCIDENT])
    assert item == ItemFact(id="evt-1", source="acme", item="CHK-12", at=item.at)
    assert (change.service, change.state) == ("acme", "opened")
    assert (deployment.service, deployment.environment, deployment.state) == ("acme", "production", "succeeded")
    assert (incident.service, incident.environment, incident.state) == ("acme", "production", "opened")


@pytest.mark.parametrize("fact", [ITEM, CHANGE, DEPLOYMENT, INCIDENT], ids=lambda fact: fact["subject"])
def test_each_required_field_is_missed_by_name(fact):
    for name in fact:
        assert f"`{name}` is missing" in said({key: value for key, value in fact.items() if key != name})


@pytest.mark.parametrize("empty", [None, ""])
def test_null_and_the_empty_text_say_nothing(empty):
    words = dict.fromkeys(("status", "project", "type", "team", "title", "url"), empty)
    assert decode(ITEM | words) == decode(ITEM)
    lane = dict.fromkeys(("service", "environment", "commit", "remediates"), empty)
    assert decode(DEPLOYMENT | lane) == decode(DEPLOYMENT)


def test_false_says_something_and_null_does_not():
    assert decode(ITEM | {"deleted": False, "blocked": False})[0].deleted is False
    assert decode(ITEM | {"deleted": None, "blocked": None, "seq": None, "value": None})[0].blocked is None


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [("2026-11-22T09:30:00.0004Z", 0), ("2026-11-22T09:30:00.0006Z", 1), ("2026-11-22 11:30:00.25+02:00", 250)],
)
def test_instants_are_rounded_to_milliseconds(text, milliseconds):
    assert decode(ITEM | {"at": text})[0].at == parse_instant("2026-11-22T09:30:00Z") + milliseconds


@pytest.mark.parametrize(
    "body",
    [
        b'{"subject":"item","id":"1","source":"a","item":"i","at":"2026-11-22T09:30:00Z"}\n'
        b'{"subject":"item","id":"2","source":"a","item":"i","at":"2026-11-22T09:30:00Z"}',
        b'\xef\xbb\xbf[{"subject":"item","id":"1","source":"a","item":"i","at":"2026-11-22T09:30:00Z"},\r\n'
        b'{"subject":"item","id":"2","source":"a","item":"i","at":"2026-11-22T09:30:00Z"}]\r\n',
    ],
    ids=["lines", "array"],
)
def test_json_may_be_an_array_or_one_fact_a_line(body):
    assert [fact.id for fact in decode(body)] == ["1", "2"]


def test_lines_may_end_as_on_windows_and_may_be_blank():
    lines = [json.dumps(ITEM | {"id": str(number)}) for number in range(3)]
    body = f"{lines[0]}\r\n\r\n{lines[1]}\n   \n{lines[2]}\n".encode()
    assert [fact.id for fact in decode(body, "ndjson")] == ["0", "1", "2"]


def test_pretty_printed_json_is_one_fact():
    assert len(decode(json.dumps(ITEM, indent=2).encode())) == 1


@pytest.mark.parametrize(
    ("at", "reason"),
    [
        ("0001-01-01T00:00:00Z", Reason.AT_TOO_OLD),
        ("0001-01-01T00:00:00+23:59", Reason.AT_TOO_OLD),
        ("1969-12-31T23:59:59.999Z", Reason.AT_TOO_OLD),
        ("3000-01-01T00:00:00Z", Reason.AT_IN_FUTURE),
        ("9999-12-31T23:59:59-23:59", Reason.AT_IN_FUTURE),
        ("2026-11-23T12:00:00.001Z", Reason.AT_IN_FUTURE),
    ],
)
def test_instants_outside_the_bounds_are_refused(at, reason):
    assert refused(ITEM | {"at": at}).reason == reason
    assert refused(CHANGE | {"committed_at": at}).reason == reason


def test_the_bounds_themselves_are_taken():
    assert [fact.at for fact in decode([ITEM | {"at": "1970-01-01T00:00:00Z"}])] == [0]
    assert [fact.at for fact in decode([ITEM | {"at": "2026-11-23T12:00:00Z"}])] == [NOW + DAY]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", ""), ("id", "x" * 256), ("id", 7), ("id", None), ("source", ""), ("item", ""), ("item", "a\u0007"),
        ("item", "a\u007f"), ("status", "x" * 256), ("status", "In\nReview"), ("title", "x" * 1001),
        ("url", "javascript:alert(1)"), ("url", "https://x/" + "y" * 2000), ("url", "https://x/\n"),
        ("labels", ["x"] * 101), ("labels", ["x" * 256]), ("labels", ["a\u0000"]), ("labels", "web"), ("labels", [1]),
        ("value", 1e10), ("value", "8"), ("value", -1e10), ("size", True), ("seq", -1), ("seq", 2**53 + 1),
        ("seq", 1.5), ("blocked", "yes"), ("deleted", 0), ("at", "2026-11-22T09:30:00"), ("at", "yesterday"),
        ("at", 1_795_339_800), ("at", None), ("at", "2026-11-22"), ("at", ""),
    ],
)  # fmt: skip
def test_a_bad_value_is_refused_with_its_field_and_the_fix(field, value):
    error = refused(ITEM | {field: value})
    assert error.reason == Reason.INVALID_FACT
    [(where, what)] = error.problems
    assert where == "fact"
    assert what.startswith(f"`{field}`")
    assert ": write " in what or "leave it out" in what


@pytest.mark.parametrize(
    ("fact", "word"), [(CHANGE, "merged"), (DEPLOYMENT, "rolled_back"), (INCIDENT, "acknowledged")]
)
def test_a_wrong_state_is_told_the_right_ones(fact, word):
    assert word in said(fact | {"state": "done"})


@pytest.mark.parametrize("subject", ["signal", "itm", "", None, 5, ["item"]])
def test_another_subject_is_refused(subject):
    assert "write item, change, deployment or incident" in said(ITEM | {"subject": subject})


def test_an_unknown_field_is_named_with_its_nearest_neighbour():
    assert "`statuss` is not a field of facts about an item: did you mean `status`?" in said(ITEM | {"statuss": "x"})
    assert "`item` is not a field of facts about a change" in said(CHANGE | {"item": "x"})


def test_many_unknown_fields_make_no_long_answer():
    assert len(refused(ITEM | {"x" * 500 + str(number): 1 for number in range(1000)}).problems) == 10


def test_all_that_is_wrong_with_a_fact_is_said_at_once():
    text = said({"subject": "item", "id": "", "at": "now", "sauce": "acme", "item": "a\u0001"})
    assert [name for name in ("id", "at", "sauce", "item", "source") if f"`{name}`" not in text] == []


def test_a_bad_fact_is_named_by_its_number_or_its_line_and_none_is_taken():
    bad = ITEM | {"at": "3000-01-01T00:00:00Z"}
    assert said([ITEM, bad]).startswith("fact 2: `at`")
    lines = "\n".join(["", json.dumps(ITEM), "", json.dumps(bad), "{"]).encode()
    assert [where for where, _ in refused(lines, "ndjson").problems] == ["line 4", "line 5"]
    assert refused([ITEM, bad]).reason == Reason.AT_IN_FUTURE
    assert refused(lines, "ndjson").reason == Reason.INVALID_FACT  # of several reasons the general one


def test_the_first_ten_bad_facts_are_described():
    error = refused([ITEM, *[ITEM | {"id": ""}] * 25])
    assert [where for where, _ in error.problems] == [f"fact {number}" for number in range(2, 12)]
    assert "none of the 26 facts was taken" in error.message


@pytest.mark.parametrize("kind", ["json", "ndjson"])
@pytest.mark.parametrize(
    "body",
    [
        b"", b"  \n ", b"\xef\xbb\xbf", b"\x00", b"\xff\xfe", b"{", b"[", b'[{"subject":', b"nul", b"NaN", b"'a'",
        b"[" * 100_000, b'{"subject":' + b"[" * 100_000, b'{"subject":"item","\xff":1}', b'{"a":"\\ud800"}',
        b'{"a":"\xed\xa0\x80"}',
    ],
)  # fmt: skip
def test_what_is_not_json_is_refused_as_such(body, kind):
    assert refused(body, kind).reason in {Reason.MALFORMED_JSON, Reason.INVALID_FACT}


@pytest.mark.parametrize("body", [b"[]", b"null", b"5", b'"x"', b"true", b"[[]]", b"[1]", b"{}"])
def test_json_that_holds_no_fact_is_refused(body):
    assert refused(body).reason == Reason.INVALID_FACT


@pytest.mark.parametrize("number", [b"1e999", b"9" * 5000, b"-" + b"9" * 5000, b"NaN", b"Infinity", b"1" + b"0" * 400])
def test_monstrous_numbers_are_refused(number):
    for name in (b"value", b"seq"):
        body = json.dumps(ITEM).encode()[:-1] + b',"' + name + b'":' + number + b"}"
        assert refused(body).reason in {Reason.INVALID_FACT, Reason.MALFORMED_JSON}


def test_of_a_field_that_stands_twice_the_last_counts():
    body = json.dumps(ITEM).encode()[:-1] + b',"item":"CHK-13"}'
    assert decode(body)[0].item == "CHK-13"


def test_escapes_that_are_no_control_characters_are_taken():
    assert decode(ITEM | {"status": 'a"b\\c/é€'})[0].status == 'a"b\\c/é€'
    assert decode(ITEM | {"status": "C:\\new"})[0].status == "C:\\new"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
ALMOST_FACTS = st.builds(
    lambda base, name, value: base | {name: value},
    st.sampled_from([ITEM, CHANGE, DEPLOYMENT, INCIDENT]),
    st.sampled_from([*ITEM, "seq", "labels", "items", "url", "state", "value", "committed_at", "title"]) | st.text(),
    JSON,
)


@given(
    st.binary() | st.lists(ALMOST_FACTS, max_size=3).map(json.dumps).map(str.encode),
    st.sampled_from(["json", "ndjson"]),
)
def test_whatever_is_posted_is_taken_or_refused_with_problems(body, kind):
    facts, error = None, None
    try:
        facts = decode(body, kind)
    except Rejected as caught:
        error = caught
    if facts is not None:
        assert decode_facts(encode_facts(facts)) == facts
        assert all(0 <= fact.at <= NOW + DAY for fact in facts)
    if error is not None:
        assert error.problems or "empty" in error.message or "no fact" in error.message
