"""The shipped Alertmanager configuration: who is told, and what is silenced, by the real programs."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.servers.alertmanager import AMTOOL, CONFIG, quick_config, receiving, running_alertmanager, shipped_config
from tests.servers.prometheus import WebServer

pytestmark = pytest.mark.needs_server("alertmanager")

STAGE = {"stream": "checkout", "stage": "review"}
NAMED = {
    "FlowWipLimitBreached": {"severity": "critical", **STAGE},
    "FlowItemsAgeing": {"severity": "warning", **STAGE},
    "FlowDownstreamOfBottleneck": {"severity": "none", **STAGE},
    "DeliveryRecoveryOverdue": {"severity": "critical", "service": "shop", "environment": "production"},
    "DeliveryChangeFailRateHigh": {"severity": "warning", "service": "shop", "environment": "production"},
    "FlowSourceSilent": {"severity": "warning", "source": "jira"},
    "StreamgaugeDown": {"severity": "critical", "part": "http"},
    "StreamgaugeLagging": {"severity": "critical"},
    "StreamgaugeSpooling": {"severity": "warning", "instance": "a"},
    "Watchdog": {"severity": "none"},
}


def amtool(*arguments: str) -> str:
    done = subprocess.run([AMTOOL, *arguments], capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_configuration_is_right() -> None:
    assert "SUCCESS" in amtool("check-config", str(CONFIG))


@pytest.mark.parametrize(
    ("alert", "changed", "told"),
    [
        ("FlowWipLimitBreached", {}, "checkout-pager"),
        ("FlowItemsAgeing", {}, "checkout-chat"),
        ("FlowWipLimitBreached", {"stream": "support"}, "team-pager"),
        ("FlowItemsAgeing", {"stream": "support"}, "team-chat"),
        ("DeliveryRecoveryOverdue", {}, "team-pager"),
        ("DeliveryChangeFailRateHigh", {}, "team-chat"),
        ("FlowSourceSilent", {}, "team-chat"),
        ("StreamgaugeDown", {}, "platform-pager"),
        ("StreamgaugeLagging", {}, "platform-pager"),
        ("StreamgaugeSpooling", {}, "platform-chat"),
        ("FlowDownstreamOfBottleneck", {}, "nobody"),
        ("Watchdog", {}, "watchdog"),
    ],
)
def test_an_alert_goes_to_whom_it_concerns(alert: str, changed: dict[str, str], told: str) -> None:
    labels = {"alertname": alert} | NAMED[alert] | changed
    words = [f"{name}={value}" for name, value in labels.items()]
    assert amtool("config", "routes", "test", f"--config.file={CONFIG}", *words).split() == [told]


def test_one_message_tells_of_one_stream() -> None:
    assert "stream" in shipped_config()["route"]["group_by"]


def test_no_secret_stands_in_the_configuration() -> None:
    def keys(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            yield from node
        for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
            yield from keys(child)

    secret = {"routing_key", "service_key", "api_url", "slack_api_url", "password", "credentials", "bearer_token"}
    assert not secret & set(keys(shipped_config()))


@pytest.fixture(scope="module")
def alertmanager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    """A real server with the shipped inhibition."""
    folder: Path = tmp_path_factory.mktemp("alertmanager")
    with receiving() as receiver, running_alertmanager(folder, quick_config(receiver.url)) as server:
        yield server


def states(server: WebServer, alerts: list[dict[str, str]], trial: str, *, silent: int = 0) -> dict[str, str]:
    """Post alerts, and tell the state of each once all were looked at and so many are silent.

    What silences is heard of a moment after the others. `trial` keeps this test's alerts apart.
    """
    posted = [{"labels": labels | {"trial": trial}} for labels in alerts]
    server.client.post("/api/v2/alerts", json=posted).raise_for_status()
    deadline = time.monotonic() + 60
    while True:
        found = server.get("/api/v2/alerts", filter=f'trial="{trial}"')
        seen = {alert["labels"]["alertname"] + alert["labels"].get("stage", ""): alert for alert in found}
        said = {name: alert["status"]["state"] for name, alert in seen.items()}
        looked_at = len(seen) == len(alerts) and "unprocessed" not in said.values()
        if looked_at and list(said.values()).count("suppressed") == silent:
            return said
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


def of(alert: str, **changed: str) -> dict[str, str]:
    return {"alertname": alert} | NAMED[alert] | changed


def ended(server: WebServer, alerts: list[dict[str, str]], trial: str) -> None:
    """End alerts, so that they silence nothing in the next test."""
    past = "2020-01-01T00:00:00Z"
    posted = [{"labels": labels | {"trial": trial}, "startsAt": past, "endsAt": past} for labels in alerts]
    server.client.post("/api/v2/alerts", json=posted).raise_for_status()


@pytest.mark.parametrize("blind", ["StreamgaugeDown", "StreamgaugeLagging"])
def test_while_the_monitor_is_blind_it_is_silent_about_the_work_and_not_about_itself(
    alertmanager: WebServer, blind: str
) -> None:
    about_work = ("FlowWipLimitBreached", "FlowItemsAgeing", "FlowSourceSilent", "DeliveryRecoveryOverdue")
    before = states(alertmanager, [of(name) for name in about_work], f"before-{blind}")
    assert set(before.values()) == {"active"}
    source = of(blind)
    alerts = [source, of("StreamgaugeSpooling"), *map(of, about_work)]
    found = states(alertmanager, alerts, f"during-{blind}", silent=len(about_work))
    ended(alertmanager, [source], f"during-{blind}")
    suppressed = {name for name, state in found.items() if state == "suppressed"}
    assert {name.removesuffix("review") for name in suppressed} == set(about_work)
    assert {name for name, state in found.items() if state == "active"} == {blind, "StreamgaugeSpooling"}


def test_a_bottleneck_silences_ageing_downstream_of_it_and_nothing_else(alertmanager: WebServer) -> None:
    alerts = [
        of("FlowDownstreamOfBottleneck", stage="test"),
        of("FlowItemsAgeing", stage="test"),
        of("FlowItemsAgeing", stage="review"),
        of("FlowWipLimitBreached", stage="test"),
    ]
    found = states(alertmanager, alerts, "downstream", silent=1)
    assert found == {
        "FlowDownstreamOfBottlenecktest": "active",
        "FlowItemsAgeingtest": "suppressed",
        "FlowItemsAgeingreview": "active",
        "FlowWipLimitBreachedtest": "active",
    }
    elsewhere = states(alertmanager, [of("FlowItemsAgeing", stage="test", stream="support")], "elsewhere")
    assert set(elsewhere.values()) == {"active"}
