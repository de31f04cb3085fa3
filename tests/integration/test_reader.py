from __future__ import annotations

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from flow import vector
from flow.cells import Retention, window_ending
from flow.errors import NotFound, Reason, Rejected, Unavailable
from flow.instants import DAY
from flow.keys import DELIVERIES, StateKeys, generation
from flow.lanes import SUCCEEDED, lane_name
from flow.status import StageLive
from flow.vector import stage_key
from service.cursors import pack_cursor, unpack_cursor
from service.reader import StateReader
from service.reader_items import Cursor, ItemReader, Wanted
from service.reader_letters import LetterReader, log_lag
from tests.integration.monitored import NOW, PARTITIONS, Monitored, checkout_facts, delivery_facts, on


@pytest.fixture
def world(redis: Redis) -> Monitored:
    return Monitored(redis)


async def test_a_stream_that_nobody_has_written_reads_as_empty(world):
    reader = world.reader()
    assert await reader.stages("checkout") == dict.fromkeys(("backlog", "develop", "review"), StageLive(0, None, 0))
    assert await reader.totals("checkout") == {}
    assert await reader.monitor("checkout") == {}
    assert await reader.lane_totals() == {}
    assert await reader.window("checkout", window_ending(NOW, 7 * DAY, NOW, Retention())) == {}
    page = await ItemReader(reader).page("checkout", Wanted(["backlog"], newest=False, limit=5))
    assert (list(page.items), page.cursor) == ([], None)


async def test_a_reader_that_read_nothing_sees_what_is_written_later(world):
    reader = world.reader()
    await reader.stages("checkout")
    await world.post(*checkout_facts(world))
    assert await reader.stages("checkout") == {
        "backlog": StageLive(1, on("21 12:00"), 0),
        "develop": StageLive(2, on("19 00:00"), 1),
        "review": StageLive(1, on("18 00:00"), 1),
    }


@pytest.mark.parametrize(("late", "over"), [(0, 0), (1, 1)])
async def test_an_item_is_over_its_sle_only_once_it_is_there_longer(world, late, over):
    await world.post(world.item("CHK-1", NOW - DAY - late, "In Review"))
    assert (await world.reader().stages("checkout"))["review"].over_sle == over


async def test_partitions_are_added_up(world):
    await world.post(*checkout_facts(world))
    stored = await world.redis.hkeys(StateKeys("checkout", "1").totals)
    assert len(stored) == PARTITIONS
    totals = await world.reader().totals("checkout")
    assert [totals[stage_key(stage, vector.ARRIVALS)] for stage in range(4)] == [7, 7, 4, 3]
    assert await world.reader().monitor("checkout") == {"facts|acme": 25}


async def test_a_window_holds_what_its_cells_count(world):
    await world.post(*checkout_facts(world))
    counted = await world.reader().window("checkout", window_ending(NOW, 7 * DAY, NOW, Retention()))
    assert [counted.get(stage_key(stage, vector.ARRIVALS), 0) for stage in range(4)] == [1, 4, 2, 3]
    assert counted[stage_key(2, vector.BLOCKED_TIME)] == 6 * 3_600_000


async def test_lanes_are_read_by_name_and_quiet_ones_too(world):
    await world.post(*delivery_facts())
    reader = world.reader()
    shop, mail = lane_name("shop", "production"), lane_name("mail", "staging")
    assert {name: counts[SUCCEEDED] for name, counts in (await reader.lane_totals()).items()} == {shop: 3, mail: 1}
    counted = await reader.lane_window(window_ending(NOW, 7 * DAY, NOW, Retention()), [shop, mail])
    assert (counted[shop][SUCCEEDED], counted[mail]) == (3, {})


async def test_readers_follow_the_pointer_to_another_generation(world):
    await world.post(*checkout_facts(world))
    reader = world.reader()
    before = await reader.totals("checkout")
    rebuilt = StateKeys("checkout", "2")
    await world.redis.hset(rebuilt.totals, "0", vector.pack({7: 1}))
    assert await reader.totals("checkout") == before
    await world.redis.set(rebuilt.pointer, "2")
    assert await reader.totals("checkout") == {7: 1}
    assert (await reader.stages("checkout"))["develop"].wip == 0


async def test_a_reader_never_mixes_two_generations(world, monkeypatch):
    """The pointer moves between asking and answering: what was read of the generation before is thrown away."""
    await world.post(*checkout_facts(world))
    reader = world.reader()
    await reader.stages("checkout")
    await world.redis.hset(StateKeys("checkout", "2").totals, "0", vector.pack({7: 1}))
    execute = reader.asker.execute
    asked = 0

    async def moved_meanwhile(pipeline):
        nonlocal asked
        asked += 1
        if asked == 1:
            await world.redis.set(generation("checkout"), "2")
        return await execute(pipeline)

    monkeypatch.setattr(reader.asker, "execute", moved_meanwhile)
    assert await reader.totals("checkout") == {7: 1}
    assert asked == 2


async def test_a_pointer_that_never_rests_is_unavailable(world, monkeypatch):
    reader = world.reader()
    execute = reader.asker.execute
    asked = 0

    async def restless(pipeline):
        nonlocal asked
        asked += 1
        await world.redis.set(generation(DELIVERIES), str(asked))
        return await execute(pipeline)

    monkeypatch.setattr(reader.asker, "execute", restless)
    with pytest.raises(Unavailable, match="try again"):
        await reader.lane_totals()


async def test_redis_away_is_unavailable_and_names_no_address(tmp_path, world):
    client = Redis(unix_socket_path=str(tmp_path / "nobody.sock"), retry=Retry(NoBackoff(), 0))
    reader = StateReader(client, world.definitions, Retention(), PARTITIONS, lambda: NOW)
    for question in (reader.stages("checkout"), reader.lane_totals(), LetterReader(reader).page(5), log_lag(reader)):
        with pytest.raises(Unavailable) as caught:
            await question
        assert caught.value.reason == Reason.STATE_UNAVAILABLE
        assert "nobody.sock" not in caught.value.message
    await client.aclose()


async def test_an_unknown_stream_is_not_found(world):
    with pytest.raises(NotFound, match="near it: checkout"):
        await world.reader().stages("chekout")


# --- pages of items --------------------------------------------------------------------------------------------------


async def walk_pages(items: ItemReader, wanted: Wanted) -> list[str]:
    seen: list[str] = []
    while True:
        page = await items.page("checkout", wanted)
        assert len(page.items) <= wanted.limit
        seen += [placed.item for placed in page.items]
        if page.cursor is None:
            return seen
        wanted = Wanted(
            wanted.stages, wanted.newest, wanted.limit, wanted.latest, unpack_cursor(pack_cursor(page.cursor), Cursor)
        )


@pytest.mark.parametrize("newest", [False, True])
@pytest.mark.parametrize("limit", [1, 2, 3, 7, 40])
async def test_pages_show_every_item_once_in_order_though_many_arrived_together(world, newest, limit):
    statuses = ("To Do", "In Progress", "In Review")
    facts = [
        world.item(f"CHK-{number:02}é", on(f"{10 + number % 3} 00:00"), statuses[number % 7 % 3])
        for number in range(40)
    ]
    await world.post(*facts)
    items = ItemReader(world.reader())
    in_order = [fact.item for fact in sorted(facts, key=lambda fact: (fact.at, fact.item.encode()))]
    seen = await walk_pages(items, Wanted(["backlog", "develop", "review"], newest, limit))
    assert seen == (in_order[::-1] if newest else in_order)


async def test_a_page_goes_on_behind_its_cursor_whatever_left_before(world):
    await world.post(*(world.item(f"CHK-{number}", on(f"1{number} 00:00"), "To Do") for number in range(6)))
    items = ItemReader(world.reader())
    first = await items.page("checkout", Wanted(["backlog"], newest=False, limit=3))
    await world.post(world.item("CHK-0", "21 00:00", "Done"), world.item("CHK-2", "21 00:00", "Done"))
    second = await items.page("checkout", Wanted(["backlog"], newest=False, limit=3, cursor=first.cursor))
    assert [placed.item for placed in second.items] == ["CHK-3", "CHK-4", "CHK-5"]


@pytest.mark.parametrize("newest", [False, True])
async def test_older_than_bounds_every_page(world, newest):
    await world.post(*(world.item(f"CHK-{number}", on(f"1{number} 00:00"), "To Do") for number in range(6)))
    seen = await walk_pages(ItemReader(world.reader()), Wanted(["backlog"], newest, 2, latest=on("13 00:00")))
    assert sorted(seen) == ["CHK-0", "CHK-1", "CHK-2", "CHK-3"]


@pytest.mark.parametrize("text", ["", "x", "W10", "é", "bm90IGpzb24", pack_cursor(Cursor(False, 2**54, "a"))])
async def test_a_cursor_that_is_none_is_rejected(text):
    with pytest.raises(Rejected, match="next_cursor"):
        unpack_cursor(text, Cursor)


# --- dead letters ----------------------------------------------------------------------------------------------------


async def post_letters(world: Monitored, count: int) -> None:
    await world.post(*(world.item(f"ABC-{number}", "20 00:00", source=f"s{number % 2}") for number in range(count)))


async def test_letters_come_newest_first_page_by_page(world):
    await post_letters(world, 7)
    letters = LetterReader(world.reader())
    first = await letters.page(4)
    second = await letters.page(4, first.cursor)
    bodies = [letter.body for page in (first, second) for letter in page.letters]
    assert len(set(bodies)) == 7
    assert second.cursor is None
    identifiers = [letter.id for page in (first, second) for letter in page.letters]
    assert identifiers == sorted(identifiers, reverse=True)
    assert {letter.reason for letter in first.letters} == {"no_stream"}


async def test_letters_are_found_by_source_and_reason(world, monkeypatch):
    monkeypatch.setattr("service.reader_letters._CHUNK", 2)
    await post_letters(world, 7)
    letters = LetterReader(world.reader())
    assert [letter.source for letter in (await letters.page(10, source="s1")).letters] == ["s1"] * 3
    assert (await letters.page(10, reason="malformed_json")).letters == []
    assert await letters.counts() == {("s0", "no_stream"): 4, ("s1", "no_stream"): 3}


async def test_a_search_looks_through_a_bounded_number_and_says_where_to_go_on(world, monkeypatch):
    monkeypatch.setattr("service.reader_letters.MOST_LOOKED_AT", 4)
    monkeypatch.setattr("service.reader_letters._CHUNK", 2)
    await post_letters(world, 7)
    letters = LetterReader(world.reader())
    first = await letters.page(10, reason="too_large")
    assert (first.letters, first.cursor is None) == ([], False)
    assert (await letters.page(10, first.cursor, reason="too_large")).cursor is None


@pytest.mark.parametrize("cursor", ["x", "1", "1-1-1", "(1-1", "9" * 30 + "-0"])
async def test_a_letter_cursor_that_is_none_is_rejected(world, cursor):
    with pytest.raises(Rejected):
        await LetterReader(world.reader()).page(5, cursor)


# --- lag -------------------------------------------------------------------------------------------------------------


async def test_lag_is_what_the_slowest_reader_has_not_committed(world):
    assert await log_lag(world.reader()) is None
    await world.redis.set("sg:v1:{@log}:partitions", PARTITIONS)
    assert await log_lag(world.reader()) == {0: 0, 1: 0}
    await world.redis.set("sg:v1:{@log-0}:end", 10)
    await world.redis.set("sg:v1:{@log-1}:end", 5)
    await world.redis.hset("sg:v1:{@log-0}:read", mapping={"a": 10, "b": 7})
    assert await log_lag(world.reader()) == {0: 3, 1: 5}
