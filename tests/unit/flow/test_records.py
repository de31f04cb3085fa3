"""Records of outside topics: what each kind tells, and that nothing that stands in one can stop the bridge."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flow.adapters import ADAPTERS, Source
from flow.errors import Reason
from flow.facts import DeploymentFact, ItemFact, SignalFact
from flow.records import KINDS, MOST_BYTES, MOST_HEADER_BYTES, Record, RecordReader
from flow.signatures import SCHEMES

NOW = 1_795_340_000_000
JIRA = {
    "webhookEvent": "jira:issue_created",
    "timestamp": NOW - 1000,
    "issue": {"key": "CHK-12", "fields": {"status": {"name": "To Do"}, "project": {"key": "CHK"}}},
}
NATIVE = {"subject": "item", "id": "evt-1", "source": "acme", "item": "CHK-12", "at": "2026-11-22T09:30:00Z"}
CDEVENT = {
    "context": {
        "specversion": "0.5.1",
        "id": "e-1",
        "source": "/acme/ci",
        "type": "dev.cdevents.service.deployed.0.2.0",
        "timestamp": "2026-11-22T09:30:00Z",
    },
    "subject": {"id": "shop", "content": {"environment": {"id": "production"}, "artifactId": "pkg:oci/shop@1"}},
}
ATTRIBUTES = {"specversion": "1.0", "id": "e-1", "source": "/acme/ci", "type": "dev.cdevents.service.deployed.0.2.0"}


def as_bytes(value):
    return value if isinstance(value, bytes) or value is None else json.dumps(value).encode()


def read(kind, value, headers=(), at=NOW - 5000, **parts):
    reader = RecordReader(lambda texts: (), 86_400_000, **parts)
    given_headers = headers.items() if isinstance(headers, dict) else headers
    record = Record("their.topic", 3, 17, at, list(given_headers), as_bytes(value))
    return reader.read(record, kind, NOW)


def refused(*words, **parts):
    told = read(*words, **parts)
    assert told.refused is not None
    assert told.refused.message.endswith("(topic their.topic, partition 3, offset 17)")
    return told


def binary(**more):
    return {f"ce_{name}": value.encode() for name, value in {**ATTRIBUTES, **more}.items()}


def test_provider_json_goes_to_its_adapter():
    [fact] = read("jira", JIRA).facts
    assert (fact.source, fact.item, fact.status) == ("jira", "CHK-12", "To Do")


def test_headers_of_a_record_are_what_a_webhook_has_as_headers_of_http():
    issue = {"number": 7, "state": "open", "title": "x", "html_url": "https://acme.example", "labels": []}
    issue |= {"created_at": "2026-11-22T09:30:00Z", "updated_at": "2026-11-22T09:30:00Z"}
    body = {"action": "opened", "issue": issue, "repository": {"full_name": "acme/shop"}}
    told = read("github", body, {"X-GitHub-Event": b"issues"})
    assert told.refused is None
    assert [fact.item for fact in told.facts] == ["acme/shop#7"]
    assert refused("github", body).refused.reason == Reason.NOT_UNDERSTOOD


@pytest.mark.parametrize("name", ["source", "Source"])
def test_a_header_says_what_a_record_is(name):
    assert read("header", JIRA, {name: b"jira"}).facts[0].source == "jira"
    assert read("header", NATIVE, {name: b" facts "}).facts[0].source == "acme"
    assert isinstance(read("header", CDEVENT, {name: b"cdevents"}).facts[0], DeploymentFact)


def test_the_header_can_be_another_one():
    assert read("header", JIRA, {"X-Tool": b"jira"}, source_header="X-Tool").facts


@pytest.mark.parametrize("headers", [{}, {"source": None}, {"source": b"nonsense"}, {"source": b"header"}])
def test_a_record_that_says_no_known_source_is_kept_under_one_name(headers):
    told = refused("header", JIRA, headers)
    assert told.refused.reason == Reason.UNKNOWN_SOURCE
    assert "write one of alertmanager, " in told.refused.message
    assert told.delivery.source == "unknown"
    assert told.delivery.body == as_bytes(JIRA)


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(NATIVE),
        json.dumps([NATIVE, {**NATIVE, "id": "evt-2"}]),
        "\n".join(json.dumps({**NATIVE, "id": name}) for name in ("a", "b", "c")),
    ],
)
def test_native_facts_are_an_object_an_array_or_lines(text):
    told = read("facts", text.encode())
    assert len(told.facts) == text.count('"item": "CHK-12"')
    assert all(isinstance(fact, ItemFact) for fact in told.facts)


def test_a_cloudevent_is_structured():
    event = {**ATTRIBUTES, "datacontenttype": "application/json", "data": CDEVENT}
    for headers in ({"content-type": b"application/cloudevents+json; charset=utf-8"}, {}):
        [fact] = read("cloudevents", event, headers).facts
        assert (fact.service, fact.environment) == ("shop", "production")


def test_a_cloudevent_is_binary():
    told = read("cloudevents", CDEVENT, {**binary(), "content-type": b"application/json"})
    assert [fact.service for fact in told.facts] == ["shop"]
    assert [fact.item for fact in read("cloudevents", NATIVE, binary(type="acme.fact")).facts] == ["CHK-12"]


def test_attributes_of_a_binary_cloudevent_are_text_as_it_is_not_percent_encoded():
    told = refused("cloudevents", {}, binary(type='50%25 "done" naïve'))
    assert "'50%25 \"done\" naïve'" in told.refused.message


def test_attributes_that_are_not_utf_8_are_refused():
    told = refused("cloudevents", CDEVENT, {**binary(), "ce_source": b"\xff\xfe"})
    assert told.refused.reason == Reason.NOT_UNDERSTOOD


def test_cdevents_are_bare_or_in_a_cloudevent():
    assert read("cdevents", CDEVENT).facts == read("cdevents", CDEVENT, binary()).facts


def test_of_a_batch_what_is_understood_is_taken_and_all_of_it_is_kept():
    events = [{**ATTRIBUTES, "data": CDEVENT}, {**ATTRIBUTES, "id": "e-2", "type": "acme.other", "data": {}}]
    told = refused("cloudevents", events, {"content-type": b"application/cloudevents-batch+json"})
    assert len(told.facts) == 1
    assert told.delivery.body == as_bytes(events)


def test_a_tombstone_says_nothing():
    for kind in KINDS:
        told = read(kind, None)
        assert (told.facts, told.refused) == ((), None)
    assert refused("cloudevents", None, binary()).delivery.body == b""


def test_a_delivery_is_received_at_the_records_own_time_so_that_read_again_it_tells_the_same():
    alert = {"status": "resolved", "fingerprint": "f", "startsAt": "2026-11-22T00:00:00Z", "labels": {}}
    assert read("jira", alert, at=NOW - 77).delivery.received_at == NOW - 77
    for at in (0, -1, NOW + 1):
        assert read("jira", alert, at=at).delivery.received_at == NOW


def test_a_fact_of_the_future_is_kept_whatever_the_record_says_its_time_is():
    ahead = {**NATIVE, "at": "2099-01-01T00:00:00Z"}
    assert refused("facts", ahead, at=4_100_000_000_000).refused.reason == Reason.AT_IN_FUTURE


@pytest.mark.parametrize(
    ("value", "headers"),
    [(b"x" * (MOST_BYTES + 1), {}), (b"{}", {"big": b"x" * MOST_HEADER_BYTES})],
)
def test_a_record_that_no_dead_letter_can_hold_is_kept_in_part_and_named(value, headers):
    told = refused("jira", value, headers)
    assert told.refused.reason == Reason.TOO_LARGE
    assert len(told.delivery.body) <= 1024 * 1024
    assert value.startswith(told.delivery.body)


def broken(delivery, item_names):
    raise KeyError("secret-of-the-payload")


def test_an_adapter_that_breaks_stops_nothing_and_quotes_nothing():
    sources = {**ADAPTERS, "jira": Source("jira", broken, SCHEMES["jira"], "")}
    told = refused("jira", JIRA, sources=sources)
    assert "KeyError in broken, line " in told.refused.message
    assert "secret" not in told.refused.message


def test_facts_that_could_not_be_written_are_kept_instead():
    def complete(facts):
        return [*facts, SignalFact(id="a", source="b", item="\ud800", at=1, signal="change.merged")]

    assert refused("jira", JIRA, complete=complete).facts == ()


def test_signals_are_added():
    fact = SignalFact(id="a", source="b", item="CHK-1", at=1, signal="change.merged")
    assert read("jira", JIRA, complete=lambda facts: [*facts, fact]).facts[-1] is fact


@given(
    kind=st.sampled_from(sorted(KINDS)),
    value=st.none() | st.binary() | st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    ).map(lambda value: json.dumps(value).encode()),
    headers=st.lists(
        st.tuples(
            st.sampled_from(["source", "content-type", "ce_id", "ce_specversion", "CE_TYPE", "x-github-event", ""]),
            st.none() | st.binary(max_size=30) | st.sampled_from([b"jira", b"1.0", b"application/cloudevents+json"]),
        )
    ),
    at=st.integers(-(2**63), 2**63),
)  # fmt: skip
def test_whatever_a_record_holds_it_is_read_or_kept_whole(kind, value, headers, at):
    told = read(kind, value, headers, at)
    assert told.delivery.body == (value or b"")
    assert told.refused is None or told.refused.message.endswith("(topic their.topic, partition 3, offset 17)")
    json.dumps(dict(told.delivery.headers)).encode()
