r"""Which streams a fact belongs to, and which stage it means. Compiled once from the definitions; pure.

>>> from flow.definitions import Condition, Definitions, Match, Stage, Stream
>>> from flow.facts import ChangeFact, ItemFact
>>> stages = (Stage("develop", "active", (Condition(status="In Progress"), Condition(label="doing"))),
...           Stage("review", "active", (Condition(signal="change.opened"),)),
...           Stage("done", "done", (Condition(status="Done"),)))
>>> checkout = Stream("checkout", stages, Match(project=("CHK",)), item_keys=(r"CHK-\d+",))
>>> router, stage_map = Router(Definitions({"checkout": checkout})), StageMap(checkout)
>>> moved = ItemFact(id="1", source="acme", item="CHK-12", at=0, project="CHK", status="Done", labels=("doing",))
>>> router.streams_of(moved), stage_map.stage_of(moved)
(('checkout',), 2)
>>> named = router.items_named_in(["CHK-12: pay with a card", "feature/CHK-12_cards"])
>>> change = ChangeFact(id="2", source="acme", service="shop", change="7", at=0, state="opened", items=named)
>>> [(signal.item, signal.signal, stage_map.stage_of(signal)) for signal in router.signals_of(change)]
[('CHK-12', 'change.opened', 1)]
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from operator import attrgetter, itemgetter
from typing import Final, TypeVar

from flow.definitions import Definitions, Match, Stream
from flow.entries import Flags
from flow.facts import ChangeFact, DeploymentFact, ItemFact, SignalFact

MOST_REMEMBERED: Final = 4096
"""Bound of every memo here; a full one is emptied, since what is asked often comes back at once."""
MOST_NAMED: Final = 50
LONGEST_TEXT: Final = 10_000
"""Characters of one free text that are searched: a user's regex may take time that grows faster than the text."""

_LEADING_FLAGS: Final = re.compile(r"(?:\(\?[aiLmsux]+\))+")
_NOT_AFTER: Final = r"(?<![^\W_])"
_NOT_BEFORE: Final = r"(?![^\W_])"

_Key = TypeVar("_Key")
_Answer = TypeVar("_Answer")


def item_key_pattern(text: str) -> re.Pattern[str]:
    r"""One entry of `item_keys`, compiled so that no letter or digit may stand right before or after what it finds.

    An underscore may: branches are named `CHK-12_cards`. Raises re.error when the text is not a regex.

    >>> bool(item_key_pattern(r"CHK-\d").search("XCHK-1 CHK-12")), item_key_pattern("(?i)chk-1").search("CHK-1")[0]
    (False, 'CHK-1')
    """
    flags = re.compile(text).flags
    leading = _LEADING_FLAGS.match(text)
    body = text[leading.end() :] if leading else text
    end = "\n)" if flags & re.VERBOSE else ")"  # the body may end in a comment
    return re.compile(f"{_NOT_AFTER}(?:{body}{end}{_NOT_BEFORE}", flags)


class StageMap:
    """Reads facts of one stream as stages.

    Of the stages that claim a fact, the last in the stream's order wins: the label `in-progress` beats the status
    `open`, and the status `closed` beats a stale label. `by_status` holds what a status alone means, as the index of
    the stage; it is the whole truth about item facts unless `has_labels`.
    """

    def __init__(self, stream: Stream) -> None:
        self.by_status: dict[str, int] = {}
        self._by_label: list[tuple[int, str, str | None]] = []
        self._by_signal: dict[tuple[str, str | None], int] = {}
        self._remembered: dict[tuple[str | None, tuple[str, ...]], int | None] = {}
        for index, stage in enumerate(stream.stages):
            for condition in stage.when:
                of_item = condition.status is not None or condition.label is not None
                if condition.signal is not None:
                    if not of_item:  # no fact is of both kinds, so such a condition never holds
                        self._by_signal[condition.signal, condition.environment] = index
                elif condition.environment is not None:
                    continue  # item facts have no environment
                elif condition.label is not None:
                    self._by_label.append((index, condition.label, condition.status))
                elif condition.status is not None:
                    self.by_status[condition.status] = index
        self._by_label.reverse()
        self.has_labels: bool = bool(self._by_label)

    def stage_of(self, fact: ItemFact | SignalFact) -> int | None:
        """Index of the stage that the fact means, or None when no stage claims it."""
        if isinstance(fact, SignalFact):
            return self._stage_of_signal(fact.signal, fact.environment)
        status = fact.status
        if self.has_labels and fact.labels:
            return self._stage_of_labels(status, fact.labels)
        return None if status is None else self.by_status.get(status)

    def stage_of_entry(self, word: str | None, flags: Flags | None) -> int | None:
        """The same for a fact as a timeline keeps it."""
        if flags is not None:
            if flags.signal:
                return None if word is None else self._stage_of_signal(word, flags.environment)
            if self.has_labels and flags.labels:
                return self._stage_of_labels(word, flags.labels)
        return None if word is None else self.by_status.get(word)

    def _stage_of_signal(self, signal: str, environment: str | None) -> int | None:
        anywhere = self._by_signal.get((signal, None))
        there = self._by_signal.get((signal, environment))
        if anywhere is None or there is None:
            return there if anywhere is None else anywhere
        return max(anywhere, there)

    def _stage_of_labels(self, status: str | None, labels: tuple[str, ...]) -> int | None:
        key = (status, labels)
        if key in self._remembered:
            return self._remembered[key]
        by_status = None if status is None else self.by_status.get(status)
        claims = (
            index for index, label, needed in self._by_label if label in labels and (needed is None or needed == status)
        )
        by_label = next(claims, None)
        found = by_status if by_label is None else by_label if by_status is None else max(by_label, by_status)
        _remember(self._remembered, key, found)
        return found


_MatchKey = tuple[object, ...]
_Candidate = tuple[int, str, Match]
"""A stream's place in the definitions, its name, and what it matches."""


class Router:
    """Knows the streams that facts belong to, and the items that other tools' facts and texts name.

    An item fact belongs to every stream whose `match` it satisfies. A stream without `match` takes every item fact
    when it is the only stream, and none beside others. A signal belongs to the streams whose `item_keys` name its item.
    """

    def __init__(self, definitions: Definitions) -> None:
        streams = list(definitions.streams.values())
        alone = len(streams) == 1
        matching = [stream for stream in streams if alone or stream.match != Match()]
        told_apart_by = ("source", "project", "team", "labels")
        labels = any(stream.match.label for stream in matching)
        self._key_of: Callable[[ItemFact], _MatchKey] = attrgetter(*told_apart_by[: None if labels else -1])
        patterns = {text: item_key_pattern(text) for stream in streams for text in stream.item_keys}
        self._patterns = list(patterns.values())
        self._keys = [(stream.name, [patterns[text] for text in stream.item_keys]) for stream in streams]
        self._of_project: dict[str, list[_Candidate]] = {}
        self._of_any: list[_Candidate] = []
        for place, stream in enumerate(matching):
            candidate = (place, stream.name, stream.match)
            projects = stream.match.project or stream.match.repository
            for project in dict.fromkeys(projects):
                self._of_project.setdefault(project, []).append(candidate)
            if not projects:
                self._of_any.append(candidate)
        self._matching: dict[_MatchKey, tuple[str, ...]] = {}
        self._naming: dict[str, tuple[str, ...]] = {}

    def streams_of(self, fact: ItemFact | SignalFact) -> tuple[str, ...]:
        """Names of the streams that the fact belongs to, in the order of the definitions."""
        if isinstance(fact, SignalFact):
            return self._streams_naming(fact.item)
        key = self._key_of(fact)
        found = self._matching.get(key)
        if found is None:
            named = self._of_project.get(fact.project, ()) if fact.project is not None else ()
            candidates = sorted((*self._of_any, *named), key=itemgetter(0))
            found = tuple(name for _, name, match in candidates if _satisfies(fact, match))
            _remember(self._matching, key, found)
        return found

    def items_named_in(self, texts: Iterable[str]) -> tuple[str, ...]:
        """The distinct items that any stream's `item_keys` find in titles, branch names and messages.

        In order of first appearance, at most MOST_NAMED; of each text the first LONGEST_TEXT characters are searched.
        """
        named: dict[str, None] = {}
        for text in texts:
            cut = text[:LONGEST_TEXT]
            found = [(match.start(), match[0]) for pattern in self._patterns for match in pattern.finditer(cut)]
            named.update((item, None) for _, item in sorted(found) if item)
            if len(named) >= MOST_NAMED:
                break
        return tuple(named)[:MOST_NAMED]

    def signals_of(self, fact: ChangeFact | DeploymentFact) -> list[SignalFact]:
        """What a change or a deployment says of the items that it names; of items that no stream knows, nothing."""
        deployment = isinstance(fact, DeploymentFact)
        signal = f"deployment.{fact.state}" if deployment else f"change.{fact.state}"
        environment = fact.environment if isinstance(fact, DeploymentFact) else None
        return [
            SignalFact(
                id=f"{fact.id}/{item}",
                source=fact.source,
                item=item,
                at=fact.at,
                signal=signal,
                seq=fact.seq,
                environment=environment,
                service=fact.service,
            )
            for item in dict.fromkeys(fact.items)
            if self._streams_naming(item)
        ]

    def _streams_naming(self, item: str) -> tuple[str, ...]:
        found = self._naming.get(item)
        if found is None:
            found = tuple(name for name, keys in self._keys if any(key.fullmatch(item) for key in keys))
            _remember(self._naming, item, found)
        return found


def _satisfies(fact: ItemFact, match: Match) -> bool:
    labels = fact.labels or ()
    return (
        (not match.source or fact.source in match.source)
        and (not match.project or fact.project in match.project)
        and (not match.repository or fact.project in match.repository)
        and (not match.team or fact.team in match.team)
        and (not match.label or any(label in labels for label in match.label))
    )


def _remember(memo: dict[_Key, _Answer], key: _Key, answer: _Answer) -> None:
    if len(memo) >= MOST_REMEMBERED:
        memo.clear()
    memo[key] = answer
