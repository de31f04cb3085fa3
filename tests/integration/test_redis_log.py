"""The log as Redis streams: read from anywhere, trimmed only behind what every reader has committed."""

from __future__ import annotations

from typing import Any

import pytest
from redis.asyncio import Redis

from consumers.redis_log import RedisLog
from flow import keys
from flow.errors import Reason, Unavailable
from flow.facts import ItemFact, decode_facts, encode_facts
from service.bounds import AppendBounds
from service.log import RedisLogWriter

pytestmark = pytest.mark.needs_server("valkey")


async def append(redis: Redis, count: int, *, each: int = 10) -> None:
    """Facts in one partition, `each` in one append."""
    async with RedisLogWriter(redis, 1, lambda: 1000) as writer:
        for start in range(0, count, each):
            facts = [ItemFact(id=f"{number}", source="s", item="i", at=number) for number in range(start, start + each)]
            await writer.append(facts)


async def first_kept(redis: Redis) -> int:
    """Offset of the last fact of the oldest block."""
    entries: Any = await redis.xrange(keys.log_facts(0), count=1)
    return int(entries[0][0].partition(b"-")[2])


async def test_offsets_count_facts_without_gaps_and_reading_goes_on_behind_any_of_them(redis: Redis) -> None:
    await append(redis, 50)
    log = RedisLog(redis, [0], "reader", keep_facts=1000)
    batch = await log.read(0, 0)
    assert batch is not None
    assert list(batch.offsets) == list(range(1, 51))
    assert [fact.id for fact in decode_facts(batch.lines)] == [str(number) for number in range(50)]
    rest = await log.read(0, 30)
    assert rest is not None
    assert list(rest.offsets) == list(range(31, 51))
    assert await log.read(0, 50) is None


async def test_no_offset_is_given_out_again_that_any_part_of_the_state_has_read(redis: Redis) -> None:
    """What is new would be taken for known there, though reading begins where the part furthest behind is."""
    await append(redis, 10)
    log = RedisLog(redis, [0], "reader", keep_facts=1000)
    log.expect(0, 25)
    assert await log.read(0, 10) is None
    await append(redis, 10)
    batch = await log.read(0, 10)
    assert batch is not None
    assert list(batch.offsets) == list(range(26, 36))


async def test_what_a_slower_reader_has_not_committed_is_kept(redis: Redis) -> None:
    await append(redis, 500)
    fast = RedisLog(redis, [0], "fast", keep_facts=50)
    slow = RedisLog(redis, [0], "slow", keep_facts=50)
    await slow.committed(0, 100)
    await fast.committed(0, 500)
    assert await first_kept(redis) == 110
    await slow.committed(0, 500)
    assert await first_kept(redis) == 460


async def test_what_is_to_be_kept_behind_the_readers_is_kept(redis: Redis) -> None:
    await append(redis, 500)
    await RedisLog(redis, [0], "only", keep_facts=200).committed(0, 500)
    assert await first_kept(redis) == 310


@pytest.mark.parametrize("each", [1, 10])
@pytest.mark.parametrize("partitions", [[0], [0, 1, 2, 3]])
async def test_batches_grow_to_their_share_whatever_a_block_holds(
    redis: Redis, each: int, partitions: list[int]
) -> None:
    await append(redis, 2000, each=each)
    log = RedisLog(redis, partitions, "reader", keep_facts=1000, at_once=400 * len(partitions))
    position, sizes = 0, []
    while (batch := await log.read(0, position)) is not None:
        position = batch.offsets[-1]
        sizes.append(len(batch.offsets))
    assert sum(sizes) == 2000
    assert sizes[1] == 400


async def test_encoded_blocks_hold_a_fact_a_line(redis: Redis) -> None:
    facts = [ItemFact(id="a\nb", source="s", item="i", at=1), ItemFact(id="c", source="s", item="i", at=2)]
    assert decode_facts(encode_facts(facts)) == facts


async def test_a_log_that_lost_its_last_facts_gives_no_offset_out_twice(redis: Redis, caplog: Any) -> None:
    """As after a failover to a replica that had not all: the reader has read 50, and the log knows of 30."""
    await append(redis, 30)
    log = RedisLog(redis, [0], "reader", keep_facts=1000)
    assert await log.read(0, 50, wait=False) is None
    assert "log_went_back partition=0 end=30 read=50" in caplog.text
    await append(redis, 10)
    batch = await log.read(0, 50)
    assert batch is not None
    assert list(batch.offsets) == list(range(51, 61))
    assert await RedisLog(redis, [0], "reader", keep_facts=1000).read(0, 60, wait=False) is None
    assert caplog.text.count("log_went_back") == 1


async def test_what_no_replica_has_is_not_acknowledged_where_one_must(redis: Redis, caplog: Any) -> None:
    one = [ItemFact(id="1", source="s", item="i", at=1)]
    async with RedisLogWriter(redis, 1, lambda: 1000, AppendBounds(within=10_000, replicas=1)) as writer:
        with pytest.raises(Unavailable) as caught:
            await writer.append(one)
    assert caught.value.reason is Reason.LOG_UNAVAILABLE
    assert "of 1 replicas that must have it, these have: 0" in caplog.text
