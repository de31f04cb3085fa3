"""Whatever is killed, whenever: nothing acknowledged is missing and nothing counts twice."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from redis.asyncio import Redis

from flow import keys, vector
from flow.definition_file import read_definitions
from flow.definitions import Stream
from flow.facts import ItemFact
from flow.instants import DAY, HOUR, format_instant
from flow.timeline import Timeline
from service.command_line.composition import now
from tests import oracle
from tests.integration.installation import Installation
from tests.property.readable import by_cell, figures_of_cell, figures_of_totals

FACTS: Final = 100_000
ITEMS: Final = 1_500
IN_ONE_POST: Final = 250
POSTERS: Final = 4
KILLS: Final = 14
STEP: Final = 20 * DAY // FACTS
"""Milliseconds between facts: each is after the one before, so that counters are exact too."""

DEFINITIONS: Final = """
streams:
  checkout:
    match: {source: acme, project: CHK}
    stages:
      - {name: backlog, kind: queue, when: [{status: To Do}]}
      - {name: develop, kind: active, when: [{status: In Progress}]}
      - {name: review, kind: active, when: [{status: In Review}]}
      - {name: release, kind: queue, when: [{status: Ready}]}
      - {name: done, kind: done, when: [{status: Done}]}
"""
STATUSES: Final = ("To Do", "In Progress", "In Review", "Ready", "Done")


def walks(seed: int, until: int) -> list[list[ItemFact]]:
    """For each poster: facts of its own items, in order for each item, over the last 20 days."""
    rng = random.Random(seed)
    posted: list[list[ItemFact]] = [[] for _ in range(POSTERS)]
    stage = [0] * ITEMS
    for number in range(FACTS):
        item = rng.randrange(ITEMS)
        at = until - 20 * DAY + number * STEP + rng.randrange(STEP)
        stage[item] = rng.choice(
            (stage[item] + 1, stage[item] + 1, stage[item] + 1, stage[item], max(0, stage[item] - 1))
        )
        stage[item] %= len(STATUSES)
        fact = ItemFact(
            id=f"evt-{number}",
            source="acme",
            item=f"CHK-{item}",
            at=at,
            seq=number,
            status=STATUSES[stage[item]],
            project="CHK",
            type=("Story", "Bug", "Spike")[item % 3],
            blocked=rng.random() < 0.1,
        )
        posted[item % POSTERS].append(fact)
    return posted


def native(fact: ItemFact) -> dict[str, Any]:
    """The fact as a user posts it."""
    said = {"id": fact.id, "source": fact.source, "item": fact.item, "seq": fact.seq, "status": fact.status}
    said |= {"project": fact.project, "type": fact.type, "blocked": fact.blocked}
    return {"subject": "item", "at": format_instant(fact.at), **said}


async def post_all(installation: Installation, facts: list[ItemFact]) -> None:
    """Post until each is acknowledged, in order: what got no 202 is sent again, as a sender would."""
    for start in range(0, len(facts), IN_ONE_POST):
        body = [native(fact) for fact in facts[start : start + IN_ONE_POST]]
        async with asyncio.timeout(60):
            while True:
                try:
                    answer = await installation.client.post("/v1/facts", json=body)
                except httpx.HTTPError:
                    await asyncio.sleep(0.05)
                    continue
                assert answer.status_code in {202, 503}, answer.text
                if answer.status_code == 202:
                    break
                await asyncio.sleep(0.05)


async def kill_now_and_then(installation: Installation, rng: random.Random) -> None:
    for _ in range(KILLS):
        await asyncio.sleep(rng.uniform(0.05, 0.6))
        await installation.kill(rng.choice(["aggregate", "serve", "valkey", "up"]))


@pytest.fixture
async def installation(tmp_path: Path) -> AsyncIterator[Installation]:
    found = Installation(tmp_path, DEFINITIONS)
    await found.start()
    yield found
    await found.close()


@pytest.mark.needs_server("valkey")
@pytest.mark.timeout(240)
async def test_nothing_acknowledged_is_lost_and_nothing_counts_twice_whatever_is_killed(installation) -> None:
    posted = walks(seed=7, until=now() - HOUR)
    async with asyncio.TaskGroup() as group:
        group.create_task(kill_now_and_then(installation, random.Random(11)))
        for facts in posted:
            group.create_task(post_all(installation, facts))
    await installation.ready()
    await installation.settled()
    stream = read_definitions(DEFINITIONS).streams["checkout"]
    async with installation.redis() as redis:
        await assert_equal_to_oracle(redis, stream, [fact for facts in posted for fact in facts])
    assert await installation.stop() == 0


async def assert_equal_to_oracle(redis: Redis, stream: Stream, facts: list[ItemFact]) -> None:
    """Everything stored of the stream against the batch computation: facts, places, gauges, counters, cells."""
    told = oracle.stories_of(stream, facts)
    pointer: Any = await redis.get(keys.generation(stream.name))
    state = keys.StateKeys(stream.name, pointer.decode())
    rows: Any = await redis.hgetall(state.timelines)
    assert {name.decode() for name in rows} == set(told)
    for name, row in rows.items():
        assert [entry.id for entry in Timeline.unpack(row).entries()] == [f.id for f in told[name.decode()].facts]
    totals: Any = await redis.hvals(state.totals)
    counters, gauges = figures_of_totals(stream, vector.total_of(vector.unpack(row) for row in totals))
    assert counters == oracle.added(story.counters() for story in told.values())
    assert gauges == oracle.added(story.gauges() for story in told.values())
    places = [(name, *place[:2]) for name, story in told.items() if (place := story.place()) is not None]
    assert await stored_places(redis, state, stream) == sorted(places)
    marks = [mark for story in told.values() for mark in story.marks()]
    stored = await stored_cells(redis, state, stream)
    expected = oracle.cells_with(marks)
    assert {place: figures for place, figures in expected.items() if place[0] == "day"} == {
        place: figures for place, figures in stored.items() if place[0] == "day"
    }
    recent = now() - 25 * HOUR
    for grain, since in (("hour", 0), ("minute", recent)):
        assert {place: figures for place, figures in stored.items() if place[0] == grain and place[1] >= since} == {
            place: figures for place, figures in expected.items() if place[0] == grain and place[1] >= since
        }


async def stored_places(redis: Redis, state: keys.StateKeys, stream: Stream) -> list[tuple[str, str, int]]:
    found: list[tuple[str, str, int]] = []
    for stage in stream.stages:
        arrived: Any = await redis.zrange(state.stage(stage.name), 0, -1, withscores=True)
        found += [(item.decode(), stage.name, int(since)) for item, since in arrived]
    return sorted(found)


async def stored_cells(redis: Redis, state: keys.StateKeys, stream: Stream) -> dict[tuple[str, int], oracle.Figures]:
    rows: dict[int, vector.Vector] = {}
    async for key in redis.scan_iter(match=state.every.replace("*", "cells:*")):
        fields: Any = await redis.hgetall(key)
        for field, row in fields.items():
            vector.add(rows.setdefault(int(field.split(b":")[0]), {}), vector.unpack(row))
    return by_cell({cell: figures_of_cell(stream, row) for cell, row in rows.items()})
