from __future__ import annotations

import pytest

from flow.errors import Rejected, Unauthorised
from flow.instants import parse_instant
from service.histories.jira import jql_of, steps
from tests.servers.jira_api import AUTHORISATION, Jira
from tests.servers.provider_api import Reply, provider_server
from tests.unit.service.histories.reading import by_id, client_of, read_all, read_step, told_by_webhooks, wanted

AT = parse_instant("2026-11-20T08:00:00Z") + 250
HOUR = 3_600_000


def a_site(**options):
    site = Jira(**options)
    for number in range(5):
        issue = site.create(f"CHK-{number + 1}", AT + number * HOUR)
        for step, status in enumerate(["In Progress", "In Review", "In Progress", "Done", "Reopened"][: number + 1]):
            issue.move(AT + (number + step + 1) * HOUR, status)
            issue.label(AT + (number + step + 1) * HOUR + 5, f"round-{step}")
    return site


def webhooks(site):
    return told_by_webhooks("jira", [({}, body) for body in site.webhooks()])


@pytest.mark.parametrize("data_center", [False, True], ids=["cloud", "data-center"])
@pytest.mark.parametrize("most_changes", [None, 2], ids=["whole-changelogs", "cut-changelogs"])
async def test_all_issues_are_read_with_all_their_changes(data_center, most_changes):
    site = a_site(data_center=data_center, most_changes=most_changes)
    with provider_server(site.answer) as server:
        async with client_of(server, AUTHORISATION) as client:
            told = await read_all(client, "jira", wanted("CHK"))
    assert by_id(told) == webhooks(site)


async def test_limits_failures_and_cut_pages_change_nothing():
    site = a_site(most_changes=3)
    with provider_server(site.answer) as server:
        server.faults += [
            None, Reply({}, 429, {"Retry-After": "30"}), None, None, Reply({}, 502), Reply({"issues": []}, cut=True),
            None, Reply({"values": [1, 2]}, half=True),
        ]  # fmt: skip
        async with client_of(server, AUTHORISATION) as client:
            told = await read_all(client, "jira", wanted("CHK"))
        assert not server.faults
    assert by_id(told) == webhooks(site)


async def test_the_number_of_issues_is_told_for_the_progress_bar():
    site = a_site()
    with provider_server(site.answer) as server:
        async with client_of(server, AUTHORISATION) as client:
            [step] = await steps(client, wanted("CHK"))
            first = await step.read(None)
            second = await step.read(first.next)
    assert (step.name, first.total, first.read, second.total) == ("CHK: issues", 5, 2, None)


async def test_an_issue_that_is_not_understood_keeps_no_other_back():
    site = a_site()
    site.issues[0].fields = {**site.issues[0].fields, "status": "open"}
    with provider_server(site.answer) as server:
        async with client_of(server, AUTHORISATION) as client:
            [step] = await steps(client, wanted("CHK"))
            page = await step.read(None)
    assert {fact.item for fact in page.facts} == {"CHK-2"}
    assert [problem.partition(":")[0] for problem in page.not_understood] == ["CHK-1"]


async def test_a_wrong_token_is_said():
    with provider_server(a_site().answer) as server:
        async with client_of(server, "Basic wrong") as client:
            with pytest.raises(Unauthorised, match="does not accept the token"):
                await steps(client, wanted("CHK"))


async def test_a_page_that_is_empty_before_its_end_is_an_error_and_no_end():
    def answer(request, url):
        if request.path.endswith("serverInfo"):
            return Reply({"deploymentType": "Server"})
        return Reply({"startAt": 0, "total": 9, "issues": []})

    with provider_server(answer) as server:
        async with client_of(server, AUTHORISATION) as client:
            [step] = await steps(client, wanted("CHK"))
            with pytest.raises(Rejected, match="empty before its end"):
                await read_step(step)


async def test_jira_has_no_changes_to_code_and_no_deployments():
    with provider_server(a_site().answer) as server:
        async with client_of(server, AUTHORISATION) as client:
            assert await steps(client, wanted("CHK", kinds=["changes", "deployments"])) == []
        assert server.asked == []


def test_what_goes_on_is_read_however_old_it_is():
    assert "statusCategory != Done OR updated >=" in jql_of("CHK", AT)
    assert "statusCategory" not in jql_of("CHK", None)
