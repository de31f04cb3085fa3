from __future__ import annotations

import pytest

from flow.errors import NotFound, Reason, Rejected
from flow.instants import parse_instant
from service.rereading.asana import read_task
from service.rereading.azure_devops import read_work_item
from service.rereading.github_projects import graphql_of, read_project_item
from tests.servers import asana_api, azure_devops_api, github_projects_api
from tests.servers.asana_api import PROJECT, Asana
from tests.servers.azure_devops_api import AzureDevOps
from tests.servers.github_projects_api import BOARD, GitHubBoard
from tests.servers.provider_api import Reply, provider_server
from tests.unit.service.histories.reading import (
    by_id,
    client_of,
    names_in,
    read_all,
    told_by_webhooks,
    wanted,
)

AT = parse_instant("2026-10-20T08:00:00Z")
HOUR = 3_600_000


# --- Asana ------------------------------------------------------------------------------------------------------------


def a_task(asana):
    task = asana.create(AT + 1, tags=[{"name": "blocked"}, {"name": "bug"}])
    task.move(AT + HOUR, "Doing")
    task.comment(AT + HOUR + 5)
    task.move(AT + 2 * HOUR, "Review")
    task.complete(AT + 3 * HOUR)
    task.reopen(AT + 4 * HOUR)
    return task


async def read(server, gid="100"):
    async with client_of(server, asana_api.AUTHORISATION) as client:
        return await read_task(client, gid, names_in)


async def test_a_task_is_read_with_every_section_that_it_was_in_at_the_time_of_each_move():
    asana = Asana()
    a_task(asana)
    with provider_server(asana.answer) as server:
        told = await read(server)
    assert [(fact.at - AT, fact.status, fact.project) for fact in told] == [
        (1, "To do", PROJECT), (HOUR, "Doing", PROJECT), (2 * HOUR, "Review", PROJECT),
        (3 * HOUR, "marked_complete", PROJECT), (4 * HOUR, "Review", PROJECT), (4 * HOUR + 40, "Review", PROJECT),
    ]  # fmt: skip
    now = told[-1]
    assert (now.title, now.labels, now.blocked, now.type) == ("Task 100", ("blocked", "bug"), True, "bug")
    assert now.url == "https://app.asana.example/0/0/100"


async def test_a_later_reading_says_the_same_of_the_past_under_the_same_ids_and_makes_good_what_was_missed():
    asana = Asana()
    task = a_task(asana)
    with provider_server(asana.answer) as server:
        first = await read(server)
        task.fields["name"] = "Another title"
        task.move(AT + 5 * HOUR, "Doing")
        task.move(AT + 6 * HOUR, "Done")
        second = by_id(await read(server))
    past = by_id(first[:-1])
    assert {name: second[name] for name in past} == past
    assert sorted(fact.at - AT for name, fact in second.items() if name not in past) == [
        5 * HOUR, 6 * HOUR, 6 * HOUR + 40,
    ]  # fmt: skip


async def test_a_task_in_two_projects_is_told_in_each_and_a_move_only_in_its_own():
    asana = Asana()
    task = asana.create(AT)
    task.move(AT + HOUR, "Doing")
    as_api = task.as_api()
    as_api["memberships"].append({"project": {"gid": "1777"}, "section": {"name": "Inbox"}})

    def answer(request, url):
        return Reply({"data": as_api}) if request.path.endswith("/100") else asana.answer(request, url)

    with provider_server(answer) as server:
        told = await read(server)
    assert {(fact.project, fact.status) for fact in told} == {
        (PROJECT, "To do"), (PROJECT, "Doing"), ("1777", "Inbox"),
    }  # fmt: skip


async def test_a_task_in_no_project_is_told_too():
    asana = Asana()
    task = asana.create(AT)
    task.complete(AT + HOUR)
    with provider_server(asana.answer) as server:
        as_api = {**task.as_api(), "memberships": []}
        server.faults.append(Reply({"data": as_api}))
        told = await read(server)
    assert [(fact.project, fact.status) for fact in told] == [
        (None, None), (None, "marked_complete"), (None, "marked_complete"),
    ]  # fmt: skip


async def test_a_task_that_is_gone_is_not_found_and_one_that_is_none_is_refused():
    with provider_server(Asana().answer) as server:
        with pytest.raises(NotFound):
            await read(server)
        server.faults += [Reply({"data": {"gid": "100", "created_at": "soon"}})]
        server.faults += [Reply({"data": []})]
        with pytest.raises(Rejected) as error:
            await read(server)
    assert error.value.reason is Reason.NOT_UNDERSTOOD


async def test_a_name_that_leads_elsewhere_is_not_asked_for():
    with provider_server(Asana().answer) as server:
        for gid in ("../users/me", "1?opt_fields=x", ""):
            with pytest.raises(Rejected):
                await read(server, gid)
    assert server.asked == []


async def test_all_tasks_of_a_project_are_read_by_the_backfill():
    asana = Asana()
    for _ in range(5):
        a_task(asana)
    with provider_server(asana.answer) as server:
        server.faults += [None, Reply({}, 429, {"Retry-After": "30"}), None, Reply({}, 502)]
        async with client_of(server, asana_api.AUTHORISATION) as client:
            told = await read_all(client, "asana", wanted(PROJECT))
    assert len(told) == len(by_id(told)) == 30


# --- Azure DevOps -----------------------------------------------------------------------------------------------------


def a_work_item(azure):
    item = azure.create(AT)
    item.change(AT + HOUR, State="Active")
    item.link()
    item.change(AT + 2 * HOUR, Tags="web; blocked")
    item.change(AT + 3 * HOUR, State="Closed", Title="Pay by card")
    return item


async def test_a_work_item_is_read_as_its_service_hooks_told_it():
    azure = AzureDevOps()
    item = a_work_item(azure)
    with provider_server(azure.answer) as server:
        async with client_of(server, azure_devops_api.AUTHORISATION) as client:
            told = await read_work_item(client, "11", names_in)
    assert by_id(told) == told_by_webhooks("azure-devops", [({}, body) for body in item.hooks])
    assert [fact.id for fact in told] == [f"workitem:AB#11:rev-{rev}" for rev in (1, 2, 3, 4)]


async def test_a_long_history_of_a_work_item_is_read_page_by_page():
    azure = AzureDevOps()
    item = azure.create(AT)
    for number in range(450):
        item.change(AT + number * 1000, Tags=f"round-{number}")
    with provider_server(azure.answer) as server:
        async with client_of(server, azure_devops_api.AUTHORISATION) as client:
            assert len(await read_work_item(client, "11", names_in)) == 451


async def test_what_is_no_number_is_no_work_item():
    with provider_server(AzureDevOps().answer) as server:
        async with client_of(server, azure_devops_api.AUTHORISATION) as client:
            with pytest.raises(Rejected):
                await read_work_item(client, "../projects", names_in)
            with pytest.raises(NotFound):
                await read_work_item(client, "7", names_in)
    assert len(server.asked) == 1


async def test_all_work_items_of_a_project_are_read_by_the_backfill():
    azure = AzureDevOps()
    for _ in range(205):
        azure.create(AT)
    with provider_server(azure.answer) as server:
        async with client_of(server, azure_devops_api.AUTHORISATION) as client:
            told = await read_all(client, "azure-devops", wanted("Shop", since=AT))
    assert {fact.item for fact in told} == {f"AB#{number}" for number in azure.items}
    queries = [request.body["query"] for request in server.asked if request.method == "POST"]
    assert [query.partition("[System.Id] > ")[2].split()[0] for query in queries] == ["0", "210"]


# --- GitHub Projects --------------------------------------------------------------------------------------------------


def a_board(**options):
    board = GitHubBoard(**options)
    for number in range(3):
        item = board.add(AT, "bug")
        for step, status in enumerate(["Todo", "In Progress", "In Review"][: number + 1]):
            item.move(AT + (step + 1) * HOUR, status)
    return board


@pytest.mark.parametrize("old", [False, True], ids=["with-the-history", "an-older-server"])
async def test_an_item_of_a_board_is_read_with_its_column(old):
    board = a_board(old=old)
    with provider_server(board.answer) as server:
        async with client_of(server, github_projects_api.AUTHORISATION) as client:
            told = await read_project_item(client, "PVTI_3", names_in)
    assert {fact.item for fact in told} == {"I_3"}
    assert {fact.project for fact in told} == {BOARD}
    seen = [(fact.at - AT, fact.status) for fact in told if fact.title is None]
    moves = [(HOUR, "Todo"), (2 * HOUR, "In Progress"), (3 * HOUR, "In Review")]
    assert sorted(set(seen)) == (moves[-1:] if old else moves)
    assert (told[-1].title, told[-1].labels, told[-1].type) == ("Pay by invoice", ("bug",), "bug")


async def test_a_column_that_a_webhook_did_tell_is_the_same_fact():
    board = a_board()
    item = board.items[2]
    event = dict(item.events[-1])
    option = {"id": "1", "name": "In Review"}
    event |= {
        "action": "edited",
        "changes": {"field_value": {"field_type": "single_select", "field_name": "Status", "to": option}},
    }
    with provider_server(board.answer) as server:
        async with client_of(server, github_projects_api.AUTHORISATION) as client:
            told = by_id(await read_project_item(client, item.node, names_in))
    [(name, fact)] = told_by_webhooks("github", [({"x-github-event": "projects_v2_item"}, event)]).items()
    assert told[name] == fact


async def test_an_item_that_is_gone_or_hidden_stops_nothing():
    board = a_board(hidden={"PVTI_2"})
    with provider_server(board.answer) as server:
        async with client_of(server, github_projects_api.AUTHORISATION) as client:
            assert await read_project_item(client, "PVTI_2", names_in) == []
            with pytest.raises(NotFound):
                await read_project_item(client, "PVTI_99", names_in)


@pytest.mark.parametrize("old", [False, True])
async def test_all_items_of_a_board_are_read_by_the_backfill(old):
    board = a_board(old=old)
    with provider_server(board.answer) as server:
        async with client_of(server, github_projects_api.AUTHORISATION) as client:
            told = await read_all(client, "github-projects", wanted(BOARD))
            assert graphql_of(client) == f"{server.url}/graphql"
    assert {fact.item for fact in told} == {"I_1", "I_2", "I_3"}
