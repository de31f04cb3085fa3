import pytest

from flow.facts import IncidentFact
from flow.instants import parse_instant
from tests.unit.flow.adapters.telling import ignored, is_the_same_when_sent_again, only, refused, survives_everything

AT = parse_instant("2026-11-22T09:30:00.394Z")


def event(kind="incident.triggered", occurred_at="2026-11-22T09:30:00.394Z", **data):
    return {
        "event": {
            "id": "01EVENT", "event_type": kind, "resource_type": "incident", "occurred_at": occurred_at,
            "agent": None, "client": None,
            "data": {
                "id": "PINC1", "type": "incident", "number": 10, "status": "triggered", "title": "Checkout is slow",
                "service": {"id": "PSVC1", "summary": "acme/shop", "type": "service_reference"},
                "teams": [], "priority": None, "urgency": "high", **data,
            },
        }
    }  # fmt: skip


def test_a_triggered_incident_is_opened_for_the_service_by_its_name():
    fact = only("pagerduty", event())
    assert fact == IncidentFact(
        id=fact.id,
        source="pagerduty",
        service="acme/shop",
        environment="production",
        incident="PINC1",
        at=AT,
        state="opened",
    )


@pytest.mark.parametrize(
    ("kind", "state"),
    [
        ("incident.acknowledged", "acknowledged"),
        ("incident.resolved", "resolved"),
        ("incident.reopened", "opened"),
    ],
)
def test_the_event_tells_the_state_and_the_time(kind, state):
    fact = only("pagerduty", event(kind, created_at="2026-11-20T00:00:00Z"))
    assert (fact.state, fact.at) == (state, AT)


def test_pitfall_a_triggered_event_may_lack_one_of_its_times():
    assert only("pagerduty", event(occurred_at=None, created_at="2026-11-22T09:30:00Z")).at == AT - 394
    assert "when it happened" in refused("pagerduty", event(occurred_at=None)).message
    resolved = event("incident.resolved", occurred_at=None, created_at="2026-11-22T09:30:00Z")
    assert "when it happened" in refused("pagerduty", resolved).message


def test_custom_fields_name_what_a_service_does_not():
    fields = [
        {"name": "environment", "value": "staging"}, {"name": "Service", "value": "books"},
        {"name": "deployment", "value": "d-9"}, {"name": "severity", "value": ["x"]}, None,
    ]  # fmt: skip
    fact = only("pagerduty", event(custom_fields=fields))
    assert (fact.environment, fact.service, fact.deployment) == ("staging", "books", "d-9")


@pytest.mark.parametrize(
    "kind",
    [
        "incident.escalated",
        "incident.priority_updated",
        "incident.unacknowledged",
        "incident.annotated",
        "service.updated",
    ],
)
def test_other_events_are_ignored_by_name(kind):
    assert kind in ignored("pagerduty", event(kind))


def test_pitfall_the_data_may_be_of_something_else_than_an_incident():
    body = {
        "event": {
            "id": "1",
            "event_type": "service.updated",
            "occurred_at": "2026-11-22T09:30:00Z",
            "data": {"id": "P"},
        }
    }
    assert "service.updated" in ignored("pagerduty", body)
    assert ignored("pagerduty", {"event": {"event_type": "pagey.ping", "data": {"message": "Hello"}}}) == "ping"


def test_pitfall_v2_is_refused_by_name():
    assert "v3" in refused("pagerduty", {"messages": [{"event": "incident.trigger", "log_entries": []}]}).message
    assert "v3" in refused("pagerduty", {}).message


def test_pitfall_it_sends_for_two_days_and_a_redelivery_adds_nothing():
    assert is_the_same_when_sent_again("pagerduty", event())
    another = event()
    another["event"]["id"] = "02EVENT"
    assert only("pagerduty", another).id == only("pagerduty", event()).id


def test_an_incident_that_opens_again_is_another_fact():
    again = event("incident.reopened", occurred_at="2026-11-22T10:00:00Z")
    assert only("pagerduty", again).id != only("pagerduty", event()).id


def test_nothing_that_is_sent_breaks_it():
    assert survives_everything("pagerduty", event(custom_fields=[{"name": "environment", "value": "qa"}])) > 300
