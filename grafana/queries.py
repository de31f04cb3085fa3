"""How the boards ask Prometheus. Metrics by the names of `flow.catalogue`.

Every HTTP process exports the same state, so what comes from the state is taken with `max` over the processes before
anything else is done with it, as the rules in `deploy/prometheus` do. Only what a process counts of itself is added up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

JOB: Final = 'job="streamgauge"'
STREAM: Final = 'stream="$stream"'
STAGE: Final = f'{STREAM},stage="$stage"'
LANE: Final = 'service=~"$service",environment=~"$environment"'
SOURCE: Final = 'source=~"$source"'
WINDOW: Final = 'window="$window"'

RECENT: Final = "$__rate_interval"
SLIDING: Final = "$window"

QUANTILES: Final = ("0.5", "0.85", "0.95")
ALERT_LABELS: Final = "alertname, severity, stream, stage, cause, service, environment, source"


@dataclass(frozen=True, slots=True)
class Query:
    """One query of a panel. `legend` may hold labels: `{{stage}}`. `instant`: the end of the range only.

    `goal`: what is meant to be, beside what is; drawn dashed.
    """

    expression: str
    legend: str = ""
    instant: bool = False
    heatmap: bool = False
    goal: bool = False


def series(metric: str, *where: str) -> str:
    """What one scraped job tells."""
    return f"{metric}{{{','.join((JOB, *where))}}}"


def state(metric: str, *where: str, by: str = "", offset: str = "") -> str:
    """What the state is, whichever process tells. `offset` looks back by so much."""
    asked = series(metric, *where) + (f" offset {offset}" if offset else "")
    return f"max{_by(by)}({asked})"


def grown(metric: str, *where: str, by: str = "", over: str = SLIDING) -> str:
    """By how much a counter of the state grew."""
    return f"max{_by(by)}(increase({series(metric, *where)}[{over}]))"


def speed(metric: str, *where: str, by: str = "", over: str = SLIDING) -> str:
    """How fast a counter of the state grows, a second."""
    return f"max{_by(by)}(rate({series(metric, *where)}[{over}]))"


def total(inner: str, by: str = "") -> str:
    """Sum of what is one series each, such as stages or item types."""
    return f"sum{_by(by)}({inner})"


def quantile(share: str, metric: str, *where: str, by: str = "", each: str = "", over: str = SLIDING) -> str:
    """A quantile of a histogram of the state, of what was observed of late. `each`: labels that are added up.

    Where nothing was observed there is no number, and the comparison leaves it out.
    """
    kept = ", ".join(filter(None, ("le", by, each)))
    counts = grown(f"{metric}_bucket", *where, by=kept, over=over)
    return f"histogram_quantile({share}, {total(counts, ', '.join(filter(None, ('le', by))))}) >= 0"


def processes(metric: str, *where: str, by: str = "", over: str = RECENT) -> str:
    """How fast the processes count, a second, together."""
    return f"sum{_by(by)}(rate({series(metric, *where)}[{over}]))"


def process_quantile(share: str, metric: str, *where: str, by: str = "", over: str = RECENT) -> str:
    """A quantile of what the processes measured, together."""
    kept = ", ".join(filter(None, ("le", by)))
    return f"histogram_quantile({share}, {processes(f'{metric}_bucket', *where, by=kept, over=over)}) >= 0"


def ever(expression: str, counter: str, by: str) -> str:
    """Without what never happened: counters of all known sources begin at 0, and most of them are not in use."""
    return f"{expression} and on ({by}) (max by ({by}) ({series(counter)}) > 0)"


def ratio(part: str, whole: str) -> str:
    """A share; nothing where the whole is 0."""
    return f"{part} / ({whole} > 0)"


def age(instant: str) -> str:
    """Seconds since then."""
    return f"time() - {instant}"


def or_zero(expression: str) -> str:
    """0 where there is nothing to count."""
    return f"{expression} or vector(0)"


def marked(expression: str, label: str, value: str) -> str:
    """The same with one more label."""
    return f'label_replace({expression}, "{label}", "{value}", "", "")'


def ageing(*where: str, by: str = "") -> str:
    """How many items are older than expected, of as many as the expectation allows: of what is there now or of the last
    week, whichever is less. FlowItemsAgeing fires where that is over 1.
    """
    now, week = (
        f"max{_by(by)}(stream_stage:{what}{{{','.join(where)}}})"
        for what in ("flow_stage_items_over_sle:ratio", "flow_stage_visits_over_sle:ratio7d")
    )
    return f"({week} < {now}) or {now}"


def lead_time_of_target() -> str:
    """The lead time as a share of its target: the worst of the quantiles that have one."""
    times = " or ".join(
        marked(quantile(share, "flow_lead_time_seconds", STREAM, each="item_type"), "quantile", share)
        for share in QUANTILES
    )
    return f"max(({times}) / {state('flow_lead_time_target_seconds', STREAM, by='quantile')})"


def cycle_time_of_target() -> str:
    """The cycle time as a share of its target: the worst of the quantiles that have one."""
    times = state("flow_cycle_time_window_seconds", STREAM, WINDOW, by="quantile")
    return f"max({times} / {state('flow_cycle_time_target_seconds', STREAM, by='quantile')})"


def bottleneck() -> str:
    """The stage that constrains the stream (1), "none" (0), or that nothing can be said of it (-1)."""
    raised = f"{state('flow_stage_bottleneck', STREAM, by='stage, cause')} == 1"
    told = f'max by (stage, cause) (ALERTS{{alertname="FlowBottleneckEmerging",alertstate="firing",{STREAM}}})'
    none = marked(f"0 * {state('flow_stage_bottleneck', STREAM)}", "stage", "none")
    return f"{raised} or {told} or on () {none} or on () {marked('vector(-1)', 'stage', 'not known yet')}"


def finished_since_the_start() -> str:
    """Arrivals in done less departures from it, since the start of the shown range: counters only grow."""
    done, back = ("flow_completed_items_total", "flow_reopened_items_total")
    return f"{_since_the_start(done)} - {_since_the_start(back)}"


def _since_the_start(counter: str) -> str:
    at_start = f"min by (item_type) (min_over_time({series(counter, STREAM)}[$__range] @ end()))"
    return total(f"{state(counter, STREAM, by='item_type')} - {at_start}")


def wip_from_the_end() -> str:
    """WIP by stage with the label `place`, which sorts the last stage first: so Grafana stacks them."""
    places = f'count_values by (stage) ("place", 900 - {state("flow_stage_position", STREAM, by="stage")})'
    return f"{state('flow_stage_wip', STREAM, by='stage')} * on (stage) group_left (place) {places}"


def firing(*where: str) -> str:
    """Since when (seconds since the epoch) each alert fires that is meant for people."""
    asked = ",".join(('severity!="none"', *where))
    return (
        f"max by ({ALERT_LABELS}) (ALERTS_FOR_STATE{{{asked}}} "
        f'and ignoring (alertstate) ALERTS{{alertstate="firing",{asked}}})'
    )


def _by(labels: str) -> str:
    return f" by ({labels}) " if labels else ""
