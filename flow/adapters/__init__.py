"""Providers: what they send, how they sign it, and what it means. A new one is a module here and a row below."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from flow.adapters import cdevents, github
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


_SOURCES: Final = (
    Source(github.SOURCE, github.translate, SCHEMES["github"], "owner/repository#number"),
    Source(cdevents.SOURCE, cdevents.translate, SCHEMES["cdevents"], "the id of the ticket"),
)

ADAPTERS: Final[Mapping[str, Source]] = {source.name: source for source in _SOURCES}
