import json
import re
from pathlib import Path

import pytest
import yaml

from flow.facts import DeploymentFact
from flow.instants import parse_instant
from tests.unit.flow.adapters.telling import ignored, is_the_same_when_sent_again, only, refused, survives_everything

STARTED, FINISHED = (parse_instant(f"2026-11-22T09:{minute}:00Z") for minute in (30, 34))


def sync(phase="Succeeded", **more):
    return {
        "app": "shop-production", "phase": phase, "service": "acme/shop", "environment": "production",
        "namespace": "shop", "startedAt": "2026-11-22T09:30:00Z",
        "finishedAt": "" if phase == "Running" else "2026-11-22T09:34:00Z", "revision": "4f2a" * 10, "revisions": None,
        "commit": "", "message": "SHP-4: two more pods", "items": "", **more,
    }  # fmt: skip


def test_a_sync_that_succeeded_is_a_deployment():
    fact = only("argocd", sync())
    assert fact == DeploymentFact(
        id=fact.id,
        source="argocd",
        service="acme/shop",
        environment="production",
        deployment=f"shop-production@{STARTED}",
        at=FINISHED,
        state="succeeded",
        seq=1,
        commit="4f2a" * 10,
        items=("SHP-4",),
    )


def test_a_running_sync_has_started_under_the_same_name():
    fact = only("argocd", sync("Running"))
    assert (fact.state, fact.at, fact.seq, fact.deployment) == (
        "started",
        STARTED,
        0,
        only("argocd", sync()).deployment,
    )


@pytest.mark.parametrize("phase", ["Failed", "Error"])
def test_a_sync_that_failed_is_a_failed_deployment(phase):
    assert only("argocd", sync(phase)).state == "failed"


def test_without_labels_the_application_and_its_namespace_are_the_names():
    fact = only("argocd", sync(service="", environment=""))
    assert (fact.service, fact.environment) == ("shop-production", "shop")
    assert only("argocd", sync(environment="", namespace="")).environment == "production"


def test_the_commit_of_the_code_is_taken_before_that_of_the_manifests():
    assert only("argocd", sync(commit="9c1d")).commit == "9c1d"
    assert only("argocd", sync(revision="", revisions=["a1", "b2"])).commit == "a1"


def test_the_annotation_items_names_items():
    assert only("argocd", sync(items="SHP-9,SHP-4")).items == ("SHP-9", "SHP-4")


@pytest.mark.parametrize("phase", ["Terminating", "", None])
def test_another_phase_is_ignored(phase):
    assert "neither started nor ended" in ignored("argocd", sync(phase))


def test_an_end_without_its_time_is_refused():
    assert "end of the sync" in refused("argocd", sync(finishedAt="")).message


def test_a_notification_that_is_sent_twice_adds_nothing():
    assert is_the_same_when_sent_again("argocd", sync())


def test_nothing_that_is_sent_breaks_it_with_or_without_a_content_type():
    assert survives_everything("argocd", sync()) > 150


TEMPLATE = Path(__file__).parents[4] / "deploy/argocd/notifications.yaml"
MEMBER = re.compile(r'"(\w+)": \{\{ .+? \}\}')


def rendered(values):
    """What the template of ours sends: each expression replaced by the value of the member that it stands for."""
    config = yaml.safe_load(TEMPLATE.read_text())["data"]
    webhook = yaml.safe_load(config["template.streamgauge-sync"])["webhook"]["streamgauge"]
    assert (webhook["method"], webhook["path"]) == ("POST", "/webhooks/argocd")
    return json.loads(MEMBER.sub(lambda member: f'"{member[1]}": {json.dumps(values[member[1]])}', webhook["body"]))


def test_the_template_that_we_ship_sends_what_is_read_here():
    values = {name: value for name, value in sync().items() if name != "message"}
    body = rendered(values)
    assert body == values
    assert only("argocd", body).service == "acme/shop"


def test_the_triggers_that_we_ship_send_the_template_and_the_service_says_its_token():
    config = yaml.safe_load(TEMPLATE.read_text())["data"]
    triggers = {name: yaml.safe_load(text) for name, text in config.items() if name.startswith("trigger.")}
    assert {send for steps in triggers.values() for step in steps for send in step["send"]} == {"streamgauge-sync"}
    (subscription,) = yaml.safe_load(config["subscriptions"])
    assert {f"trigger.{name}" for name in subscription["triggers"]} == set(triggers)
    headers = {
        header["name"]: header["value"] for header in yaml.safe_load(config["service.webhook.streamgauge"])["headers"]
    }
    assert headers == {"Content-Type": "application/json", "Authorization": "Bearer $streamgauge-token"}
