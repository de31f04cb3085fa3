"""What live pages are sent: read once for all of them, bounded, and nothing that was seen."""

from __future__ import annotations

import asyncio
import json

import pytest

from flow.definition_file import read_definitions
from flow.errors import Reason, Unavailable
from flow.keys import DELIVERIES
from service.exporter_readings import Counts
from service.live import BEAT_EVERY, MOST_READINGS, RETRY_AFTER, Live
from service.live_clients import EventStream, Mailbox, event
from service.live_hello import first_fact
from service.live_topics import View, topics_of

STREAMS = """
streams:
  checkout:
    match: {source: [acme], project: CHK}
    stages:
      - {name: backlog, kind: queue, when: [{label: wish}, {status: To Do}]}
      - {name: develop, kind: active, when: [{status: In Progress}]}
      - {name: done, kind: done, when: [{status: Done}]}
  support:
    match: {team: first-line, label: [ticket]}
    stages:
      - {name: open, kind: active, when: [{label: open}]}
      - {name: solved, kind: done, when: [{label: solved}]}
      - {name: dropped, kind: done, when: [{label: dropped}]}
"""

WEEK = View("checkout", "7d")
OPERATIONS = (
    "get_stream", "list_items", "get_ageing", "get_cumulative_flow", "get_wsjf_order", "get_measures",
    "list_deliveries",
)  # fmt: skip


class World:
    """An API that counts its questions, and a clock that stands still."""

    def __init__(self, most_pages=256):
        self.now = 1_795_339_800_000
        self.asked = []
        self.away = set()
        self.live = Live(read_definitions(STREAMS), lambda: self.now, "1.2.3", most_pages=most_pages)
        self.live.operations = {name: self.operation(name) for name in OPERATIONS}

    def operation(self, name):
        async def answer(**asks):
            self.asked.append((name, asks))
            if name in self.away:
                raise Unavailable(Reason.STATE_UNAVAILABLE, "Redis does not answer")
            return {"asked": name, "times": len(self.asked)}

        return answer

    def hear(self, number, *names):
        counts = {name: Counts("1", {"facts|acme": 0}) for name in ("checkout", "support", DELIVERIES)}
        self.live.hear(counts | {name: Counts("1", {"facts|acme": number}) for name in names})

    async def turn(self, later=0):
        self.now += later
        self.asked.clear()
        await self.live.turn()
        return [name for name, _ in self.asked]


async def events(mailbox):
    """What waits: the events by name, in order, as (name, id, data)."""
    found = []
    for text in (await mailbox.take()).decode().split("\n\n")[:-1]:
        fields = dict(line.split(": ", 1) for line in text.split("\n"))
        found.append((fields["event"], fields.get("id"), json.loads(fields["data"])))
    return found


def names(found):
    return sorted(name for name, _, _ in found)


async def test_a_page_is_greeted_and_then_told_all_that_it_shows():
    world = World()
    page = world.live.join(WEEK)
    greeting = await events(page)
    assert names(greeting) == ["beat", "hello"]
    [hello] = [data for name, _, data in greeting if name == "hello"]
    assert (hello["stream"], hello["window"], hello["version"]) == ("checkout", "7d", "1.2.3")
    assert [entry["stream"] for entry in hello["streams"]] == ["checkout", "support"]
    assert [stage["kind"] for stage in hello["stages"]] == ["queue", "active", "done"]
    await world.turn()
    assert names(await events(page)) == [
        "ageing", "beat", "cumulative_flow", "deliveries", "finished_items", "measures", "open_items", "status", "wsjf",
    ]  # fmt: skip


async def test_a_topic_is_read_once_for_all_the_pages_that_show_it():
    world = World()
    pages = [world.live.join(WEEK) for _ in range(50)]
    assert len(await world.turn()) == 8
    told = [await page.take() for page in pages]
    assert len(set(told)) == 1
    other = world.live.join(View("checkout", "30d"))
    read = sorted(await world.turn(RETRY_AFTER))
    assert read == ["get_cumulative_flow", "get_measures", "get_stream", "list_deliveries"]
    assert "open_items" in names(await events(other))  # of the stream, whatever the window: it was read already


async def test_nothing_is_read_while_nobody_looks():
    world = World()
    assert await world.turn() == []
    page = world.live.join(WEEK)
    world.live.leave(page)
    world.hear(1, "checkout")
    assert await world.turn() == []
    assert world.live.pages == 0


async def test_what_nobody_looks_at_any_more_is_not_read_for_those_who_stay():
    world = World()
    world.live.join(WEEK)
    left = world.live.join(View("support", "30d"))
    await world.turn()
    world.live.leave(left)
    await world.turn(600_000)
    assert {asks.get("stream") for _, asks in world.asked} == {"checkout", None}
    assert {asks.get("window") for _, asks in world.asked} == {"7d", None}


async def test_only_what_a_fact_changed_is_read_again():
    world = World()
    world.hear(1, "checkout", DELIVERIES)
    world.live.join(WEEK)
    await world.turn()
    world.hear(2, "support", "checkout", DELIVERIES)
    world.hear(1, "checkout", DELIVERIES)
    assert await world.turn(5_000) == []
    world.hear(2, "checkout")
    assert "get_stream" in await world.turn()
    world.hear(2, "checkout", DELIVERIES)
    assert "list_deliveries" in await world.turn(5_000)


async def test_the_status_follows_every_change_and_the_rest_rests():
    world = World()
    world.live.join(WEEK)
    world.hear(1, "checkout")
    await world.turn()
    for number in range(2, 5):
        world.hear(number, "checkout")
        assert await world.turn(200) == ["get_stream"]
    assert "list_items" in await world.turn(1_000)


async def test_what_only_time_changes_is_read_again_too():
    world = World()
    world.live.join(WEEK)
    await world.turn()
    assert await world.turn(9_000) == []
    assert await world.turn(1_000) == ["get_stream"]


async def test_a_page_that_reads_slowly_gets_the_newest_of_each_once():
    world = World()
    page = world.live.join(WEEK)
    for number in range(20):
        world.hear(number, "checkout")
        await world.turn(BEAT_EVERY)
    found = await events(page)
    assert len(found) == len({name for name, _, _ in found}) == 10
    numbers = [int(place.rpartition("-")[2]) for _, place, _ in found if place]
    assert numbers == sorted(numbers)


async def test_a_reading_that_fails_is_tried_again_and_holds_up_no_other():
    world = World()
    page = world.live.join(WEEK)
    world.away = {"get_stream"}
    await world.turn()
    assert {"status"} & set(names(await events(page))) == set()
    world.away = set()
    assert await world.turn(RETRY_AFTER - 1) == []
    assert await world.turn(1) == ["get_stream"]
    assert "status" in names(await events(page))


async def test_a_turn_reads_no_more_than_its_share_and_the_next_goes_on():
    world = World()
    for days in range(1, 15):
        world.live.join(View("checkout", f"{days}d"))
    wanted = 4 * 14 + 4
    read = [len(await world.turn()) for _ in range(4)]
    assert read == [MOST_READINGS, MOST_READINGS, MOST_READINGS, wanted - 3 * MOST_READINGS]


async def test_more_pages_than_may_be_open_are_refused_until_one_is_closed():
    world = World(most_pages=2)
    first, _ = world.live.join(WEEK), world.live.join(WEEK)
    with pytest.raises(Unavailable, match="2 live pages are open") as refused:
        world.live.join(WEEK)
    assert refused.value.reason is Reason.OVERLOADED
    world.live.leave(first)
    world.live.join(WEEK)


async def test_a_page_that_comes_back_is_not_told_again_what_it_has_seen():
    world = World()
    page = world.live.join(WEEK)
    world.hear(1, "checkout")
    await world.turn()
    last = (await events(page))[-1][1]
    stayed = world.live.join(WEEK)
    world.live.leave(page)
    world.hear(2, "checkout")
    await world.turn()
    again = world.live.join(WEEK, last)
    assert names(await events(again)) == ["beat", "hello", "status"]
    assert len(await events(stayed)) > 3


@pytest.mark.parametrize(
    "last", [None, "", "elsewhere-99", "-5", "x", "{run}-", "{run}-x", "{run}-\N{SUPERSCRIPT TWO}"]
)
async def test_an_id_of_another_run_says_nothing_of_what_was_seen(last):
    world = World()
    world.live.join(WEEK)
    await world.turn()
    page = world.live.join(WEEK, last and last.replace("{run}", world.live.run_name))
    assert "status" in names(await events(page))


async def test_closing_ends_every_page_and_lets_no_other_in():
    world = World()
    page = world.live.join(WEEK)
    world.live.close()
    assert names(await events(page)) == ["beat", "hello"]
    assert await page.take() == b""
    with pytest.raises(Unavailable):
        world.live.join(WEEK)


def test_every_stage_that_is_done_has_a_topic_of_its_own():
    support = read_definitions(STREAMS).streams["support"]
    topics = [topic for topic in topics_of(View("support", "7d"), support) if topic.event == "finished_items"]
    assert [dict(topic.told) for topic in topics] == [{"stage": "solved"}, {"stage": "dropped"}]


def test_the_first_fact_is_one_that_the_stream_claims():
    streams = read_definitions(STREAMS).streams
    assert first_fact(streams["checkout"]) == {
        "subject": "item", "id": "my-first", "source": "acme", "project": "CHK", "item": "FIRST-1", "status": "To Do",
    }  # fmt: skip
    assert first_fact(streams["support"]) is None


# --- the answer ------------------------------------------------------------------------------------------------------


class Connection:
    """The server's side of one request: what was sent, and when the browser leaves."""

    def __init__(self, reads=True):
        self.sent = []
        self.left = asyncio.Event()
        self.reads = reads
        self.leaves = 0

    async def receive(self):
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        if not self.reads and b"beat" in message.get("body", b""):
            await asyncio.Event().wait()
        self.sent.append(message)

    def leave(self):
        self.leaves += 1

    async def serve(self, mailbox, **options):
        await EventStream(mailbox, self.leave, **options)({"type": "http"}, self.receive, self.send)

    @property
    def body(self):
        return b"".join(message.get("body", b"") for message in self.sent[1:])


async def test_what_comes_is_sent_until_the_mailbox_is_closed():
    connection, mailbox = Connection(), Mailbox()
    mailbox.put("beat", event("beat", b"{}"))
    mailbox.close()
    await connection.serve(mailbox)
    headers = dict(connection.sent[0]["headers"])
    assert headers[b"content-type"].startswith(b"text/event-stream")
    assert headers[b"cache-control"] == b"no-store"
    assert b"content-length" not in headers
    assert connection.body == b"retry: 2000\n\nevent: beat\ndata: {}\n\n"
    assert connection.sent[-1]["more_body"] is False
    assert connection.leaves == 1


async def test_a_page_that_leaves_is_forgotten():
    connection, mailbox = Connection(), Mailbox()
    connection.left.set()
    await connection.serve(mailbox)
    assert connection.leaves == 1


async def test_a_page_that_takes_nothing_is_let_go():
    connection, mailbox = Connection(reads=False), Mailbox()
    mailbox.put("beat", event("beat", b"{}"))
    await connection.serve(mailbox, stalled_after=0)
    assert connection.leaves == 1
    assert connection.sent[-1]["more_body"] is True


async def test_a_fault_while_sending_is_not_hidden():
    connection, mailbox = Connection(), Mailbox()

    async def broken(message):
        raise RuntimeError("broken")

    stream = EventStream(mailbox, connection.leave)
    with pytest.raises(RuntimeError, match="broken"):
        await stream({"type": "http"}, connection.receive, broken)
    assert connection.leaves == 1
