"""What a live page is told first: which streams there are, what it looks at, and how to send a first fact."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from flow.definitions import Definitions, Stream
from flow.instants import format_instant
from service.live_topics import View
from service.snapshots import Snapshot

_ANYTHING: Final = "acme"


def hello(definitions: Definitions, view: View, at: int, version: str) -> dict[str, Any]:
    """The first event of every page. `at` in ms."""
    return {
        "version": version,
        "at": format_instant(at),
        "stream": view.stream,
        "window": view.window,
        "streams": [
            {"stream": stream.name, "labels": dict(stream.labels), "windows": list(stream.windows)}
            for stream in definitions.streams.values()
        ],
        "stages": [{"stage": stage.name, "kind": stage.kind} for stage in definitions.streams[view.stream].stages],
        "first_fact": first_fact(definitions.streams[view.stream]),
    }


def usual_window(stream: Stream) -> str:
    """The window that a page shows unless told otherwise: the middle one of the stream's.

    >>> usual_window(Stream("checkout", ()))
    '7d'
    """
    return stream.windows[len(stream.windows) // 2] if stream.windows else "7d"


def first_fact(stream: Stream) -> dict[str, Any] | None:
    """A native fact that this stream claims and that moves its item into a stage, all but `at`. None: no status does.

    >>> from flow.definitions import Condition, Match, Stage
    >>> stages = (Stage("backlog", "queue", (Condition(status="To Do"),)),)
    >>> first_fact(Stream("checkout", stages, Match(project=("CHK",))))["status"]
    'To Do'
    """
    status = next((each.status for stage in stream.stages for each in stage.when if each.status), None)
    if status is None:
        return None
    match = stream.match
    fact: dict[str, Any] = {"subject": "item", "id": "my-first", "source": (*match.source, _ANYTHING)[0]}
    for name, values in (("project", match.project or match.repository), ("team", match.team)):
        if values:
            fact[name] = values[0]
    if match.label:
        fact["labels"] = [match.label[0]]
    return fact | {"item": "FIRST-1", "status": status}


def overview(snapshot: Snapshot) -> dict[str, Any]:
    """What is said of every stream: what is in progress, how many facts came, what the detector says."""
    return {
        "streams": [
            {
                "stream": name,
                "wip": sum(live.wip for live in stream.stages.values()),
                "facts": _facts(snapshot.monitor[name].counts),
                "watched": name in snapshot.alarms,
                "constraint": next((alarm.stage for alarm in snapshot.alarms.get(name, ()) if alarm.raised), None),
            }
            for name, stream in snapshot.streams.items()
        ]
    }


def beat(snapshot: Snapshot | None, now: int) -> dict[str, Any]:
    """That the service is there, how old what it reads is, and how far that is behind the log."""
    return {
        "at": format_instant(now),
        "read_at": None if snapshot is None else format_instant(snapshot.at),
        "behind": None if snapshot is None else sum(snapshot.lag.values()),
        "behind_for": None if snapshot is None else max(snapshot.lag_ages.values(), default=0) / 1000,
    }


def _facts(counts: Mapping[str, int]) -> int:
    return sum(count for name, count in counts.items() if name.startswith("facts|"))
