"""Webhooks while the log is away: who never sends again is spooled, who does is asked to."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from service.spool import Spool
from service.spool_folder import SpoolFolder
from tests.integration.taking_in import NOW, SECRET, taking
from tests.unit.service.spooling import SIZE, FakeLog

ISSUE = json.dumps({
    "action": "opened", "repository": {"full_name": "acme/shop"},
    "issue": {"number": 7, "state": "open", "created_at": "2026-11-22T09:00:00Z", "updated_at": "2026-11-22T09:00:00Z"},
}).encode()  # fmt: skip


@pytest.fixture
def log():
    found = FakeLog()
    found.mood = "down"
    return found


@asynccontextmanager
async def covered(redis, log, folder):
    """The application with a spool, and with Linear switched on beside GitHub."""
    async with Spool(SpoolFolder(folder, SIZE, lambda: NOW), log, lambda: NOW) as spool:

        def changed(parts):
            return replace(parts, spool=spool, secrets={**parts.secrets, "linear": (SECRET,)})

        async with taking(redis, log, changed) as world:
            yield world, spool


async def post_to_linear(world, body):
    signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    headers = {"linear-signature": signature, "content-type": "application/json"}
    return await world.client.post("/webhooks/linear", content=body, headers=headers)


async def test_who_never_sends_again_is_spooled_and_who_does_is_told_when(redis, log, tmp_path):
    async with covered(redis, log, tmp_path) as (world, spool):
        kept = await world.post_webhook(ISSUE)
        assert (kept.status_code, kept.json()) == (202, {"accepted": 1})
        not_understood = await world.post_webhook(b'{"action": "opened"}')
        assert (not_understood.status_code, not_understood.json()["kept"]) == (202, 1)
        refused = await post_to_linear(world, json.dumps({"webhookTimestamp": NOW}).encode())
        assert refused.status_code == 503, refused.text
        assert refused.headers["retry-after"] == "5"
        native = await world.post_facts({
            "subject": "item", "id": "1", "source": "acme", "item": "CHK-1", "at": "2026-11-22T09:00:00Z",
        })  # fmt: skip
        assert native.status_code == 503
        assert spool.level.deliveries == 2
        log.mood = "up"
        async with asyncio.timeout(10):
            while not spool.is_empty:
                await asyncio.sleep(0.01)
    assert [fact.item for fact in log.facts] == ["acme/shop#7"]
    assert [letter.body for letter in log.letters] == [b'{"action": "opened"}']


async def test_a_wrong_signature_and_an_event_that_says_nothing_reach_no_disk(redis, log, tmp_path):
    async with covered(redis, log, tmp_path) as (world, spool):
        assert (await world.post_webhook(ISSUE, secret="wrong")).status_code == 401
        assert (await world.post_webhook(b"{}", x_github_event="ping")).status_code == 200
        assert spool.is_empty


async def test_what_is_spooled_counts_as_taken_in(redis, log, tmp_path):
    async with covered(redis, log, tmp_path) as (world, _):
        await world.post_webhook(ISSUE)
        assert world.counted("streamgauge_ingest_facts_total", source="github") == 1
