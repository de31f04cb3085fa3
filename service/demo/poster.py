"""Posts what happens in the simulated organisation, as its tools would: signed webhooks, and native facts."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final
from uuid import uuid4

import msgspec

from flow.adapters import ADAPTERS, Delivery, ItemNames
from flow.errors import Unavailable
from flow.facts import ChangeFact, Fact
from flow.instants import format_instant
from service.api_client import ApiClient
from service.demo.happenings import Happening, Native, Webhook

GITHUB: Final = "github"
BATCH: Final = 1_000


class Poster:
    """Posts to one Streamgauge, whose secret for GitHub's webhooks this is."""

    def __init__(self, client: ApiClient, secret: str) -> None:
        self._client = client
        self._secret = secret
        self._waiting: list[Happening] = []

    def post(self, happenings: Sequence[Happening]) -> None:
        """Post these, behind what could not be posted before. What finds nobody to take it waits for the next call."""
        self._waiting += happenings
        try:
            while self._waiting:
                self._post_one(self._waiting[0])
                del self._waiting[0]
        except Unavailable:
            return

    @property
    def waiting(self) -> int:
        """How many happenings nobody has taken yet."""
        return len(self._waiting)

    def post_history(self, lines: Iterable[bytes]) -> int:
        """Post native facts in bulk; returns how many. Raises Unavailable."""
        posted, lines = 0, iter(lines)
        while batch := list(islice(lines, BATCH)):
            self._client.post_facts(b"\n".join(batch))
            posted += len(batch)
        return posted

    def _post_one(self, happening: Happening) -> None:
        if isinstance(happening, Native):
            self._client.post_facts(msgspec.json.encode(happening.fields))
            return
        body = msgspec.json.encode(happening.payload)
        self._client.post_webhook(GITHUB, body, headers_of(happening, body, self._secret))


def headers_of(webhook: Webhook, body: bytes, secret: str) -> dict[str, str]:
    """The headers of a delivery.

    https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
    """
    return {
        "Content-Type": "application/json",
        "X-GitHub-Event": webhook.event,
        "X-GitHub-Delivery": str(uuid4()),
        "X-Hub-Signature-256": f"sha256={hmac.digest(secret.encode(), body, 'sha256').hex()}",
    }


def history_lines(happenings: Iterable[Happening], item_names: ItemNames) -> Iterator[bytes]:
    """Native facts, one a line, that say the same as these happenings under the same ids.

    Hours of history would be thousands of deliveries, one request each; so they are translated here.
    """
    for happening in happenings:
        if isinstance(happening, Native):
            yield msgspec.json.encode(happening.fields)
            continue
        headers = {"x-github-event": happening.event}
        delivery = Delivery(GITHUB, headers, msgspec.json.encode(happening.payload), happening.at)
        for fact in ADAPTERS[GITHUB].translate(delivery, item_names).facts:
            yield msgspec.json.encode(native_fields(fact))


def native_fields(fact: Fact) -> dict[str, Any]:
    """A fact as users post it: with instants in RFC 3339."""
    fields: dict[str, Any] = msgspec.to_builtins(fact)
    fields["at"] = format_instant(fact.at)
    if isinstance(fact, ChangeFact) and fact.committed_at is not None:
        fields["committed_at"] = format_instant(fact.committed_at)
    return fields
