"""What is not as it should be, in words that a reader can follow up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isclose
from typing import Any, Final

MOST_SHOWN: Final = 8


class Differences:
    """Collects them; `compared` counts single figures, so that nothing compared is noticed too."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self.compared = 0

    def equal(self, where: str, found: Any, expected: Any) -> None:
        """Note where these two differ: of mappings, each key that does."""
        if isinstance(found, Mapping) and isinstance(expected, Mapping):
            self.compared += len(expected)
            wrong = [key for key in {**expected, **found} if not _same(found.get(key), expected.get(key))]
            self._note(where, [f"{key}: {_words(found.get(key))}, not {_words(expected.get(key))}" for key in wrong])
        elif isinstance(found, list) and isinstance(expected, list):
            self.compared += len(expected)
            self._note(where, list(_of_lists(found, expected)))
        else:
            self.compared += 1
            self._note(where, [] if _same(found, expected) else [f"{_words(found)}, not {_words(expected)}"])

    def holds(self, where: str, held: bool, otherwise: str) -> None:
        """Note what is otherwise."""
        self.compared += 1
        self._note(where, [] if held else [otherwise])

    def _note(self, where: str, wrong: list[str]) -> None:
        for line in wrong[:MOST_SHOWN]:
            self.found.append(f"{where}: {line}")
        if len(wrong) > MOST_SHOWN:
            self.found.append(f"{where}: and {len(wrong) - MOST_SHOWN} more")


def _same(found: Any, expected: Any) -> bool:
    if isinstance(found, float) and isinstance(expected, (float, int)):
        return isclose(found, expected, rel_tol=1e-9, abs_tol=1e-6)
    return bool(found == expected)


def _of_lists(found: list[Any], expected: list[Any]) -> Iterator[str]:
    if found == expected:
        return
    for place, one in enumerate(expected):
        if place >= len(found) or found[place] != one:
            there = found[place] if place < len(found) else None
            yield f"at {place}: {_words(there)}, not {_words(one)}"
            break
    yield f"{len(found)} of {len(expected)}"


def _words(value: Any) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 160 else f"{text[:160]}…"
