"""What `GET /v1/streams/{stream}/forecast` answers, out of the days that are counted. Pure; `flow.forecast` draws."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flow import vector
from flow.definitions import Stream
from flow.forecast import (
    ASSUMPTION,
    FEW_DAYS,
    FEW_ITEMS,
    HORIZON,
    History,
    Pause,
    days_until,
    history_of,
    items_within,
    open_days_ahead,
    without_pause,
)
from flow.instants import DAY, format_instant
from flow.stability import Passage, balance_of, stability, stream_passage
from flow.status import StageLive
from flow.vector import Vector, stage_key, type_key


@dataclass(frozen=True, slots=True)
class ForecastAsked:
    """The question. `today` is the start of the day (ms, UTC) that is not over; `items` None: all that is in progress.

    `days` is how many days from tomorrow on the second answer is for.
    """

    now: int
    today: int
    items: int | None
    days: int
    trials: int
    seed: int


@dataclass(frozen=True, slots=True)
class Past:
    """What was counted on each day up to yesterday, since then, and what is in each stage now (by name)."""

    days: Sequence[Vector]
    since: Vector
    stages: Mapping[str, StageLive]


def forecast(stream: Stream, asked: ForecastAsked, past: Past, pause: Pause = without_pause) -> dict[str, Any]:
    """The whole answer. It takes up to a second of computing: not for an event loop. `pause` lets others run."""
    wips = [_wip_this_morning(stream, index, past) for index in range(len(stream.stages))]
    days = _since_the_first_fact(stream, past.days, wips)
    first_day = asked.today - len(days) * DAY
    history = history_of([_finished(stream, day) for day in days], first_day, stream.calendar)
    edges = [first_day + place * DAY for place in range(len(days) + 1)]
    passage = stream_passage(stream, edges, days, wips) if days else None
    when, how_many = _answers(stream, asked, history, _in_progress(past), pause) if history.items else (None, None)
    return {
        "stream": stream.name,
        "at": format_instant(asked.now),
        "history": _history(first_day, asked.today, history),
        "trials": asked.trials,
        "seed": asked.seed,
        "when": when,
        "how_many": how_many,
        "stability": None if passage is None else stability(passage),
        "warnings": list(_warnings(history, passage, when)),
        "assumption": ASSUMPTION,
    }


def _answers(
    stream: Stream, asked: ForecastAsked, history: History, in_progress: int, pause: Pause
) -> tuple[dict[str, Any], dict[str, Any]]:
    items = in_progress if asked.items is None else asked.items
    ahead = open_days_ahead(stream.calendar, asked.today + DAY, HORIZON)
    needed = days_until(history, ahead, items, asked.trials, asked.seed, pause=pause)
    within = items_within(history, ahead[: asked.days], asked.trials, asked.seed, pause=pause)
    dates = {
        name: None if days is None else {"date": _date(asked.today + days * DAY), "days": days}
        for name, days in needed.items()
    }
    by = {"by": _date(asked.today + asked.days * DAY), "days": asked.days}
    return {"items": items} | dates, by | within


def _history(first_day: int, today: int, history: History) -> dict[str, Any]:
    days = history.open_days + history.closed_days
    return {
        "start": _date(first_day) if days else None,
        "end": _date(today - DAY) if days else None,
        "days": len(days),
        "closed_days": len(history.closed_days),
        "zero_days": days.count(0),
        "items": history.items,
        "items_per_day": history.items / len(days) if days else None,
    }


def _warnings(history: History, passage: Passage | None, when: Mapping[str, Any] | None) -> Iterator[str]:
    days = len(history.open_days) + len(history.closed_days)
    if not history.items:
        yield f"nothing was finished in the {days} days of history: there is nothing to draw from"
        return
    if days < FEW_DAYS or history.items < FEW_ITEMS:
        yield f"the history is short: {history.items} items in {days} days; the answers will move as it grows"
    balance = None if passage is None else balance_of(passage)
    if passage is not None and balance == "more_arrives":
        yield (
            f"{passage.arrived} items were started and {passage.left} left: more arrives than leaves, beyond chance. "
            "The dates hold only for items that new ones do not overtake"
        )
    elif passage is not None and balance == "more_leaves":
        yield (
            f"{passage.arrived} items were started and {passage.left} left: more leaves than arrives, beyond chance. "
            "The pace can't last once what was in progress is used up"
        )
    if when is not None and any(when[name] is None for name in ("p50", "p85", "p95")):
        yield f"where no date is given, more than the chance allows is not done within {HORIZON} days"


def _since_the_first_fact(stream: Stream, days: Sequence[Vector], wips_at_end: Sequence[int]) -> Sequence[Vector]:
    """The days without those before anything was counted: a stream that was not there yet finished nothing.

    One in which there was something at the start was there: then its quiet days are its own.
    """
    inside = [index for index, stage in enumerate(stream.stages) if stage.kind != "done"]
    if sum(wips_at_end) > sum(_grown(day, index) for day in days for index in inside):
        return days
    first = next((place for place, day in enumerate(days) if day), len(days))
    return days[first:]


def _wip_this_morning(stream: Stream, index: int, past: Past) -> int:
    live = past.stages.get(stream.stages[index].name)
    return 0 if live is None else live.wip - _grown(past.since, index)


def _in_progress(past: Past) -> int:
    return sum(live.wip for live in past.stages.values())


def _finished(stream: Stream, day: Vector) -> int:
    return sum(day.get(type_key(index, vector.FINISHED), 0) for index in range(len(stream.item_types)))


def _grown(counted: Vector, stage: int) -> int:
    return counted.get(stage_key(stage, vector.ARRIVALS), 0) - counted.get(stage_key(stage, vector.DEPARTURES), 0)


def _date(instant: int) -> str:
    return format_instant(instant)[:10]
