from __future__ import annotations

import httpx
import pytest

from flow.errors import NotFound, Reason, Rejected, TooLarge, Unauthorised, Unavailable
from service.api_client import ApiClient

URL = "http://gauge.example:8080"


def client_of(answer, token=None):
    """A client of a service that answers so: a function of the request, or a response."""
    handler = answer if callable(answer) else lambda request: answer
    return ApiClient(URL, token, transport=httpx.MockTransport(handler))


def problem(status, **members):
    return httpx.Response(status, json=members, headers={"Content-Type": "application/problem+json"})


def test_the_token_and_the_parameters_are_sent_and_none_is_left_out():
    seen = []

    def answer(request):
        seen.append(request)
        return httpx.Response(200, json={"streams": []})

    with client_of(answer, token="t0p") as client:
        assert client.get("/v1/streams", window="7d", cursor=None) == {"streams": []}
    assert seen[0].headers["Authorization"] == "Bearer t0p"
    assert str(seen[0].url) == f"{URL}/v1/streams?window=7d"


def test_facts_are_posted_as_lines():
    seen = []

    def answer(request):
        seen.append((request.url.path, request.headers["Content-Type"], request.content))
        return httpx.Response(202, json={"accepted": 2})

    with client_of(answer) as client:
        client.post_facts(b"{}\n{}")
    assert seen == [("/v1/facts", "application/x-ndjson", b"{}\n{}")]


@pytest.mark.parametrize(
    ("response", "kind", "reason"),
    [
        (problem(401, reason="bad_token", detail="not known"), Unauthorised, Reason.BAD_TOKEN),
        (problem(404, reason="unknown_stream", detail="no stream"), NotFound, Reason.UNKNOWN_STREAM),
        (problem(413, reason="too_large", detail="over the limit"), TooLarge, Reason.TOO_LARGE),
        (problem(400, reason="invalid_fact", detail="wrong"), Rejected, Reason.INVALID_FACT),
        (problem(503, reason="overloaded", detail="later"), Unavailable, Reason.OVERLOADED),
        (httpx.Response(502, text="<html>"), Unavailable, Reason.STATE_UNAVAILABLE),
        (httpx.Response(418, text="tea"), Rejected, Reason.INVALID_REQUEST),
        (httpx.Response(400, json=["a list"]), Rejected, Reason.INVALID_REQUEST),
    ],
)
def test_a_refusal_becomes_the_error_that_it_means(response, kind, reason):
    with client_of(response) as client, pytest.raises(kind) as caught:
        client.get("/v1/streams")
    assert type(caught.value) is kind
    assert caught.value.reason == reason


def test_the_words_of_the_problem_are_kept():
    answer = problem(400, reason="invalid_fact", detail="all wrong", problems=[{"where": "line 2", "what": "no `at`"}])
    with client_of(answer) as client, pytest.raises(Rejected, match="all wrong") as caught:
        client.post_facts(b"{}")
    assert caught.value.problems == (("line 2", "no `at`"),)


@pytest.mark.parametrize(("header", "seconds"), [("7", 7), ("Wed, 21 Oct 2026 07:28:00 GMT", 1), ("-3", 1), ("", 1)])
def test_retry_after_is_honoured_where_it_is_seconds(header, seconds):
    response = problem(503, reason="log_unavailable", detail="later")
    response.headers["Retry-After"] = header
    with client_of(response) as client, pytest.raises(Unavailable) as caught:
        client.get("/v1/streams")
    assert caught.value.retry_after == seconds


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (httpx.ConnectError("refused"), "nobody answers at http://gauge.example:8080: start `streamgauge up`"),
        (httpx.ReadTimeout("slow"), "took too long"),
        (httpx.RemoteProtocolError("cut"), "the connection to .* broke"),
    ],
)
def test_no_answer_is_said_to_be_none_and_names_the_address(error, said):
    def answer(request):
        raise error

    with client_of(answer) as client:
        with pytest.raises(Unavailable, match=said):
            client.get("/v1/streams")
        assert not client.is_ready()


@pytest.mark.parametrize("url", ["gauge.example", "ftp://gauge.example", "http://", ""])
def test_an_address_that_is_none_is_refused_before_anything_is_sent(url):
    with pytest.raises(Rejected, match="--url"):
        ApiClient(url)


def test_an_answer_that_is_not_json_is_not_taken_for_one():
    with client_of(httpx.Response(200, text="<html>")) as client, pytest.raises(Rejected, match="--url"):
        client.get("/v1/streams")
