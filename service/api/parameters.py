"""Parameters that several routes share, and how they are checked."""

from __future__ import annotations

import re
from inspect import signature
from typing import Annotated, Any, Final

from fastapi import Path, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import AfterValidator, Field

from flow.cells import Grain, window_ending
from flow.definitions import Stream
from flow.errors import NotFound, Reason, Rejected
from flow.instants import DAY, MINUTE, format_duration, format_instant, parse_duration, parse_instant
from flow.status import Asked
from service.names import near_names
from service.reader import StateReader

LONGEST_WINDOW: Final = 731 * DAY
SHORTEST_WINDOW: Final = MINUTE
FUTURE_TOLERANCE: Final = DAY
LONGEST_NAME: Final = 500

DURATION_SHAPE: Final[dict[str, Any]] = {"pattern": "^([0-9]{1,9}[smhdw])+$"}
"""What the documentation says of a duration, beside its words."""

_PLUS_AS_SPACE: Final = re.compile(r" (?=\d\d:?\d\d$)")


def checked_window(text: str) -> str:
    """A window's length, unchanged. Raises ValueError when it is not a duration, too short or too long."""
    if not SHORTEST_WINDOW <= parse_duration(text) <= LONGEST_WINDOW:
        raise ValueError(f"{text!r} is outside what is kept: write a window of 1m to {format_duration(LONGEST_WINDOW)}")
    return text


def checked_duration(text: str) -> str:
    """A duration, unchanged. Raises ValueError when it is not one."""
    parse_duration(text)
    return text


def checked_instant(text: str) -> str:
    """An RFC 3339 instant, with the plus sign that addresses turn into a space put back. Raises ValueError."""
    mended = _PLUS_AS_SPACE.sub("+", text) if "T" in text.upper() else text
    parse_instant(mended)
    return mended


StreamName = Annotated[str, Path(description="Name of a value stream", max_length=LONGEST_NAME, examples=["checkout"])]
StageName = Annotated[str, Path(description="Name of a stage", max_length=LONGEST_NAME, examples=["review"])]
WindowText = Annotated[
    str,
    AfterValidator(checked_window),
    Query(
        description="Length of the window that ends at `at`: a number and s, m, h, d or w, from 1m to 731d. It is made "
        "of whole cells of event time: of minutes to 24h, of hours to 31d, of days beyond.",
        max_length=40,
        examples=["7d"],
        json_schema_extra=DURATION_SHAPE,
    ),
]
AtText = Annotated[
    Annotated[str, AfterValidator(checked_instant), Field(json_schema_extra={"format": "date-time"})] | None,
    Query(
        description="Instant, RFC 3339, at which the window ends; now if left out", examples=["2026-11-22T09:30:00Z"]
    ),
]


def asked_of(reader: StateReader, window: str, at: str | None) -> Asked:
    """The checked parameters as a question. Raises Rejected(invalid_request) for what lies outside what is kept."""
    now = reader.clock()
    instant = now if at is None else parse_instant(at)
    if instant > now + FUTURE_TOLERANCE:
        raise Rejected(Reason.INVALID_REQUEST, "`at` lies more than a day in the future: leave it out to ask about now")
    found = window_ending(instant, parse_duration(window), now, reader.retention)
    earliest = reader.retention.floor(Grain.DAY, now)
    if found.start < earliest:
        kept = format_instant(max(0, earliest))
        raise Rejected(
            Reason.INVALID_REQUEST,
            f"a window of {window} to this `at` begins before {kept}, and nothing from then is kept: ask for a shorter "
            "window or a later `at`",
        )
    return Asked(instant, window, found, now)


def stage_index(stream: Stream, name: str) -> int:
    """The stage's position. Raises NotFound, with near names, when there is none."""
    try:
        return stream.stage_index(name)
    except KeyError:
        names = [stage.name for stage in stream.stages]
        raise NotFound(Reason.UNKNOWN_STAGE, near_names(f"stage of {stream.name}", name, names)) from None


async def refuse_unknown_parameters(request: Request) -> None:
    """Raises RequestValidationError, naming each query parameter that the route does not know or that came twice.

    The parameters of a route's function are those of its path and of its query, and no others.
    """
    route = request.scope["route"]
    assert isinstance(route, APIRoute)
    known = [name for name in signature(route.endpoint).parameters if name not in route.param_convertors]
    given = [name for name, _ in request.query_params.multi_items()]
    errors = [
        {"type": "extra_forbidden", "loc": ("query", name[:100]), "msg": near_names("parameter", name, known)}
        for name in dict.fromkeys(given)
        if name not in known
    ]
    errors += [
        {"type": "given_twice", "loc": ("query", name), "msg": "is given more than once: write it once"}
        for name in known
        if given.count(name) > 1
    ]
    if errors:
        raise RequestValidationError(errors)
