from __future__ import annotations

import asyncio

import httpx
import pytest

from flow.errors import SettingsError, Unavailable
from flow.instants import SECOND
from flow.worker_metrics import WorkerMetrics, pack_worker
from service.health_check import SILENT_AFTER, check, check_http, check_worker, command_words
from service.setting_sections import HttpSettings
from service.settings import Settings

NOW = 1_795_339_800_000


def rows(**told: int) -> dict[bytes, bytes]:
    return {name.replace("_", "-").encode(): pack_worker(WorkerMetrics(at=at)) for name, at in told.items()}


def test_a_worker_of_this_host_that_told_of_itself_lately_is_well():
    check_worker(rows(host_1_7=NOW - SILENT_AFTER, other_7=0), "host-1", NOW)


def test_of_several_lives_of_a_worker_the_last_one_counts():
    check_worker(rows(host_7=0, host_9=NOW), "host", NOW)


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({}, "no worker of host has told of itself"),
        (rows(other_7=NOW, host_b_7=NOW), "no worker of host has told of itself"),
        (rows(host_7=NOW - SILENT_AFTER - SECOND), "last told of itself 31 s ago"),
        ({b"host-7": b"not a row"}, "last told of itself"),
    ],
)
def test_a_worker_that_is_silent_is_not(told, why):
    with pytest.raises(Unavailable, match=why):
        check_worker(told, "host", NOW)


@pytest.mark.parametrize(
    ("host", "asked"),
    [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("192.0.2.7", "192.0.2.7")],
)
def test_an_http_process_is_asked_where_it_listens(host, asked):
    seen = []

    def answer(request):
        seen.append(str(request.url))
        return httpx.Response(200)

    check_http(HttpSettings(host=host, port=8123), httpx.MockTransport(answer))
    assert seen == [f"http://{asked}:8123/healthz"]


def test_an_http_process_that_answers_an_error_is_not_well():
    with pytest.raises(Unavailable, match="/healthz answers 503"):
        check_http(HttpSettings(), httpx.MockTransport(lambda request: httpx.Response(503)))


def test_an_http_process_that_hangs_is_not_well():
    def hang(request):
        raise httpx.ReadTimeout("too long")

    with pytest.raises(Unavailable, match="does not answer: ReadTimeout"):
        check_http(HttpSettings(), httpx.MockTransport(hang))


def test_a_worker_whose_redis_is_away_is_not_well_and_no_password_is_shown():
    settings = Settings.load({"STREAMGAUGE_REDIS__URL": "redis://me:hidden@127.0.0.1:1/0"})
    with pytest.raises(Unavailable, match="Redis does not answer") as raised:
        asyncio.run(check(["streamgauge", "aggregate"], settings))
    assert "hidden" not in str(raised.value)


def test_a_worker_without_redis_is_told_what_to_set():
    with pytest.raises(SettingsError, match="STREAMGAUGE_REDIS__URL"):
        asyncio.run(check(["aggregate"], Settings.load({})))


def test_a_command_that_ends_by_itself_is_asked_nothing():
    asyncio.run(check(command_words(b"/usr/bin/python\0streamgauge\0import\0history.csv\0"), Settings.load({})))
