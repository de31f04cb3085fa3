from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from flow import keys
from flow.bridge_metrics import BridgeMetrics, pack_bridge
from flow.errors import SettingsError, Unavailable
from flow.instants import SECOND
from flow.worker_metrics import WorkerMetrics, pack_worker
from service import health_check
from service.health_check import SILENT_AFTER, check, check_http, check_published, command_words
from service.setting_sections import HttpSettings
from service.settings import Settings

NOW = 1_795_339_800_000


def test_a_worker_of_this_host_that_told_of_itself_lately_is_well():
    check_published("worker", {"host-1-7": NOW - SILENT_AFTER, "other-7": 0}, "host-1", NOW)


def test_of_several_lives_of_a_worker_the_last_one_counts():
    check_published("worker", {"host-7": 0, "host-9": NOW}, "host", NOW)


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({}, "no bridge of host has told of itself"),
        ({"other-7": NOW, "host-b-7": NOW}, "no bridge of host has told of itself"),
        ({"host-7": NOW - SILENT_AFTER - SECOND}, "the bridge of host last told of itself 31 s ago"),
    ],
)
def test_a_process_that_is_silent_is_not(told, why):
    with pytest.raises(Unavailable, match=why):
        check_published("bridge", told, "host", NOW)


@pytest.mark.parametrize(
    ("command", "key", "row"),
    [
        ("aggregate", keys.WORKER_METRICS, lambda at: pack_worker(WorkerMetrics(at=at))),
        ("bridge", keys.BRIDGE_METRICS, lambda at: pack_bridge(BridgeMetrics(at=at))),
    ],
)
def test_workers_and_bridges_are_known_by_what_they_publish(
    monkeypatch: pytest.MonkeyPatch, command: str, key: str, row: Callable[[int], bytes]
) -> None:
    stored: dict[bytes, bytes] = {}

    async def published(settings: Settings, asked: str) -> Any:
        assert asked == key
        return stored

    monkeypatch.setattr(health_check, "published", published)
    monkeypatch.setattr(health_check, "_now", lambda: NOW)
    name = f"{socket.gethostname()}-7".encode()
    for unwell in (b"not a row", row(NOW - SILENT_AFTER - 1)):
        stored[name] = unwell
        with pytest.raises(Unavailable, match="last told of itself"):
            asyncio.run(check(["streamgauge", command], Settings.load({})))
    stored[name] = row(NOW)
    asyncio.run(check(["streamgauge", command], Settings.load({})))


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


@pytest.mark.parametrize("command", ["aggregate", "bridge"])
def test_a_worker_whose_redis_is_away_is_not_well_and_no_password_is_shown(command):
    settings = Settings.load({"STREAMGAUGE_REDIS__URL": "redis://me:hidden@127.0.0.1:1/0"})
    with pytest.raises(Unavailable, match="Redis does not answer") as raised:
        asyncio.run(check(["streamgauge", command], settings))
    assert "hidden" not in str(raised.value)


def test_a_worker_without_redis_is_told_what_to_set():
    with pytest.raises(SettingsError, match="STREAMGAUGE_REDIS__URL"):
        asyncio.run(check(["aggregate"], Settings.load({})))


def test_a_command_that_ends_by_itself_is_asked_nothing():
    asyncio.run(check(command_words(b"/usr/bin/python\0streamgauge\0import\0history.csv\0"), Settings.load({})))
