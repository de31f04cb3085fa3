from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flow.adapters.gitlab_history import facts_of_issue, facts_of_merge_request
from flow.errors import NotFound, Reason, Rejected
from flow.facts import ItemFact
from flow.instants import parse_instant
from service.histories.gitlab import steps
from tests.servers.gitlab_api import AUTHORISATION, GitLab
from tests.servers.provider_api import Reply, provider_server
from tests.unit.service.histories.reading import by_id, client_of, names_in, read_all, told_by_webhooks, wanted

AT = parse_instant("2026-10-20T08:00:00Z") + 456
HOUR = 3_600_000


def webhooks(project):
    return told_by_webhooks("gitlab", [({}, body) for body in project.webhooks])


@given(
    st.sampled_from(["issue", "incident"]),
    st.lists(st.sampled_from(["bug", "workflow::doing"]), max_size=2, unique=True),
    st.lists(st.tuples(st.integers(1, 90), st.sampled_from(["doing", "workflow::blocked", "bug", None])), max_size=12),
)
def test_the_history_of_an_issue_tells_what_its_webhooks_told(kind, labels, changes):
    project = GitLab()
    issue = project.open_issue(AT, *labels, kind=kind)
    at = AT
    for seconds, label in changes:
        at += seconds * 1000 + 17
        if label is None:
            (issue.reopen if issue.fields["state"] == "closed" else issue.close)(at)
        else:
            (issue.unlabel if label in issue.fields["labels"] else issue.label)(at, label)
    told = facts_of_issue("acme/shop", issue.fields, [*issue.label_events, *issue.state_events], names_in)
    assert by_id(told) == webhooks(project)


@given(st.integers(0, 3), st.booleans(), st.sampled_from(["9b" * 20, None]))
def test_the_history_of_a_merge_request_tells_what_its_webhooks_told(closings, merged, sha):
    project = GitLab()
    request = project.open_request(AT)
    for number in range(closings):
        request.close(AT + (2 * number + 1) * HOUR)
        request.reopen(AT + (2 * number + 2) * HOUR)
    if merged:
        request.merge(AT + 9 * HOUR, sha)
    newest = request.commits[0] if merged else None
    told = facts_of_merge_request("acme/shop", request.fields, request.state_events, newest, names_in)
    assert by_id(told) == webhooks(project)


def a_project():
    project = GitLab()
    for number in range(3):
        issue = project.open_issue(AT + number * HOUR)
        issue.label(AT + 5 * HOUR, "workflow::doing")
        issue.label(AT + 6 * HOUR, "workflow::review")
        issue.unlabel(AT + 7 * HOUR, "workflow::doing")
        issue.close(AT + 8 * HOUR)
        request = project.open_request(AT + number * HOUR)
        request.merge(AT + 9 * HOUR)
        project.deploy(AT + number * HOUR, AT + 9 * HOUR, ["success", "failed", "success"][number], job=number != 2)
        project.release(AT + number * HOUR, f"v1.{number}")
    return project


async def test_a_whole_project_is_read_as_its_webhooks_told_it_through_limits_and_failures():
    project = a_project()
    limit = Reply({"message": "429 Too Many Requests"}, 429, {"RateLimit-Reset": "1795340600", "Retry-After": "60"})
    with provider_server(project.answer) as server:
        server.faults += [None, limit, None, Reply({}, 500), Reply([{}], cut=True), None, None, limit]
        async with client_of(server, AUTHORISATION) as client:
            told = await read_all(client, "gitlab", wanted("acme/shop"))
        assert not server.faults
    assert by_id(told) == webhooks(project)


async def test_the_length_of_each_list_is_told_for_the_progress_bar():
    with provider_server(a_project().answer) as server:
        async with client_of(server, AUTHORISATION) as client:
            pages = [await step.read(None) for step in await steps(client, wanted("acme/shop"))]
    assert [(page.read, page.total) for page in pages] == [(2, 3)] * 4


async def test_what_ended_before_is_left_out_and_what_goes_on_never_is():
    project = GitLab()
    project.open_issue(AT).close(AT + HOUR)
    project.open_issue(AT)
    with provider_server(project.answer) as server:
        async with client_of(server, AUTHORISATION) as client:
            told = await read_all(client, "gitlab", wanted("acme/shop", since=AT + 10 * HOUR))
    assert {fact.item for fact in told if isinstance(fact, ItemFact)} == {"acme/shop#3"}


async def test_a_project_that_is_not_there_is_said():
    with provider_server(GitLab().answer) as server:
        async with client_of(server, AUTHORISATION) as client:
            with pytest.raises(NotFound):
                await steps(client, wanted("acme/nowhere"))


@pytest.mark.parametrize("spoilt", [{"state": None}, {"created_at": "soon"}, {"labels": 3}, {"iid": "one"}])
def test_an_issue_that_is_not_one_is_refused(spoilt):
    issue = GitLab().open_issue(AT)
    with pytest.raises(Rejected) as error:
        facts_of_issue("acme/shop", {**issue.fields, **spoilt}, [], names_in)
    assert error.value.reason is Reason.NOT_UNDERSTOOD
