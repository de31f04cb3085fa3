from __future__ import annotations

import pytest

from flow.errors import NotFound, Rejected
from flow.facts import ItemFact
from flow.instants import parse_instant
from service.histories.github import steps
from tests.servers.github_api import AUTHORISATION, GitHub
from tests.servers.provider_api import Reply, provider_server
from tests.unit.service.histories.reading import by_id, client_of, read_all, read_step, told_by_webhooks, wanted

AT = parse_instant("2026-10-20T08:00:00Z")
HOUR = 3_600_000


def a_repository(**options):
    repository = GitHub(**options)
    for number in range(5):
        issue = repository.open_issue(AT + number * HOUR, *["bug"][: number % 2])
        for step in range(number):
            issue.label(AT + (number + step + 1) * HOUR, f"step-{step}")
        if number > 2:
            issue.close(AT + 20 * HOUR)
    for number in range(3):
        pull = repository.open_pull(AT + number * HOUR)
        pull.close(AT + 5 * HOUR)
        pull.reopen(AT + 6 * HOUR)
        if number:
            pull.merge(AT + 7 * HOUR)
        repository.push(AT + 7 * HOUR + number * 1000, f"SHP-{number}: cards", "More")
        repository.deploy(
            AT + number * HOUR, "production", (AT + 8 * HOUR, "in_progress"), (AT + 9 * HOUR, "success"),
            (AT + 10 * HOUR, "inactive"),
        )  # fmt: skip
        repository.run(AT + number * HOUR, AT + 9 * HOUR, "failure")
        repository.release(AT + number * HOUR, f"v1.{number}")
    return repository


def webhooks(repository):
    return told_by_webhooks("github", [({"x-github-event": event}, body) for event, body in repository.webhooks])


async def test_a_whole_repository_is_read_as_its_webhooks_told_it():
    repository = a_repository()
    with provider_server(repository.answer) as server:
        async with client_of(server, AUTHORISATION) as client:
            told = await read_all(client, "github", wanted("acme/shop"))
    assert by_id(told) == webhooks(repository)


async def test_limits_failures_and_cut_pages_change_nothing():
    repository = a_repository()
    secondary = Reply({"message": "You have exceeded a secondary rate limit."}, 403)
    primary = Reply({}, 403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1795340600"})
    faults = [None, secondary, None, primary, None, Reply({}, 502), Reply([{"number": 1}], cut=True), None] * 3
    with provider_server(repository.answer) as server:
        server.faults += faults
        async with client_of(server, AUTHORISATION) as client:
            told = await read_all(client, "github", wanted("acme/shop"))
        assert not server.faults
    assert by_id(told) == webhooks(repository)


async def test_what_ended_before_is_left_out_and_what_goes_on_never_is():
    repository = GitHub()
    old, going_on = repository.open_issue(AT), repository.open_issue(AT)
    old.close(AT + HOUR)
    going_on.label(AT + HOUR, "doing")
    repository.open_issue(AT).close(AT + 50 * HOUR)
    repository.release(AT, "v1")
    with provider_server(repository.answer) as server:
        async with client_of(server, AUTHORISATION) as client:
            told = await read_all(client, "github", wanted("acme/shop", since=AT + 10 * HOUR))
    assert {fact.item for fact in told if isinstance(fact, ItemFact)} == {"acme/shop#3", "acme/shop#5"}
    assert [fact.at for fact in told if isinstance(fact, ItemFact) and fact.item == "acme/shop#3"] == [AT, AT + HOUR]
    assert not [fact for fact in told if not isinstance(fact, ItemFact)]


async def test_an_issue_of_which_nothing_changed_costs_no_question_of_its_own():
    repository = GitHub()
    repository.open_issue(AT)
    with provider_server(repository.answer) as server:
        async with client_of(server, AUTHORISATION) as client:
            assert len(await read_all(client, "github", wanted("acme/shop", kinds=["items"]))) == 1
        assert server.paths() == ["/repos/acme/shop", "/repos/acme/shop/issues"]


async def test_an_issue_that_goes_while_it_is_read_stops_nothing():
    repository = a_repository()

    def answer(request, url):
        if request.path.endswith("/issues/3/events"):
            return Reply({"message": "This issue was deleted"}, 410)
        return repository.answer(request, url)

    with provider_server(answer) as server:
        async with client_of(server, AUTHORISATION) as client:
            told = await read_all(client, "github", wanted("acme/shop", kinds=["items"]))
    assert {fact.item for fact in told} == {f"acme/shop#{number}" for number in (1, 5, 7, 9)}


async def test_a_next_page_on_another_host_is_not_gone_to():
    with provider_server(a_repository(next_page_host="http://evil.example").answer) as server:
        async with client_of(server, AUTHORISATION) as client:
            step = (await steps(client, wanted("acme/shop")))[0]
            with pytest.raises(Rejected, match=r"another host, evil\.example"):
                await read_step(step)


async def test_a_repository_that_is_not_there_is_said():
    with provider_server(GitHub().answer) as server:
        async with client_of(server, AUTHORISATION) as client:
            with pytest.raises(NotFound, match="/repos/acme/nowhere, or the token may not see it"):
                await steps(client, wanted("acme/nowhere"))


async def test_the_length_of_a_list_is_told_for_the_progress_bar():
    repository = a_repository()
    with provider_server(repository.answer) as server:
        async with client_of(server, AUTHORISATION) as client:
            found = await steps(client, wanted("acme/shop"))
            pages = [await step.read(None) for step in found]
    assert [step.name.partition(": ")[2] for step in found] == [
        "issues", "pull requests", "pushes", "deployments", "releases", "runs of Deploy production",
    ]  # fmt: skip
    assert all(page.read == 2 and page.next for page in pages[:5])
