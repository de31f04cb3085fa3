"""A log that is slow or away: bounded waiting, clear answers, and nothing acknowledged is lost. Real processes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from pathlib import Path

import httpx
import pytest

from tests.integration.receivers import Roles, Sent, instants_in, log_of, roles
from tests.servers.redis_server import run_server

pytestmark = [pytest.mark.needs_server("valkey"), pytest.mark.timeout(180)]

DURABLE = ("--appendonly", "yes", "--appendfsync", "always")
SHORTEST_LIMIT = 5.0
"""Seconds after which the most impatient senders hang up."""


@pytest.fixture
def server(tmp_path):
    with run_server(tmp_path / "valkey", None, *DURABLE) as found:
        yield found


@pytest.fixture
async def here(tmp_path, server):
    async with roles(tmp_path, server.url) as found:
        yield found


async def all_is_there(here: Roles, *senders: Sent) -> None:
    """Every acknowledged fact is in the log; those of one item in the order in which they were sent."""
    logged = instants_in(await log_of(here.url))
    for sent in senders:
        assert sent.acknowledged
        for item, instants in sent.acknowledged.items():
            there = logged.get(item, [])
            assert set(instants) <= set(there), f"{item} lost something"
            assert [at for at in there if at in set(instants)] == instants, f"{item} is out of order"


def resident(pid: int) -> int:
    """Bytes of memory that a process has."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


async def test_a_paused_server_costs_senders_a_bounded_wait_and_github_nothing(here, server):
    await here.start("serve", "aggregate")
    github, native = Sent(), Sent()
    assert (await here.issue(github, 1, 0)).status_code == 202
    await here.until(here.drained)
    server.pause()
    refused = asyncio.create_task(here.native(native, "CHK-1", 1))
    for step in range(1, 20):
        assert (await here.issue(github, 1, step)).status_code == 202
    assert (await refused).status_code == 503
    assert await here.spooled() == 19
    assert await here.metric("streamgauge_spool_oldest_timestamp_seconds") > 0
    status, said = await here.readiness()
    assert (status, said["ready"], said["checks"]["state"]["ok"]) == (200, True, False)
    assert said["checks"]["spool"] == {"ok": True, "detail": "19 deliveries wait for the log"}
    assert github.slowest < SHORTEST_LIMIT
    assert native.slowest < 10
    assert native.retry_after == {"5"}
    server.resume()
    await here.until(here.drained, within=30)
    assert (await here.issue(github, 1, 20)).status_code == 202
    assert (await here.native(native, "CHK-1", 2)).status_code == 202
    await here.until(here.settled)
    assert set(github.answers) == {202}
    await all_is_there(here, github, native)


async def test_nothing_acknowledged_is_lost_whatever_ends_and_comes_back(here, server):
    """The log is killed, started, paused; the receiver is killed in the middle of each; the worker lives on."""
    await here.start("serve", "aggregate")
    worker = here.processes["aggregate"].pid
    github, native, stop = Sent(), Sent(), asyncio.Event()

    async def send(one, name):
        for step in range(10_000):
            if stop.is_set():
                return
            with contextlib.suppress(httpx.TransportError):  # the receiver was killed: nothing was acknowledged
                await one(name, step)
            await asyncio.sleep(0.005)

    async with asyncio.TaskGroup() as group:
        for number in range(4):
            group.create_task(send(lambda name, step: here.issue(github, name, step), number))
            group.create_task(send(lambda name, step: here.native(native, name, step), f"CHK-{number}"))
        await asyncio.sleep(0.5)
        server.kill()
        await asyncio.sleep(1.0)
        await here.kill("serve")
        await here.start("serve")  # while the log is away
        await asyncio.sleep(0.5)
        await here.until(here.spooled)
        server.start()
        await asyncio.sleep(0.5)
        await here.kill("serve")
        await here.start("serve")
        refused = native.answers.count(503)
        server.pause()
        await here.until(lambda: _refused_more(native, refused))
        await here.kill("serve")
        await here.start("serve")
        server.resume()
        await here.until(here.drained, within=60)
        stop.set()
    assert set(github.answers) == {202}
    assert set(native.answers) == {202, 503}
    assert github.slowest < SHORTEST_LIMIT
    await here.until(here.drained)
    await here.until(here.settled)
    await all_is_there(here, github, native)
    assert here.processes["aggregate"].pid == worker
    assert here.processes["aggregate"].returncode is None


async def _refused_more(sent, before):
    return sent.answers.count(503) > before


async def test_a_receiver_starts_without_its_log_and_takes_it_up_when_it_comes(here, server):
    server.kill()
    await here.start("serve")
    github, native = Sent(), Sent()
    assert (await here.native(native, "CHK-1", 0)).status_code == 503
    for step in range(3):
        assert (await here.issue(github, 1, step)).status_code == 202
    server.start()
    await here.until(here.drained, within=30)
    assert (await here.native(native, "CHK-1", 1)).status_code == 202
    await all_is_there(here, github, native)


async def test_a_full_spool_is_503_and_frees_itself(tmp_path, server):
    async with roles(tmp_path, server.url, SPOOL__MAX_SIZE="100kB") as here:
        await here.start("serve")
        server.kill()
        github, full = Sent(), None
        for step in range(2000):
            full = await here.issue(github, 1, step)
            if full.status_code != 202:
                break
        assert full is not None
        assert (full.status_code, full.json()["reason"]) == (503, "overloaded")
        assert github.retry_after == {"5"}
        assert (await here.readiness())[0] == 503
        assert (await here.client.get("/healthz")).status_code == 200
        assert len(github.answers) > 100
        server.start()
        await here.until(here.drained, within=30)
        assert (await here.issue(github, 1, 2001)).status_code == 202
        await all_is_there(here, github)


async def test_a_server_that_refuses_writes_is_waited_for(here, server):
    """As it does when it is full: an answer, and no broken connection."""
    await here.start("serve", "aggregate")
    github, native = Sent(), Sent()
    await here.issue(github, 1, 0)
    await here.native(native, "CHK-1", 0)
    await here.until(here.settled)
    with server.client() as client:
        client.config_set("maxmemory", "1")
        assert (await here.native(native, "CHK-1", 1)).status_code == 503
        assert (await here.issue(github, 1, 1)).status_code == 202
        client.config_set("maxmemory", "0")
    await here.until(here.drained, within=30)
    assert (await here.native(native, "CHK-1", 2)).status_code == 202
    await here.until(here.settled)
    await all_is_there(here, github, native)
    assert here.processes["aggregate"].returncode is None


async def test_a_worker_waits_while_the_state_refuses_writes(here, server):
    """What came before it was full is in the log; the worker neither ends nor forgets it."""
    await here.start("serve", "aggregate")
    sent = Sent()
    await here.native(sent, "CHK-1", 0)
    await here.until(here.settled)
    here.processes["aggregate"].send_signal(signal.SIGSTOP)
    for step in range(1, 50):
        await here.native(sent, "CHK-1", step)
    with server.client() as client:
        client.config_set("maxmemory", "1")
        here.processes["aggregate"].send_signal(signal.SIGCONT)
        await here.until(lambda: _said(here, "aggregate", "OutOfMemoryError"))
        client.config_set("maxmemory", "0")
    await here.until(here.settled)
    assert here.processes["aggregate"].returncode is None


async def _said(here, role, words):
    process = here.processes[role]
    assert process.returncode is None, here.said(role)
    return words in here.said(role)


async def test_memory_stays_bounded_and_what_is_too_much_is_refused_at_once(tmp_path, server):
    """80 MB come while the log takes nothing; room is for 3,000 facts, about 2 MB."""
    fact = {"subject": "item", "source": "acme", "item": "CHK-1", "at": "2026-11-20T09:00:00Z", "title": "x" * 400}
    lines = "\n".join(json.dumps(fact | {"id": str(number)}) for number in range(1000)).encode()
    async with roles(tmp_path, server.url, INGEST__MAX_PENDING="3000") as here:

        async def post():
            headers = {"content-type": "application/x-ndjson"}
            return await here.client.post("/v1/facts", content=lines, headers=headers)

        await here.start("serve")
        assert {(await post()).status_code for _ in range(5)} == {202}
        server.pause()
        before = resident(here.processes["serve"].pid)
        answers = await asyncio.gather(*[post() for _ in range(150)])
        assert resident(here.processes["serve"].pid) - before < 40_000_000
        assert {answer.status_code for answer in answers} == {503}
        assert {answer.json()["reason"] for answer in answers} == {"overloaded", "log_unavailable"}
        assert {answer.headers["retry-after"] for answer in answers} == {"1", "5"}
        server.resume()
        await here.until(lambda: _takes(here, Sent()), within=30)


async def _takes(here, native):
    return (await here.native(native, "CHK-last", 0)).status_code == 202
