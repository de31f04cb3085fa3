"""Every kind of fault, and the schedule: which happen one after the other, drawn from the seed."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from math import ceil
from typing import Final

from tests.chaos.installation import RECEIVER, CaredFor
from tests.chaos.redises import RedisCluster, SingleRedis
from tests.servers.kafka import KafkaCluster

WORKERS: Final = ("aggregate-1", "aggregate-2")
"""They should always run. Others join and leave."""

GUESTS: Final = ("aggregate-3", "aggregate-4")

SHORT: Final = 6.0
"""Seconds that Kafka is away, but for once a minute."""

ASLEEP: Final = 4.0
"""Seconds that a worker is paused: the group gives its partitions away after two."""

REDIS_ASLEEP: Final = 4.0
_BROKER_AWAY: Final = 2.0
_REBALANCES: Final = 3
_BETWEEN: Final = 2.0
_BETWEEN_MANY: Final = (2.0, 3.0)
MINUTES: Final = 180.0
"""Seconds of the rebalances that go on for minutes."""

_MOST_HERE: Final = 2
_JOINED_WITHIN: Final = 60.0
_LOOK_EVERY: Final = 0.25
"""Seconds between two looks at the lag, which the receiver measures twice a second."""

KINDS: Final = {
    "worker killed": "a worker, SIGKILL",
    "receiver killed": "the process that takes facts in, SIGKILL",
    "broker killed": "one of three Kafka brokers, SIGKILL; started again",
    "worker asleep": "a worker, SIGSTOP until its partitions have moved, then SIGCONT",
    "rebalances": "a worker joins or leaves, three times, two seconds apart",
    "rebalances for minutes": "a worker joins or leaves every two to three seconds, for three minutes",
    "Redis flushed": "FLUSHALL, on every master",
    "Kafka away": "all brokers SIGSTOP for some seconds",
    "Kafka away for a minute": "all brokers SIGSTOP for a minute",
    "Kafka killed": "all brokers SIGKILL at once; started again",
    "Redis killed": "the single Redis, SIGKILL",
    "last second lost": "the single Redis, SIGKILL, and its append-only file without the last second",
    "Redis asleep": "the single Redis, SIGSTOP for some seconds",
    "flushed in quiet": "FLUSHALL when all is done and nothing comes any more",
    "master killed": "a master of three, SIGKILL; its replica takes over",
    "master asleep": "a master of three, SIGSTOP until its replica has taken over, then SIGCONT",
}
OF_ALL: Final = (
    "worker killed", "receiver killed", "broker killed", "worker asleep", "rebalances", "Redis flushed", "Kafka away",
)  # fmt: skip
OF_SINGLE: Final = ("Redis killed", "last second lost", "Redis asleep")
OF_CLUSTER: Final = ("master killed", "master asleep")
HEALING: Final = ("Redis flushed",)
"""It makes the state anew, and so would hide what an earlier fault did to it: it comes early, and once."""

_EARLY: Final = 2


def schedule(seed: int, kinds: Sequence[str], count: int, extra: Sequence[str] = ()) -> list[str]:
    """So many faults: `extra`, and of these kinds each as often as the others or once more. What heals comes early."""
    rng = random.Random(f"faults {seed}")
    drawn = [kind for kind in kinds if kind not in HEALING]
    found = list(extra)
    healing = [kind for kind in HEALING if kind in kinds]
    while len(found) < count - len(healing):
        found += rng.sample(drawn, len(drawn))
    del found[count - len(healing) :]
    rng.shuffle(found)
    return [*found[:_EARLY], *healing, *found[_EARLY:]]


class Faults:
    """Makes them happen to one installation. `pace` stretches what lasts some seconds; `minutes` are seconds too.

    `changes` counts the workers that joined or left, one by one; `longest_lag` is the longest that a fact was
    seen to wait while they did so for minutes, in seconds.
    """

    def __init__(
        self,
        installation: CaredFor,
        brokers: KafkaCluster,
        redis: SingleRedis | RedisCluster,
        seed: int,
        *,
        pace: float = 1.0,
        minutes: float = MINUTES,
    ) -> None:
        self.happened: Counter[str] = Counter()
        self.changes = 0
        self.longest_lag = 0.0
        self._installation = installation
        self._brokers = brokers
        self._redis = redis
        self._pace = pace
        self._rng = random.Random(f"details {seed}")
        self._ways: dict[str, Callable[[], Awaitable[None]]] = {
            "worker killed": self._worker_killed,
            "receiver killed": self._receiver_killed,
            "broker killed": self._broker_killed,
            "worker asleep": self._worker_asleep,
            "rebalances": self._rebalances,
            "rebalances for minutes": lambda: self._rebalances_for(minutes),
            "Redis flushed": self._redis_flushed,
            "Kafka away": lambda: self._kafka_away(SHORT * pace),
            "Kafka away for a minute": lambda: self._kafka_away(60.0),
            "Kafka killed": self._kafka_killed,
        }
        if isinstance(redis, SingleRedis):
            self._ways |= {
                "Redis killed": redis.killed,
                "last second lost": redis.lost_its_last_second,
                "Redis asleep": lambda: redis.paused(REDIS_ASLEEP * pace),
            }
        else:
            self._ways |= {"master killed": redis.master_killed, "master asleep": redis.master_paused}

    async def happen(self, kinds: Sequence[str]) -> None:
        """One after the other, now and then so soon that the one before is not over its consequences."""
        for kind in kinds:
            await asyncio.sleep(self._rng.choice((0.0, 0.5, 1.0)) * self._pace)
            await self._ways[kind]()
            self.happened[kind] += 1
        await self._brokers.ready()
        await self._redis.whole()

    async def _worker_killed(self) -> None:
        self._installation.kill(self._rng.choice(WORKERS))

    async def _receiver_killed(self) -> None:
        self._installation.kill(RECEIVER)

    async def _broker_killed(self) -> None:
        await self._brokers.ready()
        number = self._rng.randrange(self._brokers.size) + 1
        self._brokers.kill(number)
        await asyncio.sleep(_BROKER_AWAY * self._pace)
        self._brokers.start(number)

    async def _worker_asleep(self) -> None:
        worker = self._rng.choice(WORKERS)
        self._installation.pause(worker)
        await asyncio.sleep(ASLEEP)
        self._installation.resume(worker)

    async def _rebalances(self) -> None:
        for _ in range(_REBALANCES):
            guest = self._rng.choice(GUESTS)
            if guest in self._installation.wanted:
                self._installation.leave(guest)
            else:
                self._installation.join(guest)
            self.changes += 1
            await asyncio.sleep(_BETWEEN * self._pace)

    async def _rebalances_for(self, seconds: float) -> None:
        """Who came first leaves first, and stays for a while: else it would be gone before the group had it."""
        here: deque[str] = deque(guest for guest in GUESTS if guest in self._installation.wanted)
        away: deque[str] = deque(guest for guest in GUESTS if guest not in self._installation.wanted)
        until = asyncio.get_running_loop().time() + seconds
        enough = self.changes + ceil(seconds / _BETWEEN_MANY[1])  # also where a machine lets everybody wait
        watching = asyncio.create_task(self._watch_lag())
        try:
            while asyncio.get_running_loop().time() < until or self.changes < enough:
                self.changes += 1
                if len(here) < _MOST_HERE and away:
                    here.append(away.popleft())
                    await self._join_for_a_while(here[-1])
                else:
                    away.append(here.popleft())
                    self._installation.leave(away[-1])
                    await asyncio.sleep(self._rng.uniform(*_BETWEEN_MANY))
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching

    async def _join_for_a_while(self, guest: str) -> None:
        """Until the group has it, however long it takes to start."""
        before = self._installation.rebalances(guest)
        self._installation.join(guest)
        await asyncio.sleep(self._rng.uniform(*_BETWEEN_MANY))
        async with asyncio.timeout(_JOINED_WITHIN):
            while self._installation.rebalances(guest) == before:
                await asyncio.sleep(_LOOK_EVERY)

    async def _watch_lag(self) -> None:
        while True:
            self.longest_lag = max(self.longest_lag, await self._installation.lag())
            await asyncio.sleep(_LOOK_EVERY)

    async def _redis_flushed(self) -> None:
        await self._redis.whole()
        self._redis.flush()

    async def _kafka_away(self, seconds: float) -> None:
        await self._brokers.ready()
        numbers = range(1, self._brokers.size + 1)
        for number in numbers:
            self._brokers.pause(number)
        await asyncio.sleep(seconds)
        for number in numbers:
            self._brokers.resume(number)

    async def _kafka_killed(self) -> None:
        await self._brokers.ready()
        numbers = range(1, self._brokers.size + 1)
        for number in numbers:
            self._brokers.kill(number)
        for number in numbers:
            self._brokers.start(number)
