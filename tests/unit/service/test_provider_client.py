from __future__ import annotations

import pytest

from flow.errors import NotFound, Reason, Rejected, TooLarge, Unauthorised, Unavailable
from service import provider_client
from service.provider_client import Access, Patience, ProviderClient
from tests.servers.provider_api import Reply, provider_server

TOKEN = "shibboleth-4711"
NOW = 1_795_340_000_000


class Time:
    """A clock that goes on only while somebody waits."""

    def __init__(self) -> None:
        self.now = NOW
        self.waits: list[float] = []

    def __call__(self) -> int:
        return self.now

    async def pause(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += int(seconds * 1000)


@pytest.fixture
def server():
    with provider_server(lambda request, url: Reply({"path": request.path, "query": dict(request.query)})) as running:
        yield running


def client_of(server, time=None, **options):
    time = time or Time()
    access = Access("Acme", server.url, {"Authorization": f"Bearer {TOKEN}"})
    options = {"patience": Patience(tries=3), "jitter": lambda: 0.5, "clock": time, "pause": time.pause} | options
    return ProviderClient(access, **options)


async def test_an_answer_is_json_and_the_token_is_in_its_header(server):
    async with client_of(server) as client:
        answer = await client.get("/things", page=2, filter=None)
    assert answer.content == {"path": "/things", "query": {"page": "2"}}
    assert server.asked[0].headers["authorization"] == f"Bearer {TOKEN}"
    assert server.asked[0].headers["user-agent"].startswith("streamgauge/")


@pytest.mark.parametrize(
    "fault",
    [Reply({}, 500), Reply({}, 502), Reply({}, 503), Reply({"a": "b" * 5_000}, cut=True), Reply({"a": 1}, half=True)],
    ids=["500", "502", "503", "cut-off", "half-of-the-json"],
)
async def test_what_fails_for_the_moment_is_asked_again_with_longer_and_longer_pauses(server, fault):
    time = Time()
    server.faults += [fault, fault]
    async with client_of(server, time) as client:
        assert (await client.get("/things")).content["path"] == "/things"
    assert len(server.asked) == 3
    assert time.waits == [1.0, 2.0]


async def test_after_long_patience_it_gives_up(server):
    server.faults += [Reply({}, 500)] * 3
    async with client_of(server) as client:
        with pytest.raises(Unavailable, match="Acme does not answer /things: it answered 500; tried 3 times"):
            await client.get("/things")
    assert len(server.asked) == 3


async def test_a_server_that_hangs_is_left_and_asked_again(server):
    server.faults.append(Reply(hang=True))
    async with client_of(server, timeout=1_000) as client:
        assert (await client.get("/things")).content["path"] == "/things"


async def test_a_server_that_is_not_there_is_unavailable():
    with provider_server(lambda request, url: Reply({})) as server:
        pass
    async with client_of(server) as client:
        with pytest.raises(Unavailable, match="ConnectError"):
            await client.get("/things")


async def test_a_limit_is_waited_out_as_long_as_it_says_and_that_is_told(server):
    time, told = Time(), []
    server.faults += [Reply({}, 429, {"Retry-After": "90"})] * 5
    async with client_of(server, time, waiting=lambda why, seconds: told.append((why, seconds))) as client:
        await client.get("/things")
    assert time.waits == [90.0] * 5  # more often than it is patient with failures
    assert told[0] == ("Acme limits how often it may be asked", 90.0)


async def test_a_limit_that_never_ends_is_given_up(server):
    server.faults += [Reply({}, 429, {"Retry-After": "1"})] * 100
    async with client_of(server) as client:
        with pytest.raises(Unavailable):
            await client.get("/things")


async def test_a_budget_that_the_last_answer_used_up_is_waited_for_before_the_next_question(server):
    time = Time()
    spent = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(NOW // 1000 + 30)}
    server.faults.append(Reply({}, 200, spent))
    async with client_of(server, time) as client:
        await client.get("/first")
        assert time.waits == []
        await client.get("/second")
    assert time.waits == [30.0]


@pytest.mark.parametrize(
    ("status", "error"), [(401, Unauthorised), (403, Unauthorised), (404, NotFound), (410, NotFound), (422, Rejected)]
)
async def test_a_refusal_is_final_and_says_what_the_provider_said(server, status, error):
    server.faults.append(Reply({"message": "no such thing"}, status))
    async with client_of(server) as client:
        with pytest.raises(error) as raised:
            await client.get("/things")
    assert len(server.asked) == 1
    assert TOKEN not in str(raised.value)
    assert status not in {403, 422} or "no such thing" in raised.value.message


async def test_what_a_provider_says_is_fit_for_a_terminal(server):
    server.faults.append(Reply({"message": "no\x1b[2J\nsuch" + "h" * 500}, 422))
    async with client_of(server) as client:
        with pytest.raises(Rejected) as raised:
            await client.get("/things")
    assert raised.value.message.isprintable()
    assert len(raised.value.message) < 300


async def test_a_redirect_is_not_followed_but_said(server):
    server.faults.append(Reply({}, 301, {"Location": "https://elsewhere.example/"}))
    async with client_of(server) as client:
        with pytest.raises(Rejected, match="301 to https://elsewhere"):
            await client.get("/things")


async def test_the_token_goes_to_no_other_host(server):
    async with client_of(server) as client:
        for page in ("http://evil.example/next", server.url.replace("http:", "https:"), "http://127.0.0.1:1/"):
            with pytest.raises(Rejected, match="another host"):
                await client.get(page)
        assert (await client.get(f"{server.url}/things?page=3")).content["query"] == {"page": "3"}
    assert len(server.asked) == 1


async def test_an_answer_without_end_is_refused(server, monkeypatch):
    monkeypatch.setattr(provider_client, "MOST_BYTES", 1_000)
    server.faults.append(Reply({"a": "b" * 2_000}))
    async with client_of(server) as client:
        with pytest.raises(TooLarge):
            await client.get("/things")


async def test_graphql_errors_are_told_in_the_providers_words(server):
    server.faults += [
        Reply({"data": None, "errors": [{"message": "Query too complex"}]}),
        Reply({"data": {"node": None}, "errors": [{"type": "NOT_FOUND", "message": "Could not resolve to a node"}]}),
        Reply({"data": {"issues": {}}}),
        Reply("a text"),
    ]
    async with client_of(server) as client:
        with pytest.raises(Rejected, match="Query too complex"):
            await client.graphql("/graphql", "query {}")
        with pytest.raises(NotFound) as error:
            await client.graphql("/graphql", "query {}")
        assert error.value.reason is Reason.UNKNOWN_ITEM
        assert await client.graphql("/graphql", "query {}", after="x") == {"issues": {}}
        with pytest.raises(Rejected):
            await client.graphql("/graphql", "query {}")
    assert server.asked[2].body == {"query": "query {}", "variables": {"after": "x"}}


def test_the_token_is_not_in_what_is_printed_of_an_access():
    assert TOKEN not in repr(Access("Acme", "http://acme.example", {"Authorization": TOKEN}))
