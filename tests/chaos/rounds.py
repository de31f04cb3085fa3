"""One round: an installation, a load, a schedule of faults, and at the end the comparison of all that can be read."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path

from flow.facts import ItemFact
from service.redis_client import connect
from tests.chaos.differences import Differences
from tests.chaos.exported import compare_exported
from tests.chaos.faults import GUESTS, MINUTES, WORKERS, Faults
from tests.chaos.installation import RECEIVER, CaredFor
from tests.chaos.load import DEFINITIONS, SHOP
from tests.chaos.redises import RedisCluster, SingleRedis
from tests.chaos.senders import Acknowledged, Senders
from tests.chaos.shown import compare_shown
from tests.chaos.stored import Stories, compare_stored, stories_of
from tests.chaos.truth import Truth, read_log
from tests.servers.kafka import KafkaCluster


@dataclass
class Round:
    """What is to happen: faults of these kinds under a load of `rate` facts a second, until so many facts were made.

    `pace` stretches the faults that last some seconds, and the pauses between them; `minutes` are the seconds of the
    one that goes on for minutes. `afterwards`: when all is quiet and compared, Redis is flushed once more, and what
    nobody sends anything to must heal by itself.
    """

    seed: int
    kinds: Sequence[str]
    facts: int
    rate: float
    pace: float = 1.0
    afterwards: bool = True
    minutes: float = MINUTES


@dataclass
class Outcome:
    """What became of a round. Counts of facts are of lines of the log.

    `changes` and `longest_lag` as of `Faults`; `rebalances`: how often the group decided anew, as one worker saw it.
    """

    differences: list[str] = field(default_factory=list)
    compared: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    in_log: int = 0
    distinct: int = 0
    repeated: int = 0
    given_up: int = 0
    changes: int = 0
    rebalances: int = 0
    longest_lag: float = 0.0
    seconds: float = 0.0


async def play(what: Round, folder: Path, brokers: KafkaCluster, redis: SingleRedis | RedisCluster) -> Outcome:
    """Play one round to its end. What goes wrong otherwise than by a difference is raised."""
    began, outcome = time.monotonic(), Outcome()
    installation = CaredFor(folder, brokers, redis.url)
    care = asyncio.create_task(installation.care())
    try:
        await installation.create_topics()
        for role in (RECEIVER, *WORKERS):
            installation.join(role)
        await installation.is_up()
        faults = Faults(installation, brokers, redis, what.seed, pace=what.pace, minutes=what.minutes)
        acknowledged = await _under_load(what, installation, faults, outcome)
        differences = Differences()
        truth, stories = await _compare(what, installation, acknowledged, differences, outcome)
        if what.afterwards:
            redis.flush()
            outcome.faults["flushed in quiet"] += 1
            await _rests(installation, differences)
            await _compare_stored(installation, truth, stories, differences)
        outcome.differences, outcome.compared = differences.found, differences.compared
        outcome.ended = installation.ended
    finally:
        care.cancel()
        await installation.close()
    outcome.seconds = time.monotonic() - began
    return outcome


async def _under_load(what: Round, installation: CaredFor, faults: Faults, outcome: Outcome) -> Acknowledged:
    async with installation.writer() as writer:
        senders = Senders(installation.client, writer, what.seed, what.facts, what.rate)
        async with asyncio.TaskGroup() as group:
            group.create_task(senders.run())
            await faults.happen(what.kinds)
            for guest in GUESTS:
                installation.leave(guest)
            senders.enough.set()
    outcome.faults, outcome.changes, outcome.longest_lag = faults.happened, faults.changes, faults.longest_lag
    outcome.rebalances = max(installation.rebalances(worker) for worker in WORKERS)
    outcome.repeated, outcome.given_up = senders.acknowledged.repeated, senders.acknowledged.given_up
    return senders.acknowledged


async def _compare(
    what: Round, installation: CaredFor, acknowledged: Acknowledged, differences: Differences, outcome: Outcome
) -> tuple[Truth, Stories]:
    await _rests(installation, differences)
    truth = await read_log(installation.kafka, installation.partitions)
    _compare_with_log(acknowledged, truth, differences)
    stories = await asyncio.to_thread(stories_of, truth)
    await _compare_stored(installation, truth, stories, differences)
    try:
        await compare_shown(installation, truth, stories, what.seed, differences)
    except LookupError as error:
        differences.holds("the API", held=False, otherwise=str(error))
    await compare_exported(installation, truth, stories, differences)
    outcome.in_log, outcome.distinct = len(truth.facts), len({fact.id for fact in truth.facts})
    _see_that_much_happened(stories, differences)
    return truth, stories


async def _rests(installation: CaredFor, differences: Differences) -> None:
    try:
        await installation.rests()
    except TimeoutError:
        differences.holds("lag", held=False, otherwise="not zero two minutes after the last fault")


async def _compare_stored(installation: CaredFor, truth: Truth, stories: Stories, differences: Differences) -> None:
    async with aclosing(connect(installation.environment["STREAMGAUGE_REDIS__URL"])) as client:
        await compare_stored(client, truth, stories, differences)


def _compare_with_log(acknowledged: Acknowledged, truth: Truth, differences: Differences) -> None:
    """What was acknowledged is in the log, and nothing is there that nobody sent."""
    found = {fact.id for fact in truth.facts if fact.source == "acme"}
    lost = sorted(acknowledged.facts - found)
    differences.holds("the log", not lost, f"{len(lost)} acknowledged facts are not there, such as {lost[:5]}")
    strange = sorted(found - acknowledged.sent)
    differences.holds("the log", not strange, f"{len(strange)} facts that nobody sent, such as {strange[:5]}")
    issues = {fact.item for fact in truth.facts if isinstance(fact, ItemFact) and fact.source == "github"}
    lost = sorted({f"acme/shop#{number}" for number in acknowledged.issues} - issues)
    differences.holds("the log", not lost, f"{len(lost)} acknowledged webhooks are not there, such as {lost[:5]}")
    unkept = sorted(acknowledged.letters - set(truth.letters))
    differences.holds("the log", not unkept, f"{len(unkept)} acknowledged letters are not there, such as {unkept[:5]}")


def _see_that_much_happened(stories: Stories, differences: Differences) -> None:
    """A round in which hardly anything was sent would prove nothing."""
    for name in DEFINITIONS.streams:
        least = 1 if name == SHOP else 50
        differences.holds(f"{name}: items", len(stories[name]) >= least, f"only {len(stories[name])}")
