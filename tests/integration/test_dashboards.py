"""Every query of every board, asked of a real Prometheus with our rules that scrapes the running product.

Prometheus scrapes it under two names, as if two processes told of the same state: nothing may be counted twice.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import re
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio

from flow import keys
from flow.bridge_metrics import BridgeMetrics, TopicMetrics, pack_bridge
from flow.errors import Reason
from flow.instants import MINUTE
from tests.dashboards import Asked, as_promql, boards, queries_of
from tests.integration.installation import Installation
from tests.servers import prometheus
from tests.servers.prometheus import WebServer, running_prometheus

pytestmark = [
    pytest.mark.needs_server("valkey"),
    pytest.mark.needs_server("prometheus"),
    pytest.mark.timeout(300),
    pytest.mark.asyncio(loop_scope="module"),
]

SECRET: Final = "a secret of the tests"
NOBODY: Final = "127.0.0.1:9"
CHOSEN: Final = {
    "stream": "checkout", "stage": "review", "window": "1h", "service": "shop|mail", "environment": ".*",
    "source": ".*", "__rate_interval": "5m", "__range": "10m",
}  # fmt: skip

STREAMS: Final = """
streams:
  checkout:
    match: {project: CHK}
    windows: [1h, 7d]
    stages:
      - {name: backlog, kind: queue, when: [{status: To Do}]}
      - {name: review, kind: active, when: [{status: In Review}], wip_limit: 2, sle: {p85: 1h}}
      - {name: done, kind: done, when: [{status: Done}]}
    targets: {lead_time_p85: 30d, cycle_time_p85: 10d, flow_efficiency: 0.4, throughput_per_week: 12, wip: 9,
              value_per_week: 40}
  empty:
    match: {project: acme/shop}
    stages:
      - {name: open, kind: active, when: [{status: open}]}
      - {name: closed, kind: done, when: [{status: closed}]}
deliveries:
  - {environment: production, targets: {change_fail_rate: 0.15, failed_deployment_recovery_time: 1h}}
"""

_LEARNING: Final = "the detector says nothing before it has learned what is usual"

NOTHING: Final = {
    "flow-overview: Finished B": "Prometheus has no window before: it runs for seconds",
    "flow-overview: Stages, in the order of the stream N": _LEARNING,
    "flow-stage: Evidence of a bottleneck A": _LEARNING,
    "flow-stage: Evidence by cause A": _LEARNING,
    "flow-overview: WIP limit changes annotation": "no definition changed",
    "flow-stage: WIP limit changes annotation": "no definition changed",
    "flow-stage: Queue against its own week A": "review is no queue",
    "flow-stage: Queue against its own week B": "review is no queue",
    "flow-pipeline: Sources B": "no source was busy a week ago",
    "flow-pipeline: Answers that failed A": "nothing failed",
    "flow-pipeline: Pages annotation": "the monitor works",
    "flow-pipeline: Items read again, by outcome A": "no tool is asked again here",
    "flow-pipeline: Processes B": "nothing waits in a spool",
    "flow-deliveries: Pages annotation": "no recovery is overdue",
}
"""The queries that rightly have no answer here, and why."""


@dataclass
class Watched:
    """The product and the Prometheus that watches it."""

    installation: Installation
    prometheus: WebServer

    async def post(self, *facts: dict[str, Any]) -> None:
        """Facts as a tool would post them."""
        answer = await self.installation.client.post("/v1/facts", json=list(facts))
        assert answer.status_code == 202, answer.text

    async def webhook(self, number: int, secret: str = SECRET) -> None:
        """GitHub tells of an issue."""
        issue = {"number": number, "state": "open", "title": "", "labels": [], "created_at": at(), "updated_at": at()}
        body = json.dumps({"action": "opened", "issue": issue, "repository": {"full_name": "acme/shop"}}).encode()
        signature = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        headers = {"Content-Type": "application/json", "X-GitHub-Event": "issues", "X-Hub-Signature-256": signature}
        await self.installation.client.post("/webhooks/github", content=body, headers=headers)

    async def bridge(self, records: int, refused: int) -> None:
        """What a bridge that reads a topic tells of itself."""
        now = time.time_ns() // 1_000_000
        topic = TopicMetrics(records=records, refused={Reason.INVALID_FACT.value: refused})
        told = BridgeMetrics(at=now + 10 * MINUTE, started_at=now, topics={"tickets": topic})  # it is not silent soon
        async with self.installation.redis() as redis:
            await redis.hset(keys.BRIDGE_METRICS, "bridge-1", pack_bridge(told))

    async def ask(self, query: str) -> list[tuple[dict[str, str], float]]:
        """What Prometheus has now."""
        return await asyncio.to_thread(self.prometheus.values, query)

    async def until(self, query: str) -> None:
        """Return once this query has an answer."""
        async with asyncio.timeout(60):
            while not await self.ask(query):
                await asyncio.sleep(0.05)

    async def range(self, query: str) -> list[Any]:
        """What Prometheus has over the last seconds, as a graph asks it."""
        now = time.time()
        asked = {"query": query, "start": f"{now - 20:.3f}", "end": f"{now:.3f}", "step": "2"}
        found: list[Any] = (await asyncio.to_thread(self.prometheus.get, "/api/v1/query_range", **asked))["data"][
            "result"
        ]
        return found


def at(**ago: float) -> str:
    """An instant of so long ago."""
    return (datetime.now(UTC) - timedelta(**ago)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def item(name: str, when: str, status: str | None = None, **said: object) -> dict[str, Any]:
    """A fact about an item, identified by what it says."""
    told = {"subject": "item", "source": "acme", "project": "CHK", "item": name, "at": when, **said}
    told |= {} if status is None else {"status": status}
    return told | {"id": hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]}


def of_lane(subject: str, identifier: str, when: str, state: str, **said: object) -> dict[str, Any]:
    """A fact about a delivery of the shop to production."""
    told = {"subject": subject, "source": "acme", "service": "shop", "at": when, "state": state, subject: identifier}
    where = {} if subject == "change" else {"environment": "production"}
    return told | where | said | {"id": f"{subject}-{identifier}-{state}"}


def first() -> list[dict[str, Any]]:
    """What is there before Prometheus looks: counters must have begun for an increase to be seen."""
    return [
        *(item(f"CHK-{number}", at(hours=30), "To Do", type="feature", value=5) for number in range(900, 906)),
        *(item(f"CHK-{number}", at(hours=29), team="red") for number in range(900, 906)),
        *(item(f"CHK-{number}", at(hours=3), "In Review") for number in range(900, 905)),
        item("CHK-905", at(hours=3), "Nobody knows this"),
        item("OTHER-1", at(hours=3), "To Do", project="OTHER"),
        of_lane("change", "pr-0", at(days=2), "merged", committed_at=at(days=3), commit="a0"),
        of_lane("deployment", "d-0", at(days=1), "succeeded", commit="a0"),
        of_lane("deployment", "d-00", at(days=1), "failed"),
    ]


def then() -> list[dict[str, Any]]:
    """What happens while Prometheus looks: something for every counter."""
    repeated = item("CHK-904", at(minutes=50), team="blue")
    return [
        item("CHK-904", at(minutes=55), blocked=True),
        item("CHK-904", at(minutes=52), blocked=False),
        item("CHK-903", at(minutes=50), blocked=True),
        item("CHK-900", at(minutes=40), "Done"),
        item("CHK-901", at(minutes=40), "Done"),
        item("CHK-901", at(minutes=30), "In Review"),
        item("CHK-902", at(minutes=20), "To Do"),
        item("CHK-902", at(minutes=10), "In Review"),
        item("CHK-905", at(minutes=10), "Nobody knows this either"),
        item("OTHER-2", at(minutes=3), "To Do", project="OTHER"),
        repeated,
        item("CHK-905", at(hours=20), "To Do", type="defect"),  # late
        of_lane("change", "pr-1", at(hours=5), "merged", committed_at=at(hours=9), commit="a1"),
        of_lane("deployment", "d-1", at(hours=4), "succeeded", commit="a1"),
        of_lane("incident", "P-1", at(hours=3), "opened", deployment="d-1"),
        of_lane("incident", "P-1", at(hours=2), "resolved"),
        of_lane("deployment", "d-2", at(hours=1), "succeeded", remediates="P-1"),
        of_lane("incident", "P-2", at(minutes=5), "opened", deployment="d-2"),
        of_lane("deployment", "d-3", at(minutes=4), "failed"),
    ]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="sg-") as made:
        yield Path(made)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def watched(folder: Path) -> AsyncIterator[Watched]:
    (folder / "up").mkdir()
    settings = {"HTTP__OPEN_ACCESS": "true", "HTTP__PUBLIC_METRICS": "true", "SOURCES__GITHUB__SECRET": SECRET}
    product = Installation(folder / "up", STREAMS, **{f"STREAMGAUGE_{name}": text for name, text in settings.items()})
    with ExitStack() as stack:
        try:
            await product.begin()
            targets = [f"{host}:{product.port}" for host in ("127.0.0.1", "localhost")]
            dwell = dict.fromkeys(("FlowWipLimitBreached", "FlowItemsAgeing"), "0s")
            config = prometheus.quick_config(folder / "rules", targets, NOBODY, dwell)
            server = stack.enter_context(running_prometheus(folder / "prometheus", config))
            await product.ready()
            watched = Watched(product, server)
            await tell(watched)
            yield watched
        finally:
            await product.close()


async def tell(watched: Watched) -> None:
    """Everything that the boards show, in two parts: Prometheus sees the first before the second comes."""
    await watched.webhook(1)
    await watched.webhook(2, secret="wrong")
    await watched.post(*first())
    await watched.bridge(records=1, refused=0)
    await watched.installation.settled()
    await watched.until("count(streamgauge_bridge_records_total == 1) == 2")
    await watched.until('count(flow_stage_arrivals_total{stream="checkout",stage="review"} == 5) == 2')
    await watched.until("sum(count_over_time(streamgauge_webhook_rejections_total[1m])) > 6")
    facts = then()
    await watched.bridge(records=5, refused=2)
    await watched.post(*facts)
    await watched.post(facts[10])
    await watched.webhook(3)
    await watched.webhook(4, secret="wrong")
    await watched.installation.settled()
    await watched.until('increase(delivery_rework_deployments_total{service="shop"}[1m]) > 0')
    await watched.until('ALERTS{alertname="FlowWipLimitBreached",alertstate="firing"}')
    await watched.until('count(flow_cycle_time_window_seconds{stream="checkout",window="1h"}) > 0')
    await watched.until('max(flow_window_throughput_items{stream="checkout",window="1h"}) > 0')
    await watched.until('min(count_over_time(flow_cycle_time_window_seconds{stream="checkout",window="1h"}[1m])) > 12')


async def answer(watched: Watched, query: Asked) -> Sequence[Any]:
    """What the panel, annotation or variable would get."""
    asked = as_promql(query.expression, **CHOSEN)
    return await (watched.ask(asked) if query.instant or query.ref == "variable" else watched.range(asked))


async def test_every_query_runs_and_has_an_answer_where_there_is_something_to_say(watched: Watched) -> None:
    empty = [
        str(query) for board in boards().values() for query in queries_of(board) if not await answer(watched, query)
    ]
    assert set(empty) ^ set(NOTHING) == set()


async def test_what_two_processes_tell_is_counted_once(watched: Watched) -> None:
    """The boards say what the API says."""
    status = (await watched.installation.client.get("/v1/streams/checkout", params={"window": "1h"})).json()
    stages = {stage["stage"]: stage for stage in status["stages"]}
    assert await figure(watched, "flow-overview", "Processes that answer") == 2
    assert await figure(watched, "flow-overview", "In progress") == status["wip"] > 0
    assert await figure(watched, "flow-overview", "In progress", "B") == 1
    assert await figure(watched, "flow-overview", "Finished") == status["throughput"] > 0
    assert await figure(watched, "flow-overview", "Time, p85", "B") == pytest.approx(
        status["cycle_time"]["p85"], rel=0.01
    )
    assert await figure(watched, "flow-stage", "WIP") == stages["review"]["wip"]
    assert await figure(watched, "flow-stage", "Room below the limit") == 2 - stages["review"]["wip"] < 0
    assert await figure(watched, "flow-stage", "Oldest item") == pytest.approx(stages["review"]["oldest_age"], abs=60)
    assert await figure(watched, "flow-deliveries", "Open failures") == 1
    rate = await figure(watched, "flow-deliveries", "Change fail rate")
    # Of two deployments in the window, each was followed by an incident. Prometheus extrapolates both counters, and the
    # one that began at 0 by less.
    assert rate == pytest.approx(1.0, rel=0.1)


async def figure(watched: Watched, uid: str, title: str, ref: str = "A") -> float:
    """The one value that a panel shows."""
    (query,) = [
        query for query in queries_of(boards()[uid]) if (query.place, query.ref) == (title, ref) and query.instant
    ]
    ((_, value),) = await answer(watched, query)
    return value


async def test_the_stage_table_has_a_row_for_each_stage_in_the_order_of_the_stream(watched: Watched) -> None:
    (position, wip) = [
        {labels["stage"]: value for labels, value in await answer(watched, query)}
        for query in queries_of(boards()["flow-overview"])
        if query.place == "Stages, in the order of the stream" and query.ref in {"A", "B"}
    ]
    assert position == {"backlog": 0, "review": 1, "done": 2}
    assert wip == {"backlog": 1, "review": 4}


async def test_the_cumulative_flow_stacks_the_last_stage_lowest(watched: Watched) -> None:
    done, stages = [
        await answer(watched, query)
        for query in queries_of(boards()["flow-overview"])
        if query.place == "Cumulative flow"
    ]
    assert [series["metric"]["stage"] for series in stages] == ["review", "backlog"]
    # Two were finished since Prometheus first looked, one of them was reopened.
    assert [float(value) for _, value in done[0]["values"]][-1] == 1


async def test_variables_offer_what_there_is_in_the_order_of_the_stream(watched: Watched) -> None:
    offered = {}
    for variable in boards()["flow-stage"]["templating"]["list"][1:]:
        offered[variable["name"]] = await options(watched, variable)
    assert offered == {"stream": ["checkout", "empty"], "stage": ["backlog", "review", "done"], "window": ["1h", "7d"]}
    (_, service, environment, _) = boards()["flow-deliveries"]["templating"]["list"]
    assert (await options(watched, service), await options(watched, environment)) == (["shop"], ["production"])


async def options(watched: Watched, variable: Any) -> list[str]:
    """What Grafana would offer."""
    asked = as_promql(variable["query"], **CHOSEN)
    values = re.fullmatch(r"label_values\((.*), (\w+)\)", asked)
    if values is not None:
        where = {"match[]": values[1]}
        found = await asyncio.to_thread(watched.prometheus.get, f"/api/v1/label/{values[2]}/values", **where)
        return sorted(found["data"], key=lambda text: int(re.sub(r"\D", "", text) or 0))
    rows = await watched.ask(asked.removeprefix("query_result(").removesuffix(")"))
    pattern = re.compile(variable["regex"].strip("/"))
    lines = ["{" + ",".join(f'{name}="{value}"' for name, value in labels.items()) + "}" for labels, _ in rows]
    return [found[1] for found in map(pattern.search, lines) if found is not None]
