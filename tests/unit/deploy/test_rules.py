"""The Prometheus rules against the catalogue: every metric and label exists, every alert is whole and has a runbook."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from flow.catalogue import METRICS, SAMPLES
from tests.promql import Known, added_up, labels_of, problems_of, selectors_of

ROOT = Path(__file__).parents[3]
RULES = ROOT / "deploy/prometheus/rules"
RUNBOOKS = ROOT / "deploy/prometheus/runbooks"

ALERTS = {
    "FlowWipLimitBreached", "FlowItemsAgeing", "FlowStageStalled", "FlowBlockedWorkGrowing", "FlowBottleneckEmerging",
    "FlowDownstreamOfBottleneck", "FlowSourceSilent", "FlowUnmappedStatuses", "DeliveryChangeFailRateHigh",
    "DeliveryRecoveryOverdue", "StreamgaugeDown", "StreamgaugeLagging", "StreamgaugeDeadLetters",
    "StreamgaugeSpooling", "Watchdog",
}  # fmt: skip
HEADINGS = ["Meaning", "Impact", "Diagnosis", "Mitigation"]

_QUERY: Final = re.compile(r'printf "((?:[^"\\]|\\.)*)"([^|}]*)\| query')


def all_rules() -> list[dict[str, Any]]:
    return [rule for path in sorted(RULES.glob("*.yml")) for group in groups_of(path) for rule in group["rules"]]


def groups_of(path: Path) -> list[dict[str, Any]]:
    groups: list[dict[str, Any]] = yaml.safe_load(path.read_text())["groups"]
    return groups


def known_series() -> Known:
    """The catalogue's samples and what the rules record, whichever order they are read in."""
    known, left = dict(SAMPLES), [rule for rule in all_rules() if "record" in rule]
    while left:
        ready = [rule for rule in left if not problems_of(rule["expr"], known)]
        assert ready, [problems_of(rule["expr"], known) for rule in left]
        for rule in ready:
            known[rule["record"]] = tuple(sorted(labels_of(rule["expr"], known)))
        left = [rule for rule in left if rule not in ready]
    return known


RECORDING = [rule for rule in all_rules() if "record" in rule]
ALERTING = {rule["alert"]: rule for rule in all_rules() if "alert" in rule}
KNOWN = known_series()


def test_the_alerts_are_those_that_others_rely_on() -> None:
    assert set(ALERTING) == ALERTS
    assert len([rule for rule in all_rules() if "alert" in rule]) == len(ALERTS)


@pytest.mark.parametrize("name", sorted(ALERTS))
def test_every_metric_and_label_of_an_alert_exists(name: str) -> None:
    assert problems_of(ALERTING[name]["expr"], KNOWN) == []


@pytest.mark.parametrize("name", sorted(ALERTS))
def test_an_alert_names_only_labels_that_it_has_and_asks_only_what_there_is(name: str) -> None:
    rule = ALERTING[name]
    has = labels_of(rule["expr"], KNOWN) | set(rule["labels"])
    for text in rule["annotations"].values():
        assert set(re.findall(r"\$labels\.(\w+)", text)) <= has
        assert text.count("query }}") == len(_QUERY.findall(text))
        for query, filled in _QUERY.findall(text):
            assert query.count("%q") == filled.count("$labels.")
            assert problems_of(query.replace('\\"', '"').replace("%q", '"x"'), KNOWN) == []


@pytest.mark.parametrize("name", sorted(ALERTS))
def test_an_alert_is_whole(name: str) -> None:
    rule = ALERTING[name]
    assert rule["labels"].keys() == {"severity"}
    allowed = {"none"} if name in {"Watchdog", "FlowDownstreamOfBottleneck"} else {"critical", "warning"}
    assert rule["labels"]["severity"] in allowed
    annotations = rule["annotations"]
    assert annotations.keys() == {"summary", "description", "runbook_url", "dashboard_url"}
    assert re.fullmatch(r"[A-Z][^{}\n]*\.", annotations["summary"])
    assert annotations["runbook_url"] == "{{ $externalLabels.runbooks_url }}/" + f"{name}.md"
    assert annotations["dashboard_url"].startswith("{{ $externalLabels.grafana_url }}/d/flow-")


@pytest.mark.parametrize("name", sorted(ALERTS))
def test_an_alert_has_a_runbook_with_the_four_headings(name: str) -> None:
    text = (RUNBOOKS / f"{name}.md").read_text()
    assert text.startswith(f"# {name}\n")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == HEADINGS
    assert ALERTING[name]["annotations"]["summary"] in text


def test_there_is_no_runbook_without_an_alert() -> None:
    assert {path.stem for path in RUNBOOKS.glob("*.md")} == ALERTS


@pytest.mark.parametrize("name", sorted(ALERTS))
def test_the_page_of_alerts_lists_each_with_its_severity_and_dwell_time(name: str) -> None:
    rule = ALERTING[name]
    dwell = rule.get("for", "–")
    row = rf"^\| \[`{name}`\]\(\S+/{name}\.md\) \| {rule['labels']['severity']} \| {dwell} \|"
    assert re.search(row, (ROOT / "docs/alerts.md").read_text(), re.MULTILINE)


@pytest.mark.parametrize("rule", RECORDING, ids=lambda rule: str(rule["record"]))
def test_a_recording_rule_is_named_for_its_level_its_metric_and_what_was_done_to_it(rule: dict[str, Any]) -> None:
    level, metric, operation = rule["record"].split(":")
    assert sorted(level.split("_")) == sorted(labels_of(rule["expr"], KNOWN))
    assert re.fullmatch(r"[a-z]+[a-z0-9_]*", operation)
    assert [name for name in METRICS if name.removesuffix("_total") in metric or metric in name]


def cases() -> list[tuple[str, bool, list[dict[str, Any]]]]:
    """Every case of promtool's tests: which alert, whether there is any data, and what is to fire."""
    tests = [
        test for path in (RULES.parent / "tests").glob("*.yml") for test in yaml.safe_load(path.read_text())["tests"]
    ]
    return [
        (case["alertname"], bool(test["input_series"]), case.get("exp_alerts", []))
        for test in tests
        for case in test["alert_rule_test"]
    ]


@pytest.mark.parametrize("name", sorted(ALERTS))
def test_promtool_tries_each_alert_firing_whole_and_silent_and_without_data(name: str) -> None:
    mine = [case for case in cases() if case[0] == name]
    fired = [alert for _, _, alerts in mine for alert in alerts]
    assert fired
    annotations = {"summary", "description", "runbook_url", "dashboard_url"}
    assert all(alert["exp_annotations"].keys() == annotations for alert in fired)
    assert any(not has_data for _, has_data, _ in mine)
    if name != "Watchdog":
        assert any(has_data and not alerts for _, has_data, alerts in mine)


def test_what_every_process_tells_of_the_state_is_never_added_up() -> None:
    """Several processes tell the same: a sum would count it once for each."""
    of_the_state = {name for metric in METRICS.values() if metric.part == "state" for name in metric.samples()}
    for rule in all_rules():
        assert not added_up(rule["expr"], KNOWN) & of_the_state
    assert added_up("sum by (stage) (flow_stage_wip)", KNOWN) & of_the_state


def test_whatever_is_scraped_is_selected_by_its_job() -> None:
    """Another installation that the same Prometheus scrapes is another job."""
    for rule in all_rules():
        for name, matchers in selectors_of(rule["expr"], KNOWN):
            assert matchers.get("job") == "streamgauge" or ":" in name or name == "ALERTS"


def test_the_checker_sees_a_metric_and_a_label_that_are_not_there() -> None:
    assert problems_of("flow_stage_wipp", KNOWN) == ["no metric is called flow_stage_wipp"]
    assert problems_of('flow_stage_wip{team="a"}', KNOWN) == ["flow_stage_wip has no label team"]
    assert problems_of("max by (stage) (flow_stage_wip) > on (stream) flow_stage_wip_limit", KNOWN)
    assert problems_of("max by (stream, stage) (flow_stage_wip) > max by (stream) (flow_stage_wip_limit)", KNOWN)
