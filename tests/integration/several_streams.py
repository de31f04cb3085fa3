"""Facts of several streams, whose state lies on several nodes of a cluster, and what the oracle makes of them."""

from __future__ import annotations

import random
from typing import Any, Final

from redis.asyncio import Redis

from flow import keys, vector
from flow.definition_file import read_definitions
from flow.definitions import Stream
from flow.facts import ItemFact
from flow.instants import DAY, format_instant
from flow.keys import StateKeys
from flow.timeline import Timeline
from tests import oracle
from tests.property.readable import by_cell, figures_of_cell, figures_of_totals

STREAMS: Final = ("checkout", "search", "billing", "stock", "support", "mobile")
STATUSES: Final = ("To Do", "In Progress", "In Review", "Ready", "Done")
SPAN: Final = 20 * DAY
ITEMS: Final = 60
"""Of each stream."""

TEXT: Final = "streams:" + "".join(
    f"""
  {name}:
    match: {{source: acme, project: {name.upper()}}}
    stages:
      - {{name: backlog, kind: queue, when: [{{status: To Do}}]}}
      - {{name: develop, kind: active, when: [{{status: In Progress}}]}}
      - {{name: review, kind: active, when: [{{status: In Review}}]}}
      - {{name: release, kind: queue, when: [{{status: Ready}}]}}
      - {{name: done, kind: done, when: [{{status: Done}}]}}
"""
    for name in STREAMS
)
DEFINITIONS: Final = read_definitions(TEXT)


def item_facts(seed: int, number: int, until: int) -> list[ItemFact]:
    """So many facts of the 20 days before `until`, in order: each is later than the one before."""
    rng = random.Random(seed)
    places: dict[str, int] = {}
    step = SPAN // number
    found: list[ItemFact] = []
    for index in range(number):
        project = rng.choice(STREAMS).upper()
        item = f"{project}-{rng.randrange(ITEMS)}"
        places[item] = (places.get(item, 0) + rng.choice((1, 1, 1, 0, -1))) % len(STATUSES)
        said: dict[str, Any] = {
            "status": STATUSES[places[item]],
            "blocked": rng.random() < 0.1,
            "type": rng.choice(("Story", "Bug")),
        }
        at = until - SPAN + index * step + rng.randrange(step)
        found.append(ItemFact(id=f"evt-{index}", source="acme", item=item, at=at, seq=index, project=project, **said))
    return found


def native(fact: ItemFact) -> dict[str, Any]:
    """The fact as a user posts it."""
    said = {"id": fact.id, "source": fact.source, "item": fact.item, "seq": fact.seq, "status": fact.status}
    said |= {"project": fact.project, "type": fact.type, "blocked": fact.blocked}
    return {"subject": "item", "at": format_instant(fact.at), **said}


async def assert_all_equal_to_oracle(redis: Redis, facts: list[ItemFact], *, rebuilt: bool = False) -> None:
    """What is stored of every stream against the batch computation over these facts.

    Counters say what was seen happen; after a rebuild they are not compared.
    """
    for name, stream in DEFINITIONS.streams.items():
        mine = [fact for fact in facts if fact.project == name.upper()]
        await assert_equal_to_oracle(redis, stream, mine, rebuilt=rebuilt)


async def assert_equal_to_oracle(redis: Redis, stream: Stream, facts: list[ItemFact], *, rebuilt: bool) -> None:
    """Timelines, counters, gauges, places and cells (hours and days: all of them are kept) of one stream."""
    told = oracle.stories_of(stream, facts)
    pointer: Any = await redis.get(keys.generation(stream.name))
    state = StateKeys(stream.name, pointer.decode())
    rows: Any = await redis.hgetall(state.timelines)
    ids = {name.decode(): [entry.id for entry in Timeline.unpack(row).entries()] for name, row in rows.items()}
    assert ids == {name: [fact.id for fact in story.facts] for name, story in told.items()}
    totals: Any = await redis.hvals(state.totals)
    counters, gauges = figures_of_totals(stream, vector.total_of(vector.unpack(row) for row in totals))
    assert rebuilt or counters == oracle.added(story.counters() for story in told.values())
    assert gauges == oracle.added(story.gauges() for story in told.values())
    places = [(name, *place[:2]) for name, story in told.items() if (place := story.place()) is not None]
    assert await stored_places(redis, state, stream) == sorted(places)
    expected = oracle.cells_with([mark for story in told.values() for mark in story.marks()])
    assert _lasting(await stored_cells(redis, state, stream)) == _lasting(expected)


async def stored_places(redis: Redis, state: StateKeys, stream: Stream) -> list[tuple[str, str, int]]:
    """Where each item is, and since when."""
    found: list[tuple[str, str, int]] = []
    for stage in stream.stages:
        arrived: Any = await redis.zrange(state.stage(stage.name), 0, -1, withscores=True)
        found += [(item.decode(), stage.name, int(since)) for item, since in arrived]
    return sorted(found)


async def stored_cells(redis: Redis, state: StateKeys, stream: Stream) -> dict[tuple[str, int], oracle.Figures]:
    """What is stored of each cell, all partitions together."""
    rows: dict[int, vector.Vector] = {}
    async for key in redis.scan_iter(match=state.every.replace("*", "cells:*"), count=1000):
        fields: Any = await redis.hgetall(key)
        for field, row in fields.items():
            vector.add(rows.setdefault(int(field.split(b":")[0]), {}), vector.unpack(row))
    return by_cell({cell: figures_of_cell(stream, row) for cell, row in rows.items()})


def _lasting(cells: dict[tuple[str, int], oracle.Figures]) -> dict[tuple[str, int], oracle.Figures]:
    return {place: figures for place, figures in cells.items() if place[0] != "minute"}
