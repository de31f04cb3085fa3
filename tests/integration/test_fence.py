"""Invariant 3: a commit writes all and moves the position, or nothing; and only from the position it was read from."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from consumers.commit import Commit, Committer
from consumers.dead_letters import DeadLetters, Letter
from flow import keys
from flow.errors import PositionConflict, Reason
from flow.keys import StateKeys

pytestmark = pytest.mark.needs_server("valkey")

STATE = StateKeys("checkout", "1")


def a_commit(expected: int | None, position: int, generation: str = "1") -> Commit:
    return Commit("checkout", STATE.position(0), STATE.pointer, generation, expected, position)


async def at_position(redis: Redis, position: int | None) -> None:
    await redis.set(STATE.pointer, "1")
    if position is not None:
        await redis.set(STATE.position(0), position)


async def everything(redis: Redis) -> dict[bytes, bytes]:
    return {key: await redis.dump(key) async for key in redis.scan_iter()}


async def wins(committer: Committer, commit: Commit) -> bool:
    try:
        await committer.execute([commit])
    except PositionConflict:
        return False
    return True


@pytest.mark.parametrize("position", [None, 7])
async def test_of_a_hundred_racers_exactly_one_wins(redis_url: str, redis: Redis, position: int | None) -> None:
    await at_position(redis, position)
    racers = [Redis.from_url(redis_url) for _ in range(100)]
    commits = []
    for number in range(100):
        commit = a_commit(position, 1000 + number)
        commit.write(STATE.totals, "HSET", (str(number), b"row"))
        commits.append(commit)
    outcomes = await asyncio.gather(*[wins(Committer(racer), commits[i]) for i, racer in enumerate(racers)])
    await asyncio.gather(*[racer.aclose() for racer in racers])
    assert outcomes.count(True) == 1
    winner = outcomes.index(True)
    assert await redis.hkeys(STATE.totals) == [str(winner).encode()]
    assert await redis.get(STATE.position(0)) == str(1000 + winner).encode()


async def test_racers_that_read_again_after_losing_all_get_through_in_turn(redis_url: str, redis: Redis) -> None:
    """Each adds 1 to a row, as absolute rows are written: read, add, write. Nothing may be lost or counted twice."""
    await at_position(redis, 0)
    await redis.hset(STATE.totals, "0", "0")

    async def race(racer: Redis) -> None:
        committer = Committer(racer)
        while True:
            position = int(await racer.get(STATE.position(0)) or 0)
            row = int(await racer.hget(STATE.totals, "0") or 0)
            commit = a_commit(position, position + 1)
            commit.write(STATE.totals, "HSET", ("0", row + 1))
            if await wins(committer, commit):
                return

    racers = [Redis.from_url(redis_url) for _ in range(30)]
    await asyncio.gather(*[race(racer) for racer in racers])
    await asyncio.gather(*[racer.aclose() for racer in racers])
    assert await redis.hget(STATE.totals, "0") == b"30"
    assert await redis.get(STATE.position(0)) == b"30"


async def test_a_server_that_lost_its_scripts_is_given_them_again(redis: Redis) -> None:
    await at_position(redis, None)
    committer = Committer(redis)
    for position, expected in ((1, None), (2, 1), (3, 2)):
        await redis.script_flush()
        commit = a_commit(expected, position)
        commit.write(STATE.totals, "HSET", ("0", position))
        await committer.execute([commit])
        assert await redis.hget(STATE.totals, "0") == str(position).encode()


async def test_without_its_scripts_the_order_of_commits_stays(redis: Redis) -> None:
    await at_position(redis, 1)
    await redis.script_flush()
    await Committer(redis).execute([a_commit(1, 2), a_commit(2, 3), a_commit(3, 4)])
    assert await redis.get(STATE.position(0)) == b"4"


@pytest.mark.parametrize(
    ("stored", "expected"),
    [(None, 0), (None, 7), (7, None), (7, 6), (7, 8), (7, 70), (0, None)],
)
async def test_another_position_is_refused_and_nothing_is_written(
    redis: Redis, stored: int | None, expected: int | None
) -> None:
    await at_position(redis, stored)
    before = await everything(redis)
    commit = a_commit(expected, 9)
    commit.write(STATE.totals, "HSET", ("0", b"row"))
    commit.write(STATE.finished, "ZADD", (1, "CHK-1"))
    with pytest.raises(PositionConflict, match="checkout"):
        await Committer(redis).execute([commit])
    assert await everything(redis) == before


@pytest.mark.parametrize("generation", ["2", "", "10"])
async def test_another_generation_is_refused_and_nothing_is_written(redis: Redis, generation: str) -> None:
    await at_position(redis, 7)
    before = await everything(redis)
    commit = a_commit(7, 9, generation)
    commit.write(STATE.totals, "HSET", ("0", b"row"))
    with pytest.raises(PositionConflict):
        await Committer(redis).execute([commit])
    assert await everything(redis) == before


async def test_a_state_that_was_lost_wholly_is_refused(redis: Redis) -> None:
    await at_position(redis, 7)
    await redis.flushall()
    with pytest.raises(PositionConflict):
        await Committer(redis).execute([a_commit(7, 9)])
    with pytest.raises(PositionConflict):
        await Committer(redis).execute([a_commit(None, 9)])
    assert await everything(redis) == {}


async def test_a_refused_commit_does_not_hold_up_the_others_of_its_call(redis: Redis) -> None:
    await at_position(redis, 7)
    other = StateKeys("support", "1")
    await redis.set(other.pointer, "1")
    fine = Commit("support", other.position(0), other.pointer, "1", None, 9)
    with pytest.raises(PositionConflict, match="checkout"):
        await Committer(redis).execute([a_commit(6, 9), fine])
    assert await redis.get(STATE.position(0)) == b"7"
    assert await redis.get(other.position(0)) == b"9"


async def test_twenty_thousand_items_go_in_one_atomic_commit(redis: Redis) -> None:
    """Far more arguments than one command of a script may have."""
    await at_position(redis, None)
    names = [f"CHK-{number}" for number in range(20_000)]
    rows = [part for number, name in enumerate(names) for part in (name, f"row {number}")]
    commit = a_commit(None, 20_000)
    commit.write(STATE.timelines, "HSET", rows, group=2)
    commit.write(STATE.stage("review"), "ZADD", [part for n, name in enumerate(names) for part in (n, name)], group=2)
    await Committer(redis).execute([commit])
    stored = await redis.hgetall(STATE.timelines)
    assert {name.decode(): row.decode() for name, row in stored.items()} == dict(
        zip(rows[::2], rows[1::2], strict=True)
    )
    scores = await redis.zrange(STATE.stage("review"), 0, -1, withscores=True)
    assert [(name.decode(), int(score)) for name, score in scores] == list(zip(names, range(20_000), strict=True))
    again = a_commit(20_000, 20_001)
    again.write(STATE.timelines, "HDEL", names)
    again.write(STATE.stage("review"), "ZREM", names)
    await Committer(redis).execute([again])
    assert not await redis.exists(STATE.timelines, STATE.stage("review"))


@pytest.mark.parametrize("count", [1, 3999, 4000, 4001, 8000, 8001])
async def test_chunks_lose_nothing_at_their_edges(redis: Redis, count: int) -> None:
    await at_position(redis, None)
    commit = a_commit(None, 1)
    commit.write(STATE.finished, "ZREM", [f"gone-{number}" for number in range(count)])
    commit.write(STATE.timelines, "HSET", [part for number in range(count) for part in (number, number)], group=2)
    await Committer(redis).execute([commit])
    stored = await redis.hgetall(STATE.timelines)
    assert stored == {str(number).encode(): str(number).encode() for number in range(count)}


async def test_nothing_to_write_still_moves_the_position(redis: Redis) -> None:
    await at_position(redis, None)
    commit = a_commit(None, 3)
    commit.write(STATE.timelines, "HSET", [], group=2)
    await Committer(redis).execute([commit])
    assert await redis.get(STATE.position(0)) == b"3"
    assert not await redis.exists(STATE.timelines)


async def test_letters_are_written_once_however_often_they_are_sent(redis: Redis) -> None:
    letter = Letter("acme", Reason.NO_STREAM, "no stream claims it", 5, b"{}")
    workers = [DeadLetters(redis, 0, 100) for _ in range(20)]
    for worker in workers:
        await worker.load()
    commits = [worker.commit([letter], 5, 1000) for worker in workers]
    outcomes = await asyncio.gather(*[wins(Committer(redis), commit) for commit in commits])
    assert outcomes.count(True) == 1
    assert await redis.xlen(keys.LETTERS) == 1
    assert await redis.hgetall(keys.LETTER_COUNTS) == {b"acme|no_stream": b"1"}
