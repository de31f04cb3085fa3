"""A plausible day of facts: items of one stream that move forward, and now and then back."""

from __future__ import annotations

import random
from typing import Final

from flow.definitions import Condition, Definitions, Match, Stage, Stream
from flow.facts import ItemFact
from flow.instants import HOUR

NAMES: Final = ("backlog", "develop", "review", "test", "release", "done")
KINDS: Final = ("queue", "active", "active", "active", "queue", "done")
STAGES: Final = tuple(
    Stage(name, kind, (Condition(status=name.title()),))  # type: ignore[arg-type]
    for name, kind in zip(NAMES, KINDS, strict=True)
)
STREAM: Final = Stream("checkout", STAGES, Match(source=("jira",), project=("CHK",)))
DEFINITIONS: Final = Definitions({"checkout": STREAM})
SPAN: Final = 3 * HOUR


def facts_until(now: int, count: int, title: str = "A title of the usual length, some forty letters") -> list[ItemFact]:
    """Facts in order of time over the last three hours before `now`: about six of each item, 5% of the moves back."""
    rng = random.Random(1)
    at, items, open_items, facts = now - SPAN, 0, [], []
    stage: dict[str, int] = {}
    for number in range(count):
        at = now - SPAN + number * SPAN // count
        if open_items and rng.random() < 0.83:
            index = rng.randrange(len(open_items))
            item = open_items[index]
            stage[item] = max(0, stage[item] - 1) if rng.random() < 0.05 else stage[item] + 1
            if stage[item] == len(NAMES) - 1:
                open_items[index] = open_items[-1]
                open_items.pop()
        else:
            items += 1
            item = f"CHK-{items}"
            stage[item] = 0
            open_items.append(item)
        facts.append(_fact(number, item, at, stage[item], title))
    return facts


def _fact(number: int, item: str, at: int, stage: int, title: str) -> ItemFact:
    return ItemFact(
        id=f"evt-{number}",
        source="jira",
        item=item,
        at=at,
        seq=number,
        status=NAMES[stage].title(),
        project="CHK",
        type="feature" if len(item) % 2 else "bug",
        title=title,
        url=f"https://tracker.example/browse/{item}",
    )
