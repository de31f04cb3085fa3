"""What a definition file says of the bottleneck detector: the calendar, the budget of false alarms, how long it learns.

calendar: {days: [mon, tue, wed, thu, fri], hours: 09:00-17:00, zone: Europe/Berlin, holidays: [2026-12-25]}
false_alarms_per_year: 1
baseline: 28d
relearn_after: 30d
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, tzinfo
from typing import Any, Final

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from flow.bottlenecks.business_time import WEEKDAYS, WHOLE_DAY, BusinessCalendar
from flow.definition_nodes import NodeReader
from flow.definition_problems import nearest, shown
from flow.instants import DAY, format_duration

WATCH_KEYS: Final = ("calendar", "false_alarms_per_year", "baseline", "relearn_after")
SHORTEST_BASELINE: Final = 14 * DAY
LONGEST_BASELINE: Final = 30 * DAY
"""All of it must be there at once: hour cells are kept for 35 days by default, and the first of them may be empty."""

MOST_FALSE_ALARMS: Final = 52.0
LEAST_FALSE_ALARMS: Final = 0.01

_WELL_KNOWN_ZONES: Final = ("UTC", "Europe/Berlin", "Europe/London", "America/New_York", "Asia/Kolkata", "Asia/Tokyo")
_CALENDAR_KEYS: Final = ("days", "hours", "zone", "holidays")
_CLOCK: Final = re.compile(r"([01]?[0-9]|2[0-4]):([0-5][0-9])")
_ISO_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_HOURS_EXAMPLE: Final = "write 09:00-17:00, or [08:00-12:00, 13:00-17:00]"


def read_watch(values: Mapping[str, Node], what: str, reader: NodeReader) -> dict[str, Any]:
    """The fields of `Stream` that are set; `what` names the stream. What has a problem is left out."""
    found: dict[str, Any] = {}
    if "calendar" in values:
        found["calendar"] = _calendar(values["calendar"], f"calendar of {what}", reader)
    if "false_alarms_per_year" in values:
        found["false_alarms_per_year"] = _budget(values["false_alarms_per_year"], what, reader)
    if "baseline" in values:
        bounds = (SHORTEST_BASELINE, LONGEST_BASELINE)
        found["baseline"] = _between(values["baseline"], f"baseline of {what}", bounds, reader)
    if "relearn_after" in values:
        found["relearn_after"] = _between(values["relearn_after"], f"relearn_after of {what}", (DAY, 366 * DAY), reader)
    return {name: value for name, value in found.items() if value is not None}


def _budget(node: Node, stream: str, reader: NodeReader) -> float | None:
    what = f"false_alarms_per_year of {stream}"
    value = reader.number(node, what, "1")
    if value is not None and not LEAST_FALSE_ALARMS <= value <= MOST_FALSE_ALARMS:
        wrong = f"{what} must be from {LEAST_FALSE_ALARMS:g} to {MOST_FALSE_ALARMS:g}"
        reader.problems.add(node, wrong, "write 1 for one a year; without any chance of a false alarm nothing is seen")
        return None
    return value


def _between(node: Node, what: str, bounds: tuple[int, int], reader: NodeReader) -> int | None:
    value = reader.duration(node, what)
    if value is not None and not bounds[0] <= value <= bounds[1]:
        low, high = map(format_duration, bounds)
        reader.problems.add(node, f"{what} can't be {shown(_text(node))}", f"write a duration from {low} to {high}")
        return None
    return value


def _calendar(node: Node, what: str, reader: NodeReader) -> BusinessCalendar | None:
    before = reader.problems.times_noted
    entries = reader.mapping(node, what, _CALENDAR_KEYS)
    values = {key: value for key, (_, value) in entries.items()}
    if isinstance(node, MappingNode) and not node.value:
        reader.problems.add(node, f"{what} is empty", f"write days, hours, zone or holidays; {_HOURS_EXAMPLE}")
    found: dict[str, Any] = {}
    if "days" in values:
        found["days"] = _days(values["days"], f"days in {what}", reader)
    if "hours" in values:
        found["spans"] = _spans(values["hours"], f"hours in {what}", reader)
    if "zone" in values:
        found["zone"] = _zone(values["zone"], f"zone in {what}", reader)
    if "holidays" in values:
        found["holidays"] = _holidays(values["holidays"], f"holidays in {what}", reader)
    return None if reader.problems.times_noted > before else BusinessCalendar(**found)


def _days(node: Node, what: str, reader: NodeReader) -> tuple[int, ...]:
    found: set[int] = set()
    for item in reader.items(node, what, "[mon, tue, wed, thu, fri]"):
        name = reader.choice(item, f"an entry of {what}", WEEKDAYS)
        if name not in WEEKDAYS:
            continue
        number = WEEKDAYS.index(name)
        if number in found:
            reader.problems.add(item, f"{what} has {name} twice", "keep one of them")
        found.add(number)
    return tuple(sorted(found))


def _spans(node: Node, what: str, reader: NodeReader) -> tuple[tuple[int, int], ...]:
    items = reader.items(node, what, "[09:00-17:00]") if isinstance(node, SequenceNode) else [node]
    found: list[tuple[int, int]] = []
    for item in items:
        text = reader.text(item, what)
        if text is None:
            continue
        opens, closes = (_minute(part) for part in [*text.split("-"), "", ""][:2])
        if opens is None or closes is None or text.count("-") != 1:
            reader.problems.add(item, f"{what}: {shown(text)} is not a span of hours", _HOURS_EXAMPLE)
        elif opens >= closes:
            wrong = f"{what}: {shown(text)} ends before it begins"
            reader.problems.add(item, wrong, "write two spans for a night: [00:00-06:00, 22:00-24:00]")
        elif found and opens < found[-1][1]:
            reader.problems.add(item, f"{what}: {shown(text)} begins before the span in front of it ends", "order them")
        else:
            found.append((opens, closes))
    return tuple(found)


def _minute(text: str) -> int | None:
    match = _CLOCK.fullmatch(text.strip())
    minute = int(match[1]) * 60 + int(match[2]) if match else None
    return None if minute is None or minute > WHOLE_DAY else minute


def _zone(node: Node, what: str, reader: NodeReader) -> tzinfo:
    name = reader.text(node, what)
    if name is None:
        return UTC
    try:
        return reader.zones(name)
    except (KeyError, ValueError, OSError):
        wrong = f"{what}: {shown(name)} is not a time zone of the tz database"
        reader.problems.add(node, wrong, nearest(name, _WELL_KNOWN_ZONES))
    return UTC


def _holidays(node: Node, what: str, reader: NodeReader) -> tuple[str, ...]:
    found: list[str] = []
    for item in reader.items(node, what, "[2026-12-25]"):
        text = _text(item)
        try:
            if not _ISO_DATE.fullmatch(text):
                raise ValueError
            date.fromisoformat(text)
        except ValueError:
            wrong = f"{what}: {shown(text or 'a list or a map')} is not a date"
            reader.problems.add(item, wrong, "write year, month and day, such as 2026-12-25")
        else:
            found.append(text)
    return tuple(sorted(set(found)))


def _text(node: Node) -> str:
    return node.value if isinstance(node, ScalarNode) else ""
