"""What reading a provider's history has in common: an API's item is told again as the webhooks would have told it.

A provider's API gives an item as it stands now, and what changed when. From these the item is put back as it was after
each change, and wrapped in the body that the webhook of that change had. The webhook's own adapter reads it, so the
facts and their ids are the same by construction, and webhooks and a later reading of the history may overlap.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar

import msgspec

from flow.adapters.delivery import Adapter, Delivery, ItemNames
from flow.adapters.times import Moment, provider_time
from flow.errors import Reason, Rejected
from flow.facts import Fact

Json = Mapping[str, Any]
"""An object of an API's answer."""

NO_HEADERS: Final[Mapping[str, str]] = {}

_Shape = TypeVar("_Shape")


def retold(
    adapter: Adapter,
    source: str,
    bodies: Iterable[Json],
    item_names: ItemNames,
    headers: Mapping[str, str] = NO_HEADERS,
) -> list[Fact]:
    """The facts of these webhooks, each once, in their order. Raises Rejected (not_understood)."""
    found: dict[str, Fact] = {}
    for body in bodies:
        delivery = Delivery(source, headers, msgspec.json.encode(body), received_at=0)
        for fact in adapter(delivery, item_names).facts:
            found.setdefault(fact.id, fact)
    return list(found.values())


def shaped(content: object, shape: type[_Shape], what: str) -> _Shape:
    """Read a part of an API's answer as `shape`. Raises Rejected (not_understood) with the path of what is wrong."""
    try:
        return msgspec.convert(content, shape)
    except msgspec.ValidationError as error:
        raise Rejected(Reason.NOT_UNDERSTOOD, f"not {what}: {error}") from None


def instant(what: str, moment: object) -> int:
    """A time that must be there, in milliseconds. Raises Rejected (not_understood)."""
    try:
        known = provider_time(msgspec.convert(moment, Moment))
    except (ValueError, msgspec.ValidationError) as error:
        raise Rejected(Reason.NOT_UNDERSTOOD, f"a time of {what} can't be read: {error}") from None
    if known is None:
        raise Rejected(Reason.NOT_UNDERSTOOD, f"{what} does not say when it happened")
    return known
