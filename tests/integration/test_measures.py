"""Measures, forecast, ageing and WSJF order, from facts through the real fold and state to the API's answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from flow.definition_file import read_definitions
from flow.instants import DAY
from service.api import build_api
from service.authorisation import TokenCheck
from tests.integration.monitored import NOW, STREAMS, Monitored, checkout_facts

D = DAY / 1000
TARGETS = "wip: 5}"


@pytest.fixture
async def world(redis: Redis) -> Monitored:
    definitions = read_definitions(STREAMS.replace(TARGETS, "wip: 5, value_per_week: 3}"))
    found = Monitored(redis, definitions)
    await found.post(*checkout_facts(found))
    return found


@pytest.fixture
async def client(world: Monitored) -> AsyncIterator[httpx.AsyncClient]:
    app = build_api(world.reader(), TokenCheck({}, open_access=True), "0.1.0")
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as found:
        yield found


async def get(client: httpx.AsyncClient, path: str, status: int = 200) -> Any:
    answer = await client.get(f"/v1/streams/{path}")
    assert answer.status_code == status, answer.text
    return answer.json()


def only(document: dict[str, Any], *names: str) -> list[Any]:
    return [document[name] for name in names]


# --- measures --------------------------------------------------------------------------------------------------------


async def test_safes_six_are_exact(client):
    told = await get(client, "checkout/measures?window=14d")
    assert only(told["distribution"]["feature"], "finished", "share", "in_progress") == [1, 0.5, 1]
    assert only(told["distribution"]["other"], "finished", "share", "share_in_progress") == [0, 0, 0.75]
    assert (told["velocity"], told["time"]["mean"], told["load"]) == ({"items": 2, "per_week": 1}, 4.5 * D, 4)
    assert told["efficiency"] == pytest.approx((4 + 4.75) / 9)
    assert told["predictability"] == {"achieved": 8.5, "planned": 6, "ratio": pytest.approx(8.5 / 6), "why": None}


async def test_predictability_says_why_it_cannot_be_known(client):
    told = (await get(client, "support/measures"))["predictability"]
    assert only(told, "achieved", "planned", "ratio") == [0, None, None]
    assert told["why"] == "no target `value_per_week` says how much business value was planned"


async def test_a_planned_value_is_a_target_beside_what_is(client):
    told = await get(client, "checkout?window=14d")
    assert told["targets"]["value_per_week"] == {"target": 3, "actual": 4.25, "met": True}


async def test_quality_is_rolled_over_the_stages_and_rework_is_a_share(client):
    told = await get(client, "checkout/measures?window=14d")
    assert [stage["percent_complete_accurate"] for stage in told["stages"]] == [1, 0.5, 1, None]
    assert told["percent_complete_accurate"] == 0.5
    assert told["rework"] == {"moves": 2, "reopened": 1, "share": pytest.approx(2 / 15)}
    assert told["blocked_time"] == 21_600


async def test_the_balance_of_a_stream_starts_at_the_commitment(client):
    told = (await get(client, "checkout/measures?window=14d"))["stability"]
    assert only(told, "arrived", "left", "removed", "wip_at_start", "wip_at_end") == [6, 3, 1, 0, 3]
    assert told["why"][-1] == "1 of the 3 that left were deleted: not all that starts is finished"
    quiet = (await get(client, "support/measures"))["stability"]
    assert only(quiet, "arrived", "left", "holds") == [0, 0, None]


async def test_average_wip_is_the_area_under_wip(client):
    """Steps of half a day: every move of these items is at an edge of one, so that only the ramps are shared."""
    told = await get(client, "checkout/measures?window=14d&steps=60")
    review = next(stage for stage in told["stages"] if stage["stage"] == "review")["stability"]
    spent = 2 + 1 + 1 + 4.5
    assert review["average_wip"] == pytest.approx(spent / 14, abs=0.04)
    assert review["expected_wip"] == pytest.approx(4 / 14, abs=0.001)


async def test_the_trend_adds_up_to_the_window(client):
    told = await get(client, "checkout/measures?window=14d&steps=14")
    assert sum(step["throughput"] for step in told["trend"]) == 2
    assert sum(step["value_delivered"] for step in told["trend"]) == 8.5
    assert (told["trend"][0]["start"], told["trend"][-1]["end"]) == ("2026-11-08T12:00:00Z", "2026-11-22T12:00:00Z")


async def test_of_the_past_what_waited_is_null_and_the_balance_is_known(client):
    told = await get(client, "checkout/measures?window=7d&at=2026-11-18T00:00:00Z")
    assert only(told["value"], "value_waiting", "cost_of_delay", "valued_items") == [None] * 3
    assert only(told["stability"], "wip_at_start", "wip_at_end", "left") == [1, 1, 2]


async def test_handoffs_count_where_the_item_was_and_not_in_done(world, client):
    item = world.item
    await world.post(
        item("CHK-20", "19 00:00", "To Do", team="payments"),
        item("CHK-20", "19 06:00", "In Progress", team="payments"),
        item("CHK-20", "20 00:00", "In Review", team="platform"),
        item("CHK-20", "20 06:00", team="payments"),
        item("CHK-20", "21 00:00", "Done"),
        item("CHK-20", "21 06:00", team="platform"),
    )
    told = await get(client, "checkout/measures?window=7d")
    assert [stage["handoffs"] for stage in told["stages"]] == [0, 1, 1, 0]
    assert told["handoffs"] == {"count": 2, "per_finished_item": pytest.approx(2 / 3)}
    status = await get(client, "checkout?window=7d")
    assert (status["handoffs"], [stage["handoffs"] for stage in status["stages"]]) == (2, [0, 1, 1, 0])


async def test_a_late_fact_corrects_handoffs(world, client):
    item = world.item
    await world.post(item("CHK-20", "19 00:00", "In Progress", team="a"), item("CHK-20", "21 00:00", team="b"))
    assert (await get(client, "checkout"))["handoffs"] == 1
    await world.post(item("CHK-20", "18 00:00", team="b"), item("CHK-20", "18 12:00", "In Progress"))
    assert (await get(client, "checkout"))["handoffs"] == 2


# --- value that waits, and its order ---------------------------------------------------------------------------------


def number(size: float, value: float, criticality: float = 0.0, risk_reduction: float = 0.0) -> dict[str, float]:
    return {"value": value, "criticality": criticality, "risk_reduction": risk_reduction, "size": size}


async def waiting(client: httpx.AsyncClient) -> list[Any]:
    backlog = (await get(client, "checkout"))["stages"][0]
    return only(backlog, "value_waiting", "cost_of_delay", "valued_items")


async def test_value_waits_in_a_queue_until_the_item_leaves_it(world, client):
    item = world.item
    assert await waiting(client) == [0, 0, 0]
    await world.post(item("CHK-20", "20 00:00", "To Do", **number(2, 8, 3, 1)))
    await world.post(item("CHK-21", "20 00:00", "To Do", criticality=2.5))
    assert await waiting(client) == [8, 14.5, 1]
    await world.post(item("CHK-20", "20 01:00", value=5.5))
    assert await waiting(client) == [5.5, 12, 1]
    value = (await get(client, "checkout/measures"))["value"]
    assert only(value, "delivered", "value_waiting", "cost_of_delay", "valued_items", "waiting_items") == [
        8.5, 5.5, 12, 1, 3
    ]  # fmt: skip
    await world.post(item("CHK-20", "21 00:00", "In Progress"), item("CHK-21", "21 00:00", deleted=True))
    assert await waiting(client) == [0, 0, 0]
    other = (await get(client, "checkout"))["stages"][1]
    assert only(other, "value_waiting", "cost_of_delay", "valued_items") == [None] * 3


async def test_a_late_fact_takes_the_value_back_to_the_queue(world, client):
    item = world.item
    await world.post(item("CHK-20", "20 00:00", "In Progress", **number(2, 8)), item("CHK-20", "21 00:00", "To Do"))
    assert await waiting(client) == [8, 8, 1]
    await world.post(item("CHK-20", "21 06:00", "In Review"), item("CHK-20", "21 03:00", value=100.0))
    assert await waiting(client) == [0, 0, 0]


async def order(client: httpx.AsyncClient, query: str = "") -> list[Any]:
    found = await get(client, f"checkout/stages/backlog/wsjf?{query}")
    return [only(row, "item", "wsjf") for row in found["items"]]


async def test_a_queue_is_in_the_order_of_wsjf_and_missing_numbers_come_last(world, client):
    item = world.item
    await world.post(
        item("CHK-20", "20 00:00", "To Do", **number(2, 8, 3, 1)),
        item("CHK-21", "20 00:00", "To Do", **number(1, 20)),
        item("CHK-22", "19 00:00", "To Do", **number(0, 99)),
        item("CHK-23", "20 00:00", "To Do", **number(4, -2)),
        item("CHK-24", "20 00:00", "To Do", **number(1, 4, 1, 1)),
    )
    assert await order(client) == [
        ["CHK-21", 20], ["CHK-20", 6], ["CHK-24", 6], ["CHK-23", -0.5], ["CHK-22", None], ["CHK-5", None]
    ]  # fmt: skip
    page = await get(client, "checkout/stages/backlog/wsjf?limit=500")
    assert only(page, "waiting", "ranked", "next_cursor") == [6, 4, None]
    assert [row["missing"] for row in page["items"]][-3:] == [
        [], ["size"], ["value", "criticality", "risk_reduction", "size"]
    ]  # fmt: skip
    assert only(page["items"][1], "cost_of_delay", "value", "size", "stage", "age") == [12, 8, 2, "backlog", 2.5 * D]


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 7])
async def test_pages_of_the_order_follow_each_other_although_many_are_equal(world, client, limit):
    item = world.item
    await world.post(
        *[item(f"CHK-{name}", "20 00:00", "To Do", **number(1, 6)) for name in range(30, 50)],
        *[item(f"CHK-{name}", "20 00:00", "To Do") for name in range(50, 55)],
    )
    seen, cursor = [], ""
    for _ in range(60):
        page = await get(client, f"checkout/stages/backlog/wsjf?limit={limit}{cursor}")
        assert len(page["items"]) <= limit
        seen += [row["item"] for row in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == [f"CHK-{name}" for name in [*range(30, 55), 5]]


async def test_the_order_follows_what_is_said_and_where_items_go(world, client):
    item = world.item
    await world.post(
        item("CHK-20", "20 00:00", "To Do", **number(2, 8)), item("CHK-21", "20 00:00", "To Do", **number(2, 6))
    )
    assert [name for name, _ in await order(client)][:2] == ["CHK-20", "CHK-21"]
    await world.post(item("CHK-21", "20 01:00", size=1.0))
    assert (await order(client))[0] == ["CHK-21", 6]
    await world.post(item("CHK-21", "20 02:00", "In Progress"), item("CHK-20", "20 02:00", size=0.0))
    assert await order(client) == [["CHK-20", None], ["CHK-5", None]]
    await world.post(item("CHK-21", "20 03:00", "To Do"))
    assert (await order(client))[0] == ["CHK-21", 6]


async def test_only_queues_have_an_order(client):
    refused = await get(client, "checkout/stages/review/wsjf", 400)
    assert refused["detail"] == "stage review is active: WSJF orders queues; ask for backlog"
    none = await get(client, "support/stages/open/wsjf", 400)
    assert none["detail"].endswith("support has no queue")
    assert (await get(client, "checkout/stages/nowhere/wsjf", 404))["reason"] == "unknown_stage"
    assert (await get(client, "checkout/stages/backlog/wsjf?cursor=bm9uc2Vuc2U", 400))["reason"] == "invalid_request"


async def test_a_stage_that_nobody_has_written_has_an_empty_order(redis):
    quiet = Monitored(redis)
    app = build_api(quiet.reader(), TokenCheck({}, open_access=True), "0.1.0")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        page = await get(client, "checkout/stages/backlog/wsjf")
        assert only(page, "waiting", "ranked", "items", "next_cursor") == [0, 0, [], None]
        assert (await get(client, "checkout/ageing"))["items"] == []
        assert (await get(client, "checkout/forecast"))["when"] is None
        assert (await get(client, "checkout/measures"))["load"] == 0


# --- ageing ----------------------------------------------------------------------------------------------------------


async def test_items_stand_beside_the_pace_of_finished_ones(client):
    told = await get(client, "checkout/ageing")
    assert told["sampled"] == 2
    assert told["stages"] == [
        {"stage": "develop", "sampled": 2, "p50": 2 * D, "p70": 4 * D, "p85": 4 * D, "p95": 4 * D},
        {"stage": "review", "sampled": 2, "p50": 4 * D, "p70": 5 * D, "p85": 5 * D, "p95": 5 * D},
    ]
    assert [only(row, "item", "stage", "item_age", "pace") for row in told["items"]] == [
        ["CHK-4", "review", 4.5 * D, "p50"],
        ["CHK-6", "develop", 12.5 * D, "p95"],
        ["CHK-3", "develop", 2.5 * D, "p50"],
    ]


async def test_ageing_is_of_one_stage_and_of_a_sample_if_asked_for(client):
    told = await get(client, "checkout/ageing?stage=backlog&sample=1")
    assert (told["sampled"], [only(row, "item", "item_age", "pace") for row in told["items"]]) == (
        1, [["CHK-5", None, None]]
    )  # fmt: skip
    assert told["stages"][0]["p50"] == 4 * D


async def test_pages_of_ageing_follow_each_other(client):
    first = await get(client, "checkout/ageing?limit=2")
    second = await get(client, f"checkout/ageing?limit=2&cursor={first['next_cursor']}")
    assert [row["item"] for row in (*first["items"], *second["items"])] == ["CHK-4", "CHK-6", "CHK-3"]
    assert second["next_cursor"] is None
    newest = (await get(client, "checkout/items?limit=1&order=newest"))["next_cursor"]
    assert (await get(client, f"checkout/ageing?cursor={newest}", 400))["reason"] == "invalid_request"


# --- forecast --------------------------------------------------------------------------------------------------------


async def test_a_forecast_draws_from_whole_days_that_are_over(client):
    told = await get(client, "checkout/forecast?items=3&by=2026-12-06&trials=1000")
    assert told["history"] == {
        "start": "2026-11-09", "end": "2026-11-21", "days": 13, "closed_days": 0, "zero_days": 11, "items": 2,
        "items_per_day": pytest.approx(2 / 13),
    }  # fmt: skip
    assert only(told["how_many"], "by", "days") == ["2026-12-06", 14]
    assert told["how_many"]["p50"] >= told["how_many"]["p85"] >= told["how_many"]["p95"]
    days = [told["when"][name]["days"] for name in ("p50", "p85", "p95")]
    assert days == sorted(days)
    assert told["when"]["p50"]["date"] > "2026-11-25"
    assert told["warnings"][0].startswith("the history is short: 2 items in 13 days")
    assert told["assumption"] == "Valid while the future resembles the past."


async def test_a_forecast_is_the_same_for_the_same_seed(client):
    one, same = [await get(client, "checkout/forecast?trials=500&seed=7") for _ in range(2)]
    assert one == same
    assert (one["when"]["items"], one["seed"], one["trials"], one["how_many"]["days"]) == (4, 7, 500, 28)


async def test_what_is_finished_today_is_no_history_yet(world, client):
    before = (await get(client, "checkout/forecast?trials=100"))["history"]
    await world.post(world.item("CHK-4", NOW - 1000, "Done"))
    assert (await get(client, "checkout/forecast?trials=100"))["history"] == before


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("by=2026-11-22", 400), ("by=2027-12-01", 400), ("by=soon", 422), ("by=2026-11-31", 422), ("items=-1", 422),
        ("history=2y", 422), ("history=1h", 422), ("trials=99", 422), ("trials=10001", 422), ("seed=-1", 422),
        ("by=0001-01-01", 400),
    ],
)  # fmt: skip
async def test_a_question_that_makes_no_sense_is_refused(client, query, status):
    assert (await get(client, f"checkout/forecast?{query}", status))["status"] == status
