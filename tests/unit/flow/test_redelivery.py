"""Every sender stands in the table of who sends again."""

from __future__ import annotations

from pathlib import Path

import pytest

from flow.adapters import ADAPTERS
from flow.redelivery import REDELIVERY, sends_again
from flow.signatures import SCHEMES


def test_every_sender_whose_signature_we_know_is_decided_on() -> None:
    assert set(REDELIVERY) == set(SCHEMES)
    assert set(ADAPTERS) <= set(REDELIVERY)


@pytest.mark.parametrize("source", ["github", "gitlab", "jenkins", "plane", "argocd", "bitbucket-cloud", "nobody"])
def test_what_is_not_sent_again_for_minutes_is_covered(source: str) -> None:
    assert not sends_again(source)


@pytest.mark.parametrize("source", ["linear", "pagerduty", "asana", "alertmanager", "azure-devops"])
def test_who_sends_again_is_left_to_it(source: str) -> None:
    assert sends_again(source)


def test_each_says_how() -> None:
    assert all(redelivery.how for redelivery in REDELIVERY.values())


def test_the_docs_tell_the_same() -> None:
    page = (Path(__file__).parents[3] / "docs/backpressure.md").read_text()
    rows = [
        f"| `{name}` | {redelivery.how} | {'no' if redelivery.sends_again else 'yes'} |"
        for name, redelivery in REDELIVERY.items()
    ]
    assert "\n".join(rows) in page
