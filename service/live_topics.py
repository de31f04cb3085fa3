"""What a live page shows: a view, and the topics that it is made of.

A topic is one question to the API, asked once for all the pages that show it and answered in the API's own words: what
a page shows can't differ from what the API says.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from flow.definitions import Stream
from flow.instants import MINUTE, SECOND
from flow.keys import DELIVERIES

OPEN_ITEMS: Final = 200
FINISHED_ITEMS: Final = 300
FINISHED_SAMPLE: Final = 200
POINTS: Final = 60
LANES: Final = 50
QUEUED: Final = 50
STEPS: Final = 30


@dataclass(frozen=True, slots=True)
class View:
    """What one page looks at: a stream over a window, both as the API takes them."""

    stream: str
    window: str


@dataclass(frozen=True, slots=True)
class Topic:
    """One question: an operation of the API and what it is asked with.

    `of` names the stream, or `@deliveries`, whose facts change the answer. It is asked again when one came, but not
    sooner than `rest` ms after the last time, and after `renew` ms even when none came: ages and windows move on.
    """

    event: str
    operation: str
    of: str
    rest: int
    renew: int
    asks: tuple[tuple[str, Any], ...]
    told: tuple[tuple[str, Any], ...] = field(default=())
    """What is said beside the answer."""


def topics_of(view: View, stream: Stream) -> list[Topic]:
    """What a page with this view shows, the most important first."""
    over = (("stream", view.stream), ("window", view.window))
    shown = [
        Topic("status", "get_stream", view.stream, 0, 10 * SECOND, over),
        Topic(
            "open_items", "list_items", view.stream, SECOND, 20 * SECOND,
            (("stream", view.stream), ("limit", OPEN_ITEMS)),
        ),
    ]  # fmt: skip
    shown += [
        Topic(
            "finished_items", "list_items", view.stream, 2 * SECOND, MINUTE,
            (("stream", view.stream), ("stage", stage.name), ("limit", FINISHED_ITEMS)), (("stage", stage.name),),
        )
        for stage in stream.stages
        if stage.kind == "done"
    ]  # fmt: skip
    return [
        *shown,
        Topic(
            "ageing", "get_ageing", view.stream, 20 * SECOND, 2 * MINUTE,
            (("stream", view.stream), ("limit", 1), ("sample", FINISHED_SAMPLE)),
        ),
        Topic(
            "cumulative_flow", "get_cumulative_flow", view.stream, 3 * SECOND, 30 * SECOND,
            (*over, ("points", POINTS)),
        ),
        *(
            Topic(
                "wsjf", "get_wsjf_order", view.stream, 5 * SECOND, 20 * SECOND,
                (("stream", view.stream), ("stage", stage.name), ("limit", QUEUED)),
            )
            for stage in stream.stages
            if stage.kind == "queue"
        ),
        Topic("measures", "get_measures", view.stream, 5 * SECOND, MINUTE, (*over, ("steps", STEPS))),
        Topic(
            "deliveries", "list_deliveries", DELIVERIES, 2 * SECOND, 30 * SECOND,
            (("window", view.window), ("limit", LANES)),
        ),
    ]  # fmt: skip
