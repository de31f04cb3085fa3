import pytest

from flow.adapters.devlake import PATH_HEADER, is_devlake_path
from flow.facts import ChangeFact, DeploymentFact, IncidentFact, ItemFact
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

CREATED, DONE = parse_instant("2026-11-20T08:00:00Z"), parse_instant("2026-11-22T09:30:00Z")
ROOT = "/api/rest/plugins/webhook/"


def at(path):
    return {PATH_HEADER: ROOT + path, "authorization": "Bearer key"}


def deployment(**more):
    return {
        "id": "d-9", "createdDate": "2026-11-22T09:00:00+00:00", "startedDate": "2026-11-22T09:00:00+00:00",
        "finishedDate": "2026-11-22T09:30:00+00:00", "displayTitle": "Release of SHP-4", "name": "deploy",
        "deploymentCommits": [
            {
                "repoUrl": "https://code.example/acme/shop", "refName": "main", "commitSha": "4f2a" * 10,
                "commitMsg": "SHP-5", "startedDate": "2026-11-22T09:00:00+00:00", "finishedDate": None,
            }
        ], **more,
    }  # fmt: skip


def pull_request(status="MERGED", **more):
    return {
        "id": "pull-1", "baseRepoId": "shop-id", "headRepoId": "shop-id", "status": status, "originalStatus": "open",
        "displayTitle": "SHP-4: Pay with a card", "url": "https://code.example/acme/shop/pull/12", "pullRequestKey": 12,
        "createdDate": "2026-11-20T08:00:00Z", "mergedDate": "2026-11-22T09:30:00Z", "closedDate": None,
        "mergeCommitSha": "c" * 40, "headRef": "SHP-5", "baseRef": "main", "isDraft": False, **more,
    }  # fmt: skip


def issue(**more):
    return {
        "issueKey": "SHP-12", "title": "Pay with a card", "url": "https://issues.example/SHP-12", "type": "REQUIREMENT",
        "status": "IN_PROGRESS", "originalStatus": "In Review", "storyPoint": 3, "createdDate": "2026-11-20T08:00:00Z",
        "updatedDate": "2026-11-22T09:30:00Z", "resolutionDate": None, "component": "", **more,
    }  # fmt: skip


INCIDENT = issue(type="INCIDENT", status="TODO", originalStatus="open")


def test_a_deployment_is_one_of_each_repository_that_it_names():
    fact = only("devlake", deployment(), at("connections/1/deployments"))
    assert fact == DeploymentFact(
        id=fact.id,
        source="devlake",
        service="acme/shop",
        environment="PRODUCTION",
        deployment="d-9",
        at=DONE,
        state="succeeded",
        seq=1,
        commit="4f2a" * 10,
        items=("SHP-4", "SHP-5"),
    )
    other = {"repoUrl": "https://code.example/acme/books", "commitSha": "9c", "result": "FAILURE"}
    both = told("devlake", deployment(deploymentCommits=[*deployment()["deploymentCommits"], other])).facts
    assert [(fact.service, fact.state) for fact in both] == [("acme/shop", "succeeded"), ("acme/books", "failed")]


@pytest.mark.parametrize(("result", "state"), [("SUCCESS", "succeeded"), ("FAILURE", "failed"), (None, "succeeded")])
def test_results_are_read_and_success_is_the_default(result, state):
    assert only("devlake", deployment(result=result, environment="STAGING")).state == state


def test_a_deployment_of_another_result_is_ignored():
    assert "neither" in ignored("devlake", deployment(result="ABORT"))


@pytest.mark.parametrize("commits", [None, [], [{"repoUrl": "https://code.example/a/b"}], [{"commitSha": "4f"}]])
def test_a_deployment_without_commits_is_refused(commits):
    refused("devlake", deployment(deploymentCommits=commits), at("1/deployments"))


def test_a_merged_pull_request_was_opened_and_merged():
    opened, merged = told("devlake", pull_request(), at("connections/1/pull_requests")).facts
    assert merged == ChangeFact(
        id=merged.id,
        source="devlake",
        service="acme/shop",
        change="pr-12",
        at=DONE,
        state="merged",
        seq=1,
        commit="c" * 40,
        items=("SHP-4", "SHP-5"),
    )
    assert (opened.state, opened.at, opened.commit, opened.change) == ("opened", CREATED, None, "pr-12")
    assert opened == only("devlake", pull_request("OPEN", mergedDate=None))


def test_a_closed_pull_request_is_abandoned():
    body = pull_request("CLOSED", mergedDate=None, closedDate="2026-11-22T09:30:00Z")
    assert [fact.state for fact in told("devlake", body).facts] == ["opened", "abandoned"]


def test_without_an_address_the_id_of_the_repository_is_the_service():
    assert {fact.service for fact in told("devlake", pull_request(url=None)).facts} == {"shop-id"}
    refused("devlake", pull_request(url="", baseRepoId=""))


def test_an_issue_is_an_item_in_the_status_of_its_own_tool():
    fact = only("devlake", issue(), at("connections/by-name/retail%20shop/issues"))
    assert fact == ItemFact(
        id=fact.id,
        source="devlake",
        item="SHP-12",
        at=DONE,
        status="In Review",
        project="retail shop",
        type="REQUIREMENT",
        title="Pay with a card",
        url="https://issues.example/SHP-12",
        size=3,
    )


def test_an_issue_without_its_own_status_or_a_named_connection_says_what_is_left():
    fact = only("devlake", issue(originalStatus="", updatedDate=None, storyPoint=0), at("1/issues"))
    assert (fact.status, fact.at, fact.project, fact.size) == ("IN_PROGRESS", CREATED, "SHP", None)


def test_an_issue_that_is_done_was_done_at_its_resolution():
    assert only("devlake", issue(status="DONE", resolutionDate="2026-11-21T00:00:00Z")).at == parse_instant(
        "2026-11-21T00:00:00Z"
    )


def test_an_issue_of_type_incident_is_an_incident():
    fact = only("devlake", INCIDENT | {"component": "acme/shop"})
    assert fact == IncidentFact(
        id=fact.id,
        source="devlake",
        service="acme/shop",
        environment="PRODUCTION",
        incident="SHP-12",
        at=CREATED,
        state="opened",
    )


@pytest.mark.parametrize(("status", "state"), [("IN_PROGRESS", "acknowledged"), ("DONE", "resolved")])
def test_an_incident_that_was_posted_once_was_opened_before(status, state):
    opened, later = told("devlake", INCIDENT | {"status": status}).facts
    assert (opened.state, opened.at, later.state, later.at) == ("opened", CREATED, state, DONE)
    assert opened.id == only("devlake", INCIDENT).id


def test_an_incident_without_its_end_ended_when_it_arrived():
    body = INCIDENT | {"status": "DONE", "updatedDate": None}
    assert [fact.at for fact in told("devlake", body).facts] == [CREATED, ARRIVED]


def test_an_issue_is_closed_by_its_path_alone():
    item, incident = told("devlake", b"", at("connections/by-name/shop/issue/SHP-12/close")).facts
    assert (item.item, item.status, item.at, item.project) == ("SHP-12", "DONE", ARRIVED, "shop")
    assert (incident.incident, incident.state, incident.service) == ("SHP-12", "resolved", "shop")
    repeated = told("devlake", b"", at("connections/by-name/shop/issue/SHP-12/close"), ARRIVED + 59_000).facts
    assert [fact.id for fact in repeated] == [item.id, incident.id]


@pytest.mark.parametrize(
    "path",
    [
        "/api/rest/plugins/webhook/connections/1/deployments",
        "/api/rest/plugins/webhook/1/deployments",
        "/api/plugins/webhook/1/issues",
        "/plugins/webhook/connections/1/pull_requests",
        "/api/rest/plugins/webhook/connections/by-name/shop/issue/SHP-1/close",
        "/api/rest/plugins/webhook/projects/shop/deployments",
    ],
)
def test_devlakes_own_paths_are_known(path):
    assert is_devlake_path(path)


@pytest.mark.parametrize(
    "path", ["/", "/v1/facts", "/api/rest/plugins/github/1/issues", f"{ROOT}1/other", f"{ROOT}1/issue/x"]
)
def test_other_paths_are_not(path):
    assert not is_devlake_path(path)


def test_without_a_path_the_shape_tells_what_was_posted():
    assert isinstance(only("devlake", deployment()), DeploymentFact)
    assert isinstance(only("devlake", issue()), ItemFact)
    assert isinstance(told("devlake", pull_request()).facts[0], ChangeFact)
    assert "neither" in refused("devlake", {"id": "x"}).message


def test_pitfall_keys_in_snake_case_are_refused_by_name():
    old = {
        "issue_key": "SHP-1",
        "title": "x",
        "status": "TODO",
        "original_status": "new",
        "created_date": "2026-01-01T00:00:00Z",
    }
    assert "issueKey" in refused("devlake", old).message
    assert "snake case" in refused("devlake", {"commit_sha": "4f", "repo_url": "https://x"}).message


SENT = [
    (deployment(), "connections/1/deployments"),
    (pull_request(), "connections/1/pull_requests"),
    (issue(), "connections/1/issues"),
    (INCIDENT | {"status": "DONE"}, "connections/1/issues"),
]


@pytest.mark.parametrize(("body", "path"), SENT)
def test_posting_it_again_adds_nothing(body, path):
    assert is_the_same_when_sent_again("devlake", body, at(path))


@pytest.mark.parametrize(("body", "path"), SENT)
def test_nothing_that_is_sent_breaks_it(body, path):
    assert survives_everything("devlake", body, at(path)) > 100
    assert survives_everything("devlake", body) > 100
