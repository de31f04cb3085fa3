"""The sources whose webhooks don't say enough, what can't be seen without asking, and how to ask."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from flow.adapters import ItemNames
from flow.facts import Fact
from service.provider_client import ProviderClient
from service.rereading.asana import read_task
from service.rereading.azure_devops import read_work_item
from service.rereading.github_projects import read_project_item

Read = Callable[[ProviderClient, str, ItemNames], Awaitable[list[Fact]]]
"""Raises NotFound, Unavailable, Unauthorised, Rejected."""


@dataclass(frozen=True, slots=True)
class Rereading:
    """One source. `unseen` says, for people, what its webhooks leave out."""

    read: Read
    unseen: str


REREADINGS: Final[Mapping[str, Rereading]] = {
    "asana": Rereading(read_task, "the names of sections, titles, tags, and moves between sections"),
    "azure-devops": Rereading(read_work_item, "work items of hooks that are not set to send all details"),
    "github": Rereading(read_project_item, "the columns of boards (Projects); issues are seen"),
}
