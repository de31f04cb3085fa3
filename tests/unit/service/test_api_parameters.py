"""Parameters of the API: what may be asked, and what is said of what may not. No state is read for it."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from redis.asyncio import Redis

from flow.cells import Retention
from flow.definition_file import read_definitions
from flow.errors import Rejected
from flow.instants import DAY, HOUR, format_instant
from service.api import build_api
from service.api.parameters import asked_of, checked_instant, checked_window
from service.authorisation import TokenCheck
from service.reader import StateReader

NOW = 20_773 * DAY + 9 * HOUR
NO_REDIS = "/nowhere/valkey.sock"
STREAMS = """
streams:
  checkout:
    stages:
      - {name: review, kind: active, when: [{status: In Review}]}
      - {name: done, kind: done, when: [{status: Done}]}
"""


def a_reader() -> StateReader:
    redis = Redis(unix_socket_path=NO_REDIS)
    return StateReader(redis, read_definitions(STREAMS), Retention(), 1, lambda: NOW)


async def answer_to(address: str) -> httpx.Response:
    transport = httpx.ASGITransport(build_api(a_reader(), TokenCheck({}, open_access=True), "1.2.3"))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return await client.get(address)


def test_the_instant_that_is_asked_about_is_now_unless_told_otherwise():
    assert asked_of(a_reader(), "7d", None).at == NOW
    assert asked_of(a_reader(), "7d", format_instant(NOW - HOUR)).at == NOW - HOUR


def test_an_instant_may_lie_a_day_ahead_of_our_clock_and_no_more():
    assert asked_of(a_reader(), "7d", format_instant(NOW + DAY)).at == NOW + DAY
    with pytest.raises(Rejected, match="more than a day in the future"):
        asked_of(a_reader(), "7d", format_instant(NOW + DAY + 1000))


def test_a_window_that_begins_before_what_is_kept_is_refused_and_not_answered_in_part():
    assert asked_of(a_reader(), "365d", format_instant(NOW - 365 * DAY)).window.end == NOW - 365 * DAY + 15 * HOUR
    with pytest.raises(Rejected, match="nothing from then is kept"):
        asked_of(a_reader(), "366d", format_instant(NOW - 370 * DAY))


def test_the_plus_that_an_address_turns_into_a_space_is_put_back():
    assert checked_instant("2026-11-22T09:30:00 02:00") == "2026-11-22T09:30:00+02:00"
    assert checked_instant("2026-11-22T09:30:00 0200") == "2026-11-22T09:30:00+0200"
    with pytest.raises(ValueError, match="no time zone"):
        checked_instant("2026-11-22 09:30")


@pytest.mark.parametrize("text", ["1m", "731d", "104w"])
def test_a_window_of_what_is_kept_is_taken(text):
    assert checked_window(text) == text


@pytest.mark.parametrize("text", ["59s", "0s", "732d", "105w"])
def test_a_window_that_is_too_short_or_too_long_is_told_the_bounds(text):
    with pytest.raises(ValueError, match="1m to 731d"):
        checked_window(text)


@pytest.mark.parametrize(
    ("query", "where", "what"),
    [
        ("windw=7d", "query.windw", "near it: window"),
        ("window=7d&window=8d", "query.window", "more than once"),
        ("window=soon", "query.window", "such as 90s, 4h or 2d"),
        ("at=yesterday", "query.at", "such as 2026-11-22T09:30:00Z"),
    ],
)
async def test_each_wrong_parameter_is_named_with_what_to_write(query, where, what):
    answer = await answer_to(f"/v1/streams/checkout?{query}")
    [problem] = answer.json()["problems"]
    assert (answer.status_code, answer.json()["reason"]) == (422, "invalid_request")
    assert problem["where"] == where
    assert what in problem["what"]


@pytest.mark.parametrize(
    ("address", "reason", "near"),
    [
        ("/v1/streams/chekout", "unknown_stream", "near it: checkout"),
        ("/v1/streams/checkout/stages/reveiw", "unknown_stage", "near it: review"),
        ("/v1/steams", "unknown_route", "/docs lists what is"),
    ],
)
async def test_what_is_not_there_is_told_with_what_comes_near(address, reason, near):
    answer = await answer_to(address)
    assert (answer.status_code, answer.json()["reason"]) == (404, reason)
    assert near in answer.json()["detail"]


async def test_a_reason_that_is_none_is_told_the_words_that_are():
    answer = await answer_to("/v1/dead-letters?reason=nonsense")
    assert answer.status_code == 422
    assert "'malformed_json', 'invalid_fact'" in answer.json()["detail"]
    assert "<" not in answer.json()["detail"]


async def test_without_the_state_it_is_alive_and_not_ready_and_answers_when_to_try_again():
    assert (await answer_to("/healthz")).json() == {"status": "ok", "version": "1.2.3"}
    readiness, answer = await asyncio.gather(answer_to("/readyz"), answer_to("/v1/streams/checkout"))
    assert (readiness.status_code, readiness.json()["ready"]) == (503, False)
    assert not readiness.json()["checks"]["state"]["ok"]
    assert (answer.status_code, answer.json()["reason"]) == (503, "state_unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert NO_REDIS not in answer.text
