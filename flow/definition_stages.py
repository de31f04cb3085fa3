"""The stages of one stream in a definition file: read, and checked against each other."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, cast

from yaml.nodes import Node, SequenceNode

from flow.definition_nodes import NodeReader
from flow.definition_problems import Problems, shown
from flow.definitions import Condition, ServiceLevel, Stage, StageKind

SIGNALS: Final = (
    "change.opened",
    "change.merged",
    "change.abandoned",
    "deployment.started",
    "deployment.succeeded",
    "deployment.failed",
    "deployment.rolled_back",
    "incident.opened",
    "incident.acknowledged",
    "incident.resolved",
)

_KINDS: Final = ("queue", "active", "done")
_STAGE_KEYS: Final = ("name", "kind", "when", "wip_limit", "sle", "commitment")
_CONDITION_KEYS: Final = ("status", "label", "signal", "environment")
_STAGE_EXAMPLE: Final = "{name: review, kind: active, when: [{status: In Review}]} for each stage"
_WHEN_EXAMPLE: Final = "when: [{status: In Review}], with your tracker's word"
_QUANTILE: Final = re.compile(r"p[1-9][0-9]?")


@dataclass(slots=True)
class ReadStage:
    """What could be read of one stage, and where. None: it has a problem that has been noted."""

    node: Node
    what: str
    name: str | None = None
    kind: StageKind | None = None
    when: list[tuple[Condition, Node]] = field(default_factory=list)
    wip_limit: int | None = None
    sle: ServiceLevel | None = None
    commitment: bool = False

    def stage(self) -> Stage:
        """The value. Only for a stage without problems."""
        conditions = tuple(condition for condition, _ in self.when)
        return Stage(
            self.name or "", self.kind or "queue", conditions, self.wip_limit, self.sle, commitment=self.commitment
        )


def read_stages(node: Node, stream: str, reader: NodeReader) -> list[ReadStage]:
    """The stages below `stages`; `stream` names their stream in messages."""
    items = reader.items(node, f"stages of {stream}", _STAGE_EXAMPLE)
    stages = [_read_stage(item, f"stage {number} of {stream}", reader) for number, item in enumerate(items, start=1)]
    if stages:
        _check_kinds(node, stages, stream, reader.problems)
    _check_names(stages, stream, reader.problems)
    _check_claims(stages, reader.problems)
    _check_commitment(stages, stream, reader.problems)
    return stages


def _read_stage(node: Node, what: str, reader: NodeReader) -> ReadStage:
    read = ReadStage(node, what)
    before = reader.problems.times_noted
    entries = reader.mapping(node, what, _STAGE_KEYS)
    values = {key: value for key, (_, value) in entries.items()}
    if not values and reader.problems.times_noted > before:
        return read
    if "name" not in values:
        reader.problems.add(node, f"{what} has no name", "write name: review, or what it is called")
    else:
        read.name = reader.name(values["name"], f"the name of {what}")
        read.what = f"stage {shown(read.name)}" if read.name else what
    if "kind" not in values:
        reader.problems.add(node, f"{read.what} has no kind", "write kind: queue, active or done")
    else:
        read.kind = cast(StageKind | None, reader.choice(values["kind"], f"kind of {read.what}", _KINDS))
    if "when" not in values:
        reader.problems.add(node, f"nothing can enter {read.what}: it has no when", f"write {_WHEN_EXAMPLE}")
    else:
        read.when = _read_when(values["when"], read.what, reader)
    if "wip_limit" in values:
        read.wip_limit = reader.whole_number(values["wip_limit"], f"wip_limit of {read.what}")
    if "sle" in values:
        read.sle = _read_sle(values["sle"], f"sle of {read.what}", reader)
    if "commitment" in values:
        read.commitment = bool(reader.flag(values["commitment"], f"commitment of {read.what}"))
    return read


def _read_when(node: Node, what: str, reader: NodeReader) -> list[tuple[Condition, Node]]:
    found = []
    for item in reader.items(node, f"when of {what}", _WHEN_EXAMPLE):
        condition = _read_condition(item, f"when of {what}", reader)
        if condition is not None:
            found.append((condition, item))
    return found


def _read_condition(node: Node, what: str, reader: NodeReader) -> Condition | None:
    problems = reader.problems
    before = problems.times_noted
    texts: dict[str, str | None] = {}
    for key, (_, value) in reader.mapping(node, f"an entry of {what}", _CONDITION_KEYS).items():
        place = f"{key} in {what}"
        if isinstance(value, SequenceNode):
            problems.add(value, f"{place} must be text, not a list", f"write an entry {{{key}: …}} for each of them")
        elif key == "signal":
            texts[key] = reader.choice(value, place, SIGNALS)
        else:
            texts[key] = reader.text(value, place)
    if problems.times_noted > before:
        return None
    condition = Condition(**texts)
    of_item = condition.status is not None or condition.label is not None
    if not of_item and condition.signal is None:
        problems.add(node, f"an entry of {what} has no status, label or signal", "write one of them")
    elif of_item and condition.signal is not None:
        wrong = f"an entry of {what} asks one event for a signal and for a status or label, and none has both"
        problems.add(node, wrong, "write two entries")
    elif condition.environment is not None and (condition.signal or "change").startswith("change"):
        wrong = f"an entry of {what} has an environment, which only deployments and incidents have"
        problems.add(node, wrong, "leave it out, or write signal: deployment.succeeded beside it")
    else:
        return condition
    return None


def _read_sle(node: Node, what: str, reader: NodeReader) -> ServiceLevel | None:
    before = reader.problems.times_noted
    entries = reader.mapping(node, what)
    if reader.problems.times_noted > before:
        return None
    if len(entries) != 1:
        reader.problems.add(node, f"{what} must have exactly one percentile", "write {p85: 3d}")
        return None
    [(name, (key, value))] = entries.items()
    if not _QUANTILE.fullmatch(name):
        reader.problems.add(key, f"{what} can't be for {shown(name)}", "write a percentile from p1 to p99: {p85: 3d}")
        return None
    within = reader.duration(value, what)
    return None if within is None else ServiceLevel(int(name[1:]) / 100, within)


def _check_kinds(node: Node, stages: Sequence[ReadStage], stream: str, problems: Problems) -> None:
    if len(stages) < 2:
        problems.add(node, f"{stream} has only one stage", "write at least two, the last of kind done")
        return
    kinds = [stage.kind for stage in stages]
    if None not in kinds and "done" not in kinds:
        problems.add(node, f"{stream} has no stage of kind done, so no item ever leaves it", "make the last one done")
    if set(kinds) == {"done"}:
        problems.add(node, f"{stream} has only stages of kind done", "put a stage of kind queue or active before them")
    done = None
    for stage in stages:
        if stage.kind == "done":
            done = stage
        elif stage.kind is not None and done is not None:
            wrong = f"{stage.what} stands after {done.what}, which is of kind done"
            problems.add(stage.node, wrong, "put the stages of kind done last")


def _check_names(stages: Sequence[ReadStage], stream: str, problems: Problems) -> None:
    first: dict[str, Node] = {}
    for stage in stages:
        if stage.name in first:
            line = first[stage.name].start_mark.line + 1
            wrong = f"{stream} has two stages named {shown(stage.name)}, the first in line {line}"
            problems.add(stage.node, wrong, "give one of them another name")
        elif stage.name is not None:
            first[stage.name] = stage.node


def _check_claims(stages: Sequence[ReadStage], problems: Problems) -> None:
    """An identical condition twice: the later one would always win, so the earlier one says nothing."""
    first: dict[Condition, tuple[ReadStage, Node]] = {}
    for stage in stages:
        for condition, node in stage.when:
            if condition not in first:
                first[condition] = stage, node
                continue
            other, place = first[condition]
            line = place.start_mark.line + 1
            wrong = f"{stage.what} claims {_words(condition)}, which {other.what} claims in line {line}"
            problems.add(node, wrong, "keep it in one place")


def _words(condition: Condition) -> str:
    named = {key: getattr(condition, key) for key in _CONDITION_KEYS}
    return " and ".join(f"{key} {shown(text)}" for key, text in named.items() if text is not None)


def _check_commitment(stages: Sequence[ReadStage], stream: str, problems: Problems) -> None:
    marked = [stage for stage in stages if stage.commitment]
    for stage in marked[1:]:
        wrong = f"{stage.what} is marked commitment: true, and so is {marked[0].what}"
        problems.add(stage.node, wrong, f"mark one stage of {stream}")
