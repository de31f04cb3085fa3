"""Creates the topics of the log on Kafka: `python deploy/create_topics.py`. What is there already is left as it is.

Reads the same environment as `streamgauge serve`: STREAMGAUGE_KAFKA__… says where Kafka is and what the topics are
called, STREAMGAUGE_LOG__PARTITIONS how many partitions the log has.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys

from flow.errors import SettingsError, StreamgaugeError
from flow.instants import parse_duration
from service.kafka_topics import TopicPlan, create_topics
from service.settings import Settings

FOR_EVER = -1


def main() -> None:
    """Create them, or say why not and exit 1."""
    wanted = arguments().parse_args()
    try:
        settings = Settings.load(os.environ)
        if settings.kafka.bootstrap_servers is None:
            raise SettingsError(["STREAMGAUGE_KAFKA__BOOTSTRAP_SERVERS: say where Kafka is, such as kafka-1:9092"])
        in_sync = min(2, wanted.replication) if wanted.min_in_sync is None else wanted.min_in_sync
        if not 1 <= in_sync <= wanted.replication:
            raise SettingsError([f"--min-in-sync {in_sync}: write 1 to {wanted.replication}, the number of copies"])
        plan = TopicPlan(
            settings.log.partitions, wanted.replication, in_sync, wanted.retention, wanted.letters_retention
        )
        for line in asyncio.run(create_topics(settings.kafka, plan)):
            sys.stdout.write(f"{line}\n")
    except StreamgaugeError as error:
        sys.exit(error.message)


def arguments() -> argparse.ArgumentParser:
    """What can be chosen."""
    parser = argparse.ArgumentParser(description="Creates the topics of the log on Kafka.")
    parser.add_argument("--replication", type=int, default=3, help="copies of every partition (3)")
    parser.add_argument(
        "--min-in-sync", type=int, help="copies that must have a fact before it counts (2, or 1 of a single copy)"
    )
    parser.add_argument(
        "--retention", type=duration, default=FOR_EVER, help="how long facts are kept, such as 90d (for ever)"
    )
    parser.add_argument("--letters-retention", type=duration, default=FOR_EVER, help="the same for dead letters")
    return parser


def duration(text: str) -> int:
    """In milliseconds; `forever` is -1."""
    if text == "forever":
        return FOR_EVER
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


if __name__ == "__main__":
    main()
