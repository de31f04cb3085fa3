from __future__ import annotations

import asyncio
import logging

import pytest

from flow.adapters import asana, azure_devops, github
from flow.adapters.delivery import Delivery
from flow.errors import NotFound, Reason, Rejected, Unauthorised, Unavailable
from flow.facts import ItemFact
from service.hydration import Hydration, unseen
from service.provider_client import Access, ProviderClient
from service.rereading.sources import REREADINGS, Rereading
from tests.unit.flow.adapters.telling import ignored, names_in, told
from tests.unit.flow.adapters.tracker_payloads import asana as asana_body
from tests.unit.flow.adapters.tracker_payloads import asana_event, asana_parent

NOW = 1_795_340_000_000


def fact(key):
    return ItemFact(id=key, source="asana", item=key, at=NOW)


class Provider:
    """Reads items when it is let; some of them fail."""

    def __init__(self, failures=None):
        self.failures = failures or {}
        self.read_keys = []
        self.free = asyncio.Event()
        self.free.set()

    async def read(self, client, key, item_names):
        self.read_keys.append(key)
        await self.free.wait()
        if key in self.failures:
            raise self.failures[key]
        return [fact(key)]


class Log:
    """Takes facts; away for so many attempts."""

    def __init__(self, away=0):
        self.away = away
        self.facts = []

    async def record(self, facts):
        if self.away:
            self.away -= 1
            raise Unavailable(Reason.LOG_UNAVAILABLE, "away", 9)
        self.facts += facts


class World:
    def __init__(self, provider, log=None, most_waiting=100):
        self.log = log or Log()
        self.outcomes = []
        self.waits = []
        self.now = NOW
        client = ProviderClient(Access("Asana", "http://asana.example", {}), clock=lambda: self.now)
        self.hydration = Hydration(
            {"asana": client},
            record=self.log.record,
            item_names=names_in,
            clock=lambda: self.now,
            count=lambda source, outcome: self.outcomes.append((source, outcome)),
            pause=self.pause,
            rereadings={**REREADINGS, "asana": Rereading(provider.read, "everything")},
            most_waiting=most_waiting,
        )

    async def pause(self, seconds):
        self.waits.append(seconds)

    async def until(self, condition):
        async with asyncio.timeout(40):
            while not condition():
                await asyncio.sleep(0)


async def test_what_a_webhook_left_open_is_read_and_recorded():
    world = World(Provider())
    async with world.hydration:
        world.hydration.want("asana", ["7", "8"])
        await world.until(lambda: len(world.outcomes) == 2)
    assert [each.id for each in world.log.facts] == ["7", "8"]
    assert world.outcomes == [("asana", "read")] * 2


async def test_an_item_that_waits_already_is_read_once_and_one_that_is_being_read_again():
    provider = Provider()
    provider.free.clear()
    world = World(provider)
    async with world.hydration:
        world.hydration.want("asana", ["7"])
        await world.until(lambda: provider.read_keys == ["7"])
        for _ in range(5):
            world.hydration.want("asana", ["7", "8"])
        provider.free.set()
        await world.until(lambda: len(world.outcomes) == 3)
    assert provider.read_keys == ["7", "7", "8"]


async def test_the_queue_is_bounded_and_what_does_not_fit_is_counted(caplog):
    provider = Provider()
    provider.free.clear()
    world = World(provider, most_waiting=3)
    async with world.hydration:
        world.hydration.want("asana", [str(number) for number in range(8)])
        assert world.outcomes == [("asana", "dropped")] * 5
        world.hydration.want("asana", ["x" * 300, "", "0"])  # no names of items, and one that waits already
        assert len(world.outcomes) == 5
    assert len([record for record in caplog.records if "hydration_failed" in record.message]) == 1


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (NotFound(Reason.UNKNOWN_ITEM, "gone"), "gone"),
        (Unauthorised(Reason.BAD_TOKEN, "refused"), "failed"),
        (Unavailable(Reason.STATE_UNAVAILABLE, "away"), "failed"),
        (Rejected(Reason.NOT_UNDERSTOOD, "what?"), "failed"),
        (ZeroDivisionError("a title"), "failed"),
    ],
)
async def test_whatever_is_wrong_with_one_item_the_others_are_read(error, outcome, caplog):
    world = World(Provider({"7": error}))
    async with world.hydration:
        world.hydration.want("asana", ["7", "8"])
        await world.until(lambda: len(world.outcomes) == 2)
    assert world.outcomes == [("asana", outcome), ("asana", "read")]
    assert "a title" not in caplog.text


async def test_failures_are_said_at_most_once_a_minute(caplog):
    world = World(Provider({str(number): Unauthorised(Reason.BAD_TOKEN, "refused") for number in range(10)}))
    async with world.hydration:
        world.hydration.want("asana", [str(number) for number in range(9)])
        await world.until(lambda: len(world.outcomes) == 9)
        assert caplog.text.count("hydration_failed source=asana: refused") == 1
        world.now += 61_000
        world.hydration.want("asana", ["9"])
        await world.until(lambda: len(world.outcomes) == 10)
    assert caplog.text.count("hydration_failed") == 2


async def test_while_the_log_is_away_what_was_read_is_kept_and_tried_again():
    world = World(Provider(), Log(away=3))
    async with world.hydration:
        world.hydration.want("asana", ["7"])
        await world.until(lambda: world.outcomes)
    assert [each.id for each in world.log.facts] == ["7"]
    assert world.waits == [9, 9, 9]


async def test_it_ends_at_once_even_while_a_provider_hangs():
    provider = Provider()
    provider.free.clear()
    world = World(provider)
    async with asyncio.timeout(40):
        async with world.hydration:
            world.hydration.want("asana", ["7"])
            await world.until(lambda: provider.read_keys)


async def test_without_a_token_it_is_said_once_what_is_not_seen(caplog):
    caplog.set_level(logging.WARNING)
    world = World(Provider())
    async with world.hydration:
        for _ in range(3):
            world.hydration.want("github", ["PVTI_1"])
            world.hydration.want("azure-devops", [])
            world.hydration.want("jira", ["CHK-1"])
    [record] = caplog.records
    assert "hydration_off source=github" in record.message
    assert "the columns of boards (Projects)" in record.message
    assert "STREAMGAUGE_SOURCES__GITHUB__API_TOKEN" in record.message


def test_the_hint_names_the_setting():
    assert unseen("azure-devops").endswith("set STREAMGAUGE_SOURCES__AZURE_DEVOPS__API_TOKEN")


# --- what adapters leave to be read -----------------------------------------------------------------------------------


def unread(source, body, headers=None):
    return told(source, body, headers).unread


def test_asanas_events_name_the_tasks_to_read_each_once():
    story = {"gid": "55", "resource_type": "story", "resource_subtype": "section_changed"}
    comment = {**story, "resource_subtype": "comment_added"}
    body = asana_body(
        asana_event("changed", change={"field": "name"}),
        asana_event("added", parent=asana_parent("section")),
        asana_event("added", resource=story, parent={"gid": "66", "resource_type": "task"}),
        asana_event("added", resource=comment, parent={"gid": "77", "resource_type": "task"}),
        asana_event("deleted", resource={"gid": "88", "resource_type": "task"}),
    )
    assert unread("asana", body) == ("119917", "66")


@pytest.mark.parametrize("action", ["created", "reordered", "restored", "converted", "archived"])
def test_githubs_boards_name_the_item_that_was_moved(action):
    item = {
        "node_id": "PVTI_7",
        "content_node_id": "I_7",
        "project_node_id": "PVT_1",
        "updated_at": "2026-11-22T09:30:00Z",
    }
    headers = {"x-github-event": "projects_v2_item"}
    assert unread("github", {"action": action, "projects_v2_item": item}, headers) == ("PVTI_7",)
    assert unread("github", {"action": "deleted", "projects_v2_item": item}, headers) == ()


def test_a_work_item_without_its_fields_is_to_be_read():
    assert unread("azure-devops", {"eventType": "workitem.created", "resource": {"id": 12}}) == ("12",)
    assert unread("azure-devops", {"eventType": "workitem.updated", "resource": {"id": 3, "workItemId": 12}}) == ("12",)
    assert unread("azure-devops", {"eventType": "workitem.updated", "resource": {"id": 3}}) == ()
    assert unread("azure-devops", {"eventType": "workitem.deleted", "resource": {"id": 12}}) == ()
    assert ignored("azure-devops", {"eventType": "workitem.updated", "resource": None})


def test_what_is_said_whole_leaves_nothing_to_read():
    assert {adapter.SOURCE for adapter in (asana, azure_devops, github)} == set(REREADINGS)
    body = b'{"eventType": "workitem.created", "resource": {"id": 12, "rev": 1, "fields": {"System.State": "New", "System.ChangedDate": "2026-11-22T09:30:00Z"}}}'  # noqa: E501
    assert azure_devops.translate(Delivery("azure-devops", {}, body, NOW), names_in).unread == ()
