"""From a webhook to a page: the running product, a real Prometheus with our rules, a real Alertmanager, a receiver.

Dwell times are cut to seconds; all else is what is shipped. It prints how long it took: `pytest -s`.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import re
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_plain

from flow.catalogue import SAMPLES
from tests.integration.installation import Installation
from tests.servers import alertmanager, prometheus
from tests.servers.alertmanager import Receiver, receiving, running_alertmanager
from tests.servers.prometheus import OFTEN, PROMTOOL, WebServer, running_prometheus

pytestmark = [
    pytest.mark.needs_server("valkey"),
    pytest.mark.needs_server("prometheus"),
    pytest.mark.needs_server("alertmanager"),
    pytest.mark.timeout(240),
    pytest.mark.asyncio(loop_scope="module"),
]

SECRET: Final = "a secret of the tests"
DWELL: Final = 2.0
SCRAPE: Final = OFTEN
EVALUATION: Final = OFTEN
SLACK: Final = 6.0
"""Seconds for all that is not waiting: a machine with few and busy cores."""

STREAMS: Final = """
streams:
  checkout:
    match: {project: acme/shop}
    stages:
      - {name: backlog, kind: queue, when: [{status: open}]}
      - {name: in-review, kind: active, when: [{label: in review}], wip_limit: 2, sle: {p85: 1d}}
      - {name: done, kind: done, when: [{status: closed}]}
deliveries:
  - {environment: production, targets: {change_fail_rate: 0.15, failed_deployment_recovery_time: 2s}}
"""


@dataclass
class Watched:
    """The product and those who watch it."""

    installation: Installation
    prometheus: WebServer
    receiver: Receiver

    async def webhook(self, number: int, action: str, state: str, label: str | None = None) -> None:
        """GitHub says that something happened to an issue now."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        labels = [{"name": label}] if label else []
        issue: dict[str, Any] = {"number": number, "state": state, "title": "", "labels": labels, "updated_at": now}
        issue |= {"created_at": now, "closed_at": now if state == "closed" else None}
        body: dict[str, Any] = {"action": action, "repository": {"full_name": "acme/shop"}, "issue": issue}
        if action == "labeled":
            body["label"] = {"name": label}
        raw = json.dumps(body).encode()
        signature = "sha256=" + hmac.new(SECRET.encode(), raw, hashlib.sha256).hexdigest()
        headers = {"Content-Type": "application/json", "X-GitHub-Event": "issues", "X-Hub-Signature-256": signature}
        answer = await self.installation.client.post("/webhooks/github", content=raw, headers=headers)
        assert answer.is_success, answer.text

    async def value(self, query: str) -> list[float]:
        """What Prometheus has for the query."""
        return [value for _, value in await asyncio.to_thread(self.prometheus.values, query)]

    async def until(self, query: str, value: float) -> None:
        """Return once Prometheus has this one value for the query."""
        async with asyncio.timeout(30):
            while await self.value(query) != [value]:
                await asyncio.sleep(0.05)


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
            receiver = stack.enter_context(receiving())
            told = running_alertmanager(folder / "alertmanager", alertmanager.quick_config(receiver.url))
            target = stack.enter_context(told).url.removeprefix("http://")
            dwell = dict.fromkeys(("FlowWipLimitBreached", "DeliveryRecoveryOverdue", "StreamgaugeDown"), f"{DWELL:g}s")
            here = product.base.removeprefix("http://")
            await product.ready()
            config = prometheus.quick_config(folder / "rules", [here], target, dwell)
            server = stack.enter_context(running_prometheus(folder / "prometheus", config))
            watched = Watched(product, server, receiver)
            await watched.until('up{job="streamgauge"}', 1)
            yield watched
        finally:
            await product.close()


async def test_a_breached_limit_is_paged_within_a_scrape_an_evaluation_and_the_dwell_time(watched: Watched) -> None:
    for number in (1, 2, 3):
        await watched.webhook(number, "opened", "open")
    for number in (1, 2):
        await watched.webhook(number, "labeled", "open", "in review")
    await watched.until('flow_stage_wip{stream="checkout",stage="in-review"}', 2)

    posted, told_after = time.monotonic(), time.time()
    await watched.webhook(3, "labeled", "open", "in review")
    came, alert = await asyncio.to_thread(watched.receiver.next, "FlowWipLimitBreached", "firing")
    took = came.at - posted
    print(f"\nwebhook posted to page received: {took:.2f} s, of which {DWELL:g} s are the dwell time")
    assert DWELL <= took <= SCRAPE + EVALUATION + DWELL + SLACK

    assert came.receiver == "checkout-pager"
    assert came.body["groupLabels"] == {"stream": "checkout", "severity": "critical"}
    assert alert["labels"] == {
        "alertname": "FlowWipLimitBreached", "severity": "critical", "stream": "checkout", "stage": "in-review",
    }  # fmt: skip
    said = alert["annotations"]["description"]
    found = re.fullmatch(
        r"Stage in-review of stream checkout holds 3 items, over its limit of 2, since (\S+ \S+) \+0000 UTC\.", said
    )
    assert found, said
    since = datetime.fromisoformat(found[1][:26]).replace(tzinfo=UTC).timestamp()
    assert told_after - 1 <= since <= told_after + SCRAPE + EVALUATION + SLACK
    assert alert["annotations"]["runbook_url"].endswith("/FlowWipLimitBreached.md")
    assert alert["annotations"]["dashboard_url"].endswith("/d/flow-stage?var-stream=checkout&var-stage=in-review")

    posted = time.monotonic()
    await watched.webhook(1, "closed", "closed")
    came, _ = await asyncio.to_thread(watched.receiver.next, "FlowWipLimitBreached", "resolved")
    print(f"work moved on to page withdrawn: {came.at - posted:.2f} s")
    assert came.receiver == "checkout-pager"


async def test_a_failure_that_stays_open_is_paged_and_ends_when_it_is_resolved(watched: Watched) -> None:
    def at() -> str:
        return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    lane = {"source": "acme", "service": "shop", "environment": "production"}
    facts = [
        {"subject": "deployment", "id": "d1", "deployment": "d-1", "state": "succeeded", "at": at(), **lane},
        {"subject": "incident", "id": "i1", "incident": "P-1", "state": "opened", "at": at(), **lane}
        | {"deployment": "d-1"},
    ]
    (await watched.installation.client.post("/v1/facts", json=facts)).raise_for_status()
    came, alert = await asyncio.to_thread(watched.receiver.next, "DeliveryRecoveryOverdue", "firing")
    assert came.receiver == "team-pager"
    assert {"service": "shop", "environment": "production"}.items() <= alert["labels"].items()
    assert "shop to production" in alert["annotations"]["description"]
    resolved = {"subject": "incident", "id": "i2", "incident": "P-1", "state": "resolved", "at": at(), **lane}
    (await watched.installation.client.post("/v1/facts", json=resolved)).raise_for_status()
    await asyncio.to_thread(watched.receiver.next, "DeliveryRecoveryOverdue", "resolved")
    assert await watched.value("delivery_open_failures") == [0]


async def test_nothing_else_is_said_of_a_product_that_works(watched: Watched) -> None:
    alerts = await asyncio.to_thread(watched.prometheus.values, 'ALERTS{alertstate="firing"}')
    assert {labels["alertname"] for labels, _ in alerts} == {"Watchdog"}


async def test_every_rule_works_on_what_is_really_exported(watched: Watched) -> None:
    found = (await asyncio.to_thread(watched.prometheus.get, "/api/v1/rules"))["data"]["groups"]
    states = {rule["name"]: (rule["health"], rule.get("lastError", "")) for group in found for rule in group["rules"]}
    assert len(states) > 30
    assert set(states.values()) == {("ok", "")}


async def test_the_page_is_valid_in_both_formats_and_holds_what_the_catalogue_lists(watched: Watched) -> None:
    client = watched.installation.client
    page = (await client.get("/metrics")).raise_for_status()
    done = subprocess.run([PROMTOOL, "check", "metrics"], input=page.text, text=True, capture_output=True, check=False)
    found = [line for line in (done.stdout + done.stderr).splitlines() if "quantile" not in line]
    assert found == []
    other = (await client.get("/metrics", headers={"Accept": "application/openmetrics-text"})).raise_for_status()
    assert other.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    for families in (read_plain(page.text), read_openmetrics(other.text)):
        samples = [sample for family in families for sample in family.samples]
        assert len(samples) > 300
        for sample in samples:
            allowed = {*SAMPLES[sample.name], "portfolio", "train"}
            assert set(sample.labels) <= allowed, sample


async def test_when_nothing_answers_any_more_that_is_paged(watched: Watched) -> None:
    """The last of the module: it ends the product."""
    await watched.installation.stop()
    came, alert = await asyncio.to_thread(watched.receiver.next, "StreamgaugeDown", "firing")
    assert (came.receiver, alert["labels"]["part"]) == ("platform-pager", "http")
