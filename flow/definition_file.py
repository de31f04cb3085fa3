r"""Reads stream definitions from YAML, and names every mistake with its line and what to write instead.

>>> text = r'''
... streams:
...   checkout:
...     match: {source: jira, project: CHK}
...     item_keys: ['CHK-\d+']
...     stages:
...       - {name: develop, kind: active, when: [{status: In Progress}], wip_limit: 6, sle: {p85: 3d}}
...       - {name: done, kind: done, when: [{status: Done}, {signal: deployment.succeeded, environment: production}]}
... '''
>>> [stage.name for stage in read_definitions(text).streams["checkout"].stages]
['develop', 'done']
>>> read_definitions(text.replace("kind: active", "kind: activ"))
Traceback (most recent call last):
flow.errors.DefinitionError: streams.yaml:7: kind of stage 'develop' can't be 'activ'; write active
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Final

from yaml.nodes import MappingNode, Node

from flow.bottlenecks.business_time import Zones, only_utc
from flow.definition_deliveries import read_deliveries
from flow.definition_nodes import NodeReader
from flow.definition_problems import Problems, compose, shown
from flow.definition_stages import ReadStage, read_stages
from flow.definition_watch import WATCH_KEYS, read_watch
from flow.definitions import DEFAULT_TYPES, OTHER_TYPE, Definitions, Match, Stream
from flow.instants import MINUTE
from flow.matching import item_key_pattern

DURATION_TARGETS: Final = tuple(f"{what}_{p}" for what in ("cycle_time", "lead_time") for p in ("p50", "p85", "p95"))
NUMBER_TARGETS: Final = ("flow_efficiency", "throughput_per_week", "value_per_week", "wip")
LONGEST_ITEM_KEY: Final = 200
"""Characters of one regex in `item_keys`."""

_STREAM_KEYS: Final = ("match", "item_keys", "labels", "stages", "targets", "types", "windows", *WATCH_KEYS)
_MATCH_KEYS: Final = tuple(field.name for field in fields(Match))
_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_OWN_LABELS: Final = frozenset(
    ("stream", "stage", "item_type", "service", "environment", "window", "quantile", "cause", "outcome", "source", "le")
)


def read_definitions(text: str, where: str = "streams.yaml", zones: Zones = only_utc) -> Definitions:
    """The value streams that the YAML text defines; `where` names the file in messages, `zones` finds time zones.

    Raises DefinitionError with all problems, each `where:line: what is wrong; what to write instead`, in line order.
    """
    problems = Problems(where)
    root = compose(text, problems)
    definitions = Definitions({}) if root is None else _read_file(root, NodeReader(problems, zones))
    if problems:
        raise problems.error()
    return definitions


def _read_file(root: Node, reader: NodeReader) -> Definitions:
    entries = reader.mapping(root, "the file", ("streams", "deliveries"))
    streams = _read_streams(root, entries, reader)
    deliveries = read_deliveries(entries["deliveries"][1], reader) if "deliveries" in entries else ()
    return Definitions(streams, deliveries)


def _read_streams(root: Node, entries: Mapping[str, tuple[Node, Node]], reader: NodeReader) -> dict[str, Stream]:
    if "streams" not in entries:
        if isinstance(root, MappingNode):
            reader.problems.add(root, "the file has no streams", "write streams: with at least one stream below it")
        return {}
    key, node = entries["streams"]
    named = reader.mapping(node, "streams")
    if isinstance(node, MappingNode) and not node.value:
        reader.problems.add(key, "streams is empty", "write at least one stream below it")
    streams = {}
    for name, (place, value) in named.items():
        reader.name(place, "the name of a stream")
        streams[name] = _StreamReader(name, value, reader).read(alone=len(named) == 1)
    return streams


class _StreamReader:
    """Reads one stream. What has a problem is left at its default: the value is then thrown away."""

    def __init__(self, name: str, node: Node, reader: NodeReader) -> None:
        self.name = name
        self.what = f"stream {shown(name)}"
        self.node = node
        self.reader = reader
        self.problems = reader.problems
        entries = reader.mapping(node, self.what, _STREAM_KEYS)
        self.values = {key: value for key, (_, value) in entries.items()}

    def read(self, *, alone: bool) -> Stream:
        """The stream. `alone`: it is the only one of the file, so it may leave out `match`."""
        stages = self._stages()
        if isinstance(self.node, MappingNode):
            self._check_arrivals(stages, alone=alone)
        return Stream(
            name=self.name,
            stages=tuple(stage.stage() for stage in stages),
            match=self._match(),
            item_keys=self._item_keys(),
            labels=self._labels(),
            types=self._types(),
            targets=self._targets(),
            windows=self._windows(),
            **read_watch(self.values, self.what, self.reader),
        )

    def _stages(self) -> list[ReadStage]:
        if "stages" in self.values:
            return read_stages(self.values["stages"], self.what, self.reader)
        if isinstance(self.node, MappingNode):
            self.problems.add(self.node, f"{self.what} has no stages", "write stages: and a list of at least two")
        return []

    def _check_arrivals(self, stages: Sequence[ReadStage], *, alone: bool) -> None:
        """Conditions that no fact can ever reach."""
        conditions = [(stage, condition, node) for stage in stages for condition, node in stage.when]
        if "item_keys" not in self.values:
            for stage, condition, node in conditions:
                if condition.signal is not None:
                    wrong = f"{stage.what} waits for the signal {condition.signal}, and {self.what} has no item_keys"
                    self.problems.add(node, wrong, r"write item_keys: ['CHK-\d+'], the shape of its items' keys")
        match = self.values.get("match")
        if alone or (match is not None and not (isinstance(match, MappingNode) and not match.value)):
            return
        of_items = [(stage, node) for stage, condition, node in conditions if condition.signal is None]
        instead = "write match: {project: CHK}, or another of " + ", ".join(_MATCH_KEYS)
        if "item_keys" not in self.values:
            self.problems.add(
                self.node, f"nothing can arrive in {self.what}: it has no match and no item_keys", instead
            )
        elif of_items:
            wrong = f"no status or label can arrive in {self.what}: it has no match"
            self.problems.add(self.node, wrong, instead)

    def _match(self) -> Match:
        if "match" not in self.values:
            return Match()
        what = f"match of {self.what}"
        entries = self.reader.mapping(self.values["match"], what, _MATCH_KEYS)
        return Match(**{key: self.reader.text_or_texts(node, f"{key} in {what}") for key, (_, node) in entries.items()})

    def _item_keys(self) -> tuple[str, ...]:
        if "item_keys" not in self.values:
            return ()
        what = f"item_keys of {self.what}"
        keys = self.reader.texts(self.values["item_keys"], what, r"a list such as ['CHK-\d+']")
        for text, node in keys.items():
            wrong = _regex_problem(text)
            if wrong:
                self.problems.add(node, f"{what}: {shown(text)} {wrong}", r"write a regex such as 'CHK-\d+'")
        return tuple(keys)

    def _labels(self) -> dict[str, str]:
        if "labels" not in self.values:
            return {}
        what = f"labels of {self.what}"
        labels = {}
        for name, (key, node) in self.reader.mapping(self.values["labels"], what).items():
            if not _LABEL.fullmatch(name) or name.startswith("__"):
                fixed = re.sub(r"[^a-zA-Z0-9_]+", "_", name[:60]).strip("_")
                instead = f"write {fixed if _LABEL.fullmatch(fixed) else 'letters, digits and _, no digit first'}"
                self.problems.add(key, f"{what}: {shown(name)} is not a label name of Prometheus", instead)
            elif name in _OWN_LABELS:
                self.problems.add(key, f"{what}: {name} is a label of Streamgauge's own", "take another name")
            labels[name] = self.reader.text(node, f"{shown(name)} in {what}") or ""
        return labels

    def _types(self) -> dict[str, tuple[str, ...]]:
        if "types" not in self.values:
            return dict(DEFAULT_TYPES)
        what = f"types of {self.what}"
        types: dict[str, tuple[str, ...]] = {}
        owner: dict[str, str] = {}
        for name, (key, node) in self.reader.mapping(self.values["types"], what).items():
            self.reader.name(key, f"a type in {what}")
            if name == OTHER_TYPE:
                self.problems.add(key, f"{what}: {name} is kept for what no type claims", "take another name")
            words = self.reader.texts(node, f"{shown(name)} in {what}", "a list of your tracker's words")
            for word, place in words.items():
                first = owner.setdefault(word.casefold(), name)
                if first != name:
                    wrong = f"{what}: {shown(word)} is a word for {shown(first)} and for {shown(name)}"
                    self.problems.add(place, wrong, "keep it in one of them; case makes no difference")
            types[name] = tuple(words)
        return types

    def _targets(self) -> dict[str, float]:
        if "targets" not in self.values:
            return {}
        what = f"targets of {self.what}"
        entries = self.reader.mapping(self.values["targets"], what, DURATION_TARGETS + NUMBER_TARGETS)
        read = {name: self._target(name, node, f"{name} in {what}") for name, (_, node) in entries.items()}
        return {name: value for name, value in read.items() if value is not None}

    def _target(self, name: str, node: Node, what: str) -> float | None:
        if name in DURATION_TARGETS:
            return self.reader.duration(node, what)
        value = self.reader.number(node, what, "0.4" if name == "flow_efficiency" else "12")
        if name == "flow_efficiency" and value is not None and value > 1:
            self.problems.add(node, f"{what} can't be over 1", f"write a share of 1: {value / 100:g} for {value:g}%")
        return value

    def _windows(self) -> tuple[str, ...]:
        if "windows" not in self.values:
            return Stream.windows
        what = f"windows of {self.what}"
        found: dict[int, str] = {}
        for node in self.reader.items(self.values["windows"], what, "a list such as [1d, 7d, 30d]"):
            length = self.reader.duration(node, f"an entry of {what}")
            if length is None:
                continue
            if length % MINUTE:
                self.problems.add(node, f"{what}: {shown(node.value)} is not whole minutes", "write 1m or a multiple")
            if length in found:
                wrong = f"{what}: {shown(node.value)} is as long as {shown(found[length])}"
                self.problems.add(node, wrong, "keep one of them")
            found.setdefault(length, node.value)
        return tuple(found.values())


def _regex_problem(text: str) -> str | None:
    if len(text) > LONGEST_ITEM_KEY:
        return f"is longer than {LONGEST_ITEM_KEY} characters"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            pattern = item_key_pattern(text)
    except (re.error, ValueError, OverflowError, RecursionError, Warning) as error:
        return f"is not a regex: {str(error).splitlines()[0][:100]}"
    return "finds empty text too" if pattern.fullmatch("") else None
