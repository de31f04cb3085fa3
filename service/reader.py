"""Reads the live state out of Redis: every question in one transaction, together with the pointer to its generation.

A stream that nobody has written yet reads as empty. Reading never writes and never locks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from redis import exceptions
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline

from flow import keys
from flow.cells import Retention, Window, cells_of
from flow.definitions import Definitions, Stream
from flow.errors import NotFound, Reason, Unavailable
from flow.keys import StateKeys
from flow.status import StageLive
from flow.vector import Vector
from service.names import near_names
from service.questions import (
    Everything,
    LaneNames,
    LaneTotals,
    LaneWindow,
    Live,
    Monitor,
    Question,
    Spans,
    Stages,
    Totals,
)

Clock = Callable[[], int]
Answer = TypeVar("Answer")

_ATTEMPTS: Final = 5
_GONE: Final = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.ClusterDownError,
    exceptions.TryAgainError,
)


class StateAsker:
    """Puts questions to the generation that readers should see, and asks again when that moved meanwhile."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self._generations: dict[str, str] = {}

    async def ask(self, name: str, question: Question[Answer]) -> Answer:
        """The answer for the stream (or `@deliveries`) of this name. Raises Unavailable when Redis does not answer."""
        for _ in range(_ATTEMPTS):
            generation = self._generations.get(name, "")
            pipeline = self.redis.pipeline(transaction=True)
            pipeline.get(keys.generation(name))
            question.ask(pipeline, StateKeys(name, generation))
            replies = iter(await self.execute(pipeline))
            pointer = next(replies)
            current = "" if pointer is None else pointer.decode()
            if current == generation:
                return question.answer(replies)
            self._generations[name] = current
        raise Unavailable(
            Reason.STATE_UNAVAILABLE, f"the state of {name} is being replaced over and over: try again in a moment"
        )

    async def execute(self, pipeline: Pipeline) -> list[Any]:
        """The replies of a pipeline. Raises Unavailable when Redis does not answer."""
        try:
            return await pipeline.execute()
        except _GONE as error:
            raise state_unavailable(error) from error


def state_unavailable(error: Exception) -> Unavailable:
    """What readers are told when Redis does not answer; the error's own text may hold an address and is left out."""
    message = f"the state can't be read now ({type(error).__name__}): Redis does not answer; facts are still accepted"
    return Unavailable(Reason.STATE_UNAVAILABLE, message)


class StateReader:
    """What every reader of the state uses: the API, the exporter, the command line.

    `partitions` is how many partitions the log has: rows are owned by one each, and added up here.
    """

    def __init__(
        self, redis: Redis, definitions: Definitions, retention: Retention, partitions: int, clock: Clock
    ) -> None:
        self.log_ends: Callable[[], Mapping[int, int]] | None = None  # set where the log is not in Redis
        self.definitions = definitions
        self.retention = retention
        self.partitions = partitions
        self.clock = clock
        self.asker = StateAsker(redis)

    def stream(self, name: str) -> Stream:
        """The definition of a stream. Raises NotFound, with near names, when there is none."""
        found = self.definitions.streams.get(name)
        if found is None:
            raise NotFound(Reason.UNKNOWN_STREAM, near_names("stream", name, self.definitions.streams))
        return found

    async def stages(self, name: str) -> dict[str, StageLive]:
        """What is in each stage that is not `done`, by name, in the stream's order."""
        return await self.asker.ask(name, Stages(self.stream(name), self.clock()))

    async def totals(self, name: str) -> Vector:
        """Counters and gauges of a stream (`flow.vector`, column "in the totals only", and COUNTERS_OF_STAGES)."""
        return await self.asker.ask(name, Totals())

    async def monitor(self, name: str) -> dict[str, int]:
        """What the monitor counted: `facts|<source>`, `late|…`, `duplicates|…`, `unmapped|<source>|<status>`."""
        return await self.asker.ask(name, Monitor())

    async def window(self, name: str, window: Window) -> Vector:
        """What was counted in a window of event time."""
        [found] = await self.asker.ask(name, Spans([cells_of(window)], self.partitions))
        return found

    async def live(self, name: str, spans: Sequence[Sequence[int]]) -> Live:
        """Stages, totals and some spans (each a list of cells), read at one instant."""
        stages = Stages(self.stream(name), self.clock())
        return await self.asker.ask(name, Everything(stages, Spans(spans, self.partitions)))

    async def lane_totals(self) -> dict[str, Vector]:
        """Counters of every delivery lane, by the lane's name in rows (`flow.lanes.lane_of`)."""
        return await self.asker.ask(keys.DELIVERIES, LaneTotals())

    async def lane_names(self) -> list[str]:
        """Every delivery lane that is known, by its name in rows, in no particular order."""
        return await self.asker.ask(keys.DELIVERIES, LaneNames())

    async def lane_window(self, window: Window, lanes: Sequence[str]) -> dict[str, Vector]:
        """What was counted in a window, of these lanes in their order; an empty vector where nothing happened."""
        return await self.asker.ask(keys.DELIVERIES, LaneWindow(cells_of(window), self.partitions, lanes))
