"""Providers: what they send, how they sign it, and what it means. A new one is a module here and a row below."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from flow.adapters import (
    alertmanager,
    argocd,
    asana,
    azure_devops,
    bitbucket_cloud,
    bitbucket_datacenter,
    buildkite,
    cdevents,
    circleci,
    clickup,
    devlake,
    github,
    gitlab,
    jenkins,
    jira,
    linear,
    opsgenie,
    pagerduty,
    pelorus,
    plane,
    trello,
)
from flow.adapters.delivery import Adapter, Delivery, ItemNames, Translation
from flow.signatures import SCHEMES, SignatureScheme

__all__ = ["ADAPTERS", "Adapter", "Delivery", "ItemNames", "Source", "Translation"]


@dataclass(frozen=True, slots=True)
class Source:
    """One provider. `name` is the last part of its webhook's path; `item` says, for people, what it calls an item."""

    name: str
    translate: Adapter
    signature: SignatureScheme
    item: str


NO_ITEMS: Final = "no items of its own"

_SOURCES: Final = (
    Source(github.SOURCE, github.translate, SCHEMES["github"], "owner/repository#number"),
    Source(gitlab.SOURCE, gitlab.translate, SCHEMES["gitlab"], "group/project#number"),
    Source(jira.SOURCE, jira.translate, SCHEMES["jira"], "the issue's key"),
    Source(linear.SOURCE, linear.translate, SCHEMES["linear"], "the issue's identifier"),
    Source(asana.SOURCE, asana.translate, SCHEMES["asana"], "the task's gid"),
    Source(clickup.SOURCE, clickup.translate, SCHEMES["clickup"], "the task's id"),
    Source(plane.SOURCE, plane.translate, SCHEMES["plane"], "the work item's id"),
    Source(azure_devops.SOURCE, azure_devops.translate, SCHEMES["azure-devops"], "AB#number"),
    Source(trello.SOURCE, trello.translate, SCHEMES["trello"], "the card's id"),
    Source(cdevents.SOURCE, cdevents.translate, SCHEMES["cdevents"], "the id of the ticket"),
    Source(
        bitbucket_cloud.SOURCE, bitbucket_cloud.translate, SCHEMES["bitbucket-cloud"], "workspace/repository#number"
    ),
    Source(
        bitbucket_datacenter.SOURCE,
        bitbucket_datacenter.translate,
        SCHEMES["bitbucket-datacenter"],
        NO_ITEMS,
    ),
    Source(jenkins.SOURCE, jenkins.translate, SCHEMES["jenkins"], NO_ITEMS),
    Source(circleci.SOURCE, circleci.translate, SCHEMES["circleci"], NO_ITEMS),
    Source(buildkite.SOURCE, buildkite.translate, SCHEMES["buildkite"], NO_ITEMS),
    Source(argocd.SOURCE, argocd.translate, SCHEMES["argocd"], NO_ITEMS),
    Source(pagerduty.SOURCE, pagerduty.translate, SCHEMES["pagerduty"], NO_ITEMS),
    Source(opsgenie.SOURCE, opsgenie.translate, SCHEMES["opsgenie"], NO_ITEMS),
    Source(alertmanager.SOURCE, alertmanager.translate, SCHEMES["alertmanager"], NO_ITEMS),
    Source(pelorus.SOURCE, pelorus.translate, SCHEMES["pelorus"], NO_ITEMS),
    Source(devlake.SOURCE, devlake.translate, SCHEMES["devlake"], "the issueKey"),
)

ADAPTERS: Final[Mapping[str, Source]] = {source.name: source for source in _SOURCES}
