"""`flow-deliveries`: DORA's five measures of software delivery, by service and environment."""

from __future__ import annotations

from typing import Final

from grafana import links, marks, queries, variables
from grafana.boards import Board, Row
from grafana.colours import ANY_IS_WARNING, OVER_TARGET, OVERDUE
from grafana.links import set_to
from grafana.panels import SECONDS, SHARE, TEXT, ShownPanel, distribution, over_time, single
from grafana.queries import LANE, RECENT, Query, age, grown, ratio, speed, state, total
from grafana.tables import Column, rows_of

BY_LANE: Final = "service, environment"
SUCCEEDED: Final = 'outcome="succeeded"'
DAY: Final = 86_400
THIS_LANE: Final = links.board(
    "flow-deliveries",
    "window",
    set_to("service", "__data.fields.Service"),
    set_to("environment", "__data.fields.Environment"),
)
TO_PIPELINE: Final = ("Can I trust the numbers?", links.board("flow-pipeline"))

_LEAD_TIME: Final = "delivery_change_lead_time_seconds"
_RECOVERY: Final = "delivery_failed_deployment_recovery_seconds"


def _succeeded(by: str = BY_LANE) -> str:
    return grown("delivery_deployments_total", LANE, SUCCEEDED, by=by)


def _failed() -> str:
    return grown("delivery_failed_changes_total", LANE, by=BY_LANE)


def _remedies() -> str:
    return grown("delivery_rework_deployments_total", LANE, by=BY_LANE)


def _a_day() -> str:
    return f"{DAY} * {speed('delivery_deployments_total', LANE, SUCCEEDED, by=BY_LANE)}"


def _open_of_target() -> str:
    """The age of the oldest open failure of each lane, as a share of its recovery target."""
    since = state("delivery_oldest_open_failure_timestamp_seconds", LANE, by=BY_LANE)
    return f"({age(since)}) / {state('delivery_recovery_target_seconds', LANE, by=BY_LANE)}"


def _quantiles(metric: str, *shares: str) -> list[Query]:
    return [Query(queries.quantile(share, metric, LANE, each=BY_LANE), f"p{share}") for share in shares]


def _lowest(target: str) -> Query:
    return Query(f"min({state(target, LANE, by=BY_LANE)})", "lowest target", goal=True)


def _now() -> Row:
    failures = total(state("delivery_open_failures", LANE, by=BY_LANE))
    return Row(
        (
            single(
                "Deployment frequency", "How many deployments a day succeed, in the window?",
                [Query(total(_a_day()))],
                decimals=2, click=TO_PIPELINE,
            ),
            single(
                "Change lead time",
                "Within which time did half of the changes, and 85% of them, get from commit to the environment?",
                _quantiles(_LEAD_TIME, "0.5", "0.85"),
                unit=SECONDS, nothing="none deployed", click=TO_PIPELINE,
            ),
            single(
                "Change fail rate", "Of the deployments that succeeded, how many needed intervention afterwards?",
                [Query(ratio(total(_failed()), total(_succeeded())))],
                unit=SHARE, decimals=1, nothing="no deployment", click=TO_PIPELINE,
            ),
            single(
                "Failed deployment recovery time",
                "Within which time was half of what failed, and 85% of it, recovered from?",
                _quantiles(_RECOVERY, "0.5", "0.85"),
                unit=SECONDS, nothing="none recovered from", click=TO_PIPELINE,
            ),
            single(
                "Deployment rework rate", "Of the deployments that succeeded, how many were made to mend an incident?",
                [Query(ratio(total(_remedies()), total(_succeeded())))],
                unit=SHARE, decimals=1, nothing="no deployment", click=TO_PIPELINE,
            ),
            single(
                "Open failures", "How many incidents that a deployment caused are not resolved?",
                [Query(failures)], steps=ANY_IS_WARNING, nothing="no delivery seen", click=TO_PIPELINE,
            ),
        )
    )  # fmt: skip


def _lanes() -> ShownPanel:
    target = state("delivery_change_fail_rate_target_ratio", LANE, by=BY_LANE)
    rate = ratio(_failed(), _succeeded())
    return rows_of(
        "Services and environments",
        "Which service needs help? The fail rate is amber over its target, an open failure red over the recovery "
        "target (DeliveryRecoveryOverdue). Click a service for its own board.",
        [
            Column("Service", unit=TEXT, link=("Only this", THIS_LANE)),
            Column("Environment", unit=TEXT, link=("Only this", THIS_LANE)),
        ],
        [
            Column("Deployments", _succeeded(), decimals=0),
            Column("A day", _a_day(), decimals=2),
            Column("Lead time, p50", queries.quantile("0.5", _LEAD_TIME, LANE, by=BY_LANE), SECONDS),
            Column("Fail rate", rate, SHARE, 1),
            Column("Of target", f"({rate}) / ({target} > 0)", SHARE, 0, OVER_TARGET),
            Column("Recovery, p50", queries.quantile("0.5", _RECOVERY, LANE, by=BY_LANE), SECONDS),
            Column("Rework rate", ratio(_remedies(), _succeeded()), SHARE, 1),
            Column("Open", state("delivery_open_failures", LANE, by=BY_LANE), steps=ANY_IS_WARNING),
            Column("Open, of recovery target", _open_of_target(), SHARE, 0, OVERDUE),
        ],
        order="Deployments",
        falling=True,
    )


def _trends() -> tuple[ShownPanel, ...]:
    by_outcome = total(f"{DAY} * {speed('delivery_deployments_total', LANE, by=f'{BY_LANE}, outcome')}", "outcome")
    return (
        over_time(
            "Deployments a day, by outcome",
            "Is more being deployed, and does it succeed? Over the $window before each point.",
            [Query(by_outcome, "{{outcome}}")],
        ),
        over_time(
            "Change lead time", "Do changes get there faster? From the commit, over the $window before each point.",
            _quantiles(_LEAD_TIME, *queries.QUANTILES),
            unit=SECONDS,
        ),
        over_time(
            "Change fail rate and deployment rework rate",
            "Does deploying break more than it did? Over the $window before.",
            [
                Query(ratio(total(_failed()), total(_succeeded())), "change fail rate"),
                Query(ratio(total(_remedies()), total(_succeeded())), "deployment rework rate"),
                _lowest("delivery_change_fail_rate_target_ratio"),
            ],
            unit=SHARE,
        ),
        over_time(
            "Failed deployment recovery time", "Is what breaks mended faster? Over the $window before each point.",
            [
                *_quantiles(_RECOVERY, *queries.QUANTILES),
                _lowest("delivery_recovery_target_seconds"),
            ],
            unit=SECONDS,
        ),
    )  # fmt: skip


def _spread() -> Row:
    def of(metric: str) -> Query:
        buckets = grown(f"{metric}_bucket", LANE, by=f"{BY_LANE}, le", over=RECENT)
        return Query(total(buckets, "le"), "{{le}}", heatmap=True)

    return Row(
        (
            distribution(
                "Change lead times", "How are the times from commit to the environment spread?", of(_LEAD_TIME)
            ),
            distribution("Recovery times", "How are the times from failure to recovery spread?", of(_RECOVERY)),
        ),
        "Spread",
    )


DELIVERIES: Final = Board(
    "flow-deliveries",
    "Deliveries",
    "How fast and how safely does software get to its users? DORA's five measures.",
    "30d",
    "5m",
    [variables.service(), variables.environment(), variables.window()],
    [
        marks.deployments('service=~"$service"', 'environment=~"$environment"'),
        *marks.alerts('service=~"$service|"', 'environment=~"$environment|"', 'stream=""'),
    ],
    [_now(), Row((_lanes(), *_trends())), _spread()],
)
