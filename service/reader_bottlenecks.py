"""Reads what the bottleneck detector said last, for the API and the exporter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from flow import keys
from flow.bottlenecks.verdict import Said, Verdict, told, unpack_said
from flow.instants import MINUTE, SECOND
from service.reader import StateReader
from service.snapshots import Alarm, Alarms

STALE_AFTER: Final = 15 * MINUTE
"""The detector says something at least every ten minutes: what is older holds no longer."""

ALARMS_EVERY: Final = 2 * SECOND
"""Alarms are read at most so often (ms)."""


class BottleneckReader:
    """What is said of each stage. A stream of which nothing was said of late is not there."""

    def __init__(self, reader: StateReader) -> None:
        self.reader = reader
        self._alarms: tuple[int, Alarms] = (0, {})
        self._known: dict[str, tuple[bytes, Said | None]] = {}

    async def said(self) -> dict[str, Said]:
        """By stream, in the order of the definitions. Raises Unavailable when Redis does not answer."""
        return await self._read(list(self.reader.definitions.streams))

    async def of_stream(self, name: str) -> dict[str, dict[str, Any] | None]:
        """What the status of a stream says of its stages, by stage; None where there is nothing to say."""
        said = (await self._read([name])).get(name)
        return {} if said is None else {verdict.stage: told(verdict) for verdict in said.stages}

    async def alarms(self) -> Alarms:
        """For the exporter: every cause that is watched, of every stage."""
        now = self.reader.clock()
        if now - self._alarms[0] >= ALARMS_EVERY:
            said = await self.said()
            self._alarms = (
                now,
                {name: [alarm for v in each.stages for alarm in _alarms(v)] for name, each in said.items()},
            )
        return self._alarms[1]

    async def _read(self, names: Sequence[str]) -> dict[str, Said]:
        asker, now = self.reader.asker, self.reader.clock()
        pipeline = asker.redis.pipeline(transaction=False)
        for name in names:
            pipeline.hget(keys.detector(name), "verdicts")
        rows = await asker.execute(pipeline)
        found = {name: self._unpacked(name, row) for name, row in zip(names, rows, strict=True) if row}
        return {name: said for name, said in found.items() if said is not None and now - said.at <= STALE_AFTER}

    def _unpacked(self, name: str, row: bytes) -> Said | None:
        """Of a row that is as it was, what was read of it then."""
        known = self._known.get(name)
        if known is None or known[0] != row:
            known = self._known[name] = (row, unpack_said(row))
        return known[1]


def _alarms(verdict: Verdict) -> list[Alarm]:
    evidences = dict(verdict.evidences)
    if verdict.constrains and verdict.cause is not None:
        evidences.setdefault(verdict.cause, 1.0)
    return [
        Alarm(verdict.stage, cause, evidence, raised=verdict.constrains and cause == verdict.cause)
        for cause, evidence in evidences.items()
    ]
