from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flow.adapters import github
from flow.adapters.delivery import Delivery
from flow.adapters.github_deployment_history import facts_of_deployment, facts_of_release, facts_of_run
from flow.adapters.github_history import facts_of_issue, facts_of_pull, facts_of_push
from flow.errors import Reason, Rejected
from flow.instants import parse_instant
from tests.servers.github_api import GitHub
from tests.unit.flow.adapters.telling import names_in

AT = parse_instant("2026-11-20T08:00:00Z")
HOUR = 3_600_000


def from_webhooks(repository):
    """By id: what was told twice counts once."""
    told = [
        fact
        for event, body in repository.webhooks
        for fact in github.translate(
            Delivery("github", {"x-github-event": event}, json.dumps(body).encode(), 0), names_in
        ).facts
    ]
    return {fact.id: fact for fact in told}


def from_history(repository):
    name = repository.name
    told = []
    for issue in repository.issues:
        told += facts_of_issue(name, issue.fields, issue.events, names_in)
    for pull in repository.pulls:
        told += facts_of_pull(name, pull.fields, pull.events, names_in)
    for deployment, statuses in repository.deployments:
        told += facts_of_deployment(name, deployment, statuses, names_in)
    for run in repository.runs:
        told += facts_of_run(name, run, names_in)
    for release in repository.releases:
        told += facts_of_release(name, release, names_in)
    for activity, commits in repository.pushes:
        told += facts_of_push(name, "main", activity["timestamp"], commits, names_in)
    return {fact.id: fact for fact in told}


def happen(issue, what, value, at):
    """One thing, if it can happen now."""
    closed = issue.fields["state"] == "closed"
    if what == "label" and value not in issue.labels:
        issue.label(at, value)
    elif what == "unlabel" and value in issue.labels:
        issue.unlabel(at, value)
    elif what == "rename":
        issue.rename(at, f"About {value}")
    elif what == "state":
        (issue.reopen if closed else issue.close)(at)
    elif what == "assign":
        issue.assign(at)


WHAT = st.sampled_from(["label", "unlabel", "rename", "state", "assign"])
LABELS = st.sampled_from(["doing", "review", "blocked", "bug"])


@given(
    st.lists(LABELS, max_size=2, unique=True),
    st.lists(st.tuples(st.integers(1, 90), WHAT, LABELS), max_size=14),
)
def test_the_history_of_an_issue_tells_what_its_webhooks_told(labels, changes):
    repository = GitHub()
    issue = repository.open_issue(AT, *labels)
    at = AT
    for seconds, what, value in changes:
        at += seconds * 1000
        happen(issue, what, value, at)
    assert from_history(repository) == from_webhooks(repository)


@given(
    st.booleans(),
    st.lists(st.tuples(st.integers(5, 90), st.sampled_from(["ready", "state"])), max_size=6),
    st.booleans(),
)
def test_the_history_of_a_pull_request_tells_what_its_webhooks_told(draft, changes, merged):
    repository = GitHub()
    pull = repository.open_pull(AT, draft=draft)
    at = AT
    for seconds, what in changes:
        at += seconds * 1000
        if what == "ready":
            pull.ready(at)
        else:
            (pull.reopen if pull.fields["state"] == "closed" else pull.close)(at)
    if merged and pull.fields["state"] == "open":
        pull.merge(at + 5_000)
    assert from_history(repository) == from_webhooks(repository)


def test_deployments_runs_releases_and_pushes_are_told_as_by_their_webhooks():
    repository = GitHub()
    repository.deploy(AT, "production", (AT, "queued"), (AT + 1000, "in_progress"), (AT + HOUR, "success"))
    repository.deploy(AT + HOUR, "production", (AT + 2 * HOUR, "failure"), (AT + 3 * HOUR, "inactive"))
    repository.run(AT + HOUR, AT + 2 * HOUR, "success")
    repository.release(AT + HOUR, "v1.2.0")
    repository.push(AT + HOUR, "SHP-4: invoices", "Fixes #1", "")
    assert len(from_webhooks(repository)) == 9
    assert from_history(repository) == from_webhooks(repository)


def test_an_issue_in_progress_keeps_its_true_start():
    repository = GitHub()
    issue = repository.open_issue(AT)
    issue.label(AT + HOUR, "doing")
    issue.rename(AT + 2 * HOUR, "Something else")
    told = facts_of_issue(repository.name, issue.fields, issue.events, names_in)
    assert [(fact.at, fact.labels) for fact in told] == [(AT, ()), (AT + HOUR, ("doing",)), (AT + 2 * HOUR, ("doing",))]


def test_events_that_no_webhook_tells_say_nothing():
    repository = GitHub()
    issue = repository.open_issue(AT)
    events = [{"event": name, "created_at": "2026-11-21T08:00:00Z"} for name in ("mentioned", "locked", "pinned")]
    assert len(facts_of_issue(repository.name, issue.fields, events, names_in)) == 1


def test_a_draft_of_a_release_is_not_out():
    assert facts_of_release("acme/shop", {"tag_name": "v1", "draft": True, "published_at": None}, names_in) == []


@pytest.mark.parametrize("spoilt", [{"state": None}, {"created_at": "soon"}, {"labels": 3}, {"number": -1}])
def test_an_issue_that_is_not_one_is_refused(spoilt):
    issue = GitHub().open_issue(AT)
    with pytest.raises(Rejected) as error:
        facts_of_issue("acme/shop", {**issue.fields, **spoilt}, [], names_in)
    assert error.value.reason is Reason.NOT_UNDERSTOOD
