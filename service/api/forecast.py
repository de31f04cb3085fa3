"""`GET /v1/streams/{stream}/forecast`: when so many items will be done, and how many by a date, by Monte Carlo."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, date, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from pydantic import AfterValidator, Field

from flow.cells import Grain, Window, cells_of
from flow.errors import Reason, Rejected
from flow.forecast import HORIZON
from flow.instants import DAY, instant_of, parse_duration
from flow.outlook import ForecastAsked, Past, forecast
from flow.status import cells_after
from service.api.measures import STABILITY_EXAMPLE, Stability
from service.api.models import Answer, example, problems
from service.api.parameters import DURATION_SHAPE, StreamName
from service.reader import StateReader

LONGEST_HISTORY: Final = 366 * DAY
USUAL_DAYS: Final = 28
MOST_ITEMS: Final = 100_000

_AT_ONCE: Final = 1
"""Forecasts computed at the same time: each is a thread that competes with the event loop for the interpreter."""

_BREATH: Final = 0.0005
"""Seconds for which such a thread lets go of the interpreter now and then: without it the loop waits for it often."""


class Day(Answer):
    """Done by the end of this day of UTC, so many days after today. 0: today."""

    date: str
    days: int


class When(Answer):
    """When the items are done: at the latest then, in so many of 100 trials. null: not within a year."""

    items: int
    p50: Day | None
    p85: Day | None
    p95: Day | None


class HowMany(Answer):
    """How many are done by the end of that day: at least so many, in so many of 100 trials."""

    by: str
    days: int
    p50: int
    p85: int
    p95: int


class ForecastHistory(Answer):
    """The days that were drawn from, those of UTC before today, from the first one on which anything was counted."""

    start: str | None
    end: str | None
    days: int
    closed_days: int = Field(description="Days on which the stream's calendar is closed: drawn for such days only")
    zero_days: int = Field(description="Days on which nothing was finished; they are drawn like the others")
    items: int
    items_per_day: float | None


class Forecast(Answer):
    """Two answers with three chances each; null when nothing was finished in the history."""

    model_config = example(
        {
            "stream": "checkout",
            "at": "2026-11-22T09:30:00Z",
            "history": {"start": "2026-08-30", "end": "2026-11-21", "days": 84, "closed_days": 0, "zero_days": 31,
                        "items": 120, "items_per_day": 1.43},
            "trials": 10000,
            "seed": 1,
            "when": {"items": 20, "p50": {"date": "2026-12-06", "days": 14}, "p85": {"date": "2026-12-10", "days": 18},
                     "p95": {"date": "2026-12-13", "days": 21}},
            "how_many": {"by": "2026-12-20", "days": 28, "p50": 40, "p85": 32, "p95": 28},
            "stability": STABILITY_EXAMPLE,
            "warnings": [],
            "assumption": "Valid while the future resembles the past.",
        }
    )  # fmt: skip

    stream: str
    at: str
    history: ForecastHistory
    trials: int
    seed: int
    when: When | None
    how_many: HowMany | None
    stability: Stability | None = Field(description="Little's-law checks over the history")
    warnings: list[str] = Field(description="Why the answers may not hold")
    assumption: str


def _checked_date(text: str) -> str:
    try:
        date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a date: write one such as 2026-12-24") from None
    return text


def _checked_history(text: str) -> str:
    if not DAY <= parse_duration(text) <= LONGEST_HISTORY:
        raise ValueError(f"{text!r} is no history to draw from: write 1d to {LONGEST_HISTORY // DAY}d")
    return text


ItemsQuery = Annotated[
    int | None, Query(description="So many items; all that is in progress if left out", ge=0, le=MOST_ITEMS)
]
ByQuery = Annotated[
    Annotated[str, AfterValidator(_checked_date), Field(json_schema_extra={"format": "date"})] | None,
    Query(
        description=f"Last day that counts, UTC; in {USUAL_DAYS} days if left out",
        max_length=10,
        examples=["2026-12-24"],
    ),
]
HistoryQuery = Annotated[
    str,
    AfterValidator(_checked_history),
    Query(
        description="How far back days are drawn from; whole weeks are best",
        max_length=40,
        examples=["84d"],
        json_schema_extra=DURATION_SHAPE,
    ),
]
TrialsQuery = Annotated[int, Query(description="How often the future is drawn", ge=100, le=10_000)]
SeedQuery = Annotated[int, Query(description="The same seed and facts give the same answers", ge=0, le=2**32 - 1)]


def forecast_router(reader: StateReader) -> APIRouter:
    """The route of this group."""
    router = APIRouter(prefix="/v1/streams", tags=["streams"])
    turn = asyncio.Semaphore(_AT_ONCE)

    @router.get(
        "/{stream}/forecast",
        operation_id="get_forecast",
        responses=problems(400, 401, 404, 422, 503),
        response_model=Forecast,
    )
    async def get_forecast(
        *,
        stream: StreamName,
        items: ItemsQuery = None,
        by: ByQuery = None,
        history: HistoryQuery = "84d",
        trials: TrialsQuery = 10_000,
        seed: SeedQuery = 1,
    ) -> dict[str, Any]:
        """When will so many items be done, and how many by a date: with 50%, 85% and 95% chance.

        Future days are drawn from past ones, days on which nothing was finished included. The first is tomorrow.
        """
        definition, now = reader.stream(stream), reader.clock()
        today = now - now % DAY
        asked = ForecastAsked(now, today, items, _days_ahead(by, today), trials, seed)
        past = await _read(reader, stream, asked, -(-parse_duration(history) // DAY))
        async with turn:
            return await asyncio.to_thread(forecast, definition, asked, past, _let_others_run)

    return router


def _let_others_run() -> None:
    time.sleep(_BREATH)


async def _read(reader: StateReader, stream: str, asked: ForecastAsked, days: int) -> Past:
    starts = range(asked.today - days * DAY, asked.today, DAY)
    spans = [cells_of(Window(start, start + DAY, Grain.DAY)) for start in starts]
    since = cells_after(Window(asked.today - DAY, asked.today, Grain.DAY), asked.now)
    live = await reader.live(stream, [*spans, since])
    *counted, after = live.spans
    return Past(counted, after, live.stages)


def _days_ahead(by: str | None, today: int) -> int:
    if by is None:
        return USUAL_DAYS
    days = (instant_of(datetime.combine(date.fromisoformat(by), datetime.min.time(), UTC)) - today) // DAY
    if not 1 <= days <= HORIZON:
        raise Rejected(
            Reason.INVALID_REQUEST,
            f"`by` is not a day that can be foreseen: write one from tomorrow to {HORIZON} days on",
        )
    return days
