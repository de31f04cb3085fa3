"""What a text says that it closes: the rest of the line behind each closing word, such as "Fixes" in "Fixes #12"."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Final

LONGEST_TEXT: Final = 65_536
"""Characters of a text that are searched: GitHub's own limit for a body."""
LONGEST_REST: Final = 200
MOST_CLOSED: Final = 100
"""Closing words of one text that are heeded."""

CLOSE_FIX_RESOLVE: Final = r"(?<=c)lose[sd]?|(?<=f)ix(?:e[sd])?|(?<=r)esolve[sd]?"
"""The closing words of GitHub, each without its first letter."""


def closing_words(words: str, first: str) -> re.Pattern[str]:
    """A pattern of closing words, in any case, with the space behind them.

    `words` are alternatives that begin with the second letter and look behind at the first, which is one of `first`:
    a search that knows the first letter is several times as fast, and bodies are long.
    """
    letters = first.lower() + first.upper()
    return re.compile(rf"[{letters}](?<!\w.)(?i:{words})\b:?[ \t]{{1,4}}")


def closed_texts(closing: re.Pattern[str], text: str | None) -> Iterator[str]:
    """The rest of the line behind each closing word, at most LONGEST_REST characters of it.

    >>> list(closed_texts(closing_words(CLOSE_FIX_RESOLVE, "cfr"), "It fixes: #12, I hope.  Unfixes #13."))
    ['#12, I hope.  Unfixes #13.']
    """
    searched = (text or "")[:LONGEST_TEXT]
    for word in islice(closing.finditer(searched), MOST_CLOSED):
        rest = searched[word.end() : word.end() + LONGEST_REST].splitlines()
        if rest:
            yield rest[0]
