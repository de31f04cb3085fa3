"""Instants and durations at the edges. Inside, both are integer milliseconds (instants: since the epoch, UTC)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

SECOND: Final = 1_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
WEEK: Final = 7 * DAY

_UNITS: Final = {"s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY, "w": WEEK}
_DURATION: Final = re.compile(r"(?:\d{1,9}[smhdw])+")
_PART: Final = re.compile(r"(\d+)([smhdw])")


def instant_of(moment: datetime) -> int:
    """The instant of an aware datetime.

    >>> instant_of(datetime(2026, 11, 22, tzinfo=UTC))
    1795305600000
    """
    return round(moment.timestamp() * 1000)


def parse_instant(text: str) -> int:
    """An RFC 3339 instant. Raises ValueError, with the fix in its message, when the text is not one.

    >>> parse_instant("2026-11-22T09:30:00Z")
    1795339800000
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is not an instant: write RFC 3339, such as 2026-11-22T09:30:00Z") from None
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone: end it with Z or an offset such as +02:00")
    try:
        return instant_of(moment)
    except (OverflowError, OSError):
        raise ValueError(f"{text!r} is outside the calendar that Streamgauge knows") from None


def format_instant(instant: int) -> str:
    """RFC 3339 in UTC, with milliseconds only where there are any.

    >>> format_instant(1795339800000)
    '2026-11-22T09:30:00Z'
    """
    moment = datetime.fromtimestamp(instant // 1000, UTC)
    text = moment.replace(tzinfo=None).isoformat()
    thousandths = instant % 1000
    return f"{text}.{thousandths:03d}Z" if thousandths else f"{text}Z"


def parse_duration(text: str) -> int:
    """A duration such as `90s`, `4h`, `2d` or `1d12h`. Raises ValueError with the fix in its message.

    >>> parse_duration("90s"), parse_duration("1d12h")
    (90000, 129600000)
    """
    if not _DURATION.fullmatch(text):
        raise ValueError(f"{text!r} is not a duration: write a number and s, m, h, d or w, such as 90s, 4h or 2d")
    return sum(int(number) * _UNITS[unit] for number, unit in _PART.findall(text))


def format_duration(duration: int) -> str:
    """The shortest text that `parse_duration` reads back, down to whole seconds.

    >>> format_duration(129600000), format_duration(0)
    ('1d12h', '0s')
    """
    rest, parts = duration // SECOND * SECOND, []
    for unit, size in (("d", DAY), ("h", HOUR), ("m", MINUTE), ("s", SECOND)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
