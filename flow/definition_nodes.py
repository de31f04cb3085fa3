"""Typed reading of YAML nodes: every reader returns a value, or notes a problem and returns None.

`what` names the place in words that a user knows, such as `wip_limit of stage 'review'`.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final
from unicodedata import normalize

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from flow.bottlenecks.business_time import Zones, only_utc
from flow.definition_problems import Problems, nearest, shown
from flow.instants import DAY, parse_duration

LONGEST_DURATION: Final = 731 * DAY
"""Two years, one of them a leap year: what day cells are kept for."""

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_TAG: Final = "tag:yaml.org,2002:"
_MEANT: Final = {
    "bool": "true or false",
    "int": "a number",
    "float": "a number",
    "timestamp": "a date",
    "null": "nothing",
}
_WHOLE: Final = re.compile(r"[1-9][0-9]{0,8}")
_NUMBER: Final = re.compile(r"(0|[1-9][0-9]{0,8})(\.[0-9]{0,9})?|\.[0-9]{1,9}")
"""YAML 1.1 reads 010 as eight and 1:30 as ninety: only digits that mean what they look like are taken."""


class NodeReader:
    """Reads nodes of one file, and notes what is wrong with them."""

    def __init__(self, problems: Problems, zones: Zones = only_utc) -> None:
        self.problems = problems
        self.zones = zones

    def mapping(self, node: Node, what: str, known: Collection[str] | None = None) -> dict[str, tuple[Node, Node]]:
        """Key and value nodes by key. Repeated keys, and keys that are not among the `known`, are problems."""
        if not isinstance(node, MappingNode):
            self.problems.add(node, f"{what} must be a map, not {_kind(node)}", _map_example(known))
            return {}
        entries = self._entries(node, what)
        if known is not None:
            for name in [name for name in entries if name not in known]:
                key, _ = entries.pop(name)
                self.problems.add(key, f"unknown key {shown(name)} in {what}", nearest(name, known))
        return entries

    def items(self, node: Node, what: str, example: str) -> list[Node]:
        """The nodes of a list, which must not be empty."""
        if not isinstance(node, SequenceNode):
            self.problems.add(node, f"{what} must be a list, not {_kind(node)}", f"write {example}")
            return []
        if not node.value:
            self.problems.add(node, f"{what} is an empty list", f"write {example}")
        return list(node.value)

    def text(self, node: Node, what: str) -> str | None:
        """Text that is not empty. What YAML takes for something else must be quoted."""
        if not isinstance(node, ScalarNode):
            self.problems.add(node, f"{what} must be text, not {_kind(node)}", "write one word or a text in quotes")
            return None
        value: str = node.value
        meant = _MEANT.get(node.tag.removeprefix(_TAG))
        if not value.strip():
            self.problems.add(node, f"{what} is empty", "write a text")
        elif meant is not None:
            wrong = f"{what}: YAML reads {shown(value)} as {meant}, not as text"
            self.problems.add(node, wrong, f"put it in quotes: {shown(value)}")
        elif node.tag != f"{_TAG}str" and node.tag not in {f"{_TAG}value", f"{_TAG}merge"}:
            self.problems.add(node, f"{what} has the tag {shown(node.tag)}", "write plain text, without a tag")
        elif any("\ud800" <= character <= "\udfff" for character in value):
            self.problems.add(node, f"{what} holds half a character", "write the character itself, not its escape")
        else:
            return value
        return None

    def texts(self, node: Node, what: str, example: str) -> dict[str, Node]:
        """A list of distinct texts, with the node of each."""
        if isinstance(node, ScalarNode) and node.value:
            example = f"[{shown(node.value)}]"
        found: dict[str, Node] = {}
        for item in self.items(node, what, example):
            text = self.text(item, f"an entry of {what}")
            if text is not None and text in found:
                self.problems.add(item, f"{what} has {shown(text)} twice", "keep one of them")
            elif text is not None:
                found[text] = item
        return found

    def text_or_texts(self, node: Node, what: str) -> tuple[str, ...]:
        """One text, or a list of them."""
        if isinstance(node, SequenceNode):
            return tuple(self.texts(node, what, "one text or a list of texts"))
        text = self.text(node, what)
        return () if text is None else (text,)

    def name(self, node: Node, what: str) -> str | None:
        """A name that may stand in a key, a label value and an address."""
        text = self.text(node, what)
        if text is None or _NAME.fullmatch(text):
            return text
        wrong = f"{what} can't be {shown(text)}: only a-z, 0-9, '.', '_' and '-', 63 at most, a letter or digit first"
        self.problems.add(node, wrong, f"write {suggested_name(text)}")
        return None

    def choice(self, node: Node, what: str, choices: Collection[str]) -> str | None:
        """One of a few known words."""
        text = self.text(node, what)
        if text is None or text in choices:
            return text
        self.problems.add(node, f"{what} can't be {shown(text)}", nearest(text, choices))
        return None

    def flag(self, node: Node, what: str) -> bool | None:
        """True or false."""
        value = node.value.lower() if isinstance(node, ScalarNode) and node.tag == f"{_TAG}bool" else None
        if value not in {"true", "yes", "on", "false", "no", "off"}:
            self.problems.add(node, f"{what} must be true or false, not {_kind(node)}", "write true, or leave it out")
            return None
        return value in {"true", "yes", "on"}

    def whole_number(self, node: Node, what: str) -> int | None:
        """A whole number from 1, in decimal digits."""
        digits = _digits(node)
        if digits is not None and _WHOLE.fullmatch(digits):
            return int(digits)
        self.problems.add(node, f"{what} must be a whole number from 1, not {_kind(node)}", "write one such as 4")
        return None

    def number(self, node: Node, what: str, example: str) -> float | None:
        """A number from 0."""
        digits = _digits(node)
        if digits is not None and _NUMBER.fullmatch(digits):
            return float(digits)
        self.problems.add(node, f"{what} must be a number from 0, not {_kind(node)}", f"write one such as {example}")
        return None

    def duration(self, node: Node, what: str) -> int | None:
        """A duration in milliseconds, longer than 0 and up to LONGEST_DURATION."""
        if not isinstance(node, ScalarNode) or not node.value:
            self.problems.add(node, f"{what} must be a duration, not {_kind(node)}", "write one such as 90s, 4h or 2d")
            return None
        try:
            duration = parse_duration(node.value)
        except ValueError:
            advice = "write a number and s, m, h, d or w, such as 90s, 4h or 2d"
            self.problems.add(node, f"{what}: {shown(node.value)} is not a duration", advice)
            return None
        if not 0 < duration <= LONGEST_DURATION:
            wrong = f"{what}: {shown(node.value)} is {'over two years' if duration else 'no time at all'}"
            self.problems.add(node, wrong, "write a duration from 1s to 731d")
            return None
        return duration

    def _entries(self, node: MappingNode, what: str) -> dict[str, tuple[Node, Node]]:
        entries: dict[str, tuple[Node, Node]] = {}
        merged: list[Node] = []
        for key, value in node.value:
            if key.tag == f"{_TAG}merge":
                merged.extend(value.value if isinstance(value, SequenceNode) else [value])
                continue
            name = self.text(key, f"a key of {what}")
            if name is not None and name in entries:
                first = entries[name][0].start_mark.line + 1
                self.problems.add(key, f"{what} has the key {shown(name)} twice, first in line {first}", "keep one")
            elif name is not None:
                entries[name] = key, value
        for other in merged:
            if not isinstance(other, MappingNode):
                self.problems.add(other, f"<< in {what} must name a map, not {_kind(other)}", "write <<: *name")
                continue
            for name, entry in self._entries(other, what).items():
                entries.setdefault(name, entry)
        return entries


def _digits(node: Node) -> str | None:
    numeric = isinstance(node, ScalarNode) and node.tag in {f"{_TAG}int", f"{_TAG}float"}
    return node.value if numeric else None


def suggested_name(text: str) -> str:
    """A valid name that is close to the text.

    >>> suggested_name("In Review (Café)"), suggested_name("…")
    ('in-review-cafe', 'a name such as review')
    """
    plain = normalize("NFKD", text[:200]).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9._]+", "-", plain).strip("._-")[:63].rstrip("-") or "a name such as review"


def _kind(node: Node) -> str:
    if isinstance(node, MappingNode):
        return "a map"
    if isinstance(node, SequenceNode):
        return "a list"
    if node.tag == f"{_TAG}null":
        return "nothing"
    return f"the text {shown(node.value)}" if node.tag == f"{_TAG}str" else shown(node.value)


def _map_example(known: Collection[str] | None) -> str:
    return f"write keys and values; the keys are {', '.join(known)}" if known else "write keys and values"
