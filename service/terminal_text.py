"""Text of others, as it may be written to a terminal."""

from __future__ import annotations

from typing import Final

_CUT: Final = "…"


def shown(text: str, most: int | None = None) -> str:
    """The text, cut to `most` letters. What a terminal would act on, or what has no shape, is written as an escape.

    >>> shown("Waiting\\x1b[2J\\u202e")
    'Waiting\\\\x1b[2J\\\\u202e'
    """
    if most is not None and len(text) > most:
        text = text[: most - 1] + _CUT
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
