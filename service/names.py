"""What to say when nothing goes by a name: which names come near."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

LONGEST_SHOWN: Final = 100


def near_names(kind: str, name: str, known: Iterable[str]) -> str:
    """One sentence: what is missing, and the known names that come near it, else some of them.

    >>> near_names("stage", "reveiw", ["develop", "review"])
    "no stage is called 'reveiw'; near it: review"
    >>> near_names("item", "chk-1", ["CHK-1"])
    "no item is called 'chk-1'; near it: CHK-1"
    """
    names = list(known)
    by_folded = {each.casefold(): each for each in names}
    near = [by_folded[each] for each in get_close_matches(name[:LONGEST_SHOWN].casefold(), by_folded, n=3)]
    missing = f"no {kind} is called {name[:LONGEST_SHOWN]!r}"
    if near:
        return f"{missing}; near it: {', '.join(near)}"
    return f"{missing}; there are: {', '.join(names[:20])}" if names else missing
