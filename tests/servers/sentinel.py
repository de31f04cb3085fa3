"""One master, one replica and three Sentinels on this machine: the Valkey binary plays both parts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import redis

from tests.servers.certificates import Certificate
from tests.servers.redis_server import HOST, Server, until, valkey_binary

MASTER: Final = "gauge"
PASSWORD: Final = "of-the-servers"
SENTINEL_PASSWORD: Final = "of-the-sentinels"

_SENTINELS: Final = 3
_OPTIONS: Final = ("--appendonly", "yes", "--masterauth", PASSWORD, "--repl-diskless-sync-delay", "0")


class Watched:
    """The servers and the Sentinels that look after them. `url` is for `service.redis_client.connect`."""

    def __init__(self, folder: Path, binary: Path, certificate: Certificate | None = None) -> None:
        self._binary = binary
        self._certificate = certificate
        self.servers = [
            Server(folder / f"server-{number}", binary, *_OPTIONS, password=PASSWORD, certificate=certificate)
            for number in range(2)
        ]
        self.sentinels = [self._sentinel(folder / f"sentinel-{number}") for number in range(_SENTINELS)]

    @property
    def url(self) -> str:
        """All Sentinels, the name of the master, both passwords."""
        hosts = ",".join(f"{HOST}:{sentinel.port}" for sentinel in self.sentinels)
        place = f":{PASSWORD}@{hosts}/{MASTER}/0?sentinel_password={SENTINEL_PASSWORD}"
        if self._certificate is None:
            return f"redis+sentinel://{place}"
        return f"rediss+sentinel://{place}&ssl_ca_certs={self._certificate.file}"

    def start(self) -> None:
        """Return once the Sentinels know each other and the replica has what the master has."""
        master, replica = self.servers
        master.start()
        self.start_as_replica(replica, master)
        for sentinel in self.sentinels:
            sentinel.start()
        until(lambda: all(map(_knows_all, self.sentinels)), self.sentinels[0].said)

    def stop(self) -> None:
        """End all of them."""
        for server in (*self.sentinels, *self.servers):
            server.kill()

    def master(self) -> Server:
        """The server that the Sentinels call the master now."""
        with self.sentinels[0].client() as client:
            found = client.execute_command("SENTINEL GET-MASTER-ADDR-BY-NAME", MASTER)
        return next(server for server in self.servers if server.port == int(found[1]))

    def wait_for_another(self, than: Server) -> Server:
        """The master that took over from `than`, once it takes writes."""
        until(lambda: self._taken_over(than), self.sentinels[0].said)
        return self.master()

    def start_as_replica(self, server: Server, of: Server) -> None:
        """Sentinels would see to it too, but take their time. Return once it has what its master has."""
        server.start()
        with server.client() as client:
            client.replicaof(HOST, str(of.port))
            until(lambda: client.info("replication").get("master_link_status") == "up", server.said)

    def _taken_over(self, than: Server) -> bool:
        found = self.master()
        if found is than or not found.is_running():
            return False
        with found.client() as client:
            return bool(client.info("replication")["role"] == "master")

    def _sentinel(self, folder: Path) -> Server:
        folder.mkdir(parents=True, exist_ok=True)
        configuration = folder / "sentinel.conf"
        lines = [
            f"sentinel monitor {MASTER} {HOST} {self.servers[0].port} 2",
            f"sentinel auth-pass {MASTER} {PASSWORD}",
            f"sentinel down-after-milliseconds {MASTER} 3000",
            f"sentinel failover-timeout {MASTER} 4000",
        ]
        configuration.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return Server(
            folder,
            self._binary,
            "--sentinel",
            first=[str(configuration)],
            password=SENTINEL_PASSWORD,
            certificate=self._certificate,
        )


@contextmanager
def run_watched(folder: Path, binary: Path | None = None, certificate: Certificate | None = None) -> Iterator[Watched]:
    """The whole set until the context ends; of Valkey unless another binary is named."""
    watched = Watched(folder, binary or valkey_binary(), certificate)
    try:
        watched.start()
        yield watched
    finally:
        watched.stop()


def _knows_all(sentinel: Server) -> bool:
    with sentinel.client() as client:
        try:
            state = client.sentinel_master(MASTER)
        except redis.RedisError:
            return False
    return int(state["num-other-sentinels"]) == _SENTINELS - 1 and int(state["num-slaves"]) == 1
