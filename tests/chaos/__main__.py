"""`make chaos`: rounds of faults on real processes under load. Prints a table of faults and the verdict.

Each round has an installation of its own on the same three brokers; by turns on one Redis and on a cluster. The exit
code is 1 when anything that can be read differs from the batch computation, or a process ended by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from logging import CRITICAL, getLogger
from pathlib import Path
from typing import Final

from tests.chaos.faults import KINDS, OF_ALL, OF_CLUSTER, OF_SINGLE, schedule
from tests.chaos.redises import redis_cluster, single_redis
from tests.chaos.rounds import Outcome, Round, play
from tests.servers.kafka import KafkaCluster, has_apache_kafka, running_kafka

MOST_SHOWN: Final = 60
"""Differences of a round that are told."""

OF_REBALANCES: Final = 8
"""The number of the round in which nothing happens but rebalances, for minutes."""

_EXTRA: Final = {0: ["Kafka away for a minute"], 1: ["Kafka killed"], 2: ["rebalances"] * 6, 3: ["rebalances"] * 6}
"""What happens in some rounds only."""


def main() -> int:
    """Returns the exit code."""
    chosen = _arguments()
    getLogger("service").setLevel(CRITICAL)  # the writer of ours says each time that Kafka is away
    if not has_apache_kafka():
        sys.exit("needs Apache Kafka: run `make chaos` with Maven and Java 17 at hand")
    print(f"seed {chosen.seed}: the same again with `python -m tests.chaos --seed {chosen.seed}`", flush=True)
    began, outcomes = time.monotonic(), []
    with running_kafka(3) as brokers:
        for number in range(chosen.rounds) if chosen.round is None else [chosen.round]:
            what, on_cluster = _round(chosen, number), number % 2 == 1
            outcome = _play(what, brokers, on_cluster=on_cluster)
            outcomes.append(outcome)
            _tell_round(number, on_cluster, outcome)
    return _verdict(chosen.seed, outcomes, time.monotonic() - began)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6), help="decides the load and the faults")
    parser.add_argument("--rounds", type=int, default=9, help="9 unless told otherwise")
    parser.add_argument("--round", type=int, help="play this one only, by number from 0")
    parser.add_argument("--facts", type=int, default=26_000, help="distinct facts a round, at least")
    parser.add_argument("--faults", type=int, default=13, help="faults a round, and one more at its end")
    parser.add_argument("--rate", type=float, default=350, help="facts a second while faults happen")
    return parser.parse_args()


def _round(chosen: argparse.Namespace, number: int) -> Round:
    seed = chosen.seed * 100 + number
    if number == OF_REBALANCES:
        return Round(seed, ["rebalances for minutes"], chosen.facts, chosen.rate / 2)  # it lasts twice as long
    kinds = (*OF_ALL, *(OF_CLUSTER if number % 2 else OF_SINGLE))
    return Round(seed, schedule(seed, kinds, chosen.faults, _EXTRA.get(number, ())), chosen.facts, chosen.rate)


def _play(what: Round, brokers: KafkaCluster, *, on_cluster: bool) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="sg-chaos-") as name:
        folder = Path(name)
        if on_cluster:
            with redis_cluster(folder / "redis", what.seed) as cluster:
                return asyncio.run(play(what, folder, brokers, cluster))
        with single_redis(folder / "redis") as single:
            return asyncio.run(play(what, folder, brokers, single))


def _tell_round(number: int, on_cluster: bool, outcome: Outcome) -> None:
    where = "a Redis cluster" if on_cluster else "one Redis"
    print(
        f"round {number} on {where}: {outcome.faults.total()} faults, {outcome.distinct:,} facts "
        f"({outcome.in_log:,} lines in the log), {outcome.repeated:,} posts repeated, {outcome.compared:,} figures "
        f"compared, {len(outcome.differences)} differ; {outcome.changes} workers joined or left, "
        f"{outcome.rebalances} rebalances; {outcome.seconds:.0f} s",
        flush=True,
    )
    for line in outcome.differences[:MOST_SHOWN]:
        print(f"  {line}", flush=True)
    for what, times in outcome.ended.items():
        print(f"  {what}: ended by itself, {times} times", flush=True)


def _verdict(seed: int, outcomes: Sequence[Outcome], seconds: float) -> int:
    faults: Counter[str] = Counter()
    for outcome in outcomes:
        faults += outcome.faults
    print("\n| fault | times |\n|---|---|")
    for kind, what in KINDS.items():
        print(f"| {kind}: {what} | {faults[kind]} |")
    different = sum(len(outcome.differences) for outcome in outcomes)
    facts, lines = sum(o.distinct for o in outcomes), sum(o.in_log for o in outcomes)
    print(
        f"\nseed {seed}: {faults.total()} faults, {facts:,} distinct facts, {lines:,} lines in the log, "
        f"{sum(o.compared for o in outcomes):,} figures compared, {seconds / 60:.1f} minutes"
    )
    longest = max(outcome.longest_lag for outcome in outcomes)
    print(
        f"{sum(o.changes for o in outcomes)} workers joined or left, {sum(o.rebalances for o in outcomes)} rebalances; "
        f"while that went on for minutes no fact was seen waiting for more than {longest:.1f} s"
    )
    ended = sum(outcome.ended.total() for outcome in outcomes)
    print("all that can be read is what the batch computation says" if not different else f"{different} DIFFERENCES")
    if ended:
        print(f"{ended} processes ended by themselves")
    return 1 if different or ended else 0


if __name__ == "__main__":
    sys.exit(main())
