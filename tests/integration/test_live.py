"""Server-sent events of a real installation: in the API's words, refused as the API refuses, and ended in time."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator

import httpx
import pytest

from flow.instants import format_instant
from tests.integration.gauges import Gauge, running_gauge
from tests.integration.monitored import STREAMS

pytestmark = pytest.mark.needs_server("valkey")


@pytest.fixture(scope="module")
def gauge() -> Iterator[Gauge]:
    with running_gauge(STREAMS) as found:
        yield found


def fact(item: str, status: str, number: int) -> dict[str, str]:
    at = format_instant(time.time_ns() // 1_000_000)
    return {
        "subject": "item", "id": f"{item}-{number}", "source": "acme", "project": "CHK", "item": item, "at": at,
        "status": status,
    }  # fmt: skip


def events(answer: httpx.Response) -> Iterator[tuple[str, str | None, dict]]:
    """The events as they come: name, id, data."""
    fields: dict[str, str] = {}
    for line in answer.iter_lines():
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "data" in fields:
            yield fields["event"], fields.get("id"), json.loads(fields["data"])
            fields = {}
        else:
            fields = {}


def test_a_fact_is_told_in_the_words_of_the_api(gauge):
    with httpx.Client(base_url=gauge.url, timeout=20) as client:
        with client.stream("GET", "/v1/live", params={"stream": "checkout", "window": "1d"}) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            told = events(answer)
            assert next(told)[0] == "hello"
            client.post("/v1/facts", json=fact("CHK-1", "In Review", 1)).raise_for_status()
            status = next(data for name, _, data in told if name == "status" and data["wip"] == 1)
            items = next(data for name, _, data in told if name == "open_items" and data["items"])
        said = client.get("/v1/streams/checkout", params={"window": "1d"}).json()
        listed = client.get("/v1/streams/checkout/items").json()
    assert steady(status) == steady(said)
    assert [row["item"] for row in items["items"]] == [row["item"] for row in listed["items"]] == ["CHK-1"]


def steady(status: dict) -> dict:
    """Without what passes by itself."""
    stages = [stage | {"oldest_age": None} for stage in status["stages"]]
    return status | {"at": None, "stages": stages}


def test_a_page_that_comes_back_is_told_what_is_new(gauge):
    with httpx.Client(base_url=gauge.url, timeout=20) as client:
        seen: dict[str, str] = {}
        with client.stream("GET", "/v1/live?window=7d") as stays, client.stream("GET", "/v1/live?window=7d") as answer:
            for name, place, _ in events(answer):
                seen[name] = place or ""
                if {"status", "ageing", "open_items", "finished_items", "cumulative_flow", "deliveries"} <= set(seen):
                    break
            last = max(filter(None, seen.values()), key=lambda place: int(place.rpartition("-")[2]))
            with client.stream("GET", "/v1/live?window=7d", headers={"Last-Event-ID": last}) as again:
                first = [name for name, _, _ in (event for event, _ in zip(events(again), range(2), strict=False))]
            assert set(first) == {"hello", "beat"}
            assert stays.status_code == 200


@pytest.mark.parametrize(
    ("query", "status", "word"),
    [
        ("stream=chekout", 404, "checkout"),
        ("stream=checkout&window=1", 422, "window"),
        ("stream=checkout&window=9999d", 422, "window"),
        ("colour=red", 422, "colour"),
    ],
)
def test_what_can_not_be_shown_is_refused_as_a_problem(gauge, query, status, word):
    answer = httpx.get(f"{gauge.url}/v1/live?{query}", timeout=10)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert word in answer.json()["detail"]


def test_pages_that_are_open_do_not_hold_up_the_end(gauge):
    """Runs last: it ends the installation. One page reads, one never does."""
    host, port = gauge.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as deaf, httpx.Client(base_url=gauge.url, timeout=20) as client:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        deaf.sendall(b"GET /v1/live HTTP/1.1\r\nHost: test\r\n\r\n")
        with client.stream("GET", "/v1/live") as answer:
            told = events(answer)
            assert next(told)[0] == "hello"
            began = time.monotonic()
            gauge.process.terminate()
            for _ in told:
                pass
            assert gauge.process.wait(20) == 0
    assert time.monotonic() - began < 8
