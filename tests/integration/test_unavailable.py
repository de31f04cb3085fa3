"""What real servers answer when they can't write now: the worker waits, and nothing of the commit was written."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from redis.exceptions import DataError, OutOfMemoryError, ResponseError

from consumers.commit import Commit, Committer
from consumers.unavailable import PASSING, passes, waiting_for, when_reached
from flow.errors import PositionConflict, Reason, Unavailable
from service.redis_client import connect
from tests.servers.redis_server import DEBIAN, run_server


@pytest.fixture(params=[pytest.param("valkey", marks=pytest.mark.needs_server("valkey")),
                        pytest.param("redis", marks=pytest.mark.needs_server("redis"))])  # fmt: skip
def server(request, tmp_path):
    with run_server(tmp_path, DEBIAN if request.param == "redis" else None) as found:
        yield found


@contextmanager
def full(client):
    client.config_set("maxmemory", "1")
    yield
    client.config_set("maxmemory", "0")


@contextmanager
def replica(client):
    client.execute_command("REPLICAOF", "127.0.0.1", "1")
    yield
    client.execute_command("REPLICAOF", "NO", "ONE")


@contextmanager
def replica_without_its_master(client):
    client.config_set("replica-serve-stale-data", "no")
    with replica(client):
        yield


@contextmanager
def without_replicas(client):
    client.config_set("min-replicas-to-write", "1")
    yield
    client.config_set("min-replicas-to-write", "0")


def commit():
    found = Commit("checkout", "position", "generation", "g", None, 1)
    found.write("rows", "HSET", ["row", b"x" * 1000])
    return found


@pytest.mark.parametrize("trouble", [full, replica, replica_without_its_master, without_replicas])
async def test_a_server_that_cannot_write_now_is_waited_for(server, trouble):
    redis = connect(server.url)
    with server.client() as client:
        client.set("generation", "g")
        with trouble(client), pytest.raises(PASSING) as caught:
            await Committer(redis).execute([commit()])
        assert passes(caught.value), caught.value
        assert not client.exists("position", "rows")
        await Committer(redis).execute([commit()])
        assert client.get("position") == "1"
    await redis.aclose()


async def test_a_server_that_is_gone_is_waited_for(server):
    redis = connect(server.url)
    server.kill()
    with pytest.raises(PASSING) as caught:
        await Committer(redis).execute([commit()])
    assert passes(caught.value)
    await redis.aclose()


async def test_a_mistake_of_ours_is_not_waited_for(server):
    redis = connect(server.url)
    with server.client() as client:
        client.mset({"generation": "g", "rows": "a string"})
    with pytest.raises(ResponseError) as caught:
        await Committer(redis).execute([commit()])
    assert not passes(caught.value)
    await redis.aclose()


def test_of_several_failures_those_that_last_end_the_worker():
    away = Unavailable(Reason.LOG_UNAVAILABLE, "the log is away")
    group = BaseExceptionGroup("", [BaseExceptionGroup("", [OutOfMemoryError("full")]), away])
    assert passes(group)
    assert waiting_for(group) == "OutOfMemoryError full"
    with pytest.raises(BaseExceptionGroup) as caught:
        waiting_for(BaseExceptionGroup("", [away, DataError("a fault of ours")]))
    assert [type(each) for each in caught.value.exceptions] == [DataError]


@pytest.mark.parametrize(
    "error", [ValueError("x"), DataError("x"), ResponseError("WRONGTYPE x"), PositionConflict("x")]
)
def test_what_waiting_does_not_mend_lasts(error):
    assert not passes(error)


@pytest.mark.parametrize(
    "text", ["MISCONF Errors writing to the AOF file", "Command # 1 (GET x) of pipeline caused error: LOADING Redis"]
)
def test_redis_says_some_troubles_in_words_only(text):
    assert passes(ResponseError(text))


async def test_work_that_can_be_done_later_is_begun_again_and_no_other():
    tried = []

    async def work():
        tried.append(1)
        if len(tried) < 3:
            raise OutOfMemoryError("full")

    await when_reached(work)
    assert len(tried) == 3

    async def broken():
        raise DataError("a fault of ours")

    with pytest.raises(DataError):
        await when_reached(broken)
