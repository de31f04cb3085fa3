"""What tests of histories share: reading all of one from a local server."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from flow.adapters import ADAPTERS, Delivery
from flow.facts import Fact
from service.histories.pages import KINDS, Kind, Step, Wanted
from service.histories.sources import HISTORIES
from service.provider_client import Access, ProviderClient
from tests.servers.provider_api import ProviderServer

NOW = 1_795_340_000_000


def names_in(texts: Iterable[str]) -> tuple[str, ...]:
    """The items that texts name, for streams whose `item_keys` are `SHP-\\d+`."""
    return tuple(key for text in texts for key in re.findall(r"SHP-\d+", text))


def wanted(*names: str, kinds: Iterable[Kind] = KINDS, since: int | None = None) -> Wanted:
    return Wanted(names, frozenset(kinds), since, names_in)


class Time:
    """A clock that goes on only while somebody waits."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now

    async def pause(self, seconds: float) -> None:
        self.now += int(seconds * 1000)


def client_of(server: ProviderServer, authorisation: str) -> ProviderClient:
    time = Time()
    access = Access("The provider", server.url, {"Authorization": authorisation})
    return ProviderClient(access, clock=time, pause=time.pause)


async def read_all(client: ProviderClient, source: str, asked: Wanted) -> list[Fact]:
    """All facts of a history; everything in it is understood."""
    found: list[Fact] = []
    for step in await HISTORIES[source].steps(client, asked):
        found += await read_step(step)
    return found


async def read_step(step: Step) -> list[Fact]:
    found: list[Fact] = []
    where = None
    for _ in range(100):
        page = await step.read(where)
        assert page.not_understood == []
        found += page.facts
        where = page.next
        if where is None:
            return found
    raise AssertionError("the history has no end")


def told_by_webhooks(source: str, webhooks: Iterable[tuple[Mapping[str, str], Any]]) -> dict[str, Fact]:
    """By id, what these deliveries tell."""
    deliveries = [Delivery(source, headers, json.dumps(body).encode(), NOW) for headers, body in webhooks]
    facts = [fact for delivery in deliveries for fact in ADAPTERS[source].translate(delivery, names_in).facts]
    return {fact.id: fact for fact in facts}


def by_id(facts: Iterable[Fact]) -> dict[str, Fact]:
    return {fact.id: fact for fact in facts}
