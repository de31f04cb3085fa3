"""What holds of every history: whatever an API answers, it is told, or refused as not understood."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from flow.adapters.asana_history import facts_of_task
from flow.adapters.azure_devops_history import facts_of_work_item
from flow.adapters.github_deployment_history import facts_of_deployment, facts_of_release, facts_of_run
from flow.adapters.github_history import facts_of_issue as github_issue
from flow.adapters.github_history import facts_of_pull, facts_of_push
from flow.adapters.github_projects_history import facts_of_project_item
from flow.adapters.gitlab_history import facts_of_deployment as gitlab_deployment
from flow.adapters.gitlab_history import facts_of_issue as gitlab_issue
from flow.adapters.gitlab_history import facts_of_merge_request
from flow.adapters.gitlab_history import facts_of_release as gitlab_release
from flow.adapters.jira_history import facts_of_issue as jira_issue
from flow.adapters.linear_history import facts_of_issue as linear_issue
from flow.errors import Reason, Rejected
from flow.facts import decode_fact, encode_fact
from flow.instants import parse_instant
from tests.servers.asana_api import Asana
from tests.servers.azure_devops_api import AzureDevOps
from tests.servers.github_api import GitHub
from tests.servers.github_projects_api import GitHubBoard
from tests.servers.gitlab_api import GitLab
from tests.servers.jira_api import Jira
from tests.servers.linear_api import Linear
from tests.unit.flow.adapters.telling import names_in, spoilt

AT = parse_instant("2026-10-20T08:00:00Z")
HOUR = 3_600_000


def jira() -> Any:
    issue = Jira().create("CHK-12", AT)
    issue.move(AT + HOUR, "Done")
    issue.label(AT + HOUR, "web")
    return {"issue": issue.as_api(None), "histories": issue.histories}


def github() -> Any:
    repository = GitHub()
    issue = repository.open_issue(AT, "bug")
    issue.rename(AT + HOUR, "Something")
    issue.close(AT + HOUR)
    pull = repository.open_pull(AT)
    pull.close(AT + HOUR)
    pull.reopen(AT + 2 * HOUR)
    pull.merge(AT + 3 * HOUR)
    repository.deploy(AT, "production", (AT, "in_progress"), (AT + HOUR, "success"))
    repository.run(AT, AT + HOUR, "success")
    repository.release(AT, "v1")
    repository.push(AT, "SHP-4")
    return repository


def gitlab() -> Any:
    project = GitLab()
    issue = project.open_issue(AT, "bug")
    issue.label(AT + HOUR, "doing")
    issue.close(AT + 2 * HOUR)
    project.open_request(AT).merge(AT + HOUR)
    project.deploy(AT, AT + HOUR, "success")
    project.release(AT, "v1")
    return project


def linear() -> Any:
    issue = Linear().create("ENG-4", AT, "Bug")
    issue.move(AT + HOUR, "Done")
    issue.label(AT + HOUR + 1, "web")
    issue.move_team(AT + 2 * HOUR, "WEB-1")
    return {"issue": issue.as_api(9), "history": issue.history}


def asana() -> Any:
    task = Asana().create(AT, tags=[{"name": "web"}])
    task.move(AT + HOUR, "Doing")
    task.complete(AT + 2 * HOUR)
    return {"task": task.as_api(), "stories": task.stories}


def azure() -> Any:
    item = AzureDevOps().create(AT)
    item.change(AT + HOUR, State="Active")
    return {"updates": item.updates}


def board() -> Any:
    item = GitHubBoard().add(AT, "bug")
    item.move(AT + HOUR, "Done")
    return {"item": item.as_api(with_changes=True)}


SHOP = github()
PROJECT = gitlab()
CASES = {
    "jira": (jira(), lambda said: jira_issue(said["issue"], said["histories"], names_in)),
    "github-issue": (
        {"issue": SHOP.issues[0].fields, "events": SHOP.issues[0].events},
        lambda said: github_issue("acme/shop", said["issue"], said["events"], names_in),
    ),
    "github-pull": (
        {"pull": SHOP.pulls[0].fields, "events": SHOP.pulls[0].events},
        lambda said: facts_of_pull("acme/shop", said["pull"], said["events"], names_in),
    ),
    "github-deployment": (
        {"deployment": SHOP.deployments[0][0], "statuses": SHOP.deployments[0][1]},
        lambda said: facts_of_deployment("acme/shop", said["deployment"], said["statuses"], names_in),
    ),
    "github-run": ({"run": SHOP.runs[0]}, lambda said: facts_of_run("acme/shop", said["run"], names_in)),
    "github-release": (
        {"release": SHOP.releases[0]}, lambda said: facts_of_release("acme/shop", said["release"], names_in)
    ),
    "github-push": (
        {"activity": SHOP.pushes[0][0], "commits": SHOP.pushes[0][1]},
        lambda said: facts_of_push("acme/shop", "main", said["activity"]["timestamp"], said["commits"], names_in),
    ),
    "github-projects": (board(), lambda said: facts_of_project_item(said["item"])),
    "gitlab-issue": (
        {"issue": PROJECT.issues[0].fields, "events": PROJECT.issues[0].label_events + PROJECT.issues[0].state_events},
        lambda said: gitlab_issue("acme/shop", said["issue"], said["events"], names_in),
    ),
    "gitlab-request": (
        {"request": PROJECT.requests[0].fields, "events": PROJECT.requests[0].state_events,
         "newest": PROJECT.requests[0].commits[0]},
        lambda said: facts_of_merge_request("acme/shop", said["request"], said["events"], said["newest"], names_in),
    ),
    "gitlab-deployment": (
        {"deployment": PROJECT.deployments[0]},
        lambda said: gitlab_deployment("acme/shop", said["deployment"], names_in),
    ),
    "gitlab-release": (
        {"release": PROJECT.releases[0]}, lambda said: gitlab_release("acme/shop", said["release"], names_in)
    ),
    "linear": (linear(), lambda said: linear_issue(said["issue"], said["history"], names_in)),
    "asana": (asana(), lambda said: facts_of_task(said["task"], said["stories"])),
    "azure-devops": (azure(), lambda said: facts_of_work_item(12, said["updates"], names_in)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_however_an_answer_is_spoilt_it_is_told_or_refused(name):
    whole, tell = CASES[name]
    assert tell(whole)
    refused = told = 0
    for content in spoilt(whole):
        if not _has_the_parts(content, whole):
            continue
        before = copy.deepcopy(content)
        try:
            facts = tell(content)
        except Rejected as error:
            assert error.reason in {Reason.NOT_UNDERSTOOD, Reason.MALFORMED_JSON}  # noqa: PT017
            refused += 1
        else:
            assert all(decode_fact(encode_fact(fact)) == fact for fact in facts)
            told += 1
        assert content == before
    assert refused > 20 < told


def _has_the_parts(content: Any, whole: Any) -> bool:
    """The readers take only objects, and lists of objects, out of an answer."""
    if not isinstance(content, dict) or content.keys() != whole.keys():
        return False
    for name, value in whole.items():
        given = content[name]
        if not isinstance(given, type(value)) or not given:
            return False
        if isinstance(value, list) and not all(isinstance(entry, dict) and entry for entry in given):
            return False
    return "activity" not in content or "timestamp" in content["activity"]
