import pytest

from flow.facts import IncidentFact
from tests.unit.flow.adapters.telling import ignored, is_the_same_when_sent_again, only, refused, survives_everything

CREATED = 1_795_340_000_104
UPDATED_NS = 1_795_340_060_764_002_246


def alert(action="Create", integration="Web hook", **more):
    return {
        "action": action,
        "source": {"name": "", "type": "web"},
        "alert": {
            "alertId": "al-1", "message": "Checkout is slow", "createdAt": CREATED, "updatedAt": UPDATED_NS,
            "tags": ["tag1"], "alias": "x", "tinyId": "23", "entity": "", "username": "robin@acme.example", **more,
        },
        "integrationId": "i-1",
        "integrationName": integration,
    }  # fmt: skip


def test_a_created_alert_is_an_opened_incident():
    fact = only("opsgenie", alert(details={"service": "acme/shop", "environment": "qa", "deployment": "d-9"}))
    assert fact == IncidentFact(
        id=fact.id,
        source="opsgenie",
        service="acme/shop",
        environment="qa",
        incident="al-1",
        at=CREATED,
        state="opened",
        deployment="d-9",
    )


@pytest.mark.parametrize(
    ("action", "state"), [("Acknowledge", "acknowledged"), ("Close", "resolved"), ("Delete", "resolved")]
)
def test_pitfall_created_at_is_in_milliseconds_and_updated_at_in_nanoseconds(action, state):
    fact = only("opsgenie", alert(action))
    assert (fact.state, fact.at) == (state, UPDATED_NS // 1_000_000)


@pytest.mark.parametrize(
    ("more", "service"),
    [
        ({"details": {"service": "a"}, "entity": "b", "tags": ["service:c"]}, "a"),
        ({"details": {}, "entity": "b", "tags": ["service:c"]}, "b"),
        ({"tags": ["x", "service: c"]}, "c"),
        ({"details": None, "tags": None}, "Web hook"),
    ],
)
def test_the_service_is_found_where_the_alert_names_it(more, service):
    assert only("opsgenie", alert(**more)).service == service


def test_tags_name_the_environment_and_the_deployment_too():
    fact = only("opsgenie", alert(tags=["environment:staging", "deployment:d-7"]))
    assert (fact.environment, fact.deployment) == ("staging", "d-7")


@pytest.mark.parametrize("action", ["UnAcknowledge", "AddTags", "AddNote", "AssignOwnership", "Escalate", "Snooze"])
def test_other_actions_are_ignored_by_name(action):
    assert action in ignored("opsgenie", alert(action))


def test_an_escalation_without_most_of_its_alert_is_ignored():
    assert "Escalate" in ignored("opsgenie", {"action": "Escalate", "alert": {"alertId": "al-1"}, "escalationTime": 0})


def test_an_alert_that_names_no_service_at_all_is_refused():
    assert "service" in refused("opsgenie", alert(integration="")).message


def test_a_redelivery_adds_nothing():
    assert is_the_same_when_sent_again("opsgenie", alert("Close"))


def test_nothing_that_is_sent_breaks_it():
    assert survives_everything("opsgenie", alert(details={"service": "a"}, tags=["service:c"])) > 300
