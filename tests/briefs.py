"""Facts about items as a batch has them once it is sorted."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import astuple

from flow.brief import Brief, brief_of_item, brief_of_signal
from flow.facts import ItemFact, SignalFact
from flow.fold import Fold, Item
from flow.sorting import Briefs


def briefs_of(facts: Iterable[ItemFact | SignalFact]) -> Briefs:
    """Facts by item, in brief."""
    found: Briefs = {}
    for place, fact in enumerate(facts):
        found.setdefault(fact.item, []).append(_brief_of(fact, place))
    return found


def _brief_of(fact: ItemFact | SignalFact, place: int) -> Brief:
    if isinstance(fact, ItemFact):
        return brief_of_item(astuple(fact), place, fact.source, fact.status)
    return brief_of_signal(fact, place)


def fold_in(fold: Fold, items: dict[str, Item], facts: Iterable[ItemFact | SignalFact]) -> None:
    """Fold facts into these items, and into new ones."""
    for name, briefs in briefs_of(facts).items():
        if name not in items:
            items[name] = fold.new_item()
        fold.apply(name, items[name], briefs)
