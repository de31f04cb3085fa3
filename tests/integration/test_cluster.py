"""A whole Streamgauge on a cluster: the streams lie on different nodes, slots move, and a master dies under load."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from consumers.commit import Commit, Committer
from flow import keys
from flow.errors import PositionConflict
from flow.facts import ItemFact
from flow.instants import HOUR
from flow.keys import StateKeys
from service.command_line.composition import now
from service.redis_client import connect
from tests.integration.kafka_installation import KafkaInstallation
from tests.integration.several_streams import STREAMS, TEXT, assert_all_equal_to_oracle, item_facts, native
from tests.integration.two_processes import ENDED, TwoProcesses, running
from tests.servers.kafka import KafkaCluster
from tests.servers.valkey_cluster import Cluster

pytestmark = [pytest.mark.needs_server("valkey"), pytest.mark.timeout(180)]

FACTS = 4_000
RACERS = 40
PARTITIONS = 2
STATE = StateKeys("checkout", "1")


async def wins(committer: Committer, commit: Commit) -> bool:
    try:
        await committer.execute([commit])
    except PositionConflict:
        return False
    return True


async def test_of_many_racers_on_a_cluster_exactly_one_wins(cluster: Cluster) -> None:
    async with aclosing(connect(cluster.url)) as redis:
        await redis.set(STATE.pointer, "1")
        racers = [connect(cluster.url) for _ in range(RACERS)]
        commits = []
        for number in range(RACERS):
            commit = Commit("checkout", STATE.position(0), STATE.pointer, "1", None, 1000 + number)
            commit.write(STATE.totals, "HSET", (str(number), b"row"))
            commits.append(commit)
        outcomes = await asyncio.gather(*[wins(Committer(racer), commits[i]) for i, racer in enumerate(racers)])
        await asyncio.gather(*[racer.aclose() for racer in racers])
        assert outcomes.count(True) == 1
        winner = outcomes.index(True)
        assert await redis.hkeys(STATE.totals) == [str(winner).encode()]
        assert await redis.get(STATE.position(0)) == str(1000 + winner).encode()


async def test_commits_of_several_streams_each_go_to_their_node_whole_or_not_at_all(cluster: Cluster) -> None:
    async with aclosing(connect(cluster.url)) as redis:
        commits = []
        for name in STREAMS:
            state = StateKeys(name, "1")
            await redis.set(state.pointer, "1")
            commit = Commit(name, state.position(0), state.pointer, "1", None, 7)
            commit.write(state.totals, "HSET", ("0", b"row"))
            commits.append(commit)
        await redis.set(StateKeys("search", "1").position(0), 3)
        with pytest.raises(PositionConflict, match="search"):
            await Committer(redis).execute(commits)
        positions = [await redis.get(StateKeys(name, "1").position(0)) for name in STREAMS]
        assert positions == [b"3" if name == "search" else b"7" for name in STREAMS]
        assert await redis.hgetall(StateKeys("search", "1").totals) == {}


def first_commit() -> Commit:
    commit = Commit("checkout", STATE.position(0), STATE.pointer, "1", None, 7)
    commit.write(STATE.totals, "HINCRBY", ("times", 1))
    return commit


async def test_a_commit_to_a_node_that_holds_the_stream_no_more_is_not_done_and_says_so(cluster: Cluster) -> None:
    async with aclosing(connect(cluster.url)) as redis, aclosing(connect(cluster.url)) as other:
        await redis.set(STATE.pointer, "1")
        committer = Committer(redis)
        cluster.move_slot(STATE.pointer)
        with pytest.raises(RedisConnectionError, match="the cluster is changing: MovedError"):
            await committer.execute([first_commit()])
        assert await other.hgetall(STATE.totals) == {}
        await committer.execute([first_commit()])
        with cluster.moving_slot(STATE.pointer) as target:
            cluster.move_keys(target, STATE.pointer)
            with pytest.raises(RedisConnectionError, match="the cluster is changing: TryAgainError"):
                await committer.execute([first_commit()])
        assert await other.hgetall(STATE.totals) == {b"times": b"1"}


async def test_after_a_failover_a_committer_finds_the_new_master_by_itself_and_writes_once(cluster: Cluster) -> None:
    async with aclosing(connect(cluster.url)) as redis, aclosing(connect(cluster.url)) as other:
        await redis.set(STATE.pointer, "1")
        committer = Committer(redis)
        dead = cluster.master_of(STATE.pointer)
        dead.hand_on()
        dead.kill()
        async with asyncio.timeout(30):
            while True:
                try:
                    await committer.execute([first_commit()])
                except (RedisConnectionError, RedisTimeoutError):
                    await asyncio.sleep(0.05)
                else:
                    break
        with pytest.raises(PositionConflict):
            await committer.execute([first_commit()])
        assert await other.hgetall(STATE.totals) == {b"times": b"1"}


async def test_facts_become_the_state_that_the_oracle_computes_while_slots_move(
    cluster: Cluster, tmp_path: Path
) -> None:
    facts = item_facts(3, FACTS, now() - HOUR)
    assert len({cluster.master_of(keys.generation(name)).port for name in STREAMS}) == 3
    async with running(tmp_path, cluster.url) as gauge, aclosing(connect(cluster.url)) as redis:
        await gauge.post(facts[:1000])
        posting = asyncio.create_task(gauge.post(facts[1000:]))
        for name in ("checkout", "@log-0", "search", "checkout"):
            await asyncio.to_thread(cluster.move_slot, keys.generation(name))
            await asyncio.to_thread(cluster.move_slot_at_once, keys.generation(name))
        await posting
        await gauge.settled()
        await assert_all_equal_to_oracle(redis, facts)
        await gauge.shows_what_is_stored()
        assert (await gauge.client.get("/v1/dead-letters")).json()["letters"] == []
        assert "checkout: recomputed" in await gauge.run("rebuild", "checkout")
        assert [key async for key in redis.scan_iter(match="sg:v1:{checkout}:1:*")] == []
        await gauge.settled()
        await assert_all_equal_to_oracle(redis, facts, rebuilt=True)
        assert gauge.stop() == ENDED


async def test_while_a_slot_is_on_its_way_commits_wait_and_say_so_once_and_go_on_when_it_has_moved(
    cluster: Cluster, tmp_path: Path
) -> None:
    """The position is at its new place already, the timelines not yet: it must not be taken for "nothing read yet"."""
    facts = item_facts(5, FACTS, now() - HOUR)
    async with running(tmp_path, cluster.url) as gauge, aclosing(connect(cluster.url)) as redis:
        await gauge.post(facts[:1000])
        await gauge.settled()
        with cluster.moving_slot(STATE.pointer) as target:
            cluster.move_keys(target, *[STATE.position(number) for number in range(PARTITIONS)])
            await gauge.post(facts[1000:])
            async with asyncio.timeout(30):
                while await waiting(gauge) < PARTITIONS:
                    await asyncio.sleep(0.05)
            assert (await gauge.readiness())["lag_facts"] > 0
        await gauge.settled()
        await assert_all_equal_to_oracle(redis, facts)
        said = gauge.said("aggregate")
        for number in range(PARTITIONS):
            assert said.count(f"waiting partition={number} for=ConnectionError the cluster is changing") == 1
            assert said.count(f"going_on partition={number}") == 1
        async with asyncio.timeout(30):
            while await waiting(gauge):
                await asyncio.sleep(0.05)


@pytest.mark.needs_server("kafka")
async def test_a_master_that_dies_under_load_takes_nothing_with_it(
    cluster: Cluster, kafka_cluster: KafkaCluster, tmp_path: Path
) -> None:
    """Its replica may lack the last commits: state and position went back together, and Kafka has the facts."""
    facts = item_facts(7, FACTS, now() - HOUR)
    gauge = KafkaInstallation(tmp_path, kafka_cluster, cluster.url, TEXT)
    try:
        await gauge.create_topics()
        await gauge.start_worker(1)
        await gauge.serve()
        await post(gauge, facts[:1000])
        await gauge.settled()
        posting = asyncio.create_task(post(gauge, facts[1000:]))
        for name in ("checkout", "search"):
            dead = cluster.master_of(keys.generation(name))
            dead.kill()
            await asyncio.to_thread(cluster.wait_for_another, dead, keys.generation(name))
            cluster.mend()
        await posting
        await gauge.settled()
        async with aclosing(connect(cluster.url)) as redis:
            await assert_all_equal_to_oracle(redis, facts)
            await shows_what_is_stored(gauge, redis)
        assert await gauge.stop_worker(1) == 0
        assert "waiting partition=" in gauge.logged("aggregate-1")
    finally:
        await gauge.close()


async def waiting(gauge: TwoProcesses) -> float:
    """How many partitions wait, as workers say it."""
    lines = (await gauge.client.get("/metrics")).text.splitlines()
    return sum(float(line.split()[1]) for line in lines if line.startswith("streamgauge_worker_waiting_partitions{"))


async def post(gauge: KafkaInstallation, facts: list[ItemFact]) -> None:
    for start in range(0, len(facts), 250):
        await gauge.post("/v1/facts", [native(fact) for fact in facts[start : start + 250]])


async def shows_what_is_stored(gauge: KafkaInstallation, redis: Redis) -> None:
    """The exporter reads all nodes again."""
    wanted = {
        f'{{stream="{name}",stage="develop"}}': float(await redis.zcard(StateKeys(name, "1").stage("develop")))
        for name in STREAMS
    }
    async with asyncio.timeout(30):
        while not wanted.items() <= (await gauge.metric("flow_stage_wip")).items():
            await asyncio.sleep(0.1)
