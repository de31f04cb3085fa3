"""A Redis that Sentinel looks after: processes follow the master, and what a failover takes back is made again."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from flow.instants import HOUR
from service.command_line.composition import now
from service.redis_client import connect
from tests.integration.several_streams import assert_all_equal_to_oracle, item_facts
from tests.integration.two_processes import ENDED, running
from tests.servers.sentinel import MASTER, PASSWORD, SENTINEL_PASSWORD, Watched, run_watched

pytestmark = [pytest.mark.needs_server("valkey"), pytest.mark.timeout(120)]

FACTS = 4_000


@pytest.fixture(scope="module")
def watched() -> Iterator[Watched]:
    with tempfile.TemporaryDirectory(prefix="sg-") as folder, run_watched(Path(folder)) as found:
        yield found


async def test_a_hundred_commands_at_once_and_a_first_sentinel_that_is_gone(watched: Watched) -> None:
    watched.sentinels[0].kill()
    try:
        async with aclosing(connect(watched.url)) as client:
            await asyncio.gather(*[client.incr("sg:v1:{a}:1") for _ in range(100)])
            assert await client.get("sg:v1:{a}:1") == b"100"
    finally:
        watched.sentinels[0].start()


async def test_a_name_that_no_sentinel_knows_is_an_error_that_names_it(watched: Watched) -> None:
    async with aclosing(connect(watched.url.replace(f"/{MASTER}/", "/nobody/"))) as client:
        with pytest.raises(RedisConnectionError, match="No master found for 'nobody'"):
            await client.get("sg:v1:{a}:1")


async def test_a_failover_under_load_takes_nothing_that_a_replica_had_to_have(watched: Watched, tmp_path: Path) -> None:
    """The log is in the same Redis; what was acknowledged is not sent again."""
    facts = item_facts(3, FACTS, now() - HOUR)
    async with running(tmp_path, watched.url, STREAMGAUGE_LOG__REPLICAS="1") as gauge:
        await gauge.post(facts[: FACTS // 3])
        await gauge.settled()
        posting = asyncio.create_task(gauge.post(facts[FACTS // 3 :]))
        dead = watched.master()
        dead.kill()
        master = await asyncio.to_thread(watched.wait_for_another, dead)
        watched.start_as_replica(dead, master)
        await posting
        await gauge.settled()
        async with aclosing(connect(watched.url)) as redis:
            await assert_all_equal_to_oracle(redis, facts)
        await gauge.shows_what_is_stored()
        assert gauge.stop() == ENDED
        said = gauge.said("serve") + gauge.said("aggregate")
        assert "log_unavailable" in said
        assert PASSWORD not in said
        assert SENTINEL_PASSWORD not in said
