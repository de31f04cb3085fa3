"""The client of a cluster is used as that of one server: on several slots, while slots move, and when a node dies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import ClusterCrossSlotError, RedisError, WatchError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from service.redis_client import connect
from service.redis_cluster import ClusterRedis
from tests.integration.installation import free_port
from tests.servers.redis_server import HOST, run_server
from tests.servers.valkey_cluster import Cluster

pytestmark = pytest.mark.needs_server("valkey")

TAGS = "abcdefgh"
KEY = "sg:v1:{a}:1"
PATIENCE = 40


@pytest.fixture(name="redis")
async def cluster_client(cluster: Cluster) -> AsyncIterator[Redis]:
    client = connect(cluster.url)
    yield client
    await client.aclose()


def names() -> list[str]:
    """Keys of several nodes."""
    return [f"sg:v1:{{{tag}}}:1" for tag in TAGS]


async def fill(redis: Redis) -> None:
    for name in names():
        await redis.set(name, name)


async def until_it_answers(redis: Redis, key: str) -> Any:
    """The reply once there is one; the errors on the way are those of a server that is away."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                reply: Any = await redis.get(key)
            except (RedisConnectionError, RedisTimeoutError):
                await asyncio.sleep(0.05)
            else:
                return reply


async def test_each_command_goes_to_the_node_of_its_key(cluster: Cluster, redis: Redis) -> None:
    await fill(redis)
    assert [await redis.get(name) for name in names()] == [name.encode() for name in names()]
    assert len({cluster.master_of(name).port for name in names()}) == 3


async def test_a_pipeline_of_several_slots_answers_in_the_order_of_its_commands(redis: Redis) -> None:
    await fill(redis)
    pipeline = redis.pipeline(transaction=False)
    for name in reversed(names()):
        pipeline.get(name)
        pipeline.exists(name)
    replies = await pipeline.execute()
    assert replies == [reply for name in reversed(names()) for reply in (name.encode(), 1)]


async def test_a_transaction_takes_keys_of_one_slot_only(redis: Redis) -> None:
    pipeline = redis.pipeline(transaction=True)
    pipeline.set(KEY, 1)
    pipeline.zrange("sg:v1:{a}:2", 0, 0, withscores=True)
    assert await pipeline.execute() == [True, []]
    pipeline.set(KEY, 2)
    pipeline.set("sg:v1:{b}:1", 2)
    with pytest.raises(ClusterCrossSlotError):
        await pipeline.execute()
    assert await redis.get(KEY) == b"1"
    assert await redis.get("sg:v1:{b}:1") is None


async def test_what_is_watched_is_watched_on_the_node_of_its_key(redis: Redis) -> None:
    for name in names():
        async with redis.pipeline(transaction=True) as pipeline:
            await pipeline.watch(name)
            assert await pipeline.get(name) is None
            await redis.set(name, "another")
            pipeline.multi()
            pipeline.set(name, "mine")
            with pytest.raises(WatchError):
                await pipeline.execute()
        assert await redis.get(name) == b"another"


async def test_a_scan_finds_the_keys_of_its_hash_tag_and_needs_one(redis: Redis) -> None:
    await fill(redis)
    await redis.set("sg:v1:{h}:2", 1)
    assert {key async for key in redis.scan_iter(match=r"sg:v1:{\h}:*")} == {b"sg:v1:{h}:1", b"sg:v1:{h}:2"}
    with pytest.raises(RedisError, match="hash tag"):
        await redis.scan(match="sg:v1:*")


async def test_a_slot_that_moved_is_followed_and_the_others_stay(cluster: Cluster, redis: Redis) -> None:
    await fill(redis)
    cluster.move_slot(KEY)
    assert await redis.get(KEY) == KEY.encode()
    cluster.move_slot(KEY)
    pipeline = redis.pipeline(transaction=True)
    pipeline.get(KEY)
    pipeline.append(KEY, "+")
    assert await pipeline.execute() == [KEY.encode(), len(KEY) + 1]
    cluster.move_slot(KEY)
    pipeline = redis.pipeline(transaction=False)
    for name in names():
        pipeline.append(name, "+")
    lengths = await pipeline.execute()
    assert lengths == [len(KEY) + 2] + [len(name) + 1 for name in names()[1:]]


async def test_while_a_slot_is_moving_its_missing_keys_are_away_and_not_absent(cluster: Cluster, redis: Redis) -> None:
    """A reader must not take what has moved already for empty."""
    await redis.set(KEY, 1)
    with cluster.moving_slot(KEY):
        assert await redis.get(KEY) == b"1"
        with pytest.raises(RedisConnectionError, match="the cluster is changing"):
            await redis.get("sg:v1:{a}:moved")
        for transaction in (True, False):
            pipeline = redis.pipeline(transaction=transaction)
            pipeline.get(KEY)
            pipeline.get("sg:v1:{a}:moved")
            with pytest.raises(RedisConnectionError, match="the cluster is changing"):
                await pipeline.execute()
    assert await until_it_answers(redis, "sg:v1:{a}:moved") is None


async def test_a_node_that_died_is_replaced_by_its_replica(cluster: Cluster, redis: Redis) -> None:
    await fill(redis)
    dead = cluster.master_of(KEY)
    dead.hand_on()
    dead.kill()
    with pytest.raises((RedisConnectionError, RedisTimeoutError)):
        await redis.get(KEY)
    other = next(name for name in names() if cluster.master_of(name) is not dead)
    assert await until_it_answers(redis, other) == other.encode()
    assert await until_it_answers(redis, KEY) == KEY.encode()
    assert cluster.wait_for_another(dead, KEY) is not dead
    assert isinstance(redis, ClusterRedis)
    assert (HOST, dead.port) not in await redis.nodes.masters()


async def test_a_node_that_hangs_is_left_for_its_replica(cluster: Cluster) -> None:
    async with aclosing(connect(f"{cluster.url}?socket_timeout=0.5")) as client:
        async with aclosing(connect(cluster.url)) as patient:
            await patient.set(KEY, 1)
        assert await until_it_answers(client, KEY) == b"1"  # now it knows who holds what
        hanging = cluster.master_of(KEY)
        hanging.hand_on()
        hanging.pause()
        try:
            with pytest.raises(RedisTimeoutError):
                await client.get(KEY)
            assert await until_it_answers(client, KEY) == b"1"
        finally:
            hanging.resume()


async def test_a_seed_that_is_gone_does_no_harm_while_another_is_there(cluster: Cluster) -> None:
    seed = cluster.nodes[0]
    seed.kill()
    client = connect(cluster.url)
    assert await until_it_answers(client, KEY) is None
    await client.aclose()


async def test_nobody_there_is_an_error_of_connection_without_a_password_in_it() -> None:
    client = connect(f"redis+cluster://:hunter2@127.0.0.1:{free_port()}")
    with pytest.raises(RedisConnectionError) as caught:
        await client.get(KEY)
    assert "hunter2" not in str(caught.value)
    await client.aclose()


async def test_a_server_that_is_no_cluster_says_so(tmp_path: Path) -> None:
    with run_server(tmp_path) as server:
        client = connect(f"redis+cluster://{HOST}:{server.port}")
        with pytest.raises(RedisConnectionError, match="cluster support disabled"):
            await client.get(KEY)
        await client.aclose()
