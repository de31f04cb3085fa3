from __future__ import annotations

import json

import httpx
import pytest

from flow.adapters import ADAPTERS, Delivery
from flow.definition_file import read_definitions
from flow.errors import Rejected
from flow.facts import ItemFact
from flow.instants import MINUTE
from flow.matching import Router
from flow.native import decode_native
from flow.signatures import SCHEMES, verify
from service.api_client import ApiClient
from service.command_line.demo_command import definitions
from service.demo.happenings import Item, Native, Webhook, issue
from service.demo.organisation import Organisation
from service.demo.poster import Poster, history_lines

START = 1_795_339_800_000
SECRET = "pretend-secret"
NAMES = Router(read_definitions(definitions())).items_named_in


class Service:
    """Takes what is posted; `answers` are given first."""

    def __init__(self):
        self.taken: list[httpx.Request] = []
        self.answers: list[int] = []

    def __call__(self, request):
        status = self.answers.pop(0) if self.answers else 202
        if status == 202:
            self.taken.append(request)
        return httpx.Response(status, json={})


@pytest.fixture
def service():
    return Service()


@pytest.fixture
def poster(service):
    with ApiClient("http://gauge.example", transport=httpx.MockTransport(service)) as client:
        yield Poster(client, SECRET)


def happenings():
    return Organisation(7, START).until(START + 10 * MINUTE)


def test_webhooks_are_signed_so_that_the_service_accepts_them(poster, service):
    poster.post([issue("opened", Item("acme/shop", 7, START, "Search"), START)])
    [request] = service.taken
    assert request.url.path == "/webhooks/github"
    assert request.headers["X-GitHub-Event"] == "issues"
    verify(SCHEMES["github"], [SECRET], dict(request.headers), request.content, START)


def test_native_facts_go_to_their_own_route(poster, service):
    poster.post([Native(START, {"subject": "item", "id": "n-1"})])
    [request] = service.taken
    assert (request.url.path, json.loads(request.content)) == ("/v1/facts", {"subject": "item", "id": "n-1"})


def test_what_finds_nobody_to_take_it_waits_and_nothing_overtakes_it(poster, service):
    first, second, third = (Native(START, {"id": str(number)}) for number in range(3))
    service.answers = [202, 503]
    poster.post([first, second])
    poster.post([third])
    assert [json.loads(request.content)["id"] for request in service.taken] == ["0", "1", "2"]


def test_what_will_never_be_taken_is_not_tried_for_ever(poster, service):
    service.answers = [400]
    with pytest.raises(Rejected):
        poster.post([Native(START, {})])


def test_history_says_in_bulk_what_the_webhooks_would_have_said():
    made = happenings()
    native = decode_native(b"\n".join(history_lines(made, NAMES)), "ndjson", START + 10 * MINUTE, 0)
    expected = []
    for happening in made:
        if isinstance(happening, Webhook):
            headers = {"x-github-event": happening.event}
            body = json.dumps(happening.payload).encode()
            expected += ADAPTERS["github"].translate(Delivery("github", headers, body, START), NAMES).facts
        else:
            expected += decode_native(json.dumps(happening.fields).encode(), "json", START + 10 * MINUTE, 0)
    assert native == expected
    assert {type(fact) for fact in native} >= {ItemFact}


def test_history_is_posted_in_batches(poster, service):
    assert poster.post_history(iter([b"{}"] * 2500)) == 2500
    assert [request.content.count(b"{}") for request in service.taken] == [1000, 1000, 500]
