"""Records of outside Kafka topics, and the facts that they tell.

Provider JSON goes to the adapter of its source: what a webhook would have had as HTTP headers is taken from the
record's headers. CloudEvents are as their binding for Kafka has them:
https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from flow.adapters import ADAPTERS, Delivery, ItemNames, Source
from flow.adapters.cloudevents import STRUCTURED, is_cloudevent
from flow.cloud_facts import SOURCE as CLOUDEVENTS
from flow.cloud_facts import CloudEventReader
from flow.errors import Reason, Rejected, TooLarge
from flow.facts import Fact, encode_facts, subject_key
from flow.native import decode_native

FACTS: Final = "facts"
"""Native facts: an object, an array, or one object a line."""

BY_HEADER: Final = "header"
"""A header of each record says what it is."""

KINDS: Final = frozenset({*ADAPTERS, CLOUDEVENTS, FACTS, BY_HEADER})
"""How the records of a topic can be read: by an adapter's name, or as one of these."""

_SOURCES: Final = KINDS - {BY_HEADER}

UNKNOWN: Final = "unknown"
"""The source of letters of records that do not say what they are."""

MOST_BYTES: Final = 24 * 1024 * 1024
MOST_HEADER_BYTES: Final = 1024 * 1024
"""Of a record. A larger one would not fit among the dead letters."""

_KEPT_OF_LARGER: Final = 1024 * 1024
_LEGIBLE: Final = "/:;=?@&+,"


@dataclass(frozen=True, slots=True)
class Record:
    """One record as the topic has it. `at` is the topic's time of it, in milliseconds; below 1 where it has none."""

    topic: str
    partition: int
    offset: int
    at: int
    headers: Sequence[tuple[str, bytes | None]] = ()
    value: bytes | None = None

    @property
    def is_too_large(self) -> bool:
        """Whether it could not be kept whole."""
        size = sum(len(name) + len(value or b"") for name, value in self.headers)
        return size > MOST_HEADER_BYTES or len(self.value or b"") > MOST_BYTES


Complete = Callable[[Sequence[Fact]], Sequence[Fact]]
"""Adds to facts what they say of others: the signals of changes and deployments to items."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a record told. `refused` says why it, or a part of it, is to be kept; `delivery` is what is kept.

    `unread` names what changed without the record saying to what, as of a webhook.
    """

    delivery: Delivery
    facts: Sequence[Fact] = ()
    refused: Rejected | None = None
    unread: Sequence[str] = ()


class RecordReader:
    """Reads records. `source_header` is the header that says what a record is, in topics where each says it itself.

    `future_tolerance`: how far a native fact may be ahead of the clock, in milliseconds. What it tells can be written:
    a fact that can't would stop everything behind it.
    """

    def __init__(
        self,
        item_names: ItemNames,
        future_tolerance: int,
        source_header: str = "source",
        complete: Complete = lambda facts: facts,
        sources: Mapping[str, Source] = ADAPTERS,
    ) -> None:
        self._item_names = item_names
        self._future_tolerance = future_tolerance
        self._source_header = source_header.lower()
        self._complete = complete
        self._sources = sources
        self._cloud_events = CloudEventReader(item_names, future_tolerance)

    def read(self, record: Record, kind: str, now: int) -> Told:
        """The facts of a record of a topic of this kind. Whatever is wrong with it is told, not raised. `now` in ms.

        A provider's delivery is taken as received at the record's own time: read again, it tells the same.
        """
        received_at = min(record.at, now) if record.at > 0 else now
        if record.is_too_large:
            return _too_large(record, kind, received_at)
        headers = _headers(record)
        source = kind if kind != BY_HEADER else headers.get(self._source_header, "").strip()
        delivery = Delivery(source if source in _SOURCES else UNKNOWN, headers, record.value or b"", received_at)
        if record.value is None and not is_cloudevent(delivery):
            return Told(delivery)  # a tombstone, in a topic that is compacted
        if source == CLOUDEVENTS and not ("content-type" in headers or is_cloudevent(delivery)):
            headers["content-type"] = STRUCTURED  # many producers leave it out
        try:
            told = self.told(delivery, source, now)
            facts = self._complete(told.facts)
            _check_writable(facts)
        except Rejected as error:
            return Told(delivery, refused=_placed(record, error))
        except Exception as error:
            return Told(delivery, refused=_placed(record, _fault(source, error)))
        return Told(delivery, facts, told.refused and _placed(record, told.refused), told.unread)

    def told(self, delivery: Delivery, source: str, now: int) -> Told:
        """What a delivery of this source tells. Raises Rejected when nothing of it can be understood.

        Raises whatever an adapter raises that breaks.
        """
        if source == CLOUDEVENTS:
            told = self._cloud_events.read(delivery, now)
            return Told(delivery, told.facts, told.refusal())
        if source == FACTS:
            return Told(delivery, decode_native(delivery.body, "json", now, self._future_tolerance))
        adapter = self._sources.get(source)
        if adapter is None:
            said = f"says {source[:100]!r}, which is no source" if source else "is missing"
            message = (
                f"its header {self._source_header!r} {said}: write one of {', '.join(sorted(KINDS - {BY_HEADER}))}"
            )
            raise Rejected(Reason.UNKNOWN_SOURCE, message)
        translation = adapter.translate(delivery, self._item_names)
        return Told(delivery, translation.facts, unread=translation.unread)


def _check_writable(facts: Sequence[Fact]) -> None:
    """Raises whatever writing them would."""
    encode_facts(facts)
    for fact in facts:
        subject_key(fact).encode()


def _fault(source: str, error: Exception) -> Rejected:
    """A mistake of ours must neither lose a record nor stop at it."""
    where = traceback.extract_tb(error.__traceback__)[-1]  # not its text, which may quote the payload
    what = f"{type(error).__name__} in {where.name}, line {where.lineno}"
    return Rejected(Reason.NOT_UNDERSTOOD, f"reading it as {source} broke ({what}): this is a fault of ours")


def _headers(record: Record) -> dict[str, str]:
    """The record's headers as a request would have them: names in lower case, `ce_…` as the HTTP binding writes it."""
    found: dict[str, str] = {}
    for name, value in record.headers:
        if value is None:
            continue
        key = name.lower()
        if key.startswith("ce_"):
            found["ce-" + key.removeprefix("ce_")] = quote(value, safe=_LEGIBLE)
        else:
            found[key] = value.decode(errors="backslashreplace")
    return found


def _placed(record: Record, error: Rejected) -> Rejected:
    where = f"topic {record.topic}, partition {record.partition}, offset {record.offset}"
    return Rejected(error.reason, f"{error.message} ({where})", error.problems)


def _too_large(record: Record, kind: str, received_at: int) -> Told:
    """Such a record can't be kept whole: its beginning is, and where the rest lies."""
    body = record.value or b""
    error = TooLarge(f"the record has {len(body)} bytes and its headers are not kept: here is its beginning only")
    source = UNKNOWN if kind == BY_HEADER else kind
    return Told(Delivery(source, {}, body[:_KEPT_OF_LARGER], received_at), refused=_placed(record, error))
