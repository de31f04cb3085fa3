import pytest

from flow.facts import IncidentFact
from flow.instants import parse_instant
from tests.unit.flow.adapters.telling import (
    ARRIVED,
    ignored,
    is_the_same_when_sent_again,
    only,
    refused,
    survives_everything,
    told,
)

STARTED, ENDED = parse_instant("2026-11-22T09:30:00.613Z"), parse_instant("2026-11-22T09:40:00.5Z")
NEVER = "0001-01-01T00:00:00Z"


def alert(status="firing", ends_at=NEVER, fingerprint="a1bc48475b20e73d", annotations=None, **labels):
    body = {
        "status": status,
        "labels": {"alertname": "CheckoutSlow", "service": "acme/shop", "environment": "staging", **labels},
        "annotations": annotations or {"summary": "Checkout is slow"},
        "startsAt": "2026-11-22T09:30:00.612666101Z",
        "endsAt": ends_at,
        "generatorURL": "http://prometheus.example/graph",
        "fingerprint": fingerprint,
    }
    return {key: value for key, value in body.items() if value is not None}


def group(*alerts, status="firing", **more):
    return {
        "version": "4", "groupKey": "{}:{}", "truncatedAlerts": 0, "status": status, "receiver": "gauge",
        "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}, "externalURL": "http://am.example",
        "alerts": list(alerts), **more,
    }  # fmt: skip


def test_a_firing_alert_is_an_opened_incident():
    assert only("alertmanager", group(alert(annotations={"deployment": "d-9"}))) == IncidentFact(
        id=f"alertmanager:a1bc48475b20e73d-{STARTED}:opened",
        source="alertmanager",
        service="acme/shop",
        environment="staging",
        incident=f"a1bc48475b20e73d-{STARTED}",
        at=STARTED,
        state="opened",
        deployment="d-9",
    )


def test_pitfall_a_group_is_firing_while_any_is_so_each_alert_has_its_own_state():
    resolved = alert("resolved", "2026-11-22T09:40:00.5Z", "ffff")
    facts = told("alertmanager", group(alert(), resolved, status="firing")).facts
    assert [(fact.state, fact.at) for fact in facts] == [("opened", STARTED), ("resolved", ENDED)]


def test_pitfall_a_resolved_alert_that_does_not_say_its_end_ended_when_it_arrived():
    body = group(alert("resolved", NEVER), status="resolved")
    assert only("alertmanager", body).at == ARRIVED
    assert is_the_same_when_sent_again("alertmanager", body)


def test_an_end_is_never_before_its_beginning():
    assert only("alertmanager", group(alert("resolved", "2026-11-22T09:00:00Z"))).at == STARTED


def test_pitfall_old_versions_send_neither_fingerprint_nor_status_of_an_alert():
    first = only("alertmanager", group(alert(status=None, fingerprint=None)))
    other = only("alertmanager", group(alert(status=None, fingerprint=None, instance="b")))
    resolved = only("alertmanager", group(alert(status=None, fingerprint=None), status="resolved"))
    assert (first.state, resolved.state) == ("opened", "resolved")
    assert first.incident == resolved.incident != other.incident


def test_pitfall_repeats_and_the_copies_of_a_second_alertmanager_are_one():
    first, copy = group(alert(), receiver="a"), group(alert(), receiver="b", externalURL="http://am2.example")
    assert only("alertmanager", first).id == only("alertmanager", copy).id
    assert is_the_same_when_sent_again("alertmanager", first)
    assert len(told("alertmanager", group(alert(), alert())).facts) == 1


def test_an_alert_that_fires_again_is_another_incident():
    again = alert() | {"startsAt": "2026-11-23T09:30:00Z"}
    assert only("alertmanager", group(again)).incident != only("alertmanager", group(alert())).incident


@pytest.mark.parametrize(
    ("labels", "service", "environment"),
    [
        ({"service": "a", "job": "b", "env": "qa"}, "a", "qa"),
        ({"app": "a", "job": "b"}, "a", "production"),
        ({"app_kubernetes_io_name": "a"}, "a", "production"),
        ({"job": "b", "environment": "eu"}, "b", "eu"),
        ({"alertname": "x"}, "gauge", "production"),
    ],
)
def test_service_and_environment_are_labels(labels, service, environment):
    fact = only("alertmanager", group(alert() | {"labels": labels}))
    assert (fact.service, fact.environment) == (service, environment)


def test_a_group_without_alerts_is_ignored():
    assert ignored("alertmanager", group()) == "no alerts"


@pytest.mark.parametrize(
    "body",
    [
        group(alert("pending")),
        group(alert() | {"startsAt": NEVER}),
        group(alert() | {"labels": {}}, receiver=None),
        {"text": "a custom payload"},
    ],
)
def test_what_can_not_be_told_is_refused(body):
    refused("alertmanager", body)


def test_nothing_that_is_sent_breaks_it():
    assert survives_everything("alertmanager", group(alert(), alert("resolved", fingerprint="b"))) > 500
