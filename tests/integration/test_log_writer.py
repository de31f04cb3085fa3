"""The writing side of the log, against a real server: what is acknowledged is there, and only that is."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import Any

import pytest
import redis.asyncio

from consumers.redis_log import RedisLog
from flow import keys
from flow.definitions import Definitions, Stage, Stream
from flow.errors import Reason, SettingsError, Unavailable
from flow.facts import ChangeFact, DeploymentFact, ItemFact, SignalFact, decode_facts, partition_of
from flow.matching import Router
from service.bounds import AppendBounds
from service.dead_letters import DeliveryLetter
from service.log import RedisLogWriter, open_log, with_signals

NOW = 1_795_339_800_000
PARTITIONS = 2


def fact(number, item="CHK-1", size=0):
    return ItemFact(id=f"evt-{number}", source="acme", item=item, at=NOW, title="x" * size or None)


def letter(body=b"{}"):
    headers = {"x-github-event": "issues", "x-hub-signature-256": "sha256=00"}
    return DeliveryLetter("github", Reason.NOT_UNDERSTOOD, "not an event", NOW, headers, body)


@asynccontextmanager
async def writing(client, **bounds):
    async with RedisLogWriter(client, PARTITIONS, lambda: NOW, AppendBounds(**bounds)) as writer:
        yield writer


async def stored(client, partitions=PARTITIONS):
    """Every fact of the log, by partition, as the aggregator reads them; offsets without gaps."""
    found = []
    for partition in range(partitions):
        log, facts, position = RedisLog(client, [partition], "test", keep_facts=10**6), [], 0
        while True:
            batch = await log.read(partition, position)
            if batch is None:
                break
            assert list(batch.offsets) == list(range(position + 1, position + 1 + len(batch.offsets)))
            assert batch.received_at == NOW
            facts += decode_facts(batch.lines)
            position = batch.offsets[-1]
        assert int(await client.get(keys.log_end(partition)) or 0) == position
        found.append(facts)
    return found


async def blocks(client):
    return [await client.xlen(keys.log_facts(partition)) for partition in range(PARTITIONS)]


async def test_what_is_appended_is_there_in_its_partition_and_in_order(redis):
    facts = [fact(number, f"CHK-{number % 7}") for number in range(1200)]
    async with writing(redis) as writer:
        await asyncio.gather(*[writer.append(facts[start : start + 3]) for start in range(0, 1200, 3)])
    first, second = await stored(redis)
    assert first
    assert second
    by_item = lambda item: [found for found in facts if found.item == item]  # noqa: E731
    for item in {found.item for found in facts}:
        assert [found for found in first + second if found.item == item] == by_item(item)


async def test_appends_of_one_turn_of_the_loop_are_one_block_a_partition(redis):
    async with writing(redis) as writer:
        await asyncio.gather(*[writer.append([fact(number)]) for number in range(100)])
    assert sorted(await blocks(redis)) == [0, 1]


async def test_blocks_are_bounded(redis):
    async with writing(redis) as writer:
        await writer.append([fact(number) for number in range(1100)])
        assert sorted(await blocks(redis)) == [0, 3]
        await writer.append([fact(number, size=100_000) for number in range(4)])
        assert sorted(await blocks(redis)) == [0, 5]


async def test_an_append_of_nothing_writes_nothing(redis):
    async with writing(redis) as writer:
        await writer.append([])
    assert await blocks(redis) == [0, 0]


async def test_a_server_that_forgot_the_script_is_taught_again(redis):
    async with writing(redis) as writer:
        await writer.append([fact(1)])
        await redis.script_flush()
        await asyncio.gather(
            writer.append([fact(2)]), writer.append([fact(3, "CHK-2")]), writer.append_letter(letter())
        )
    assert sorted(found.id for part in await stored(redis) for found in part) == ["evt-1", "evt-2", "evt-3"]
    assert await redis.xlen(keys.LETTERS) == 1


async def test_a_letter_is_kept_whole_and_counted_without_what_proves_the_sender(redis):
    async with writing(redis) as writer:
        await asyncio.gather(
            writer.append_letter(letter(b"\xff\0")), writer.append_letter(letter()), writer.append([fact(1)])
        )
    [(_, fields), _] = await redis.xrange(keys.LETTERS)
    assert fields == {
        b"kind": b"delivery", b"source": b"github", b"reason": b"not_understood", b"message": b"not an event",
        b"at": str(NOW).encode(), b"headers": b'{"x-github-event":"issues"}', b"body": b"\xff\0",
    }  # fmt: skip
    assert await redis.hgetall(keys.LETTER_COUNTS) == {b"github|not_understood": b"2"}


async def test_letters_are_bounded(redis):
    async with writing(redis, keep_letters=100) as writer:
        await asyncio.gather(*[writer.append_letter(letter()) for _ in range(500)])
    assert 100 <= await redis.xlen(keys.LETTERS) < 300


async def test_what_the_server_refuses_fails_those_that_it_hits_and_nobody_else(redis):
    hit, other = one_item_a_partition()
    async with writing(redis) as writer:
        await writer.append([fact(1, hit)])
        await writer.append([fact(2, other)])
        await redis.set(keys.log_end(0), "not a number")
        answers: Any = await asyncio.gather(
            writer.append([fact(3, hit)]),
            writer.append([fact(4, other)]),
            writer.append([fact(5, other), fact(6, hit)]),
            return_exceptions=True,
        )
    assert [type(answer) for answer in answers] == [Unavailable, type(None), Unavailable]
    assert answers[0].reason == Reason.LOG_UNAVAILABLE
    assert "not a number" not in answers[0].message


async def test_a_server_that_hangs_fails_the_append_in_time_and_no_reply_is_mixed_up(redis, redis_url):
    async with redis_client(redis_url) as other, writing(redis, within=400) as writer:
        await writer.append([fact(1)])
        await other.execute_command("CLIENT", "PAUSE", "60000", "WRITE")
        with pytest.raises(Unavailable) as caught:
            async with asyncio.timeout(20):
                await asyncio.gather(writer.append([fact(2)]), writer.append([fact(3)]))
        assert caught.value.reason == Reason.LOG_UNAVAILABLE
        await other.execute_command("CLIENT", "UNPAUSE")
        await writer.append([fact(4)])
        await writer.append([fact(5, "CHK-2")])
    ids = {found.id for part in await stored(redis) for found in part}
    assert {"evt-1", "evt-4", "evt-5"} <= ids


async def test_a_connection_that_was_cut_is_opened_anew(redis, redis_url):
    async with redis_client(redis_url) as other, writing(redis) as writer:
        await writer.append([fact(1)])
        await other.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        answers = [await failure_of(writer.append([fact(number)])) for number in (2, 3, 4)]
    assert answers[-1] is None
    ids = {found.id for part in await stored(redis) for found in part}
    assert ids >= {f"evt-{number}" for number, answer in zip((2, 3, 4), answers, strict=True) if answer is None}


async def test_without_a_server_the_append_fails_and_says_nothing_of_where_it_is():
    async with redis.asyncio.Redis(port=1) as nowhere, writing(nowhere) as writer:
        error = await failure_of(writer.append([fact(1)]))
    assert isinstance(error, Unavailable)
    assert error.reason == Reason.LOG_UNAVAILABLE
    assert "localhost" not in error.message


async def test_too_much_at_once_is_refused_and_what_was_taken_is_there(redis):
    async with writing(redis, most_pending=10) as writer:
        appends = [writer.append([fact(number), fact(number + 100)]) for number in range(20)]
        answers: Any = await asyncio.gather(*appends, return_exceptions=True)
        taken = [number for number, answer in enumerate(answers) if answer is None]
        assert taken == [0, 1, 2, 3, 4]
        assert {answer.reason for answer in answers if answer} == {Reason.OVERLOADED}
        await writer.append([fact(number) for number in range(200, 230)])  # alone it is never too much
    ids = {found.id for part in await stored(redis) for found in part}
    wanted = {f"evt-{number}" for number in (*taken, *(number + 100 for number in taken), *range(200, 230))}
    assert ids == wanted


async def test_closing_writes_what_waits_and_then_refuses(redis):
    async with writing(redis) as writer:
        waiting = [asyncio.create_task(writer.append([fact(number)])) for number in range(50)]
        await asyncio.sleep(0)
    await asyncio.gather(*waiting)
    assert sum(map(len, await stored(redis))) == 50
    error = await failure_of(writer.append([fact(99)]))
    assert isinstance(error, Unavailable)


async def test_an_append_that_nobody_waits_for_any_more_harms_no_other(redis):
    async with writing(redis) as writer:
        leaving = asyncio.create_task(writer.append([fact(1)]))
        staying = asyncio.create_task(writer.append([fact(2)]))
        await asyncio.sleep(0)
        leaving.cancel()
        await staying
    assert "evt-2" in {found.id for part in await stored(redis) for found in part}


async def test_the_number_of_partitions_is_settled_once(redis):
    await open_log(redis, 2)
    await open_log(redis, 2)
    with pytest.raises(SettingsError, match="STREAMGAUGE_LOG__PARTITIONS: the log has 2 partitions, not 3"):
        await open_log(redis, 3)


async def test_a_log_that_cannot_be_reached_is_unavailable():
    async with redis.asyncio.Redis(port=1) as nowhere:
        with pytest.raises(Unavailable):
            await open_log(nowhere, 2)


def test_changes_and_deployments_bring_signals_of_the_items_that_a_stream_knows():
    stream = Stream("checkout", (Stage("review", "active"), Stage("done", "done")), item_keys=(r"CHK-\d+",))
    change = ChangeFact(id="1", source="acme", service="s", change="7", at=5, state="merged", items=("CHK-1", "XYZ-1"))
    deployment = DeploymentFact(
        id="2", source="acme", service="s", environment="production", deployment="d", at=6, state="succeeded",
        items=("CHK-2",),
    )  # fmt: skip
    found = with_signals([fact(0), change, deployment], Router(Definitions({"checkout": stream})))
    assert [type(each) for each in found] == [ItemFact, ChangeFact, SignalFact, DeploymentFact, SignalFact]
    assert [(each.item, each.signal) for each in found if isinstance(each, SignalFact)] == [
        ("CHK-1", "change.merged"), ("CHK-2", "deployment.succeeded"),
    ]  # fmt: skip


def one_item_a_partition():
    names = [f"CHK-{number}" for number in range(20)]
    return [next(name for name in names if partition_of(name, PARTITIONS) == part) for part in range(PARTITIONS)]


def redis_client(url):
    return redis.asyncio.Redis.from_url(url)


async def failure_of(awaitable) -> Any:
    try:
        await awaitable
    except Unavailable as error:
        return error
    return None
