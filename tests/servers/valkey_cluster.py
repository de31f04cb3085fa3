"""A Valkey or Redis cluster of three masters and three replicas on this machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import redis
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

from tests.integration.installation import free_port
from tests.servers.certificates import Certificate
from tests.servers.redis_server import HOST, Server, until, valkey_binary

MASTERS: Final = 3
NODE_TIMEOUT: Final = 3000
"""Milliseconds without an answer after which a node counts as failing; a replica takes over about two seconds later.

Not less: nodes that a busy machine lets wait must not fail over in the midst of a test."""

_OPTIONS: Final = (
    "--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-node-timeout", str(NODE_TIMEOUT),
    "--cluster-replica-validity-factor", "0", "--appendonly", "yes", "--repl-diskless-sync-delay", "0",
)  # fmt: skip


class Cluster:
    """Six nodes. `url` is for `service.redis_client.connect`; it names two of them. With a certificate all is TLS."""

    def __init__(self, folder: Path, binary: Path, certificate: Certificate | None = None) -> None:
        options = _OPTIONS if certificate is None else (*_OPTIONS, "--tls-cluster", "yes")
        self.nodes: list[Server] = []
        self._buses: dict[int, int] = {}
        for number in range(2 * MASTERS):
            bus = free_port()
            node = Server(
                folder / f"node-{number}", binary, *options, "--cluster-port", str(bus), certificate=certificate
            )
            self.nodes.append(node)
            self._buses[node.port] = bus

    @property
    def url(self) -> str:
        """Its first two nodes are where to ask for all."""
        certificate = self.nodes[0].certificate
        hosts = ",".join(f"{HOST}:{node.port}" for node in self.nodes[:2])
        if certificate is None:
            return f"redis+cluster://{hosts}"
        return f"rediss+cluster://{hosts}?ssl_ca_certs={certificate.file}"

    def start(self) -> None:
        """Return once all nodes agree, and each replica has what its master has."""
        for node in self.nodes:
            node.start()
        self._introduce()
        for number, replica in enumerate(self.nodes[MASTERS:]):
            with self.nodes[number].client() as master, replica.client() as client:
                client.execute_command("CLUSTER REPLICATE", master.execute_command("CLUSTER MYID"))
        until(self.is_settled, self.said)

    def stop(self) -> None:
        """End all nodes."""
        for node in self.nodes:
            node.kill()

    def master_of(self, key: str) -> Server:
        """The node that holds this key now, as the nodes that run say it. Raises LookupError when they don't."""
        slot = key_slot(key.encode())
        for node in self.nodes:
            if not node.is_running():
                continue
            for first, last, master, *_ in _slots(node):
                if first <= slot <= last:
                    return next(other for other in self.nodes if other.port == master[1])
        raise LookupError(f"no node knows who holds {key}")

    def wait_for_another(self, than: Server, key: str) -> Server:
        """The node that took this key over from `than`, once it says so itself."""
        until(lambda: self._taken_over(than, key), self.said)
        return self.master_of(key)

    def is_settled(self) -> bool:
        """Whether all nodes run and agree who holds which slots, and all replicas are connected to their masters."""
        if not all(_is_settled(node, len(self.nodes)) for node in self.nodes):
            return False
        return len({_holders(node) for node in self.nodes}) == 1

    def mend(self) -> None:
        """Start what was killed. Return once all nodes agree again."""
        for node in self.nodes:
            if not node.is_running():
                node.start()
        until(self.is_settled, self.said)

    def move_slot(self, key: str) -> Server:
        """Move the slot of this key, with all its keys, to another master. Returns that one."""
        with self.moving_slot(key) as target:
            return target

    def move_slot_at_once(self, key: str) -> Server:
        """Move the slot of this key as Valkey 9 does it: in one step, when the other master has all. Returns that."""
        slot, (source, target) = key_slot(key.encode()), self._ends_of_move(key)
        with source.client() as old, target.client() as new:
            to = ("NODE", new.execute_command("CLUSTER MYID"))
            old.execute_command("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot, *to)
        until(lambda: self.master_of(key) is target and self.is_settled(), self.said)
        return target

    def _ends_of_move(self, key: str) -> tuple[Server, Server]:
        source = self.master_of(key)
        return source, next(node for node in self.nodes if node.port != source.port and _is_master(node))

    @contextmanager
    def moving_slot(self, key: str) -> Iterator[Server]:
        """While the context is open the slot of this key is on its way: its keys follow at the end."""
        slot, (source, target) = key_slot(key.encode()), self._ends_of_move(key)
        with source.client() as old, target.client() as new:
            old_id, new_id = old.execute_command("CLUSTER MYID"), new.execute_command("CLUSTER MYID")
            new.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", old_id)
            old.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", new_id)
            yield target
            while names := old.execute_command("CLUSTER GETKEYSINSLOT", slot, 1000):
                _migrate(old, target, names)
            new.execute_command("CLUSTER SETSLOT", slot, "NODE", new_id)
            old.execute_command("CLUSTER SETSLOT", slot, "NODE", new_id)
        until(self.is_settled, self.said)

    def move_keys(self, target: Server, *names: str) -> None:
        """Move some keys of a slot that is on its way to this node."""
        with self.master_of(names[0]).client() as old:
            _migrate(old, target, names)

    def flush(self) -> None:
        """Empty all masters."""
        for node in self.nodes:
            if node.is_running() and _is_master(node):
                with node.client() as client:
                    client.flushall()

    def said(self) -> str:
        """What the nodes know, for a message."""
        return "the cluster does not agree:\n" + "\n".join(_view(node) for node in self.nodes)

    def _introduce(self) -> None:
        step = REDIS_CLUSTER_HASH_SLOTS // MASTERS
        for number, node in enumerate(self.nodes):
            with node.client() as client:
                client.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
                if number < MASTERS:
                    last = REDIS_CLUSTER_HASH_SLOTS - 1 if number == MASTERS - 1 else (number + 1) * step - 1
                    client.execute_command("CLUSTER ADDSLOTSRANGE", number * step, last)
                for other in self.nodes[:number]:
                    client.execute_command("CLUSTER MEET", HOST, other.port, self._buses[other.port])
        until(lambda: all(_knows(node, len(self.nodes)) for node in self.nodes), self.said)

    def _taken_over(self, than: Server, key: str) -> bool:
        try:
            found = self.master_of(key)
            return found.port != than.port and found.is_running() and _is_master(found)
        except (LookupError, redis.RedisError):
            return False


@contextmanager
def run_cluster(folder: Path, binary: Path | None = None, certificate: Certificate | None = None) -> Iterator[Cluster]:
    """A cluster until the context ends; of Valkey unless another binary is named."""
    cluster = Cluster(folder, binary or valkey_binary(), certificate)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def _migrate(old: redis.Redis, target: Server, names: Sequence[str]) -> None:
    old.execute_command("MIGRATE", HOST, target.port, "", 0, 5000, "KEYS", *names)


def _slots(node: Server) -> list[Any]:
    found: list[Any] = _raw(node, "CLUSTER SLOTS")
    return found


def _holders(node: Server) -> frozenset[tuple[int, int, int]]:
    """First and last slot of each range, and the port of the master that holds it, as this node knows it."""
    return frozenset((first, last, master[1]) for first, last, master, *_ in _slots(node))


def _info(node: Server) -> dict[str, str]:
    return dict(line.split(":", 1) for line in _raw(node, "CLUSTER INFO").split("\r\n") if ":" in line)


def _raw(node: Server, command: str) -> Any:
    """The reply as the server gave it."""
    with node.client() as client:
        client.set_response_callback(command, lambda reply, **_: reply)
        return client.execute_command(command)


def _is_master(node: Server) -> bool:
    with node.client() as client:
        return client.info("replication")["role"] == "master"


def _knows(node: Server, nodes: int) -> bool:
    return int(_info(node)["cluster_known_nodes"]) == nodes


def _is_settled(node: Server, nodes: int) -> bool:
    if not node.is_running() or not _knows(node, nodes) or _info(node)["cluster_state"] != "ok":
        return False
    with node.client() as client:
        replication = client.info("replication")
    return replication["role"] == "master" or replication["master_link_status"] == "up"


def _view(node: Server) -> str:
    if not node.is_running():
        return f"{node.port}: ended"
    return f"{node.port}: {_info(node)}"
