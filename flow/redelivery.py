"""Which senders send a delivery again that we answered 503, and which do not.

A sender that does is left to it: it keeps the delivery better than we can. What the others send is kept in the local
spool while the log is away. A sender counts as one that sends again only where all its kinds are known to, and go on
for some minutes at least: the time that a server takes to come back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Redelivery:
    """What a sender does after a 503. `sends_again` decides; `how` is for people."""

    sends_again: bool
    how: str


def _again(how: str) -> Redelivery:
    return Redelivery(True, how)


def _lost(how: str) -> Redelivery:
    return Redelivery(False, how)


REDELIVERY: Final[Mapping[str, Redelivery]] = {
    "alertmanager": _again("until the group's next notification, and again with it"),
    "argocd": _lost("3 times within some seconds"),
    "asana": _again("for 24 h, then the webhook is deleted"),
    "azure-devops": _again("up to 8 times, up to 60 s apart"),
    "bitbucket-cloud": _lost("twice, at once"),
    "bitbucket-datacenter": _lost("never; after 5 failures it pauses the webhook for up to 10 h"),
    "buildkite": _lost("not documented"),
    "cdevents": _lost("depends on the sender"),
    "circleci": _lost("some times; it does not say for how long"),
    "clickup": _lost("4 times; it does not say when, and 100 failures suspend the webhook"),
    "devlake": _lost("never"),
    "github": _lost("never; by hand within 3 days"),
    "gitlab": _lost("never; 4 failures in a row switch the webhook off"),
    "jenkins": _lost("not unless its job says so"),
    "jira": _lost("Cloud 5 times within minutes; Data Center does not say"),
    "linear": _again("after 1 min, 1 h and 6 h"),
    "opsgenie": _lost("not documented"),
    "pagerduty": _again("for up to 48 h"),
    "pelorus": _lost("never"),
    "plane": _lost("after network errors only"),
    "trello": _lost("not documented"),
}
"""By the source's name."""


def sends_again(source: str) -> bool:
    """Whether this source sends again what was answered 503. Of one that is not in the table nothing is known.

    >>> sends_again("linear"), sends_again("github"), sends_again("nobody")
    (True, False, False)
    """
    found = REDELIVERY.get(source)
    return found is not None and found.sends_again
