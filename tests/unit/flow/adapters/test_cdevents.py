import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flow.adapters.cdevents import is_cdevent, translate, translate_event
from flow.adapters.cloudevents import CloudEvent
from flow.adapters.delivery import Delivery, Translation
from flow.errors import Reason, Rejected
from flow.facts import ChangeFact, DeploymentFact, IncidentFact, ItemFact, decode_fact, encode_fact
from flow.instants import parse_instant

AT = parse_instant("2026-11-22T09:30:00.123Z")


def names_in(texts):
    return tuple(key for text in texts for key in re.findall(r"SHP-\d+", text))


def cdevent(kind, content=None, custom=None, subject=None, **context):
    return {
        "context": {
            "specversion": "0.5.1",
            "id": "e-1",
            "source": "/acme/ci",
            "type": f"dev.cdevents.{kind}.0.3.0",
            "timestamp": "2026-11-22T09:30:00.123456Z",
            **context,
        },
        "subject": {"id": "subject-1", "source": "/acme/shop", "content": content or {}, **(subject or {})},
        **({"customData": custom} if custom is not None else {}),
    }


CHANGE = cdevent("change.merged", {"repository": {"id": "acme/shop"}})
SERVICE = cdevent("service.deployed", {"environment": {"id": "production"}, "artifactId": "pkg:oci/shop@sha256%3A1"})
INCIDENT = cdevent("incident.detected", {"environment": {"id": "production"}, "service": {"id": "shop"}})
TICKET = cdevent("ticket.created", {"summary": "Invoice", "ticketType": "task", "labels": ["web", "Blocked"]})


def sent(body, headers=None):
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    return translate(Delivery("cdevents", headers or {"content-type": "application/json"}, payload, 0), names_in)


def only(body, headers=None):
    (fact,) = sent(body, headers).facts
    assert decode_fact(encode_fact(fact)) == fact
    return fact


def refused(body, headers=None):
    with pytest.raises(Rejected) as error:
        sent(body, headers)
    return error.value


def test_a_merged_change_is_told_with_what_custom_data_adds():
    custom = {"commit": "4f2a", "committedAt": "2026-11-21T08:00:00Z", "items": ["SHP-1"], "service": "shop"}
    event = cdevent("change.merged", {"repository": {"id": "acme/shop"}}, custom, {"id": "SHP-2-invoice"})
    assert only(event) == ChangeFact(
        id="/acme/ci/e-1",
        source="cdevents",
        service="shop",
        change="SHP-2-invoice",
        at=AT,
        state="merged",
        committed_at=parse_instant("2026-11-21T08:00:00Z"),
        commit="4f2a",
        items=("SHP-1", "SHP-2"),
    )


@pytest.mark.parametrize("custom", ["text", [1], {"commit": 5}, {"ours": {"items": "x"}}, None, 0])
def test_custom_data_of_somebody_else_is_passed_over(custom):
    assert only(CHANGE | {"customData": custom}).service == "acme/shop"


@pytest.mark.parametrize(("kind", "state"), [("created", "opened"), ("merged", "merged"), ("abandoned", "abandoned")])
def test_changes(kind, state):
    assert only(cdevent(f"change.{kind}")).state == state


def test_a_change_without_a_repository_belongs_to_its_source():
    assert only(cdevent("change.created")).service == "/acme/shop"
    assert only(cdevent("change.created", subject={"source": None})).service == "/acme/ci"


def test_a_deployed_service_is_a_deployment_that_succeeded():
    assert only(SERVICE) == DeploymentFact(
        id="/acme/ci/e-1",
        source="cdevents",
        service="subject-1",
        environment="production",
        deployment="pkg:oci/shop@sha256%3A1",
        at=AT,
        state="succeeded",
    )


@pytest.mark.parametrize(
    ("kind", "state"),
    [("deployed", "succeeded"), ("upgraded", "succeeded"), ("published", "succeeded"), ("rolledback", "rolled_back")],
)
def test_what_one_chain_does_to_a_service_is_one_deployment(kind, state):
    fact = only(cdevent(f"service.{kind}", {"environment": {"id": "production"}, "artifactId": "a"}, chainId="run-5"))
    assert (fact.state, fact.deployment) == (state, "run-5")


def test_a_rollback_is_not_called_by_the_artifact_that_runs_after_it():
    assert only(cdevent("service.rolledback", SERVICE["subject"]["content"])).deployment == "e-1"


@pytest.mark.parametrize(("kind", "state"), [("detected", "opened"), ("reported", "opened"), ("resolved", "resolved")])
def test_incidents(kind, state):
    assert only(cdevent(f"incident.{kind}", INCIDENT["subject"]["content"])) == IncidentFact(
        id="/acme/ci/e-1",
        source="cdevents",
        service="shop",
        environment="production",
        incident="subject-1",
        at=AT,
        state=state,
    )


def test_an_incident_of_no_service_says_what_to_set():
    error = refused(cdevent("incident.detected", {"environment": {"id": "production"}}))
    assert error.reason is Reason.NOT_UNDERSTOOD
    assert "subject.content.service.id" in error.message


def test_a_ticket_is_an_item():
    content = TICKET["subject"]["content"] | {"group": "payments", "uri": "https://tickets.example/1"}
    assert only(cdevent("ticket.created", content)) == ItemFact(
        id="/acme/ci/e-1",
        source="cdevents",
        item="subject-1",
        at=AT,
        status="open",
        blocked=True,
        labels=("Blocked", "web"),
        project="/acme/shop",
        type="task",
        team="payments",
        title="Invoice",
        url="https://tickets.example/1",
    )


def test_a_closed_ticket_is_closed_and_an_updated_one_has_no_status():
    assert only(cdevent("ticket.closed", {"resolution": "done"})).status == "closed"
    updated = only(cdevent("ticket.updated", {"summary": "Invoice"}))
    assert (updated.status, updated.labels, updated.blocked) == (None, None, None)


@pytest.mark.parametrize(
    "kind", ["change.updated", "change.reviewed", "service.removed", "ticket.moved", "build.finished", "poem.written"]
)
def test_everything_else_is_ignored(kind):
    assert kind in sent(cdevent(kind, {"labels": 5, "environment": 5})).ignored


@pytest.mark.parametrize("kind", ["change.merged.0.1.2", "change.merged.0.6.0-draft", "change.merged"])
def test_the_version_of_the_type_does_not_matter(kind):
    assert only(cdevent("x", type=f"dev.cdevents.{kind}")).state == "merged"


def test_the_older_key_of_the_version_is_fine():
    event = cdevent("change.merged", version="0.4.1")
    del event["context"]["specversion"]
    assert only(event).state == "merged"


def test_all_three_modes_tell_the_same_as_a_bare_event():
    cloud = {"specversion": "1.0", "id": "e-1", "source": "/acme/ci", "type": SERVICE["context"]["type"]}
    binary = {f"ce-{name}": value for name, value in cloud.items()} | {"content-type": "application/json"}
    structured = {"content-type": "application/cloudevents+json"}
    batch = {"content-type": "application/cloudevents-batch+json"}
    assert (
        sent(SERVICE)
        == sent(SERVICE, binary)
        == sent({**cloud, "data": SERVICE}, structured)
        == sent([{**cloud, "data": SERVICE}], batch)
    )


def test_a_batch_tells_the_facts_of_all_its_events():
    def cloud(event):
        return {"specversion": "1.0", "id": "1", "source": "/a", "type": event["context"]["type"], "data": event}

    batch = {"content-type": "application/cloudevents-batch+json"}
    assert len(sent([cloud(CHANGE), cloud(cdevent("build.queued")), cloud(TICKET)], batch).facts) == 2
    assert "build.queued" in sent([cloud(cdevent("build.queued"))], batch).ignored
    assert sent([], batch) == Translation([], "an empty batch")


def test_an_event_that_is_sent_again_has_the_same_id():
    again = json.dumps(SERVICE, indent=2).encode()
    assert only(again, {"content-type": "application/json", "x-attempt": "2"}).id == only(SERVICE).id == "/acme/ci/e-1"


def test_another_cloudevent_is_not_understood_and_its_type_is_named():
    event = CloudEvent("1", "/acme", "com.acme.done", b"{}")
    assert not is_cdevent(event)
    with pytest.raises(Rejected, match=r"com\.acme\.done") as error:
        translate_event(event, names_in)
    assert error.value.reason is Reason.NOT_UNDERSTOOD


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b"[]",
        cdevent("change.merged", type="com.acme.done"),
        cdevent("change.merged", timestamp=None),
        cdevent("change.merged", timestamp="soon"),
        cdevent("change.merged", id="x" * 250),
        cdevent("change.merged", {"repository": {"id": ""}}),
        cdevent("service.deployed"),
        cdevent("service.deployed", subject={"content": None}),
        cdevent("ticket.created", {"labels": [str(number) for number in range(101)]}),
    ],
)
def test_an_event_that_lacks_what_it_promises_is_not_understood(body):
    assert refused(body).reason is Reason.NOT_UNDERSTOOD


def test_broken_json_is_malformed():
    assert refused(b'{"context": ').reason is Reason.MALFORMED_JSON


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from([CHANGE, SERVICE, INCIDENT, TICKET]), st.data())
def test_a_mutated_event_is_told_ignored_or_refused(event, data):
    mutated = json.loads(json.dumps(event))
    part = data.draw(st.sampled_from([mutated, mutated["context"], mutated["subject"], mutated["subject"]["content"]]))
    keys = st.sampled_from([*part, "customData", "chainId"])
    part[data.draw(keys)] = data.draw(JSON)
    try:
        facts = sent(mutated).facts
    except Rejected as error:
        assert error.reason in {Reason.NOT_UNDERSTOOD, Reason.MALFORMED_JSON}  # noqa: PT017
        return
    assert all(decode_fact(encode_fact(fact)) == fact for fact in facts)
