"""What the boards' harder queries answer to invented series, by Prometheus' own tool. Times are seconds from 0."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.dashboards import as_promql, boards, queries_of
from tests.servers.prometheus import PROMTOOL

pytestmark = pytest.mark.needs_server("prometheus")

REVIEW: Final = 'stream="checkout",stage="review"'
HOUR: Final = "60"
"""Values a minute apart: an hour of them, behind an `x`."""


def told(metric: str, labels: str, values: str, processes: str = "ab") -> list[dict[str, str]]:
    """The same series from each of these processes, named by a letter; a value each minute."""
    return [
        {"series": f'{metric}{{job="streamgauge",instance="{name}",{labels}}}', "values": values} for name in processes
    ]


def answers(folder: Path, uid: str, title: str, series: list[dict[str, str]], ref: str = "A") -> list[dict[str, Any]]:
    """What this query says after an hour: labels and value."""
    (found,) = {
        query.expression for query in queries_of(boards()[uid]) if (query.place, query.ref) == (title, ref)
    }  # fmt: skip
    asked = as_promql(found, window="1h", __range="1h")
    # promtool can't be asked what an expression answers, only be told: what it got stands in its complaint.
    case = {"expr": asked, "eval_time": "1h", "exp_samples": [{"labels": "nobody", "value": 1}]}
    test = {"interval": "1m", "input_series": series, "promql_expr_test": [case]}
    path = folder / "test.yml"
    path.write_text(yaml.safe_dump({"tests": [test]}), encoding="utf-8")
    done = subprocess.run([PROMTOOL, "test", "rules", str(path)], capture_output=True, text=True, check=False)
    got = re.search(r"^\s*got:\s*(.*)$", done.stdout + done.stderr, re.MULTILINE)
    assert got is not None, done.stdout + done.stderr
    samples = [] if got[1] == "nil" else got[1].split(", {")
    return [sample_of(sample) for sample in samples]


def sample_of(text: str) -> dict[str, Any]:
    """`{stage="review"} 1E+00`, with or without its braces, as labels and value."""
    labels, _, value = text.strip().rpartition(" ")
    return dict(re.findall(r'(\w+)="([^"]*)"', labels)) | {"value": pytest.approx(float(value), rel=0.02, abs=1e-6)}


ALARM: Final = "flow_stage_bottleneck"
FIRING: Final = 'ALERTS{alertname="FlowBottleneckEmerging",alertstate="firing",stream="checkout"'


@pytest.mark.parametrize(("series", "expected"), [
    ([], {"stage": "not known yet", "value": -1}),
    (told(ALARM, f'{REVIEW},cause="slowdown"', "0x60"), {"stage": "none", "value": 0}),
    (told(ALARM, f'{REVIEW},cause="slowdown"', "1x60"), {"stage": "review", "cause": "slowdown", "value": 1}),
    (
        [{"series": f'{FIRING},stage="backlog",cause="queue_growth"}}', "values": "1x60"}],
        {"stage": "backlog", "cause": "queue_growth", "value": 1},
    ),
    (told(ALARM, 'stream="other",stage="review",cause="slowdown"', "1x60"), {"stage": "not known yet", "value": -1}),
])  # fmt: skip
def test_the_bottleneck_is_named_or_said_to_be_none_or_not_known(
    tmp_path: Path, series: list[dict[str, str]], expected: dict[str, Any]
) -> None:
    assert answers(tmp_path, "flow-overview", "Bottleneck now", series) == [expected]


def lead_times(fast: int, slow: int) -> list[dict[str, str]]:
    """Lead times of features, each minute: so many up to an hour, and so many up to a day."""
    where = 'stream="checkout",item_type="feature"'
    counts = (("3600", fast), ("86400", fast + slow), ("+Inf", fast + slow))
    return [
        series
        for edge, count in counts
        for series in told("flow_lead_time_seconds_bucket", f'{where},le="{edge}"', f"0+{count}x{HOUR}")
    ]


@pytest.mark.parametrize(("fast", "slow", "expected"), [(9, 1, 0.94), (1, 1, 17.1)])
def test_the_lead_time_is_within_its_target_when_the_share_that_it_names_is(
    tmp_path: Path, fast: int, slow: int, expected: float
) -> None:
    """85% within an hour: nine of ten are, and one of two is not."""
    target = told("flow_lead_time_target_seconds", 'stream="checkout",quantile="0.85"', "3600x60")
    found = answers(tmp_path, "flow-overview", "Time against target", [*lead_times(fast, slow), *target])
    assert [each["value"] for each in found] == [expected]


def test_when_nothing_was_finished_there_is_no_time_rather_than_no_number(tmp_path: Path) -> None:
    assert answers(tmp_path, "flow-overview", "Time, p85", lead_times(0, 0)) == []
    assert answers(tmp_path, "flow-overview", "Time, p85", lead_times(9, 1)) != []


def test_without_a_target_nothing_is_compared(tmp_path: Path) -> None:
    assert answers(tmp_path, "flow-overview", "Time against target", lead_times(9, 1)) == []


def test_of_several_targets_the_worst_is_shown(tmp_path: Path) -> None:
    targets = [
        series
        for share, seconds in (("0.5", 1000), ("0.85", 36000))
        for series in told("flow_lead_time_target_seconds", f'stream="checkout",quantile="{share}"', f"{seconds}x60")
    ]
    found = answers(tmp_path, "flow-overview", "Time against target", [*lead_times(9, 1), *targets])
    assert [each["value"] for each in found] == [2.0]


def test_the_cycle_time_is_judged_by_its_worst_quantile_too(tmp_path: Path) -> None:
    series = [
        made
        for share, time, target in (("0.5", 1000, 2000), ("0.85", 9000, 3000))
        for made in (
            *told("flow_cycle_time_window_seconds", f'stream="checkout",window="1h",quantile="{share}"', f"{time}x60"),
            *told("flow_cycle_time_target_seconds", f'stream="checkout",quantile="{share}"', f"{target}x60"),
        )
    ]
    (found,) = answers(tmp_path, "flow-overview", "Time against target", series, "B")
    assert found == {"value": 3}


def test_a_counter_is_not_counted_twice_and_outlives_its_process(tmp_path: Path) -> None:
    """Process a ends after half an hour, b goes on; c begins then. One item a minute arrives, whoever tells."""
    where = f"{REVIEW}"
    series = [
        *told("flow_stage_arrivals_total", where, "100+1x30 _x30", "a"),
        *told("flow_stage_arrivals_total", where, "100+1x60", "b"),
        *told("flow_stage_arrivals_total", where, "_x30 131+1x30", "c"),
    ]
    (found,) = answers(tmp_path, "flow-overview", "Stages, in the order of the stream", series, "J")
    assert found == {"stage": "review", "value": 60}


def test_what_was_finished_counts_from_the_start_of_the_range_whichever_process_tells(tmp_path: Path) -> None:
    where = 'stream="checkout",item_type="feature"'
    series = [
        *told("flow_completed_items_total", where, "100+1x60", "a"),
        *told("flow_completed_items_total", where, "_x30 131+1x30", "b"),
        *told("flow_reopened_items_total", where, "7x30 8x30", "a"),
    ]
    (found,) = answers(tmp_path, "flow-overview", "Cumulative flow", series)
    assert found == {"value": 59}


def test_a_share_of_no_deployment_is_no_figure(tmp_path: Path) -> None:
    lane = 'service="shop",environment="production"'
    deployments = told("delivery_deployments_total", f'{lane},outcome="succeeded"', "5x60")
    failed = told("delivery_failed_changes_total", lane, "1x60")
    assert answers(tmp_path, "flow-deliveries", "Change fail rate", [*deployments, *failed]) == []


def test_the_change_fail_rate_adds_up_lanes_before_it_divides(tmp_path: Path) -> None:
    """One lane of ten deployments without a failure, one of two that both failed: two of twelve."""
    series = [
        made
        for service, deployed, failed in (("shop", 10, 0), ("mail", 2, 2))
        for lane in [f'service="{service}",environment="production"']
        for made in (
            *told("delivery_deployments_total", f'{lane},outcome="succeeded"', f"0x29 {deployed}x31"),
            *told("delivery_failed_changes_total", lane, f"0x29 {failed}x31"),
        )
    ]
    (found,) = answers(tmp_path, "flow-deliveries", "Change fail rate", series)
    assert found == {"value": 2 / 12}


def test_deployment_frequency_is_a_day(tmp_path: Path) -> None:
    lane = 'service="shop",environment="production",outcome="succeeded"'
    series = told("delivery_deployments_total", lane, f"0+1x{HOUR}")
    assert answers(tmp_path, "flow-deliveries", "Deployment frequency", series) == [{"value": 24 * 60}]


def test_predictability_is_achieved_by_planned_value(tmp_path: Path) -> None:
    value = told("flow_value_delivered_total", 'stream="checkout",item_type="feature"', f"0+1x{HOUR}")
    target = told("flow_weekly_value_target", 'stream="checkout"', "120x60")
    (found,) = answers(tmp_path, "flow-measures", "Predictability, a week", [*value, *target])
    assert found == {"value": 0.5}


def test_alerts_that_fire_are_listed_with_since_when_and_not_those_for_nobody(tmp_path: Path) -> None:
    who = f'alertname="FlowItemsAgeing",severity="warning",{REVIEW}'
    series = [
        {"series": f'ALERTS{{{who},alertstate="firing"}}', "values": "1x60"},
        {"series": f"ALERTS_FOR_STATE{{{who}}}", "values": "1200x60"},
        {"series": 'ALERTS{alertname="Watchdog",severity="none",alertstate="firing"}', "values": "1x60"},
        {"series": 'ALERTS_FOR_STATE{alertname="Watchdog",severity="none"}', "values": "0x60"},
        {"series": 'ALERTS{alertname="FlowStageStalled",severity="warning",alertstate="pending"}', "values": "1x60"},
        {"series": 'ALERTS_FOR_STATE{alertname="FlowStageStalled",severity="warning"}', "values": "60x60"},
    ]
    (found,) = answers(tmp_path, "flow-overview", "Alerts that fire, of all streams", series)
    assert found == {
        "alertname": "FlowItemsAgeing", "severity": "warning", "stream": "checkout", "stage": "review",
        "value": 1_200_000,
    }  # fmt: skip
