from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flow.adapters.linear_history import facts_of_issue
from flow.errors import Reason, Rejected
from flow.instants import parse_instant
from service.histories.linear import filter_of, steps
from tests.servers.linear_api import AUTHORISATION, Linear
from tests.servers.provider_api import Reply, provider_server
from tests.unit.service.histories.reading import (
    by_id,
    client_of,
    names_in,
    read_all,
    read_step,
    told_by_webhooks,
    wanted,
)

AT = parse_instant("2026-10-20T08:00:00Z") + 456
HOUR = 3_600_000


def webhooks(site):
    return told_by_webhooks("linear", [({}, body) for body in site.webhooks])


CHANGES = st.one_of(
    st.tuples(st.just("move"), st.sampled_from(["Todo", "In Progress", "In Review", "Done"])),
    st.tuples(st.just("rename"), st.sampled_from(["Pay", "Pay by card"])),
    st.tuples(st.just("label"), st.sampled_from([(), ("Bug",), ("Bug", "blocked")])),
    st.tuples(st.just("size"), st.sampled_from([None, 3.0, 5.0])),
)


@given(
    st.lists(st.sampled_from(["Bug", "web"]), max_size=2, unique=True),
    st.lists(st.tuples(st.integers(1, 90_000), CHANGES), max_size=12),
    st.sampled_from([None, "WEB-3"]),
    st.integers(0, 12),
)
def test_the_history_tells_the_same_facts_under_the_same_ids_as_the_webhooks(labels, changes, new_name, moves_after):
    site = Linear()
    issue = site.create("ENG-4", AT, *labels)
    at = AT
    for number, (wait, (what, value)) in enumerate(changes):
        at += wait
        if number == moves_after and new_name:
            issue.move_team(at, new_name)
            at += 1
        now = {"move": issue.state, "rename": issue.title, "label": tuple(issue.labels), "size": issue.estimate}[what]
        if value != now:  # what is set to what it is changes nothing, and nothing tells it
            getattr(issue, what)(at, *value) if what == "label" else getattr(issue, what)(at, value)
    assert by_id(facts_of_issue(issue.as_api(100), issue.history, names_in)) == webhooks(site)


def a_site():
    site = Linear()
    for number in range(5):
        issue = site.create(f"ENG-{number + 1}", AT + number)
        for step, state in enumerate(["In Progress", "In Review", "In Progress", "Done", "Todo", "Done"][: number + 2]):
            issue.move(AT + (number + step + 1) * HOUR, state)
    site.create("WEB-1", AT)
    return site


async def test_all_issues_of_a_team_are_read_with_all_their_changes_through_limits_and_failures():
    site = a_site()
    limited = Reply(
        {"errors": [{"message": "Rate limit exceeded", "extensions": {"code": "RATELIMITED"}}]}, 400,
        {"X-RateLimit-Requests-Remaining": "0", "X-RateLimit-Requests-Reset": "1795340100000"},
    )  # fmt: skip
    with provider_server(site.answer) as server:
        server.faults += [limited, None, Reply({}, 503), None, Reply({"data": {"issues": {}}}, half=True), limited]
        async with client_of(server, AUTHORISATION) as client:
            told = await read_all(client, "linear", wanted("ENG", "WEB"))
        assert not server.faults
        assert {request.path for request in server.asked} == {"/graphql"}
    assert by_id(told) == webhooks(site)


async def test_a_question_that_is_too_complex_is_said_in_linears_words():
    def answer(request, url):
        return Reply({"errors": [{"message": "Query too complex", "extensions": {"code": "INPUT_ERROR"}}]}, 400)

    with provider_server(answer) as server:
        async with client_of(server, AUTHORISATION) as client:
            [step] = await steps(client, wanted("ENG"))
            with pytest.raises(Rejected, match="Query too complex"):
                await read_step(step)


async def test_a_list_that_goes_on_without_saying_where_is_an_error_and_no_end():
    def answer(request, url):
        return Reply({"data": {"issues": {"pageInfo": {"hasNextPage": True, "endCursor": None}, "nodes": []}}})

    with provider_server(answer) as server:
        async with client_of(server, AUTHORISATION) as client:
            [step] = await steps(client, wanted("ENG"))
            with pytest.raises(Rejected, match="and not where"):
                await read_step(step)


def test_what_is_not_finished_is_read_however_old_it_is():
    assert filter_of("ENG", None) == {"team": {"key": {"eq": "ENG"}}}
    assert filter_of("ENG", AT)["or"][1] == {"completedAt": {"null": True}, "canceledAt": {"null": True}}


@pytest.mark.parametrize("spoilt", [{"identifier": 4}, {"createdAt": "soon"}, {"labels": 3}, {"createdAt": None}])
def test_an_issue_that_is_not_one_is_refused(spoilt):
    issue = Linear().create("ENG-4", AT)
    with pytest.raises(Rejected) as error:
        facts_of_issue({**issue.as_api(9), **spoilt}, [], names_in)
    assert error.value.reason is Reason.NOT_UNDERSTOOD
