"""The live table of the terminal, made from what the API answers. Pure: times in seconds, as the API gives them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from rich import box
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from service.terminal_text import shown

STALE_AFTER: Final = 5.0
"""Seconds without an answer, or with facts that nobody applies, after which the figures are called old."""

_NOTHING: Final = "–"
_COLUMNS: Final = ("stage", "kind", "WIP", "queue", "oldest", "in", "out", "rework", "p50", "p85", "%C/A", "blocked")
"""`in` and `out` are arrivals and departures; `p50` and `p85` are of the stage time."""

_MOST_STATUSES: Final = 5
_LONGEST_STATUS: Final = 40
"""Letters of a status's name."""

_LEFT: Final = frozenset({"stage", "kind"})


@dataclass(frozen=True, slots=True)
class View:
    """What is known: the last statuses, how old they are (seconds), and what is wrong.

    `error` says why there was no newer answer. `behind` facts of the log are not applied; none was for `stuck` seconds.
    `unmapped`: by stream, what `GET /v1/streams/{stream}/unmapped-statuses` lists.
    """

    statuses: Sequence[Mapping[str, Any]] = ()
    age: float = 0.0
    error: str | None = None
    behind: int | None = None
    stuck: float = 0.0
    unmapped: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)


def render(view: View) -> RenderableType:
    """A table for each stream, and below them what the reader must know about the figures."""
    tables: list[RenderableType] = []
    for status in view.statuses:
        tables += [Text.from_markup(title_of(status)), table_of(status)]
        unmapped = view.unmapped.get(status["stream"])
        if unmapped:
            tables.append(Text(unmapped_line(unmapped), style="dim"))
    return Group(*tables, *(Text(line, style="bold red") for line in warnings_of(view)))


def warnings_of(view: View) -> list[str]:
    """What is wrong with the figures; nothing when they are fresh."""
    lines = []
    if view.error is not None:
        lines.append(f"The service can't be asked: {view.error}")
    if view.age > STALE_AFTER and view.statuses:
        lines.append(f"These figures are {short_duration(view.age)} old.")
    if view.behind and view.stuck > STALE_AFTER:
        waits = f"{view.behind} facts wait in the log and nobody applies them"
        lines.append(f"These figures are old: {waits}: is the aggregator running?")
    if not view.statuses and view.error is None:
        lines.append("There is no stream yet.")
    return lines


def table_of(status: Mapping[str, Any]) -> Table:
    """One stream's status, as `GET /v1/streams/{stream}` answers it."""
    table = Table(box=box.SIMPLE_HEAD, padding=0)
    for name in _COLUMNS:
        table.add_column(name, justify="left" if name in _LEFT else "right", no_wrap=True)
    for stage in status["stages"]:
        table.add_row(*_cells(stage))
    return table


def unmapped_line(statuses: Sequence[Mapping[str, Any]]) -> str:
    """Which statuses move nothing, those of most facts first. Their names are senders' words: nothing in them acts.

    >>> unmapped_line([{"source": "jira", "status": "Waiting", "facts": 12}])
    '1 status belongs to no stage: Waiting (12 facts)'
    """
    named = [each for each in statuses if each["status"] is not None]
    texts = [f"{shown(each['status'], _LONGEST_STATUS)} ({_facts(each['facts'])})" for each in named[:_MOST_STATUSES]]
    if len(texts) < len(statuses):
        texts.append("…")
    many = len(named) < len(statuses)
    number = f"more than {len(named)}" if many else str(len(named))
    noun = "status belongs" if number == "1" else "statuses belong"
    return f"{number} {noun} to no stage: {', '.join(texts)}"


def title_of(status: Mapping[str, Any]) -> str:
    """The stream in one line."""
    parts = (
        f"[bold]{escape(status['stream'])}[/bold]",
        f"WIP {_count(status['wip'])}",
        f"{status['throughput']:,} done in {status['window']}",
        f"cycle time p85 {short_duration(status['cycle_time']['p85'])}",
        f"flow efficiency {_share(status['flow_efficiency'])}",
    )
    return " · ".join(parts)


def _cells(stage: Mapping[str, Any]) -> list[Text]:
    """One row. An age is marked when items are over the stage's service level expectation."""
    times = stage["time"]
    return [
        Text(stage["stage"]),
        Text(stage["kind"], style="dim"),
        _wip(stage),
        Text(_count(stage["queue_depth"])),
        Text(short_duration(stage["oldest_age"]), style="yellow" if stage["items_over_sle"] else ""),
        Text(_count(stage["arrivals"])),
        Text(_count(stage["departures"])),
        Text(_count(stage["rework"])),
        Text(short_duration(times["p50"])),
        Text(short_duration(times["p85"])),
        Text(_share(stage["percent_complete_accurate"])),
        Text(_count(stage["blocked"]), style="yellow" if stage["blocked"] else ""),
    ]


def _wip(stage: Mapping[str, Any]) -> Text:
    wip, limit = stage["wip"], stage["wip_limit"]
    if wip is None or limit is None:
        return Text(_count(wip))
    return Text(f"{wip}/{limit}", style="bold red" if wip > limit else "green")


def short_duration(seconds: float | None) -> str:
    """A duration in at most two units, short enough for a column.

    >>> [short_duration(seconds) for seconds in (None, 0.25, 7.5, 42, 754, 11520, 190000)]
    ['–', '0.2s', '7.5s', '42s', '12m34s', '3h12m', '2d4h']
    """
    if seconds is None:
        return _NOTHING
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    for size, unit, below, rest in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "m"), (60, "m", 1, "s")):
        if whole >= size:
            return f"{whole // size}{unit}{whole % size // below}{rest}"
    return f"{whole}s"


def _facts(number: int) -> str:
    return f"{number:,} fact{'' if number == 1 else 's'}"


def _count(number: int | None) -> str:
    return _NOTHING if number is None else f"{number:,}"


def _share(ratio: float | None) -> str:
    return _NOTHING if ratio is None else f"{ratio:.0%}"
