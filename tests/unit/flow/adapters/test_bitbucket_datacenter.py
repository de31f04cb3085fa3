import pytest

from flow.facts import ChangeFact
from flow.instants import parse_instant
from tests.unit.flow.adapters.telling import (
    ignored,
    is_the_same_when_sent_again,
    only,
    refused,
    survives_everything,
    told,
)

SOURCE = "bitbucket-datacenter"
CREATED, CLOSED = 1_795_340_000_111, 1_795_350_000_222
REPOSITORY = {"slug": "shop", "id": 4, "name": "The shop", "project": {"key": "ACME", "id": 2, "type": "NORMAL"}}


def sent_as(event):
    return {"x-event-key": event, "x-request-id": "r-1"}


def pull_request(event, **more):
    return {
        "eventKey": event, "date": "2026-11-22T10:30:00+0100", "actor": {"name": "robin"},
        "pullRequest": {
            "id": 12, "version": 1, "title": "SHP-4: Pay with a card", "state": "OPEN", "createdDate": CREATED,
            "updatedDate": CREATED,
            "fromRef": {"id": "refs/heads/SHP-5", "displayId": "SHP-5", "repository": REPOSITORY | {"slug": "fork"}},
            "toRef": {"id": "refs/heads/main", "displayId": "main", "repository": REPOSITORY}, **more,
        },
    }  # fmt: skip


def push(branch="main", kind="BRANCH", change="UPDATE", to_hash="b" * 40, **more):
    ref = {"id": f"refs/heads/{branch}", "displayId": branch, "type": kind}
    return {
        "eventKey": "repo:refs_changed", "date": "2026-11-22T10:30:00+0100", "repository": REPOSITORY,
        "changes": [{"ref": ref, "refId": ref["id"], "fromHash": "a" * 40, "toHash": to_hash, "type": change}], **more,
    }  # fmt: skip


AT = parse_instant("2026-11-22T09:30:00Z")


def test_an_opened_pull_request_is_an_opened_change_of_the_repository_that_it_goes_to():
    fact = only(SOURCE, pull_request("pr:opened"), sent_as("pr:opened"))
    assert fact == ChangeFact(
        id=fact.id,
        source=SOURCE,
        service="ACME/shop",
        change="pr-12",
        at=CREATED,
        state="opened",
        items=("SHP-4", "SHP-5"),
    )


def test_a_merged_pull_request_names_its_merge_commit():
    body = pull_request("pr:merged", closedDate=CLOSED, properties={"mergeCommit": {"id": "c" * 40, "displayId": "cc"}})
    fact = only(SOURCE, body, sent_as("pr:merged"))
    assert (fact.state, fact.at, fact.seq, fact.commit) == ("merged", CLOSED, 1, "c" * 40)


@pytest.mark.parametrize("event", ["pr:declined", "pr:deleted"])
def test_a_pull_request_that_ends_unmerged_is_abandoned_at_its_end_or_the_events_date(event):
    assert only(SOURCE, pull_request(event, closedDate=CLOSED), sent_as(event)).at == CLOSED
    fact = only(SOURCE, pull_request(event), sent_as(event))
    assert (fact.state, fact.at) == ("abandoned", AT)


def test_a_push_to_the_main_branch_is_a_change_a_commit():
    commits = [
        {"id": "b" * 40, "message": "SHP-9 two", "authorTimestamp": CREATED, "committerTimestamp": CLOSED},
        {"id": "9" * 40, "message": "one", "authorTimestamp": CREATED},
    ]
    facts = told(SOURCE, push(commits=commits, toCommit=commits[0]), sent_as("repo:refs_changed")).facts
    assert [(fact.commit, fact.at, fact.committed_at, fact.items) for fact in facts] == [
        ("b" * 40, AT, CREATED, ("SHP-9",)),
        ("9" * 40, AT, CREATED, ()),
    ]


@pytest.mark.parametrize("more", [{}, {"commits": None}, {"commits": []}, {"commits": [{"id": "f" * 40}]}])
def test_an_older_server_names_only_the_tip(more):
    fact = only(SOURCE, push(**more), sent_as("repo:refs_changed"))
    assert (fact.change, fact.commit, fact.committed_at) == (f"commit-{'b' * 40}", "b" * 40, None)


@pytest.mark.parametrize(
    "body",
    [
        push("feature/x"),
        push(kind="TAG"),
        push(change="DELETE", to_hash="0" * 40),
        push(to_hash="0" * 40),
        push() | {"changes": []},
    ],
)
def test_a_push_elsewhere_is_ignored(body):
    assert "main" in ignored(SOURCE, body, sent_as("repo:refs_changed"))


@pytest.mark.parametrize("headers", [{}, sent_as("diagnostics:ping")])
def test_the_test_of_a_connection_is_ignored(headers):
    assert ignored(SOURCE, {"test": True}, headers) == "ping"


def test_the_name_of_the_event_may_stand_in_the_body_alone():
    assert only(SOURCE, pull_request("pr:opened")).state == "opened"


def test_what_is_not_read_is_ignored_with_the_reason():
    assert "modified" in ignored(SOURCE, pull_request("pr:modified"), sent_as("pr:modified"))
    assert "reviewer" in ignored(SOURCE, pull_request("pr:reviewer:approved"))
    assert "repo:forked" in ignored(SOURCE, {"eventKey": "repo:forked"})


@pytest.mark.parametrize("body", [{}, {"eventKey": None}, {"eventKey": "no event"}])
def test_without_the_name_of_an_event_a_delivery_is_refused(body):
    assert "eventKey" in refused(SOURCE, body).message


SENT = [(pull_request("pr:merged", closedDate=CLOSED), "pr:merged"), (push(), "repo:refs_changed")]


@pytest.mark.parametrize(("body", "event"), SENT)
def test_a_redelivery_adds_nothing(body, event):
    assert is_the_same_when_sent_again(SOURCE, body, sent_as(event))


@pytest.mark.parametrize(("body", "event"), SENT)
def test_nothing_that_is_sent_breaks_it(body, event):
    assert survives_everything(SOURCE, body, sent_as(event)) > 200
    assert survives_everything(SOURCE, body) > 200
