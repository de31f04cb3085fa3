"""What is wrong with a definition file, and the reading of its text as YAML nodes within bounds.

YAML is composed to nodes, never constructed to values: a node knows its line, and no tag can make anything run.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

import yaml
from yaml.composer import ComposerError
from yaml.error import Mark, MarkedYAMLError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.reader import ReaderError

from flow.errors import DefinitionError

LONGEST_FILE: Final = 1024 * 1024
"""Bytes of UTF-8."""
DEEPEST: Final = 32
"""Levels of nesting, those that aliases add included."""
MOST_VALUES: Final = 250_000
"""Keys and values once every alias is written out: a few short lines of aliases can stand for millions."""

_LONGEST_SHOWN: Final = 60


def shown(value: str) -> str:
    """The user's own text inside a message: in quotes, on one line and not long; backslashes stay as they are."""
    cut = value if len(value) <= _LONGEST_SHOWN else value[:_LONGEST_SHOWN] + "…"
    text = cut if cut.isprintable() else repr(cut)[1:-1]
    return f'"{text}"' if "'" in text else f"'{text}'"


def nearest(word: str, known: Iterable[str]) -> str:
    """What to write instead of an unknown word.

    >>> nearest("wip_limt", ["name", "wip_limit"]), nearest("colour", ["kind", "name"])
    ('write wip_limit', 'write one of kind, name')
    """
    words = list(known)
    close = get_close_matches(word[:_LONGEST_SHOWN].lower(), words, n=1)
    return f"write {close[0]}" if close else f"write one of {', '.join(words)}"


class Problems:
    """Every problem found so far; one that is met twice, through an alias, counts once."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._found: dict[tuple[int, str], None] = {}
        self.times_noted = 0

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, place: Node | int, wrong: str, instead: str) -> None:
        """Note what is wrong at a node or a line (the first is 1), and what to write instead."""
        line = place if isinstance(place, int) else place.start_mark.line + 1
        self.times_noted += 1
        self._found[line, f"{wrong}; {instead}"] = None

    def error(self) -> DefinitionError:
        """All problems in the order of their lines."""
        ordered = sorted(self._found, key=lambda found: found[0])
        return DefinitionError([f"{self._where}:{line}: {message}" for line, message in ordered])


def compose(text: str, problems: Problems) -> Node | None:
    """The root node of the text, or None when it can't be read; then the reason has been noted.

    No node holds itself, is nested deeper than DEEPEST or stands for more than MOST_VALUES values.
    """
    if len(text.encode(errors="replace")) > LONGEST_FILE:
        problems.add(1, "the file is over 1 MiB", "split it, or leave out what doesn't define streams")
        return None
    loader = None
    try:
        loader = _BoundedLoader(text)
        root = loader.get_single_node()
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        problems.add(line, f"the file holds the character U+{ord(text[error.position]):04X}", "write plain UTF-8 text")
    except MarkedYAMLError as error:
        _note_syntax(error, problems)
    except (yaml.YAMLError, ValueError, ArithmeticError, LookupError):
        # PyYAML lets these through for escapes beyond Unicode and for absurd version numbers.
        line = loader.line + 1 if loader else 1
        problems.add(line, "not YAML: an escape or a number here is out of range", "write the text itself, in quotes")
    else:
        if root is None or (isinstance(root, ScalarNode) and not root.value):
            problems.add(1, "the file is empty", "write streams: with at least one stream below it")
            return None
        return root
    return None


def _note_syntax(error: MarkedYAMLError, problems: Problems) -> None:
    mark = error.problem_mark or error.context_mark
    said = ", ".join(part for part in (error.context, error.problem) if part)
    problems.add(mark.line + 1 if mark else 1, f"not YAML: {' '.join(said.split())[:200]}", _syntax_advice(error))


def _syntax_advice(error: MarkedYAMLError) -> str:
    if error.note:
        return error.note
    problem = error.problem or ""
    if "'\\t'" in problem:
        return "indent with spaces, not with tabs"
    if "mapping values are not allowed" in problem:
        return "put text that holds a colon in quotes, and check the indentation"
    if "undefined alias" in problem:
        return "define it before with &, or put text that begins with * in quotes"
    if "single document" in (error.context or ""):
        return "keep one document: remove the line ---"
    return "check the indentation, the quotes and the brackets here and in the line before"


class _BoundedLoader(yaml.SafeLoader):
    """Composes nodes, and refuses a file as soon as it grows beyond the bounds."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._open = 0
        self._measured: dict[Node, tuple[int, int]] = {}

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        mark: Mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
        if self._open >= DEEPEST:
            raise ComposerError(None, None, "nested too deeply", mark, f"use at most {DEEPEST} levels")
        self._open += 1
        node = super().compose_node(parent, index)
        self._open -= 1
        if node is not None:
            self._measure(node, mark)
        return node

    def _measure(self, node: Node, mark: Mark) -> None:
        """Levels and values of a node, from those of its children: all of them were composed before it."""
        if node in self._measured:
            return
        children = [self._measured.get(child) for child in _children(node)]
        known = [child for child in children if child is not None]
        if len(known) < len(children) or node.end_mark is None:
            raise ComposerError(None, None, "an alias stands inside what it names", mark, "write the values out")
        levels = 1 + max((levels for levels, _ in known), default=0)
        values = 1 + sum(values for _, values in known)
        if levels > DEEPEST:
            raise ComposerError(None, None, "nested too deeply by aliases", mark, f"use at most {DEEPEST} levels")
        if max(values, len(self._measured)) > MOST_VALUES:
            advice = "define fewer streams, or use fewer aliases of aliases"
            raise ComposerError(None, None, f"more than {MOST_VALUES} values", mark, advice)
        self._measured[node] = levels, values


def _children(node: Node) -> list[Node]:
    if isinstance(node, MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, SequenceNode) else []
