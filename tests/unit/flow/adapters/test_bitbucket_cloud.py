import pytest

from flow.facts import ChangeFact, DeploymentFact, ItemFact
from flow.instants import parse_instant
from tests.unit.flow.adapters.telling import (
    ignored,
    is_the_same_when_sent_again,
    only,
    refused,
    survives_everything,
    told,
)

SOURCE = "bitbucket-cloud"
CREATED, UPDATED = parse_instant("2026-11-20T08:00:00.111Z"), parse_instant("2026-11-22T09:30:00.222Z")
REPOSITORY = {"type": "repository", "full_name": "acme/shop", "name": "Shop", "uuid": "{r}"}
TIMES = {"created_on": "2026-11-20T08:00:00.111222+00:00", "updated_on": "2026-11-22T09:30:00.222333+00:00"}


def sent_as(event):
    return {"x-event-key": event, "x-request-uuid": "u-1", "x-attempt-number": "1"}


def pull_request(state="OPEN", **more):
    return {
        "actor": {"display_name": "Robin"},
        "pullrequest": {
            "id": 12, "title": "SHP-4: Pay with a card", "description": "see SHP-99", "state": state,
            "source": {"branch": {"name": "feature/SHP-5-cards"}, "commit": {"hash": "0a1b2c3d4e5f"}},
            "destination": {"branch": {"name": "main"}}, "merge_commit": None, **TIMES, **more,
        },
        "repository": REPOSITORY,
    }  # fmt: skip


def commit(digit, message, date="2026-11-21T10:00:00+00:00"):
    return {"hash": digit * 40, "type": "commit", "message": message, "date": date}


def push(*commits, branch="main", kind="branch", **more):
    tip = commits[-1]
    new = {"type": kind, "name": branch, "target": tip}
    changes = [{"new": new, "old": None, "commits": list(commits), "truncated": False, "created": False, **more}]
    return {"push": {"changes": changes}, "repository": REPOSITORY}


def issue(changes=None, **more):
    body = {
        "issue": {
            "id": 7, "title": "Pay with a card", "state": "new", "kind": "bug", "type": "issue", **TIMES,
            "links": {"html": {"href": "https://code.example/acme/shop/issues/7"}}, **more,
        },
        "repository": REPOSITORY,
    }  # fmt: skip
    return body | ({"changes": changes} if changes else {})


def status(name="Deploy to production", state="SUCCESSFUL", **more):
    return {
        "repository": REPOSITORY,
        "commit_status": {
            "key": "pipeline-4", "name": name, "state": state, "type": "build", "refname": "main", "url": "https://x",
            "commit": {"hash": "a" * 40, "message": "SHP-4 merged\n"}, **TIMES, **more,
        },
    }  # fmt: skip


def test_an_opened_pull_request_is_an_opened_change_of_the_items_in_its_title_and_branch():
    fact = only(SOURCE, pull_request(), sent_as("pullrequest:created"))
    assert fact == ChangeFact(
        id=fact.id,
        source=SOURCE,
        service="acme/shop",
        change="pr-12",
        at=CREATED,
        state="opened",
        items=("SHP-4", "SHP-5"),
    )


def test_a_fulfilled_pull_request_is_a_merged_change():
    body = pull_request("MERGED", merge_commit={"hash": "4f2a4f2a4f2a"})
    fact = only(SOURCE, body, sent_as("pullrequest:fulfilled"))
    assert (fact.state, fact.at, fact.seq, fact.commit) == ("merged", UPDATED, 1, "4f2a4f2a4f2a")


@pytest.mark.parametrize("state", ["DECLINED", "SUPERSEDED", "OPEN|MERGED|DECLINED", None])
def test_a_rejected_pull_request_is_an_abandoned_change(state):
    fact = only(SOURCE, pull_request(state), sent_as("pullrequest:rejected"))
    assert (fact.state, fact.at, fact.commit) == ("abandoned", UPDATED, None)


def test_the_state_in_the_payload_is_believed_before_the_name_of_the_event():
    assert only(SOURCE, pull_request("DECLINED"), sent_as("pullrequest:fulfilled")).state == "abandoned"


def test_a_push_to_the_main_branch_is_a_merged_change_a_commit():
    facts = told(
        SOURCE, push(commit("a", "SHP-1 one"), commit("b", "two", "2026-11-22T09:30:00+00:00")), sent_as("repo:push")
    ).facts
    assert [(fact.change, fact.commit, fact.state, fact.items) for fact in facts] == [
        (f"commit-{'a' * 40}", "a" * 40, "merged", ("SHP-1",)),
        (f"commit-{'b' * 40}", "b" * 40, "merged", ()),
    ]
    assert {fact.at for fact in facts} == {parse_instant("2026-11-22T09:30:00Z")}
    assert facts[0].committed_at == parse_instant("2026-11-21T10:00:00Z")


def test_the_commit_of_a_merge_is_the_pull_request_with_its_whole_hash():
    merge = commit("c", "Merged in feature/SHP-5-cards (pull request #12)\n\nCards", "2026-11-22T09:29:59+00:00")
    first, last = told(SOURCE, push(commit("a", "one"), merge), sent_as("repo:push")).facts
    pulled = only(SOURCE, pull_request("MERGED", merge_commit={"hash": "c" * 12}), sent_as("pullrequest:fulfilled"))
    assert (first.change, last.change, last.commit) == (f"commit-{'a' * 40}", pulled.change, "c" * 40)
    assert last.at < pulled.at, "the whole hash is the first that is told of the change"


def test_commits_of_a_push_may_lack_their_dates_and_the_tip():
    body = push(commit("b", "tip"))
    body["push"]["changes"][0]["commits"] = [{"hash": "a" * 40, "message": None}]
    facts = told(SOURCE, body, sent_as("repo:push")).facts
    assert [fact.commit for fact in facts] == ["a" * 40, "b" * 40]
    assert facts[0].committed_at is None


@pytest.mark.parametrize(
    "body",
    [
        push(commit("a", "one"), branch="feature/x"),
        push(commit("a", "one"), kind="tag"),
        {"push": {"changes": [{"new": None, "old": {"name": "main"}, "closed": True}]}, "repository": REPOSITORY},
        {"push": {"changes": []}, "repository": REPOSITORY},
    ],
)
def test_a_push_elsewhere_is_ignored(body):
    assert "main" in ignored(SOURCE, body, sent_as("repo:push"))


def test_a_new_issue_is_an_item_in_its_state():
    fact = only(SOURCE, issue(), sent_as("issue:created"))
    assert fact == ItemFact(
        id=fact.id,
        source=SOURCE,
        item="acme/shop#7",
        at=CREATED,
        status="new",
        project="acme/shop",
        type="bug",
        title="Pay with a card",
        url="https://code.example/acme/shop/issues/7",
    )


@pytest.mark.parametrize("name", ["status", "state"])
def test_a_changed_issue_is_in_the_status_that_it_changed_to(name):
    fact = only(SOURCE, issue({name: {"old": "new", "new": "on hold"}}), sent_as("issue:updated"))
    assert (fact.status, fact.at, fact.seq) == ("on hold", UPDATED, 1)


def test_an_issue_that_changed_otherwise_keeps_its_state():
    assert only(SOURCE, issue({"content": {"old": "a", "new": "b"}}), sent_as("issue:updated")).status == "new"


def test_the_type_of_an_issue_is_called_kind_or_type():
    assert only(SOURCE, issue(kind=None, type="task"), sent_as("issue:created")).type == "task"
    assert only(SOURCE, issue(kind=None), sent_as("issue:created")).type is None


def test_pitfall_no_deployment_event_exists_so_a_build_status_deploys_by_its_name():
    fact = only(SOURCE, status(), sent_as("repo:commit_status_updated"))
    assert fact == DeploymentFact(
        id=fact.id,
        source=SOURCE,
        service="acme/shop",
        environment="production",
        deployment=f"pipeline-4@{'a' * 40}",
        at=UPDATED,
        state="succeeded",
        seq=1,
        commit="a" * 40,
        items=("SHP-4",),
    )


def test_a_build_status_may_deploy_by_its_key_and_lack_its_commit():
    fact = only(SOURCE, status("Tests", key="deploy-staging", commit=None), sent_as("repo:commit_status_created"))
    assert (fact.environment, fact.commit, fact.deployment) == ("staging", None, f"deploy-staging@{CREATED}")


@pytest.mark.parametrize(("state", "told_as"), [("INPROGRESS", "started"), ("FAILED", "failed")])
def test_other_states_of_a_build_are_read(state, told_as):
    assert only(SOURCE, status(state=state), sent_as("repo:commit_status_updated")).state == told_as


def test_what_is_not_read_is_ignored_with_the_reason():
    assert "STOPPED" in ignored(SOURCE, status(state="STOPPED"), sent_as("repo:commit_status_updated"))
    assert "Deploy to" in ignored(SOURCE, status("Unit tests"), sent_as("repo:commit_status_updated"))
    assert "approved" in ignored(SOURCE, pull_request(), sent_as("pullrequest:approved"))
    assert "repo:fork" in ignored(SOURCE, {}, sent_as("repo:fork"))
    assert "comment_created" in ignored(SOURCE, issue(), sent_as("issue:comment_created"))


@pytest.mark.parametrize("event", ["", "push", "PULLREQUEST:CREATED", "x" * 300, "repo:push\u00e9"])
def test_without_the_name_of_an_event_a_delivery_is_refused(event):
    assert "X-Event-Key" in refused(SOURCE, pull_request(), {"x-event-key": event}).message


SENT = [
    (pull_request(), "pullrequest:created"),
    (pull_request("MERGED", merge_commit={"hash": "c" * 12}), "pullrequest:fulfilled"),
    (push(commit("a", "one"), commit("b", "two")), "repo:push"),
    (issue({"status": {"old": "new", "new": "open"}}), "issue:updated"),
    (status(), "repo:commit_status_updated"),
]


@pytest.mark.parametrize(("body", "event"), SENT)
def test_a_second_attempt_adds_nothing(body, event):
    assert is_the_same_when_sent_again(SOURCE, body, sent_as(event))


@pytest.mark.parametrize(("body", "event"), SENT)
def test_nothing_that_is_sent_breaks_it(body, event):
    assert survives_everything(SOURCE, body, sent_as(event)) > 100
