"""Every kind of fault once, under load, on real processes; `make chaos` does much more of it.

A round ends in the comparison of everything that can be read with the batch computation over the log.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.chaos.__main__ import MOST_SHOWN
from tests.chaos.differences import Differences
from tests.chaos.faults import KINDS, OF_ALL, OF_CLUSTER, OF_SINGLE, schedule
from tests.chaos.redises import RedisCluster, SingleRedis, redis_cluster, single_redis
from tests.chaos.rounds import Outcome, Round, play
from tests.servers.kafka import KafkaCluster, running_kafka

pytestmark = [pytest.mark.needs_server("valkey"), pytest.mark.timeout(240)]

SEED: Final = 20261122
FACTS: Final = 2500
RATE: Final = 400.0
PACE: Final = 0.5
MINUTES: Final = 10.0
"""Here the rebalances that go on for minutes go on for seconds."""

LEFT_TO_MAKE_CHAOS: Final = {"Kafka away for a minute", "Kafka killed"}
LAST: Final = "flushed in quiet"
ON_CLUSTER: Final = (*OF_CLUSTER, "rebalances for minutes")
ON_ONE: Final = (*OF_ALL, *OF_SINGLE)


@pytest.fixture(scope="module")
def brokers() -> Iterator[KafkaCluster]:
    with running_kafka(3) as cluster:
        yield cluster


async def played(
    kinds: tuple[str, ...], folder: Path, brokers: KafkaCluster, redis: SingleRedis | RedisCluster
) -> Outcome:
    """On one Redis it is flushed once more at the end."""
    on_one = isinstance(redis, SingleRedis)
    what = Round(SEED, schedule(SEED, kinds, len(kinds)), FACTS, RATE, PACE, on_one, MINUTES)
    outcome = await play(what, folder, brokers, redis)
    assert not outcome.differences, f"seed {SEED}:\n" + "\n".join(outcome.differences[:MOST_SHOWN])
    assert not outcome.ended, f"processes ended by themselves: {dict(outcome.ended)}"
    assert outcome.faults == dict.fromkeys((*kinds, LAST) if on_one else kinds, 1)
    assert outcome.distinct > 0.9 * FACTS, "senders gave up on too much"
    assert outcome.compared > FACTS
    return outcome


@pytest.mark.needs_server("apache-kafka")
async def test_whatever_happens_to_processes_kafka_and_one_redis_all_that_can_be_read_is_exact(
    tmp_path: Path, brokers: KafkaCluster
) -> None:
    with single_redis(tmp_path / "redis") as redis:
        await played(ON_ONE, tmp_path, brokers, redis)


@pytest.mark.needs_server("apache-kafka")
async def test_whatever_happens_to_masters_of_a_cluster_all_that_can_be_read_is_exact(
    tmp_path: Path, brokers: KafkaCluster
) -> None:
    with redis_cluster(tmp_path / "redis", SEED) as redis:
        outcome = await played(ON_CLUSTER, tmp_path, brokers, redis)
    assert outcome.changes >= MINUTES / 3
    assert outcome.rebalances >= outcome.changes / 2, "most of those who joined or left were never members"


def test_every_kind_of_fault_is_played_here_or_in_make_chaos() -> None:
    assert {*ON_ONE, *ON_CLUSTER, LAST} | LEFT_TO_MAKE_CHAOS == set(KINDS)


@pytest.mark.parametrize("count", [3, 10, 27])
def test_a_schedule_has_as_many_faults_as_asked_for_and_follows_from_the_seed(count: int) -> None:
    kinds = (*OF_ALL, *OF_SINGLE)
    drawn = schedule(7, kinds, count)
    assert len(drawn) == count
    assert drawn == schedule(7, kinds, count)
    assert drawn != schedule(8, kinds, count)
    times = [drawn.count(kind) for kind in kinds if kind != "Redis flushed"]
    assert max(times) - min(times) <= 1
    assert drawn.count("Redis flushed") == 1


def test_every_difference_is_told_where_it_is() -> None:
    differences = Differences()
    differences.equal("here", {"a": 1, "b": 2.0}, {"a": 1, "b": 2})
    differences.equal("there", [1, 2], [1, 2])
    assert differences.found == []
    assert differences.compared == 4
    differences.equal("a mapping", {"a": 1, "c": 3}, {"a": 2, "b": 2})
    differences.equal("a list", [1, 3], [1, 2, 3])
    differences.holds("a promise", held=False, otherwise="broken")
    assert differences.found == [
        "a mapping: a: 1, not 2",
        "a mapping: b: nothing, not 2",
        "a mapping: c: 3, not nothing",
        "a list: at 1: 3, not 2",
        "a list: 2 of 3",
        "a promise: broken",
    ]
