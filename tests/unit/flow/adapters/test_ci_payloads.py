"""Payloads of real CI, delivery and incident tools, where they are at hand, and what a person reads out of them."""

import json
from pathlib import Path
from typing import Any

import pytest

from flow.errors import Reason, Rejected
from flow.facts import ChangeFact, DeploymentFact, IncidentFact, ItemFact
from flow.instants import format_instant
from tests.unit.flow.adapters.telling import told

PAYLOADS = Path(__file__).parents[4] / "../shared/payloads"

if not PAYLOADS.exists():
    pytest.skip("shared data not present", allow_module_level=True)

MANIFEST = json.loads((PAYLOADS / "MANIFEST.json").read_bytes())
ARRIVED = "2026-11-22T12:00:00Z"

EXPECTED: dict[str, Any] = {
    "bitbucket-cloud/goscm.pr_fulfilled.json": [
        (ChangeFact, "brydzewski/foo", "pr-1", "merged", "2018-07-03T01:28:05.903Z", "4f8f6de9d0ff"),
    ],
    "bitbucket-cloud/gpw.pull-request-merged.json": [
        (ChangeFact, "team_name/repo_name", "pr-1", "merged", "2015-04-06T15:23:38.206Z", "764413d85e29"),
    ],
    # Its file says that it stands for both events; its state, its reason and the missing merge commit say declined.
    "bitbucket-cloud/zulip.pull_request_fulfilled_or_rejected.json": [
        (ChangeFact, "kolaszek/repository-name", "pr-1", "abandoned", "2016-07-04T20:17:13.680Z", None),
    ],
    "bitbucket-cloud/zulip.pull_request_created_or_updated.json": [
        (ChangeFact, "kolaszek/repository-name", "pr-1", "opened", "2016-07-04T19:15:30.119Z", None),
    ],
    "bitbucket-cloud/zulip.issue_created.json": [
        (ItemFact, "kolaszek/repository-name#1", "new", "2016-07-04T17:36:51.890Z", "bug", "Bug"),
    ],
    "bitbucket-cloud/zulip.issue_updated.json": [
        (ItemFact, "kolaszek/repository-name#1", "new", "2016-07-04T17:38:33.949Z", "bug", "Bug"),
    ],
    # The documentation's own sample: its state and its type list all there are; the change says what it became.
    "bitbucket-cloud/gpw.issue-updated.json": [
        (
            ItemFact, "team_name/repo_name#1", "on hold", "2015-04-06T15:23:38.180Z",
            "bug|enhancement|proposal|task", "Issue title",
        ),
    ],
    "bitbucket-cloud/gpw.issue-created.json": [
        (
            ItemFact,
            "team_name/repo_name#1",
            "new|open|on hold|resolved|duplicate|invalid|wontfix|closed",
            "2015-04-06T15:23:38.180Z",
            "bug|enhancement|proposal|task",
            "Issue title",
        ),
    ],
    "bitbucket-cloud/goscm.push_tag_create.json": "main",
    "bitbucket-cloud/gpw.repo-push.json": "main",
    "bitbucket-cloud/goscm.pipeline_hook_update.json": "names no environment",
    "bitbucket-cloud/gpw.repo-commit-status-created.json": "names no environment",
    "bitbucket-cloud/gpw.repo-commit-status-updated.json": "names no environment",
    "bitbucket-cloud/zulip.commit_status_changed.json": "names no environment",
    "bitbucket-datacenter/zulip.pull_request_merged.json": [
        (
            ChangeFact, "SBOX/sandbox", "pr-6", "merged", "2019-03-26T10:22:23.394Z",
            "1015204bf62881c5ef9e18e6e73e0211a667a00c",
        ),
    ],
    "bitbucket-datacenter/zulip.pull_request_opened_without_reviewers.json": [
        (ChangeFact, "SBOX/sandbox", "pr-1", "opened", "2019-03-21T12:52:18.844Z", None),
    ],
    "bitbucket-datacenter/gpw.pr-modified.json": "modified",
    "bitbucket-datacenter/gpw.repo-refs-changed.json": "main",
    "bitbucket-datacenter/zulip.diagnostics_ping.json": "ping",
    "jenkins/notification.started.json": "names no environment",
    "jenkins/notification.finished.json": "names no environment",
    "jenkins/notification.finished_old.json": "names no environment",
    "circleci/zulip.ping.json": "ping",
    "circleci/zulip.github_tag_workflow_completed.json": "names no environment",
    "circleci/zulip.bitbucket_workflow_completed.json": "names no environment",
    "circleci/zulip.bitbucket_manual_workflow_completed.json": "names no environment",
    "buildkite/webhook.build.skeleton-2.json": "names no environment",
    "buildkite/webhook.build.skeleton-3.json": "names no environment",
    "buildkite/webhook.job.skeleton-1.json": "names no environment",
    "buildkite/webhook.job.skeleton-2.json": "trigger",
    "buildkite/eventbridge.build-finished.json": Reason.NOT_UNDERSTOOD,
    "buildkite/eventbridge.build-failing.json": Reason.NOT_UNDERSTOOD,
    "buildkite/eventbridge.build-started.json": Reason.NOT_UNDERSTOOD,
    "buildkite/eventbridge.build-created.json": Reason.NOT_UNDERSTOOD,
    "buildkite/eventbridge.build-blocked.json": Reason.NOT_UNDERSTOOD,
    "pagerduty/v3.incident.triggered.json": [
        (IncidentFact, "pig208", "production", "PFQZPSY", "opened", "2021-06-04T13:35:29.781Z"),
    ],
    "pagerduty/v3.incident.acknowledged.json": [
        (IncidentFact, "pig208", "production", "PQ1K5C8", "acknowledged", "2021-06-04T13:55:30.394Z"),
    ],
    "pagerduty/v3.incident.resolved.json": [
        (IncidentFact, "pig208", "production", "PCPZE64", "resolved", "2021-06-04T13:16:53.816Z"),
    ],
    "pagerduty/v3.incident.unacknowledged.json": "unacknowledged",
    "pagerduty/v3.signed-vector.incident.priority_updated.json": "priority_updated",
    "pagerduty/v3.live.incident.escalated.compact.signed.json": "escalated",
    "pagerduty/v2.trigger.json": Reason.NOT_UNDERSTOOD,
    "opsgenie/close.json": [
        (
            IncidentFact, "Integration1", "production", "052652ac-5d1c-464a-812a-7dd18bbfba8c", "resolved",
            "2015-01-05T10:06:14.669Z",
        ),
    ],
    "opsgenie/delete.json": [
        (
            IncidentFact, "Integration1", "production", "052652ac-5d1c-464a-812a-7dd18bbfba8c", "resolved",
            "2015-01-05T10:06:14.669Z",
        ),
    ],
    "opsgenie/escalate.json": "Escalate",
    "opsgenie/unacknowledge.json": "UnAcknowledge",
    "opsgenie/assignownership.json": "AssignOwnership",
    "opsgenie/addtags.json": "AddTags",
    "alertmanager/alertmonitor.2.resolved.json": [
        (IncidentFact, "blackbox-icmp", "production", None, "resolved", ARRIVED),
        (IncidentFact, "blackbox-icmp", "production", None, "resolved", ARRIVED),
        (IncidentFact, "blackbox-icmp", "production", None, "resolved", ARRIVED),
    ],
    "alertmanager/msteams.firing.json": [
        (IncidentFact, "docker_nodes", "production", None, "opened", "2018-03-07T11:33:21.873Z"),
    ],
    "alertmanager/zulip.alert.json": [
        (IncidentFact, "ops-zulip", "production", "a1bc48475b20e73d", "opened", "2020-02-06T00:17:58.433Z"),
        (IncidentFact, "ops-zulip", "production", "c2ea85182f28cbd9", "opened", "2020-02-06T00:17:58.433Z"),
    ],
    "pelorus/committime.json": [
        (
            ChangeFact, "mongo-todolist", "commit-5379bad65a3f83853a75aabec9e0e43c75fd18fc", "merged",
            "2023-05-01T10:28:58Z", "sha256:af4092ccbfa99a3ec1ea93058fe39b8ddfd8db1c7a18081db397c50a0b8ec77d",
        ),
    ],
    "pelorus/deploytime.json": [
        (
            DeploymentFact, "mongo-todolist", "mongo-persistent", "succeeded", "2023-05-02T10:08:58Z",
            "sha256:af4092ccbfa99a3ec1ea93058fe39b8ddfd8db1c7a18081db397c50a0b8ec77d",
        ),
    ],
    "pelorus/failure_created.json": [
        (IncidentFact, "mongo-todolist", "production", "MONGO-1", "opened", "2023-05-02T10:09:58Z"),
    ],
    "pelorus/failure_resolved.json": [
        (IncidentFact, "mongo-todolist", "production", "MONGO-1", "resolved", "2023-05-02T10:28:58Z"),
    ],
    "devlake/issues.incident.json": [
        (IncidentFact, "DLK", "PRODUCTION", "DLK-1234", "opened", "2020-01-01T12:00:00Z"),
    ],
    "devlake/issues.legacy-snake-case.json": Reason.NOT_UNDERSTOOD,
    "devlake/pull_requests.json": [
        (ChangeFact, "org/repo", "pr-1", "opened", "2025-02-20T16:17:36Z", None),
        (ChangeFact, "org/repo", "pr-1", "merged", "2025-02-20T17:17:36Z", "bf0a79c57dff8f5f1f393de315ee5105a535e059"),
    ],
}  # fmt: skip

SOURCES = {name.partition("/")[0] for name in EXPECTED}
ENTRIES = [entry for entry in MANIFEST if entry["source"] in SOURCES and entry["file"].endswith(".json")]


def read_out(fact):
    """What a person would look for in the fact. An alert's hash of labels is of nobody's making but ours."""
    at = format_instant(fact.at)
    match fact:
        case ItemFact():
            return (ItemFact, fact.item, fact.status, at, fact.type, fact.title)
        case ChangeFact():
            return (ChangeFact, fact.service, fact.change, fact.state, at, fact.commit)
        case DeploymentFact():
            return (DeploymentFact, fact.service, fact.environment, fact.state, at, fact.commit)
        case _:
            return (IncidentFact, fact.service, fact.environment, fact.incident, fact.state, at)


def with_alerts_named(found, expected):
    """Alertmanager names an alert by its fingerprint; the rest of the incident's name is its beginning."""
    if found[0] is not IncidentFact or expected[3] == found[3]:
        return found
    name = found[3].rpartition("-")[0]
    return (*found[:3], name if expected[3] else None, *found[4:])


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: f"{entry['source']}/{entry['file']}")
def test_payloads_are_told_or_ignored_as_a_person_would(entry):
    headers = dict(pair.split(": ", 1) for pair in entry["headers"].lower().split("; ") if ": " in pair)
    body = (PAYLOADS / entry["source"] / entry["file"]).read_bytes()
    expected = EXPECTED[f"{entry['source']}/{entry['file']}"]
    if isinstance(expected, Reason):
        with pytest.raises(Rejected) as error:
            told(entry["source"], body, headers)
        assert error.value.reason is expected
        return
    translation = told(entry["source"], body, headers)
    if isinstance(expected, str):
        assert expected in (translation.ignored or "")
        return
    found = [read_out(fact) for fact in translation.facts]
    assert len(found) == len(expected)
    assert [with_alerts_named(one, other) for one, other in zip(found, expected, strict=True)] == expected


def test_every_payload_has_its_expectation():
    assert {f"{entry['source']}/{entry['file']}" for entry in ENTRIES} == set(EXPECTED)
