"""Webhooks that don't say what changed, into a running Streamgauge that may ask the provider."""

from __future__ import annotations

import hmac
import json
import time

import pytest

from tests.integration.gauges import running_gauge
from tests.servers.github_projects_api import BOARD, GitHubBoard
from tests.servers.provider_api import Reply, provider_server

pytestmark = pytest.mark.needs_server("valkey")

STREAMS = f"""
streams:
  board:
    match: {{source: github, project: {BOARD}}}
    stages:
      - {{name: waiting, kind: queue, when: [{{status: Todo}}]}}
      - {{name: doing, kind: active, when: [{{status: In Progress}}]}}
      - {{name: done, kind: done, when: [{{status: Done}}]}}
"""
SECRET = "webhooks-are-signed"
AT = time.time_ns() // 1_000_000_000 * 1000 - 10 * 60_000


def post(client, event):
    told = json.dumps(event).encode()
    signature = hmac.new(SECRET.encode(), told, "sha256").hexdigest()
    headers = {"X-GitHub-Event": "projects_v2_item", "X-Hub-Signature-256": f"sha256={signature}"}
    client.post_webhook("github", told, {**headers, "Content-Type": "application/json"})


def wip(client):
    stages = client.get("/v1/streams/board", window="1d")["stages"]
    return {stage["stage"]: stage["wip"] for stage in stages if stage["wip"] is not None}


def wait_for(client, expected):
    deadline = time.monotonic() + 40
    while wip(client) != expected:
        assert time.monotonic() < deadline, wip(client)
        time.sleep(0.05)


def test_columns_are_read_from_the_provider_which_never_delays_the_answer():
    board = GitHubBoard()
    items = [board.add(AT) for _ in range(3)]
    for item in items:
        item.move(AT, "Todo")
    items[0].move(AT + 60_000, "In Progress")
    with provider_server(board.answer) as server:
        settings = {
            "STREAMGAUGE_SOURCES__GITHUB__SECRET": SECRET,
            "STREAMGAUGE_SOURCES__GITHUB__API_TOKEN": "github-token",
            "STREAMGAUGE_SOURCES__GITHUB__API_URL": server.url,
        }
        with running_gauge(STREAMS, settings) as gauge, gauge.client() as client:
            server.faults += [Reply(hang=True), Reply({}, 502), Reply({}, 403, {"Retry-After": "1"})]
            for item in items:
                for event in item.events:
                    post(client, event)
            assert wip(client) == {"waiting": 0, "doing": 0}  # all are answered, and the provider still hangs
            server.released.set()
            wait_for(client, {"waiting": 2, "doing": 1})
            items[1].move(AT + 120_000, "Done")
            post(client, items[1].events[-1])
            wait_for(client, {"waiting": 1, "doing": 1})
            shown = client.get("/v1/streams/board/items/I_1")
    assert "Pay by invoice" in json.dumps(shown)
