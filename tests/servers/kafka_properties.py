"""How the brokers of the tests are set up."""

from __future__ import annotations

from pathlib import Path


def broker_properties(folder: Path, number: int, count: int, ports: tuple[int, int], voters: str) -> dict[str, object]:
    """Of one broker among so many, which is a controller too. Its ports are those of the two."""
    port, controller = ports
    copies = min(count, 3)
    in_sync = max(1, copies - 1)
    return {
        "process.roles": "broker,controller",
        "node.id": number,
        "controller.quorum.voters": voters,
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
        "log.dirs": folder / f"data-{number}",
        "auto.create.topics.enable": "false",
        "default.replication.factor": copies,
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": copies,
        "offsets.topic.num.partitions": 1,
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": in_sync,
        "transaction.state.log.num.partitions": 1,
        "log.cleaner.dedupe.buffer.size": 2 * 1024 * 1024,
        "message.max.bytes": 32 * 1024 * 1024,
        "replica.fetch.max.bytes": 32 * 1024 * 1024,
        # What a real cluster decides in ten seconds, the tests need in one or two.
        "broker.heartbeat.interval.ms": 500,
        "broker.session.timeout.ms": 2000,
        "replica.lag.time.max.ms": 2000,
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 500,
    }
