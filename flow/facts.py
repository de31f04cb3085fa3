"""Facts: what is stored as input, and nothing else is.

A fact is one immutable, normalised statement about one subject at one event time. These are the shapes in the log;
`flow.native` reads the shapes that users post. Instants (`at`, `committed_at`) are integer milliseconds. `None` means
that the fact says nothing about that property. Facts keep the provider's own words (its status, its labels); stages
come in when a timeline is read.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Final, Literal
from zlib import crc32

import msgspec

from flow.errors import Reason, Rejected

ChangeState = Literal["opened", "merged", "abandoned"]
DeploymentState = Literal["started", "succeeded", "failed", "rolled_back"]
IncidentState = Literal["opened", "acknowledged", "resolved"]

Whole = Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)]
Amount = Annotated[float, msgspec.Meta(ge=-1e12, le=1e12)]
"""Bounded, so that no line of the log, whoever wrote it, can make sums overflow."""


class ItemFact(msgspec.Struct, tag_field="subject", tag="item", omit_defaults=True, gc=False):
    """What a tracker says of one work item."""

    id: str
    source: str
    item: str
    at: Whole
    seq: Whole = 0
    status: str | None = None
    blocked: bool | None = None
    deleted: bool | None = None
    labels: tuple[str, ...] | None = None
    project: str | None = None
    type: str | None = None
    team: str | None = None
    title: str | None = None
    url: str | None = None
    value: Amount | None = None
    criticality: Amount | None = None
    risk_reduction: Amount | None = None
    size: Amount | None = None


class SignalFact(msgspec.Struct, tag_field="subject", tag="signal", omit_defaults=True, gc=False):
    """What another tool's event says of an item that it names: `signal` is `change.opened`, `deployment.succeeded`…"""

    id: str
    source: str
    item: str
    at: Whole
    signal: str
    seq: Whole = 0
    environment: str | None = None
    service: str | None = None


class ChangeFact(msgspec.Struct, tag_field="subject", tag="change", omit_defaults=True, gc=False):
    """One change to the code of one service: a pull or merge request, or a commit pushed straight."""

    id: str
    source: str
    service: str
    change: str
    at: Whole
    state: ChangeState
    seq: Whole = 0
    committed_at: Whole | None = None
    commit: str | None = None
    items: tuple[str, ...] = ()


class DeploymentFact(msgspec.Struct, tag_field="subject", tag="deployment", omit_defaults=True, gc=False):
    """One deployment of one service to one environment. `remediates` names the incident it was made for."""

    id: str
    source: str
    service: str
    environment: str
    deployment: str
    at: Whole
    state: DeploymentState
    seq: Whole = 0
    commit: str | None = None
    items: tuple[str, ...] = ()
    remediates: str | None = None


class IncidentFact(msgspec.Struct, tag_field="subject", tag="incident", omit_defaults=True, gc=False):
    """One incident of one service in one environment. `deployment` names the one that caused it, where known."""

    id: str
    source: str
    service: str
    environment: str
    incident: str
    at: Whole
    state: IncidentState
    seq: Whole = 0
    deployment: str | None = None


LaneFact = ChangeFact | DeploymentFact | IncidentFact
Fact = ItemFact | SignalFact | ChangeFact | DeploymentFact | IncidentFact

_encoder: Final = msgspec.json.Encoder()
_decoder: Final[msgspec.json.Decoder[Fact]] = msgspec.json.Decoder(Fact)


def subject_key(fact: Fact) -> str:
    """What the log is keyed by: all facts of one timeline share it. An item's name, or a lane's service."""
    return fact.item if isinstance(fact, (ItemFact, SignalFact)) else fact.service


def partition_of(key: str, partitions: int) -> int:
    """The partition of the log, 0 ≤ partition < partitions, that holds all facts of this subject key."""
    return crc32(key.encode()) % partitions


def encode_fact(fact: Fact) -> bytes:
    """One line of JSON, without its line end."""
    return _encoder.encode(fact)


def encode_facts(facts: Iterable[Fact]) -> bytes:
    """One fact a line: a block of the log."""
    return _encoder.encode_lines(facts)


def decode_fact(line: bytes) -> Fact:
    """One fact as the log holds it. Raises Rejected(malformed_json or invalid_fact)."""
    try:
        return _decoder.decode(line)
    except msgspec.ValidationError as error:
        raise Rejected(Reason.INVALID_FACT, f"not a fact of the log: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Rejected(Reason.MALFORMED_JSON, f"not JSON: {error}") from None


def decode_facts(block: bytes) -> list[Fact]:
    """A whole block at once, far faster than line by line. Raises msgspec.DecodeError if any line is wrong."""
    return _decoder.decode_lines(block)
