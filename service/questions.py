"""What can be asked of the stored state of one stream: the commands of a question, and how their replies are read.

A question puts commands of one generation into a pipeline and takes its replies off an iterator, in the same order.
Questions are values: asking the same one again, of another generation, is harmless.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

import msgspec
from redis.asyncio.client import Pipeline

from flow import vector
from flow.definitions import Stream
from flow.keys import StateKeys, cell_field
from flow.status import StageLive
from flow.vector import Vector

Answer_co = TypeVar("Answer_co", covariant=True)

_decode_counts: Final[msgspec.msgpack.Decoder[dict[str, int]]] = msgspec.msgpack.Decoder(dict[str, int])
_decode_lanes: Final[msgspec.msgpack.Decoder[dict[str, Vector]]] = msgspec.msgpack.Decoder(dict[str, Vector])
_NO_STATE: Final = StateKeys("", "")


class Question(Protocol[Answer_co]):
    """Asked in one transaction with the pointer to the generation that it is asked of."""

    def ask(self, pipeline: Pipeline, state: StateKeys) -> None:
        """Put the commands into the pipeline."""

    def answer(self, replies: Iterator[Any]) -> Answer_co:
        """Read as many replies as `ask` put commands."""


@dataclass(frozen=True, slots=True)
class Stages:
    """What is in each stage that is not `done`, at `now` (ms)."""

    stream: Stream
    now: int

    def ask(self, pipeline: Pipeline, state: StateKeys) -> None:
        """Three commands a stage."""
        for stage in self.stream.stages:
            if stage.kind == "done":
                continue
            key = state.stage(stage.name)
            pipeline.zcard(key)
            pipeline.zrange(key, 0, 0, withscores=True)
            latest = f"({self.now - stage.sle.within}" if stage.sle is not None else "(-inf"
            pipeline.zcount(key, "-inf", latest)

    def answer(self, replies: Iterator[Any]) -> dict[str, StageLive]:
        """By name, in the stream's order."""
        found: dict[str, StageLive] = {}
        for stage in self.stream.stages:
            if stage.kind != "done":
                wip, oldest, over_sle = next(replies), next(replies), next(replies)
                found[stage.name] = StageLive(wip, round(oldest[0][1]) if oldest else None, over_sle)
        return found


class Totals:
    """Counters and gauges, all partitions together."""

    def ask(self, pipeline: Pipeline, state: StateKeys) -> None:
        """One command."""
        pipeline.hvals(state.totals)

    def answer(self, replies: Iterator[Any]) -> Vector:
        """One vector."""
        return vector.total_of(map(vector.unpack, next(replies)))


class Monitor:
    """What the monitor itself counted, all partitions together."""

    def ask(self, pipeline: Pipeline, state: StateKeys) -> None:
        """One command."""
        pipeline.hvals(state.monitor)

    def answer(self, replies: Iterator[Any]) -> dict[str, int]:
        """By name: `facts|<source>`, `late|<source>`, `duplicates|<source>`, `unmapped|<source>|<status>`."""
        total: dict[str, int] = {}
        for row in next(replies):
            for name, count in _decode_counts.decode(row).items():
                total[name] = total.get(name, 0) + count
        return total


class CellRows:
    """The rows of some spans, each a list of cells, of all partitions; every hash is asked once."""

    def __init__(self, spans: Sequence[Sequence[int]], partitions: int) -> None:
        self._partitions = partitions
        self._spans = len(spans)
        self._by_hash: dict[str, list[tuple[int, int]]] = {}
        for span, cells in enumerate(spans):
            for cell in cells:
                self._by_hash.setdefault(_NO_STATE.cells(cell), []).append((span, cell))

    def ask(self, pipeline: Pipeline, state: StateKeys) -> None:
        """One command a hash."""
        for wanted in self._by_hash.values():
            fields = [cell_field(cell, partition) for _, cell in wanted for partition in range(self._partitions)]
            pipeline.hmget(state.cells(wanted[0][1]), fields)

    def answer(self, replies: Iterator[Any]) -> list[list[bytes]]:
        """The rows that there are, by span."""
        found: list[list[bytes]] = [[] for _ in range(self._spans)]
        for wanted in self._by_hash.values():
            rows = iter(next(replies))
            for span, _ in wanted:
                found[span] += [row for row in (next(rows) for _ in range(self._partitions)) if row]
        return found


class Spans:
    """What was counted in some spans of a stream's event time."""

    def __init__(self, spans: Sequence[Sequence[int]], partitions: int) -> None:
        self._rows = CellRows(spans, partitions)

    def ask(self, pipeline: Pipeline, state: StateKeys) -> None:
        """One command a hash."""
        self._rows.ask(pipeline, state)

    def answer(self, replies: Iterator[Any]) -> list[Vector]:
        """One vector a span."""
        return [vector.total_of(map(vector.unpack, rows)) for rows in self._rows.answer(replies)]


@dataclass(frozen=True, slots=True)
class Live:
    """A stream's live state and some spans of its past, read at one instant."""

    stages: Mapping[str, StageLive]
    totals: Vector
    spans: Sequence[Vector]


class Everything:
    """Stages, totals and spans in one transaction, so that their figures fit together."""

    def __init__(self, stages: Stages, spans: Spans) -> None:
        self._stages = stages
        self._totals = Totals()
        self._spans = spans

    def ask(self, pipeline: Pipeline, state: StateKeys) -> None:
        """The commands of all three."""
        for question in (self._stages, self._totals, self._spans):
            question.ask(pipeline, state)

    def answer(self, replies: Iterator[Any]) -> Live:
        """All three."""
        return Live(self._stages.answer(replies), self._totals.answer(replies), self._spans.answer(replies))


class LaneTotals:
    """Counters and gauges of every delivery lane."""

    def ask(self, pipeline: Pipeline, state: StateKeys) -> None:
        """One command."""
        pipeline.hgetall(state.totals)

    def answer(self, replies: Iterator[Any]) -> dict[str, Vector]:
        """By the lane's name in rows."""
        return {name.decode(): vector.unpack(row) for name, row in next(replies).items()}


class LaneNames:
    """Every delivery lane that is known."""

    def ask(self, pipeline: Pipeline, state: StateKeys) -> None:
        """One command."""
        pipeline.hkeys(state.totals)

    def answer(self, replies: Iterator[Any]) -> list[str]:
        """As rows name them, in no particular order."""
        return [name.decode() for name in next(replies)]


class LaneWindow:
    """What was counted of delivery lanes in one span."""

    def __init__(self, cells: Sequence[int], partitions: int, lanes: Sequence[str]) -> None:
        self._lanes = lanes
        self._rows = CellRows([cells], partitions)

    def ask(self, pipeline: Pipeline, state: StateKeys) -> None:
        """One command a hash."""
        self._rows.ask(pipeline, state)

    def answer(self, replies: Iterator[Any]) -> dict[str, Vector]:
        """These lanes in their order; one of which nothing happened in the span has an empty vector."""
        total: dict[str, Vector] = {lane: {} for lane in self._lanes}
        for row in self._rows.answer(replies)[0]:
            counted = _decode_lanes.decode(row)
            for lane in total.keys() & counted.keys():
                vector.add(total[lane], counted[lane])
        return total
