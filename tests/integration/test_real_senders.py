"""Senders and receiver as real processes: what Alertmanager itself sends, and what only a real server does."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from consumers.redis_log import RedisLog
from flow import keys
from flow.facts import DeploymentFact, Fact, IncidentFact, ItemFact, decode_facts
from tests.integration.installation import PATIENCE, Installation
from tests.servers.alertmanager import running_alertmanager

STREAMS = """
streams:
  checkout:
    match: {project: shop}
    stages:
      - {name: doing, kind: active, when: [{status: New}]}
      - {name: done, kind: done, when: [{status: DONE}]}
"""
SECRET, TOKEN = "a secret of all senders", "t0ken-of-the-address"
PARTITIONS = 2
SETTINGS = {
    "STREAMGAUGE_SOURCES__ALERTMANAGER__SECRET": SECRET,
    "STREAMGAUGE_SOURCES__DEVLAKE__SECRET": SECRET,
    "STREAMGAUGE_SOURCES__ASANA__HANDSHAKE_TOKEN": TOKEN,
    "STREAMGAUGE_LOG__PARTITIONS": str(PARTITIONS),
    "STREAMGAUGE_HTTP__OPEN_ACCESS": "true",
}


@pytest.fixture
async def gauge(tmp_path: Path) -> AsyncIterator[Installation]:
    found = Installation(tmp_path, STREAMS, **SETTINGS)
    try:
        await found.start()
        yield found
    finally:
        await found.close()


async def facts_of(gauge: Installation) -> list[Fact]:
    """Every fact of the log."""
    found: list[Fact] = []
    async with gauge.redis() as redis:
        for partition in range(PARTITIONS):
            last, position = int(await redis.get(keys.log_end(partition)) or 0), 0
            log = RedisLog(redis, [partition], "test", keep_facts=10**6)
            while position < last:
                batch = await log.read(partition, position)
                assert batch is not None
                found += decode_facts(batch.lines)
                position = batch.offsets[-1]
    return found


async def incidents_after(gauge: Installation, count: int) -> list[IncidentFact]:
    """The incidents in the log, once there are so many."""
    async with asyncio.timeout(PATIENCE):
        while True:
            found = [fact for fact in await facts_of(gauge) if isinstance(fact, IncidentFact)]
            if len(found) >= count:
                return found
            await asyncio.sleep(0.1)


def config_of(gauge: Installation) -> dict[str, object]:
    webhook = {
        "url": f"{gauge.base}/webhooks/alertmanager",
        "http_config": {"authorization": {"credentials": SECRET}},
    }
    intervals = {"group_wait": "0s", "group_interval": "1s", "repeat_interval": "1s"}
    route = {"receiver": "gauge", "group_by": ["alertname"], **intervals}
    return {"route": route, "receivers": [{"name": "gauge", "webhook_configs": [webhook]}]}


@pytest.mark.needs_server("alertmanager")
async def test_an_alert_that_fires_repeats_and_resolves_is_one_incident(gauge: Installation, tmp_path: Path) -> None:
    started = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=5)
    ended = started + timedelta(minutes=4)
    alert = {
        "labels": {"alertname": "CheckoutSlow", "service": "acme/shop", "environment": "staging"},
        "annotations": {"deployment": "d-9"},
        "startsAt": started.isoformat(),
    }
    with running_alertmanager(tmp_path / "alertmanager", config_of(gauge)) as server:
        async with httpx.AsyncClient(base_url=server.url) as client:
            (await client.post("/api/v2/alerts", json=[alert])).raise_for_status()
            (opened,) = await incidents_after(gauge, 1)
            (await client.post("/api/v2/alerts", json=[alert | {"endsAt": ended.isoformat()}])).raise_for_status()
            found = {fact.id: fact for fact in await incidents_after(gauge, 2)}
            async with asyncio.timeout(PATIENCE):
                while not any(fact.state == "resolved" for fact in found.values()):
                    await asyncio.sleep(0.1)
                    found = {fact.id: fact for fact in await incidents_after(gauge, 2)}
    assert (opened.service, opened.environment, opened.deployment) == ("acme/shop", "staging", "d-9")
    assert opened.at == int(started.timestamp() * 1000)
    resolved = next(fact for fact in found.values() if fact.state == "resolved")
    assert (resolved.incident, resolved.at) == (opened.incident, int(ended.timestamp() * 1000))
    assert len(found) == 2, "repeats have the same ids"


async def test_a_server_hands_paths_methods_and_queries_over_as_they_are_read(gauge: Installation) -> None:
    bearer = {"authorization": f"Bearer {SECRET}"}
    issue = {"issueKey": "a/b-1", "title": "x", "status": "TODO", "originalStatus": "New"}
    issue["createdDate"] = "2026-11-22T09:00:00Z"
    base = "/api/rest/plugins/webhook/connections/by-name/shop"
    assert (await gauge.client.head("/webhooks/trello")).status_code == 200
    assert (await gauge.client.post(f"{base}/issues", json=issue)).status_code == 401
    assert (await gauge.client.post(f"{base}/issues", json=issue, headers=bearer)).status_code == 202
    assert (await gauge.client.post(f"{base}/issue/a%2Fb-1/close", headers=bearer)).status_code == 202
    items = [fact for fact in await facts_of(gauge) if isinstance(fact, ItemFact)]
    assert [(fact.item, fact.status, fact.project) for fact in items] == [
        ("a/b-1", "New", "shop"),
        ("a/b-1", "DONE", "shop"),
    ]
    assert not any(isinstance(fact, DeploymentFact) for fact in await facts_of(gauge))


async def test_asanas_secret_outlives_the_process_that_it_was_told_to(gauge: Installation) -> None:
    hello = await gauge.client.post(
        f"/webhooks/asana?token={TOKEN}", json={"events": []}, headers={"x-hook-secret": "made up by Asana"}
    )
    assert (hello.status_code, hello.headers["x-hook-secret"]) == (200, "made up by Asana")
    await gauge.stop()
    await gauge.start()
    body = b'{"events": []}'
    proof = {"x-hook-signature": hmac.new(b"made up by Asana", body, hashlib.sha256).hexdigest()}
    async with asyncio.timeout(PATIENCE):  # Asana sends again what is answered 503
        while (answer := await gauge.client.post("/webhooks/asana", content=body, headers=proof)).status_code == 503:
            await asyncio.sleep(0.1)
    assert answer.status_code == 200, answer.text
    assert (await gauge.client.post("/webhooks/asana", content=body + b" ", headers=proof)).status_code == 401
