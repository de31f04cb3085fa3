"""What every provider's history is read as: steps, each of pages, each of facts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from flow.adapters import ItemNames
from flow.adapters.times import provider_time
from flow.errors import NotFound, Reason, Rejected
from flow.facts import Fact
from service.provider_client import ProviderClient

Kind = Literal["items", "changes", "deployments"]
KINDS: Final[tuple[Kind, ...]] = ("items", "changes", "deployments")

MOST_PAGES: Final = 100_000
"""Of one list: a provider that never comes to an end is at fault."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be read. `since`: what ended before this instant (ms) is left out; what still goes on never is."""

    names: tuple[str, ...]
    kinds: frozenset[Kind]
    since: int | None
    item_names: ItemNames

    def has(self, *times: object) -> bool:
        """Whether something that was last touched at the first of these times that is known is wanted."""
        if self.since is None:
            return True
        known = next((time for time in times if isinstance(time, (str, int)) and time), None)
        try:
            instant = provider_time(known)
        except ValueError:
            return True
        return instant is None or instant >= self.since


@dataclass(slots=True)
class Page:
    """One page. `read` counts what was on it; `next`: where the next one is; `total`: how many the step has, about.

    `not_understood`: what could not be made facts of, and why.
    """

    facts: list[Fact] = field(default_factory=list)
    read: int = 0
    next: str | None = None
    total: int | None = None
    not_understood: list[str] = field(default_factory=list)

    def tell(self, name: str, facts: Callable[[], list[Fact]]) -> None:
        """Add the facts of one thing; one that can't be understood must not keep the others back."""
        try:
            self.facts += facts()
        except Rejected as error:
            if error.reason not in {Reason.NOT_UNDERSTOOD, Reason.MALFORMED_JSON}:
                raise
            self.not_understood.append(f"{name}: {error.message}")

    async def tell_read(self, name: str, reading: Awaitable[list[Fact]]) -> None:
        """The same for one that is read by itself; one that went while we read says nothing."""
        try:
            facts = await reading
        except NotFound:
            return
        except Rejected as error:
            if error.reason not in {Reason.NOT_UNDERSTOOD, Reason.MALFORMED_JSON}:
                raise
            self.not_understood.append(f"{name}: {error.message}")
        else:
            self.facts += facts


@dataclass(frozen=True, slots=True)
class Step:
    """A part of a history with a name of its own. `read` reads the page at an address that it gave, None: the first."""

    name: str
    read: Callable[[str | None], Awaitable[Page]]


Steps = Callable[[ProviderClient, Wanted], Awaitable[list[Step]]]
"""What there is to read. It may ask the provider."""


async def all_pages(client: ProviderClient, path: str, **parameters: str | int | None) -> list[Any]:
    """Everything in a list that links from page to page (GitHub, GitLab). Raises Rejected for what is no list."""
    found: list[Any] = []
    answer = await client.get(path, per_page=100, **parameters)
    for _ in range(MOST_PAGES):
        found += objects(answer.content, client.name)
        if answer.next is None:
            break
        answer = await client.get(answer.next)
    return found


def objects(content: object, name: str) -> list[Any]:
    """The objects of a list. Raises Rejected when it is none."""
    if not isinstance(content, list) or not all(isinstance(entry, dict) for entry in content):
        raise Rejected(Reason.INVALID_REQUEST, f"{name} answers with something that is no list of objects")
    return content


def part(content: object, *names: str) -> Any:
    """What is under these names, one within the other; None where one of them is missing."""
    for name in names:
        content = content.get(name) if isinstance(content, dict) else None
    return content


def listed(content: object, *names: str) -> list[Any]:
    """The objects under these names; none where there is no list."""
    found = part(content, *names)
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def chosen(wanted: Wanted, steps: Iterable[tuple[Kind, Step]]) -> list[Step]:
    """The steps of the kinds that are wanted."""
    return [step for kind, step in steps if kind in wanted.kinds]
