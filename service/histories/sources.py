"""The providers whose history can be read. A new one is a module here and a row below."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from flow.errors import Reason, Rejected
from service.histories import asana, azure_devops, github, github_projects, gitlab, jira, linear
from service.histories.pages import Steps
from service.names import near_names


@dataclass(frozen=True, slots=True)
class History:
    """One history. `names` says, for people, what is named on the command line; `pattern`: what that looks like.

    `source` names the source that its facts are of, and that has the settings.
    """

    source: str
    steps: Steps
    names: str
    pattern: str


HISTORIES: Final[Mapping[str, History]] = {
    "jira": History("jira", jira.steps, "keys of projects, such as CHK", r"[A-Za-z][A-Za-z0-9_]{0,99}"),
    "github": History("github", github.steps, "repositories, such as acme/shop", r"[\w.-]{1,100}/[\w.-]{1,100}"),
    "github-projects": History(
        "github", github_projects.steps, "node ids of boards, such as PVT_kwDO…", r"[\w=-]{4,200}"
    ),
    "gitlab": History("gitlab", gitlab.steps, "projects, such as acme/shop", r"[\w.-]{1,100}(?:/[\w.-]{1,100}){1,20}"),
    "linear": History("linear", linear.steps, "keys of teams, such as ENG", r"[A-Za-z0-9]{1,50}"),
    "asana": History("asana", asana.steps, "gids of projects, such as 1201000000000000", r"[0-9]{1,50}"),
    "azure-devops": History("azure-devops", azure_devops.steps, "projects, such as Shop", r"\w[\w .()-]{0,63}"),
}


def history_of(source: str, names: list[str]) -> History:
    """The provider of this name. Raises Rejected (unknown_source, invalid_request) for what can't be read."""
    history = HISTORIES.get(source)
    if history is None:
        raise Rejected(Reason.UNKNOWN_SOURCE, near_names("source", source, list(HISTORIES)))
    wrong = [name for name in names if not re.fullmatch(history.pattern, name, re.ASCII) or ".." in name]
    if wrong:
        raise Rejected(Reason.INVALID_REQUEST, f"{wrong[0]!r} can't be read of {source}: write {history.names}")
    return history
