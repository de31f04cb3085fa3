import pytest

from flow.facts import ChangeFact, DeploymentFact, IncidentFact
from tests.unit.flow.adapters.telling import ignored, is_the_same_when_sent_again, only, refused, survives_everything

SECONDS = 1_795_340_000
IMAGE = "sha256:" + "ab" * 32
COMMIT = {"app": "shop", "commit_hash": "4f2a" * 10, "image_sha": IMAGE, "namespace": "shop-prod", "timestamp": SECONDS}
DEPLOY = {"app": "shop", "image_sha": IMAGE, "namespace": "shop-prod", "timestamp": SECONDS + 600}
FAILURE = {"app": "shop", "failure_id": "SHP-1", "failure_event": "created", "timestamp": SECONDS + 700}
SENT = [(COMMIT, "committime"), (DEPLOY, "deploytime"), (FAILURE, "failure")]


def told_as(body, event):
    return only("pelorus", body, {"x-pelorus-event": event})


def test_a_commit_time_is_a_merged_change():
    fact = told_as(COMMIT, "committime")
    assert fact == ChangeFact(
        id=fact.id,
        source="pelorus",
        service="shop",
        change="commit-" + "4f2a" * 10,
        at=SECONDS * 1000,
        state="merged",
        committed_at=SECONDS * 1000,
        commit=IMAGE,
    )


def test_a_deploy_time_is_a_deployment_in_its_namespace():
    fact = told_as(DEPLOY, "deploytime")
    assert fact == DeploymentFact(
        id=fact.id,
        source="pelorus",
        service="shop",
        environment="shop-prod",
        deployment=f"{IMAGE}@{(SECONDS + 600) * 1000}",
        at=(SECONDS + 600) * 1000,
        state="succeeded",
        commit=IMAGE,
    )


def test_the_image_tells_which_commit_a_deployment_brought():
    assert told_as(COMMIT, "committime").commit == told_as(DEPLOY, "deploytime").commit == IMAGE


@pytest.mark.parametrize(("word", "state"), [("created", "opened"), ("resolved", "resolved")])
def test_a_failure_is_an_incident(word, state):
    fact = told_as(FAILURE | {"failure_event": word}, "failure")
    assert fact == IncidentFact(
        id=fact.id,
        source="pelorus",
        service="shop",
        environment="production",
        incident="SHP-1",
        at=(SECONDS + 700) * 1000,
        state=state,
        seq=int(state == "resolved"),
    )


def test_a_ping_is_ignored_and_other_events_are_refused():
    assert ignored("pelorus", {"pelorus": "ping"}, {"x-pelorus-event": "ping"}) == "ping"
    for headers in ({}, {"x-pelorus-event": "other"}):
        assert "X-Pelorus-Event" in refused("pelorus", COMMIT, headers).message
    assert "created" in refused("pelorus", FAILURE | {"failure_event": "moved"}, {"x-pelorus-event": "failure"}).message


@pytest.mark.parametrize(("body", "event"), SENT)
def test_a_redelivery_adds_nothing_for_there_is_no_key_of_pelorus(body, event):
    assert is_the_same_when_sent_again("pelorus", body, {"x-pelorus-event": event})


@pytest.mark.parametrize(("body", "event"), SENT)
def test_nothing_that_is_sent_breaks_it(body, event):
    assert survives_everything("pelorus", body, {"x-pelorus-event": event}) > 50
