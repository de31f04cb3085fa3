"""A ticket of one tool is moved by the changes and deployments of others that name its key."""

from __future__ import annotations

import json

import pytest

from flow.adapters import ADAPTERS, Delivery
from flow.definitions import Condition, Definitions, Match, Stage, Stream
from flow.facts import ChangeFact, DeploymentFact, ItemFact, SignalFact
from flow.matching import Router, StageMap
from tests.unit.flow.adapters import tracker_payloads as payloads
from tests.unit.flow.adapters.telling import ARRIVED

STREAM = Stream(
    "checkout",
    (
        Stage("develop", "active", (Condition(status="In Progress"),)),
        Stage("review", "active", (Condition(signal="change.opened"),)),
        Stage("release", "queue", (Condition(signal="change.merged"),)),
        Stage("done", "done", (Condition(signal="deployment.succeeded", environment="production"),)),
    ),
    Match(source=("jira",), project=("CHK",)),
    item_keys=(r"CHK-\d+", r"AB#\d+", r"acme/shop#\d+"),
)
ROUTER = Router(Definitions({"checkout": STREAM}))
STAGES = StageMap(STREAM)


def facts_of(source, body):
    sent = Delivery(source, {}, json.dumps(body).encode(), ARRIVED)
    return ADAPTERS[source].translate(sent, ROUTER.items_named_in).facts


def stages_of(item, source, body):
    """The stages that the item is moved to by what another tool tells."""
    facts = [fact for fact in facts_of(source, body) if isinstance(fact, ChangeFact | DeploymentFact)]
    signals = [signal for fact in facts for signal in ROUTER.signals_of(fact) if signal.item == item]
    assert all(ROUTER.streams_of(signal) == ("checkout",) for signal in signals)
    return [STREAM.stages[index].name for signal in signals if (index := STAGES.stage_of(signal)) is not None]


def test_a_ticket_of_jira_belongs_to_its_stream():
    (fact,) = facts_of("jira", payloads.jira("jira:issue_created"))
    assert isinstance(fact, ItemFact)
    assert ROUTER.streams_of(fact) == ("checkout",)
    assert STREAM.stages[STAGES.stage_of(fact) or 0].name == "develop"


@pytest.mark.parametrize(
    ("source", "body", "stage"),
    [
        ("gitlab", payloads.gitlab_merge_request(title="CHK-12: invoice"), "review"),
        ("gitlab", payloads.gitlab_merge_request(source_branch="CHK-12_invoice"), "review"),
        ("gitlab", payloads.gitlab_merge_request(description="Closes CHK-12"), "review"),
        ("gitlab", payloads.gitlab_merge_request("merge", title="CHK-12: invoice"), "release"),
        ("gitlab", payloads.gitlab_job(commit={"message": "CHK-12: invoice"}), "done"),
        ("gitlab", payloads.gitlab_job(ref="CHK-12"), "done"),
        ("gitlab", payloads.gitlab_deployment(commit_title="CHK-12: invoice"), "done"),
        ("azure-devops", payloads.azure_pull(title="CHK-12: invoice"), "review"),
        ("azure-devops", payloads.azure_pull(sourceRefName="refs/heads/feature/CHK-12"), "review"),
        ("azure-devops", payloads.azure_release(environment={"id": 5, "name": "production", "status": "succeeded",
         "release": {"id": 31, "name": "CHK-12"}}), "done"),
    ],
)  # fmt: skip
def test_it_is_moved_by_whoever_names_its_key(source, body, stage):
    assert stages_of("CHK-12", source, body) == [stage]


def test_a_commit_message_names_items_too():
    push = payloads.gitlab_push(
        commits=[{"id": payloads.SHA, "message": "CHK-12", "timestamp": "2026-11-21T10:00:00Z"}]
    )
    assert stages_of("CHK-12", "gitlab", push) == ["release"]


def test_an_issue_of_gitlab_is_moved_by_the_merge_request_that_closes_it():
    assert stages_of("acme/shop#13", "gitlab", payloads.gitlab_merge_request("merge")) == ["release"]


def test_a_work_item_of_azure_is_moved_by_the_pull_request_that_mentions_it():
    assert stages_of("AB#12", "azure-devops", payloads.azure_pull()) == ["review"]


def test_a_signal_has_an_id_of_its_own_for_each_item():
    (change,) = facts_of("gitlab", payloads.gitlab_merge_request(title="CHK-1 and CHK-2"))
    signals = ROUTER.signals_of(change)
    assert all(isinstance(signal, SignalFact) for signal in signals)
    assert len({signal.id for signal in signals}) == len(signals) >= 2
