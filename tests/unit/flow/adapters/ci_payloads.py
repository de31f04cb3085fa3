"""One payload of each shape of CI, delivery and incident tools that tells something, as their own tests have them."""

from __future__ import annotations

from typing import Any

from tests.unit.flow.adapters import (
    test_alertmanager,
    test_argocd,
    test_bitbucket_cloud,
    test_bitbucket_datacenter,
    test_buildkite,
    test_circleci,
    test_devlake,
    test_jenkins,
    test_opsgenie,
    test_pagerduty,
    test_pelorus,
)

SAMPLES: list[tuple[str, dict[str, str], dict[str, Any]]] = [
    ("alertmanager", {}, test_alertmanager.group(test_alertmanager.alert(), test_alertmanager.alert("resolved"))),
    ("argocd", {}, test_argocd.sync()),
    *[("bitbucket-cloud", test_bitbucket_cloud.sent_as(event), body) for body, event in test_bitbucket_cloud.SENT],
    *[
        ("bitbucket-datacenter", test_bitbucket_datacenter.sent_as(event), body)
        for body, event in test_bitbucket_datacenter.SENT
    ],
    ("buildkite", {}, test_buildkite.event()),
    (
        "buildkite",
        {},
        test_buildkite.event("job.finished", slug="shop", job=test_buildkite.job("Deploy to qa")),
    ),
    ("circleci", {}, test_circleci.event()),
    ("circleci", {}, test_circleci.event("job-completed", "main", job=test_circleci.job("deploy-staging"))),
    *[("devlake", test_devlake.at(path), body) for body, path in test_devlake.SENT],
    ("jenkins", {}, test_jenkins.build()),
    ("opsgenie", {}, test_opsgenie.alert()),
    ("pagerduty", {}, test_pagerduty.event()),
    *[("pelorus", {"x-pelorus-event": event}, body) for body, event in test_pelorus.SENT],
]
"""Source, headers, body."""
