"""The issues that a text of GitLab closes: "Closes #4", "fixes: acme/shop#6, #7 and #8", "Implements <address>".

https://docs.gitlab.com/user/project/issues/managing_issues/#closing-issues-automatically
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from flow.adapters.closing import closed_texts, closing_words
from flow.adapters.delivery import ItemNames

_CLOSING: Final = closing_words(
    r"(?<=c)los(?:e[sd]?|ing)|(?<=f)ix(?:e[sd]|ing)?|(?<=r)esolv(?:e[sd]?|ing)|(?<=i)mplement(?:s|ed|ing)?", "cfri"
)
_NEXT: Final = re.compile(
    r"[ \t]*(?:issues?[ \t]+|,?[ \t]*and[ \t]+|,[ \t]*)?"
    r"(?:https?://[^\s/]{1,100}/)?([\w.-]{1,60}(?:/[\w.-]{1,60}){1,8}?)?(?:#|/-/issues/|/issues/)(\d{1,10})\b",
    re.ASCII | re.IGNORECASE,
)


def items_closed_by(texts: Iterable[str | None], project: str, item_names: ItemNames) -> list[str]:
    """Items that the texts say they close: issues of GitLab, and what `item_names` finds behind a closing word.

    >>> items_closed_by(["Closes #4 and acme/till#6, but not #9"], "acme/shop", lambda texts: ())
    ['acme/shop#4', 'acme/till#6']
    """
    closed = [rest for text in texts for rest in closed_texts(_CLOSING, text)]
    return [*item_names(closed), *(name for rest in closed for name in _issues_at_the_start(rest, project))]


def _issues_at_the_start(text: str, project: str) -> list[str]:
    found, place = [], 0
    while match := _NEXT.match(text, place):
        found.append(f"{match[1] or project}#{match[2]}")
        place = match.end()
    return found
