from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from flow.cells import Retention
from flow.facts import DeploymentFact
from flow.instants import DAY, HOUR
from flow.keys import DELIVERIES, StateKeys
from flow.lanes import lane_name
from flow.unmapped import MOST_NAMES
from service.api import build_api
from service.authorisation import TokenCheck
from service.reader import StateReader
from tests.integration.monitored import NOW, PARTITIONS, Monitored, checkout_facts, delivery_facts, on

D, H = DAY / 1000, HOUR / 1000


@pytest.fixture
async def world(redis: Redis) -> Monitored:
    found = Monitored(redis)
    await found.post(*checkout_facts(found), *delivery_facts())
    return found


def client_of(reader: StateReader, tokens: TokenCheck | None = None) -> httpx.AsyncClient:
    app = build_api(reader, tokens or TokenCheck({}, open_access=True), "0.1.0")
    return httpx.AsyncClient(transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://test")


@pytest.fixture
async def client(world: Monitored) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(world.reader()) as found:
        yield found


async def get(client: httpx.AsyncClient, path: str, status: int = 200) -> Any:
    answer = await client.get(path)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == ("application/json" if status == 200 else "application/problem+json")
    return answer.json()


def only(document: dict[str, Any], *names: str) -> list[Any]:
    return [document[name] for name in names]


# --- streams ---------------------------------------------------------------------------------------------------------


async def test_streams_are_listed_with_what_is_in_progress(client):
    streams = (await get(client, "/v1/streams"))["streams"]
    assert [(stream["stream"], stream["wip"]) for stream in streams] == [("checkout", 4), ("support", 0)]
    assert streams[0]["labels"] == {"portfolio": "retail"}
    assert streams[0]["stages"][1] == {"stage": "develop", "kind": "active", "wip_limit": 2}


async def test_the_status_of_a_stream_is_exact(client):
    status = await get(client, "/v1/streams/checkout")
    assert only(status, "stream", "at", "window") == ["checkout", "2026-11-22T12:00:00Z", "7d"]
    assert only(status, "wip", "throughput", "reopened", "value_delivered") == [4, 2, 1, 8.5]
    assert only(status["cycle_time"], "count", "mean") == [2, 4.5 * D]
    assert only(status["lead_time"], "count", "mean") == [2, 6.5 * D]
    assert status["cycle_time"]["p50"] == pytest.approx(4 * D, rel=0.032)
    assert status["lead_time"]["p95"] == pytest.approx(7 * D, rel=0.032)
    assert status["flow_efficiency"] == pytest.approx((4 + 4.75) / 9)
    by_type = {name: only(entry, "throughput", "wip", "value_delivered") for name, entry in status["by_type"].items()}
    assert by_type == {"feature": [1, 1, 5], "defect": [1, 0, 3.5], "risk": [0, 0, 0], "debt": [0, 0, 0],
                       "other": [0, 3, 0]}  # fmt: skip
    assert only(status["by_type"]["defect"]["cycle_time"], "count", "mean") == [1, 5 * D]


async def test_the_stages_of_a_status_are_exact(client):
    stages = (await get(client, "/v1/streams/checkout"))["stages"]
    now = {
        stage["stage"]: only(stage, "wip", "queue_depth", "blocked", "oldest_age", "items_over_sle") for stage in stages
    }
    assert now == {
        "backlog": [1, 1, 0, 1 * D, None],
        "develop": [2, None, 1, 3.5 * D, 1],
        "review": [1, None, 0, 4.5 * D, 1],
        "done": [None, None, None, None, None],
    }
    counted = {stage["stage"]: only(stage, "arrivals", "departures", "rework", "blocked_time") for stage in stages}
    assert counted == {
        "backlog": [1, 3, 0, 0],
        "develop": [4, 3, 0, 0],
        "review": [2, 3, 1, 6 * H],
        "done": [3, 1, 1, 0],
    }
    assert [stage["percent_complete_accurate"] for stage in stages] == [1.0, 0.5, 1.0, None]
    assert [only(stage["time"], "count", "mean") for stage in stages[:3]] == [[3, 7 * D], [3, 3 * D], [3, 4 / 3 * D]]
    assert [stage["wip_limit"] for stage in stages] == [None, 2, None, None]
    assert {stage["bottleneck"] for stage in stages} == {None}


async def test_targets_stand_beside_what_is(client):
    targets = (await get(client, "/v1/streams/checkout"))["targets"]
    assert targets["wip"] == {"target": 5, "actual": 4, "met": True}
    assert targets["throughput_per_week"] == {"target": 12, "actual": 2.0, "met": False}
    assert targets["cycle_time_p85"]["target"] == 10 * D
    assert [targets[name]["met"] for name in ("cycle_time_p85", "flow_efficiency")] == [True, True]


async def test_of_the_past_wip_is_exact_and_what_cannot_be_known_is_null(client):
    status = await get(client, "/v1/streams/checkout?at=2026-11-18T00:00:00Z")
    assert only(status, "wip", "throughput", "reopened") == [4, 1, 0]
    stages = {stage["stage"]: stage for stage in status["stages"]}
    assert {name: stage["wip"] for name, stage in stages.items()} == {
        "backlog": 3,
        "develop": 0,
        "review": 1,
        "done": None,
    }
    unknown = ("blocked", "oldest_age", "items_over_sle")
    assert only(stages["review"], *unknown) == [None] * 3
    assert status["by_type"]["feature"]["wip"] is None


async def test_a_stream_that_nobody_has_written_has_a_status(client):
    status = await get(client, "/v1/streams/support?window=30d")
    assert only(status, "wip", "throughput", "flow_efficiency") == [0, 0, None]
    assert status["cycle_time"] == {"count": 0, "mean": None, "p50": None, "p85": None, "p95": None}
    assert status["stages"][0]["oldest_age"] is None


async def test_one_stage_is_what_the_status_says_of_it(client):
    stage = await get(client, "/v1/streams/checkout/stages/develop?window=7d")
    assert stage.pop("sle") == {"quantile": 0.85, "within": 3 * D}
    assert only(stage, "stream", "at", "window") == ["checkout", "2026-11-22T12:00:00Z", "7d"]
    [listed] = [entry for entry in (await get(client, "/v1/streams/checkout"))["stages"] if entry["stage"] == "develop"]
    assert listed.items() <= stage.items()


@pytest.mark.parametrize("window", ["1m", "90m", "1d", "7d", "30d", "90d", "731d"])
async def test_windows_of_all_lengths_have_an_answer(client, window):
    assert (await get(client, f"/v1/streams/checkout?window={window}"))["wip"] == 4


# --- cumulative flow -------------------------------------------------------------------------------------------------


async def test_statuses_that_no_stage_claims_are_listed_by_name(world, client):
    path = "/v1/streams/checkout/unmapped-statuses"
    assert await get(client, path) == {"stream": "checkout", "statuses": []}
    await world.post(
        world.item("CHK-1", "20 00:00", "Waiting"),
        world.item("CHK-2", "20 00:00", "Waiting"),
        world.item("CHK-3", "21 02:00", "On | hold", source="jira"),
        world.item("SUP-1", "21 02:00", "Parked"),
    )
    assert (await get(client, path))["statuses"] == [
        {"source": "acme", "status": "Waiting", "facts": 2},
        {"source": "jira", "status": "On | hold", "facts": 1},
    ]
    assert "chekout" in (await get(client, "/v1/streams/chekout/unmapped-statuses", 404))["detail"]


async def test_of_very_many_statuses_that_no_stage_claims_the_first_are_listed_by_name(world, client):
    facts = [world.item("CHK-1", "20 00:00", f"Odd {number}") for number in range(MOST_NAMES + 5)]
    await world.post(*facts)
    statuses = (await get(client, "/v1/streams/checkout/unmapped-statuses"))["statuses"]
    assert len(statuses) == MOST_NAMES + 1
    assert statuses[0] == {"source": "acme", "status": None, "facts": 5}


async def test_cumulative_flow_ends_at_the_status_and_never_falls(client):
    flow = await get(client, "/v1/streams/checkout/cumulative-flow?window=7d&points=20")
    points, status = flow["points"], await get(client, "/v1/streams/checkout?window=7d")
    assert (flow["step"], len(points)) == (12 * H, 15)
    assert points[0]["at"] == "2026-11-15T12:00:00Z"
    for stage in status["stages"]:
        lines = [point["stages"][stage["stage"]] for point in points]
        assert lines[-1] == {name: stage[name] for name in ("arrivals", "departures", "rework", "wip")}
        assert only(lines[0], "arrivals", "departures", "rework") == [0, 0, 0]
        assert all(before["arrivals"] <= after["arrivals"] for before, after in itertools.pairwise(lines))


async def test_wip_of_cumulative_flow_is_the_wip_of_each_instant(client):
    flow = await get(client, "/v1/streams/checkout/cumulative-flow?window=12d")
    for point in flow["points"][1:-1]:
        status = await get(client, f"/v1/streams/checkout?at={point['at']}")
        now = {stage["stage"]: stage["wip"] for stage in status["stages"]}
        assert {name: stage["wip"] for name, stage in point["stages"].items()} == now
    start = {name: stage["wip"] for name, stage in flow["points"][0]["stages"].items()}
    assert start == {"backlog": 2, "develop": 1, "review": 0, "done": None}


# --- items -----------------------------------------------------------------------------------------------------------


async def test_items_come_oldest_first_with_their_ages(client):
    items = await get(client, "/v1/streams/checkout/items")
    rows = [only(row, "item", "stage", "age", "item_age", "blocked", "over_sle") for row in items["items"]]
    assert rows == [
        ["CHK-4", "review", 4.5 * D, 4.5 * D, False, True],
        ["CHK-6", "develop", 3.5 * D, 12.5 * D, False, True],
        ["CHK-3", "develop", 2.5 * D, 2.5 * D, True, False],
        ["CHK-5", "backlog", 1 * D, None, False, None],
    ]
    assert only(items["items"][2], "type", "title", "url") == ["feature", "Refund", None]
    assert items["next_cursor"] is None


async def test_an_item_is_over_its_sle_only_once_it_is_there_longer(world, client):
    await world.post(world.item("CHK-8", NOW - DAY, "In Review"), world.item("CHK-9", NOW - DAY - 1, "In Review"))
    rows = (await get(client, "/v1/streams/checkout/items?stage=review&order=newest"))["items"]
    assert [only(row, "item", "over_sle") for row in rows[:2]] == [["CHK-8", False], ["CHK-9", True]]


async def test_a_done_stage_lists_what_was_finished_last(client):
    items = (await get(client, "/v1/streams/checkout/items?stage=done"))["items"]
    assert [only(row, "item", "since", "age", "item_age", "cycle_time") for row in items] == [
        ["CHK-2", "2026-11-18T00:00:00Z", None, None, 5 * D],
        ["CHK-1", "2026-11-16T00:00:00Z", None, None, 4 * D],
    ]
    oldest = (await get(client, "/v1/streams/checkout/items?stage=done&order=oldest"))["items"]
    assert [row["item"] for row in oldest] == ["CHK-1", "CHK-2"]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("order=newest", ["CHK-5", "CHK-3", "CHK-6", "CHK-4"]),
        ("stage=develop", ["CHK-6", "CHK-3"]),
        ("older_than=3d", ["CHK-4", "CHK-6"]),
        ("older_than=60h&order=newest", ["CHK-3", "CHK-6", "CHK-4"]),
        ("stage=develop&older_than=90h", []),
    ],
)
async def test_items_are_chosen_by_stage_age_and_order(client, query, names):
    items = (await get(client, f"/v1/streams/checkout/items?{query}"))["items"]
    assert [row["item"] for row in items] == names


async def test_pages_follow_each_other_by_cursor(client):
    page = await get(client, "/v1/streams/checkout/items?limit=1")
    seen = [row["item"] for row in page["items"]]
    for _ in range(3):
        page = await get(client, f"/v1/streams/checkout/items?limit=1&cursor={page['next_cursor']}")
        seen += [row["item"] for row in page["items"]]
    assert (seen, page["next_cursor"]) == (["CHK-4", "CHK-6", "CHK-3", "CHK-5"], None)


async def test_a_cursor_of_the_other_order_is_refused(client):
    page = await get(client, "/v1/streams/checkout/items?limit=1")
    refused = await get(client, f"/v1/streams/checkout/items?order=newest&cursor={page['next_cursor']}", 400)
    assert refused["reason"] == "invalid_request"


async def test_the_story_of_an_item_tells_visits_and_times(client):
    story = await get(client, "/v1/streams/checkout/items/CHK-2")
    assert only(story, "stage", "cycle_time", "lead_time", "type") == ["done", 5 * D, 7 * D, "defect"]
    assert only(story, "first_at", "committed_at", "finished_at") == [
        "2026-11-11T00:00:00Z", "2026-11-13T00:00:00Z", "2026-11-18T00:00:00Z"
    ]  # fmt: skip
    visits = [only(visit, "stage", "time", "ending", "blocked_time") for visit in story["visits"]]
    assert visits == [
        ["backlog", 2 * D, "forward", 0],
        ["develop", 2 * D, "forward", 0],
        ["review", 1 * D, "rework", 6 * H],
        ["develop", 1 * D, "forward", 0],
        ["review", 1 * D, "forward", 0],
        ["done", None, None, 0],
    ]
    assert story["blocked_intervals"] == [{"start": "2026-11-15T12:00:00Z", "end": "2026-11-15T18:00:00Z"}]
    assert [only(fact, "status", "stage", "blocked") for fact in story["facts"][2:5]] == [
        ["In Review", "review", None], [None, None, True], [None, None, False]
    ]  # fmt: skip
    assert only(story["about"], "source", "type", "value") == ["acme", "Bug", 3.5]


async def test_a_deleted_item_is_nowhere_and_its_story_says_so(client):
    story = await get(client, "/v1/streams/checkout/items/CHK-7")
    assert only(story, "stage", "since", "age", "item_age") == [None] * 4
    assert story["visits"][-1]["ending"] == "removed"


async def test_an_item_may_have_slashes_and_any_letters_in_its_name(world, client):
    await world.post(world.item("CHK-org/repo#12 é", "20 00:00", "To Do", project="CHK"))
    story = await get(client, "/v1/streams/checkout/items/CHK-org%2Frepo%2312%20%C3%A9")
    assert story["item"] == "CHK-org/repo#12 é"
    assert (await get(client, "/v1/streams/checkout/items/CHK-org/repo%2312%20é"))["stage"] == "backlog"


# --- deliveries and dead letters -------------------------------------------------------------------------------------


async def test_deliveries_tell_the_five_of_each_lane(client):
    lanes = (await get(client, "/v1/deliveries"))["lanes"]
    assert [only(lane, "service", "environment", "deployments") for lane in lanes] == [
        ["mail", "staging", 1], ["shop", "production", 3]
    ]  # fmt: skip
    shop = lanes[1]
    assert only(shop, "failed_deployments", "rolled_back_deployments") == [1, 0]
    assert shop["deployment_frequency"] == pytest.approx(3 / 30)
    assert only(shop["change_lead_time"], "count", "mean") == [1, 1.5 * D]
    assert only(shop["failed_deployment_recovery_time"], "count", "mean") == [1, 2 * H]
    assert only(shop, "change_fail_rate", "deployment_rework_rate") == [pytest.approx(1 / 3), pytest.approx(2 / 3)]


async def test_a_lane_without_deployments_in_the_window_has_no_rates(client):
    lanes = (await get(client, "/v1/deliveries?window=7d&service=mail"))["lanes"]
    rates = ("deployments", "deployment_frequency", "change_fail_rate", "deployment_rework_rate")
    assert [only(lane, *rates) for lane in lanes] == [[0, 0, None, None]]
    assert (await get(client, "/v1/deliveries?environment=nowhere"))["lanes"] == []


async def pages_of_lanes(client, query: str) -> list[list[str]]:
    pages, cursor = [], ""
    while True:
        page = await get(client, f"/v1/deliveries?{query}{cursor}")
        pages.append(["/".join(only(lane, "service", "environment")) for lane in page["lanes"]])
        if page["next_cursor"] is None:
            return pages
        cursor = f"&cursor={page['next_cursor']}"


async def test_lanes_come_page_by_page_by_service_and_environment(world, client):
    names = [(service, where) for service in ("a b", "é/1", "zoo") for where in ("live", "test")]
    facts = [
        DeploymentFact(f"{service}{where}", "acme", service, where, "d", on("20 00:00"), "succeeded")
        for service, where in names
    ]
    await world.post(*facts)
    everything = sorted([*names, ("mail", "staging"), ("shop", "production")])
    expected = [f"{service}/{where}" for service, where in everything]
    assert await pages_of_lanes(client, "limit=500") == [expected]
    assert await pages_of_lanes(client, "limit=8") == [expected]
    assert await pages_of_lanes(client, "limit=3") == [expected[:3], expected[3:6], expected[6:]]
    assert await pages_of_lanes(client, "limit=1&environment=live") == [["a b/live"], ["zoo/live"], ["é/1/live"]]
    assert await pages_of_lanes(client, "limit=1&service=zoo") == [["zoo/live"], ["zoo/test"]]


async def test_a_page_goes_on_behind_a_lane_that_is_gone_and_counts_what_the_whole_list_does(world, client):
    first = await get(client, "/v1/deliveries?limit=1")
    await world.redis.hdel(StateKeys(DELIVERIES, "1").totals, lane_name("mail", "staging"))
    rest = await get(client, f"/v1/deliveries?limit=1&cursor={first['next_cursor']}")
    assert [only(lane, "service", "deployments") for lane in rest["lanes"]] == [["shop", 3]]
    assert rest["next_cursor"] is None


@pytest.mark.parametrize("query", ["cursor=x", "cursor=WzFd", "limit=0", "limit=501", "cursor=", "page=2"])
async def test_a_page_of_lanes_that_cannot_be_is_refused(client, query):
    answer = await client.get(f"/v1/deliveries?{query}")
    assert answer.status_code in {400, 422}, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


async def test_dead_letters_are_shown_with_their_reason(world, client):
    await world.post(world.item("ABC-1", "20 00:00", "To Do", title="é" * 9000), world.item("CHK-1", NOW + 2 * DAY))
    page = await get(client, "/v1/dead-letters")
    assert {letter["reason"] for letter in page["letters"]} == {"no_stream", "at_in_future"}
    [letter] = (await get(client, "/v1/dead-letters?reason=no_stream&limit=1"))["letters"]
    assert only(letter, "kind", "source", "at") == ["fact", "acme", "2026-11-22T12:00:00Z"]
    assert letter["body"].startswith('{"subject":"item"')
    assert (len(letter["body"]), letter["body_bytes"] > 18_000) == (4000, True)
    assert {"source": "acme", "reason": "at_in_future", "count": 1} in page["counts"]


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "reason", "near"),
    [
        ("/v1/streams/chekout", "unknown_stream", "checkout"),
        ("/v1/streams/chekout/items", "unknown_stream", "checkout"),
        ("/v1/streams/chekout/items/CHK-1", "unknown_stream", "checkout"),
        ("/v1/streams/chekout/cumulative-flow", "unknown_stream", "checkout"),
        ("/v1/streams/checkout/stages/reveiw", "unknown_stage", "review"),
        ("/v1/streams/checkout/items?stage=reveiw", "unknown_stage", "review"),
        ("/v1/streams/checkout/items/chk-1", "unknown_item", "CHK-1"),
        ("/v1/streems", "unknown_route", "/docs"),
    ],
)
async def test_what_does_not_exist_is_404_and_says_what_comes_near(client, path, reason, near):
    problem = await get(client, path, 404)
    assert (problem["status"], problem["reason"]) == (404, reason)
    assert near in problem["detail"]


@pytest.mark.parametrize(
    ("query", "where"),
    [
        ("window=7", ["query.window"]),
        ("window=59s", ["query.window"]),
        ("window=732d", ["query.window"]),
        ("window=999999999w", ["query.window"]),
        ("at=2026-11-22T09:30:00", ["query.at"]),
        ("at=yesterday&window=x", ["query.window", "query.at"]),
        ("windw=7d&foo=1", ["query.windw", "query.foo"]),
        ("window=7d&window=1d", ["query.window"]),
    ],
)
async def test_each_wrong_parameter_is_named(client, query, where):
    problem = await get(client, f"/v1/streams/checkout?{query}", 422)
    assert [entry["where"] for entry in problem["problems"]] == where
    assert all(entry["what"] for entry in problem["problems"])
    assert problem["reason"] == "invalid_request"


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=501", "limit=x", "order=up", "older_than=2", "at=2026-11-22T09:30:00Z"]
)
async def test_each_wrong_parameter_of_items_is_named(client, query):
    problem = await get(client, f"/v1/streams/checkout/items?{query}", 422)
    assert [entry["where"] for entry in problem["problems"]] == [f"query.{query.partition('=')[0]}"]


@pytest.mark.parametrize(
    "query",
    [
        "at=2026-11-23T12:00:01Z",
        "at=0001-01-01T00:00:00Z",
        "at=9999-12-31T23:59:59Z",
        "at=2024-11-25T00:00:00Z&window=30d",
    ],
)
async def test_an_instant_outside_what_is_kept_is_refused(client, query):
    problem = await get(client, f"/v1/streams/checkout?{query}", 400)
    assert (problem["title"], problem["reason"]) == ("Bad Request", "invalid_request")


async def test_a_plus_sign_that_became_a_space_is_read_as_one(client):
    status = await get(client, "/v1/streams/checkout?at=2026-11-18T02:00:00+02:00")
    assert status["at"] == "2026-11-18T00:00:00Z"


async def test_a_method_that_is_not_for_a_route_is_a_problem_too(client):
    answer = await client.post("/v1/streams")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
    assert answer.headers["content-type"] == "application/problem+json"


async def test_redis_away_is_503_and_says_when_to_try_again(tmp_path, world):
    gone = Redis(unix_socket_path=str(tmp_path / "nobody.sock"), retry=Retry(NoBackoff(), 0))
    async with client_of(StateReader(gone, world.definitions, Retention(), PARTITIONS, lambda: NOW)) as client:
        answer = await client.get("/v1/streams/checkout")
        assert (answer.status_code, answer.json()["reason"]) == (503, "state_unavailable")
        assert int(answer.headers["retry-after"]) > 0
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()["ready"]) == (503, False)
        assert (await client.get("/healthz")).status_code == 200
    await gone.aclose()


async def test_a_fault_of_ours_is_500_without_details_and_logged(world, caplog):
    def broken_clock() -> int:
        raise RuntimeError("the secret of the house")

    reader = world.reader()
    reader.clock = broken_clock
    async with client_of(reader) as client:
        problem = await get(client, "/v1/streams/checkout", 500)
    assert "secret" not in str(problem)
    assert "request_broke" in caplog.text
    assert "the secret of the house" in caplog.text


# --- tokens ----------------------------------------------------------------------------------------------------------

GUARDED = ("/v1/streams", "/v1/streams/checkout", "/v1/streams/checkout/items", "/v1/deliveries", "/v1/dead-letters")


@pytest.mark.parametrize("path", [*GUARDED, "/v1/streams/nope?bad=1"])
async def test_without_a_known_token_nothing_is_told(world, path):
    tokens = TokenCheck({"ops": sha256(b"letmein").hexdigest()}, open_access=True)
    async with client_of(world.reader(), tokens) as client:
        for headers in ({}, {"Authorization": "Bearer wrong"}):
            answer = await client.get(path, headers=headers)
            assert (answer.status_code, answer.json()["status"]) == (401, 401)
            assert answer.headers["www-authenticate"].startswith("Bearer")
        passed = await client.get(path, headers={"Authorization": "Bearer letmein"})
        assert passed.status_code in {200, 422}


async def test_health_needs_no_token(world):
    async with client_of(world.reader(), TokenCheck({}, open_access=False)) as client:
        assert [(await client.get(path)).status_code for path in ("/healthz", "/readyz", "/docs")] == [200] * 3
        assert (await client.get("/v1/streams")).status_code == 401


async def test_readiness_tells_the_lag(world, client):
    await world.redis.set("sg:v1:{@log}:partitions", PARTITIONS)
    await world.redis.set("sg:v1:{@log-0}:end", 3)
    ready = await get(client, "/readyz")
    assert only(ready, "ready", "lag_facts") == [True, 3]
