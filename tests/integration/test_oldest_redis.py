"""The oldest Redis that is supported, 7.0, does all that is asked of it; and over TLS."""

from __future__ import annotations

import re
from contextlib import aclosing
from pathlib import Path

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from flow.instants import HOUR
from service.command_line.composition import now
from service.redis_client import connect
from tests.integration.several_streams import assert_all_equal_to_oracle, item_facts
from tests.integration.two_processes import ENDED, running
from tests.servers.certificates import Certificate, make_certificate
from tests.servers.redis_server import DEBIAN, run_server
from tests.servers.sentinel import run_watched
from tests.servers.valkey_cluster import run_cluster

pytestmark = pytest.mark.needs_server("redis")

FACTS = 2_000
ROOT = Path(__file__).parents[2]


async def test_facts_become_the_state_that_the_oracle_computes(tmp_path: Path) -> None:
    """As a user who may do no more than the documentation says."""
    facts = item_facts(5, FACTS, now() - HOUR)
    with run_server(tmp_path / "redis", DEBIAN, "--appendonly", "yes") as server:
        with server.client() as client:
            assert client.info("server")["redis_version"].startswith("7.0.")
            client.execute_command("ACL SETUSER gauge on >of-gauge ~sg:v1:*", *documented_rights())
        url = server.url.replace("redis://", "redis://gauge:of-gauge@")
        async with running(tmp_path, url) as gauge, aclosing(connect(url)) as redis:
            await gauge.post(facts)
            await gauge.settled()
            await assert_all_equal_to_oracle(redis, facts)
            said = await gauge.run("rebuild", "checkout")
            assert "checkout: recomputed" in said
            await gauge.settled()
            await assert_all_equal_to_oracle(redis, facts, rebuilt=True)
            assert "flow_stage_wip{" in (await gauge.client.get("/metrics")).text
            assert gauge.stop() == ENDED


def documented_rights() -> list[str]:
    """The commands that docs/redis.md says a user needs."""
    text = (ROOT / "docs" / "redis.md").read_text(encoding="utf-8")
    found = re.search(r"`(\+@read[^`]*)`", text)
    assert found is not None
    return found[1].split()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


async def works_over_tls_alone(url: str) -> None:
    """What is encrypted is understood, and what is not is refused."""
    async with aclosing(connect(url)) as client:
        pipeline = client.pipeline(transaction=True)
        pipeline.set("sg:v1:{a}:1", 1)
        pipeline.get("sg:v1:{a}:1")
        assert await pipeline.execute() == [True, b"1"]
    plain = url.replace("rediss", "redis", 1)
    plain = re.sub(r"[?&]ssl_ca_certs=.*", "", plain)
    untrusting = re.sub(r"[?&]ssl_ca_certs=.*", "", url)
    for refused in (plain, untrusting):
        async with aclosing(connect(refused)) as client:
            with pytest.raises((RedisConnectionError, RedisTimeoutError)):
                await client.get("sg:v1:{a}:1")


async def test_one_server_over_tls(tmp_path: Path, certificate: Certificate) -> None:
    with run_server(tmp_path, DEBIAN, certificate=certificate) as server:
        await works_over_tls_alone(server.url)


async def test_a_cluster_over_tls(tmp_path: Path, certificate: Certificate) -> None:
    with run_cluster(tmp_path, DEBIAN, certificate) as cluster:
        await works_over_tls_alone(cluster.url)


async def test_sentinel_over_tls(tmp_path: Path, certificate: Certificate) -> None:
    with run_watched(tmp_path, DEBIAN, certificate) as watched:
        await works_over_tls_alone(watched.url)
