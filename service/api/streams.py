"""`GET /v1/streams`: which streams there are, what their status is, and one stage of one."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from flow.cells import cells_of
from flow.definitions import Stream
from flow.instants import format_instant
from flow.status import Asked, Reading, cells_after, stage_status, status
from service.api.models import problems
from service.api.parameters import AtText, StageName, StreamName, WindowText, asked_of, stage_index
from service.api.stream_models import OneStage, Streams, StreamStatus
from service.reader import StateReader
from service.reader_bottlenecks import BottleneckReader


def streams_router(reader: StateReader) -> APIRouter:
    """The routes of this group."""
    router = APIRouter(prefix="/v1/streams", tags=["streams"])
    bottlenecks = BottleneckReader(reader)
    _add_streams(router, reader)
    _add_stream(router, reader, bottlenecks)
    _add_stage(router, reader, bottlenecks)
    return router


def _add_streams(router: APIRouter, reader: StateReader) -> None:
    @router.get("", operation_id="list_streams", responses=problems(401, 422, 503), response_model=Streams)
    async def list_streams() -> dict[str, Any]:
        """All value streams that are watched here, with what is in progress in each."""
        streams = list(reader.definitions.streams.values())
        lives = [await reader.stages(stream.name) for stream in streams]  # on one connection: others are left for facts
        wips = [sum(live.wip for live in stages.values()) for stages in lives]
        return {"streams": [_outline(stream, wip) for stream, wip in zip(streams, wips, strict=True)]}


def _add_stream(router: APIRouter, reader: StateReader, bottlenecks: BottleneckReader) -> None:
    @router.get(
        "/{stream}",
        operation_id="get_stream",
        responses=problems(400, 401, 404, 422, 503),
        response_model=StreamStatus,
    )
    async def get_stream(stream: StreamName, window: WindowText = "7d", at: AtText = None) -> dict[str, Any]:
        """A stream's live status: what is where now, and what happened in the window.

        For an instant in the past WIP is exact at the window's end; ages, flags and bottlenecks of then are null.
        """
        definition = reader.stream(stream)
        asked = asked_of(reader, window, at)
        reading = await read(reader, definition, asked)
        found = status(definition, asked, reading)
        if reading.after is None:
            said = await bottlenecks.of_stream(stream)
            for entry in found["stages"]:
                entry["bottleneck"] = said.get(entry["stage"])
        return found


def _add_stage(router: APIRouter, reader: StateReader, bottlenecks: BottleneckReader) -> None:
    @router.get(
        "/{stream}/stages/{stage}",
        operation_id="get_stage",
        responses=problems(400, 401, 404, 422, 503),
        response_model=OneStage,
    )
    async def get_stage(
        stream: StreamName, stage: StageName, window: WindowText = "7d", at: AtText = None
    ) -> dict[str, Any]:
        """One stage: what is in it now, and what happened in the window."""
        definition = reader.stream(stream)
        index = stage_index(definition, stage)
        asked = asked_of(reader, window, at)
        reading = await read(reader, definition, asked)
        sle = definition.stages[index].sle
        return {
            "stream": stream,
            "at": format_instant(asked.at),
            "window": window,
            "sle": None if sle is None else {"quantile": sle.quantile, "within": sle.within / 1000},
            **stage_status(definition, index, asked, reading),
            "bottleneck": None if reading.after is not None else (await bottlenecks.of_stream(stream)).get(stage),
        }


async def read(reader: StateReader, stream: Stream, asked: Asked) -> Reading:
    """What a status is made of, read at one instant."""
    since = cells_after(asked.window, asked.now)
    live = await reader.live(stream.name, [cells_of(asked.window), since])
    return Reading(live.stages, live.totals, live.spans[0], live.spans[1] if since else None)


def _outline(stream: Stream, wip: int) -> dict[str, Any]:
    return {
        "stream": stream.name,
        "labels": dict(stream.labels),
        "wip": wip,
        "item_types": list(stream.item_types),
        "windows": list(stream.windows),
        "stages": [{"stage": stage.name, "kind": stage.kind, "wip_limit": stage.wip_limit} for stage in stream.stages],
    }
