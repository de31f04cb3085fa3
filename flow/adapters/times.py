"""The times that providers write, in the nine shapes that were seen, as instants in milliseconds."""

from __future__ import annotations

import re
from math import isfinite
from typing import Final

from flow.instants import parse_instant

Moment = str | int | float | None
"""How a time stands in a payload."""

_ZONE_APART: Final = re.compile(r"\s+(?=[+-]\d{2}:?\d{2}$)")
_SENTINELS: Final = ("0001-", "9999-")
_LONGEST: Final = 64
_TICKS: Final = ((10**11, 1), (10**14, 1_000), (10**17, 1_000_000), (10**20, 1_000_000_000))
"""Ticks per second of an epoch time below each bound: seconds, milliseconds, microseconds, nanoseconds."""


def provider_time(value: Moment) -> int | None:
    """The instant, or None where the provider says nothing: null, empty, zero, or a date in the year 1 or 9999.

    Text is RFC 3339 with any number of fractional digits, with `+0200` for `+02:00`, with `UTC` for `Z`, with a space
    for `T` or before the zone; or an epoch time in digits. An epoch time's unit is told by its size.
    Raises ValueError for anything else, also for a time without a zone.

    >>> provider_time("2017-12-10 16:38:25 UTC"), provider_time("1567780450202"), provider_time("0001-01-01T00:00:00Z")
    (1512923905000, 1567780450202, None)
    """
    if value is None:
        return None
    if not isinstance(value, str):
        return _epoch(value)
    text = value.strip()
    if not text:
        return None
    if len(text) > _LONGEST:
        raise ValueError(f"{text[:_LONGEST]!r}… is too long for a time")
    if text.isascii() and text.isdigit():
        return _epoch(int(text))
    return _calendar(text.upper())


def _calendar(text: str) -> int | None:
    if text.endswith("UTC"):
        text = f"{text[:-3].rstrip()}Z"
    instant = parse_instant(_ZONE_APART.sub("", text))
    return None if text.startswith(_SENTINELS) else instant


def _epoch(number: float) -> int | None:
    if number == 0:
        return None
    if number > 0 and isfinite(number):
        for bound, ticks in _TICKS:
            if number < bound:
                return int(number * 1000) if ticks == 1 else int(number) * 1000 // ticks
    raise ValueError(f"{number!r} is no epoch time")
