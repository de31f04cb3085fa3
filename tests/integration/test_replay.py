"""Dead letters that are sent again, on a real Valkey."""

from __future__ import annotations

import hmac
import json
from collections import Counter

import pytest

from flow import keys
from flow.adapters import ADAPTERS, Source
from flow.definition_file import read_definitions
from flow.errors import Reason, SettingsError, Unavailable
from flow.facts import ItemFact, decode_facts, encode_fact
from flow.matching import Router
from flow.signatures import SCHEMES
from service.command_line.composition import embedded_url
from service.command_line.dead_letters_command import partitions_of_log, read_letters, replay, told
from service.dead_letters import DeliveryLetter
from service.log import RedisLogWriter, open_log
from service.replay import SAYS_NOTHING, SENT, Outcome, Replay, Wanted
from service.settings import Settings
from tests.integration.gauges import running_gauge

pytestmark = pytest.mark.needs_server("valkey")

ALL = Wanted()
NOW = 1_795_339_800_000
PARTITIONS = 2
STREAMS = """
streams:
  shop:
    match: {project: acme/shop}
    stages:
      - {name: open, kind: active, when: [{status: open}]}
      - {name: closed, kind: done, when: [{status: closed}]}
"""
DEFINITIONS = read_definitions(STREAMS)
HEADERS = {"x-github-event": "issues", "content-type": "application/json", "x-hub-signature-256": "sha256=0"}


def issue(**values):
    told = {
        "number": 7, "state": "open", "created_at": "2026-11-20T08:00:00Z", "updated_at": "2026-11-20T08:00:00Z",
    }  # fmt: skip
    return {"action": "opened", "issue": told | values, "repository": {"full_name": "acme/shop"}}


def delivery(body, source="github", headers=HEADERS, at=NOW):
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return DeliveryLetter(source, Reason.NOT_UNDERSTOOD, "not understood then", at, headers, text)


def an_item(project="acme/shop", identifier="f-1"):
    return ItemFact(id=identifier, source="acme", item="A-1", at=NOW, project=project, status="open")


@pytest.fixture
async def writer(redis):
    await open_log(redis, PARTITIONS)
    async with RedisLogWriter(redis, PARTITIONS, lambda: NOW) as made:
        yield made


@pytest.fixture
def replayed(redis, writer):
    """Replays what is wanted; without arguments all of it."""

    async def run(wanted=ALL, sources=ADAPTERS, to=writer):
        return await Replay(redis, to, Router(DEFINITIONS), sources, clock=lambda: NOW).run(wanted)

    return run


async def keep_facts(redis, *bodies, reason=Reason.NO_STREAM, source="acme"):
    """Letters of facts, in the shape that the aggregator writes."""
    for body in bodies:
        said = {"kind": "fact", "source": source, "reason": reason.value, "message": "refused then"}
        await redis.xadd(keys.LETTERS, {**said, "at": NOW, "partition": 0, "offset": 1, "body": body})


async def in_the_log(redis):
    """Facts of the log, in the order of partitions."""
    found = []
    for partition in range(PARTITIONS):
        for _, fields in await redis.xrange(keys.log_facts(partition)):
            found += decode_facts(fields[b"facts"])
    return found


async def left(redis):
    return [fields[b"body"] for _, fields in await redis.xrange(keys.LETTERS)]


async def test_a_fact_that_a_stream_now_claims_goes_back_into_the_log_and_its_letter_goes(redis, replayed):
    await keep_facts(redis, encode_fact(an_item()))
    assert await replayed() == {SENT: 1}
    assert await in_the_log(redis) == [an_item()]
    assert await left(redis) == []


async def test_a_fact_that_would_be_refused_again_stays_with_its_reason(redis, replayed):
    bodies = [encode_fact(an_item("elsewhere")), b"{", b'{"subject": "item"}']
    await keep_facts(redis, *bodies)
    assert await replayed() == {
        Outcome(sent=False, why="no_stream"): 1,
        Outcome(sent=False, why="malformed_json"): 1,
        Outcome(sent=False, why="invalid_fact"): 1,
    }
    assert await in_the_log(redis) == []
    assert await left(redis) == bodies


async def test_a_delivery_is_translated_again_without_the_signature_that_it_came_with(redis, writer, replayed):
    await writer.append_letter(delivery(issue()))
    assert b"sha256=0" not in str(await redis.xrange(keys.LETTERS)).encode()
    assert await replayed() == {SENT: 1}
    [fact] = await in_the_log(redis)
    assert (fact.item, fact.status, fact.source) == ("acme/shop#7", "open", "github")
    assert await left(redis) == []


async def test_deliveries_that_are_understood_and_say_nothing_go_and_others_stay(redis, writer, replayed):
    ping = HEADERS | {"x-github-event": "ping"}
    await writer.append_letter(delivery({}, headers=ping))
    await writer.append_letter(delivery(b"{"))
    await writer.append_letter(delivery(issue(number="seven")))
    await writer.append_letter(delivery({}, source="nobody"))
    assert await replayed() == {
        SAYS_NOTHING: 1,
        Outcome(sent=False, why="malformed_json"): 1,
        Outcome(sent=False, why="not_understood"): 1,
        Outcome(sent=False, why="unknown_source"): 1,
    }
    assert len(await left(redis)) == 3


async def test_native_facts_and_cloudevents_that_came_over_kafka_are_read_again(redis, writer, replayed):
    native = {"subject": "item", "id": "f-1", "source": "acme", "item": "A-1", "at": "2026-11-20T08:00:00Z"}
    native |= {"project": "acme/shop"}
    event = {"ce-specversion": "1.0", "ce-id": "e", "ce-source": "/ci", "ce-type": "acme.fact"}
    await writer.append_letter(delivery(native, source="facts", headers={}))
    await writer.append_letter(delivery(native | {"id": "f-2"}, source="cloudevents", headers=event))
    await writer.append_letter(delivery(native | {"at": "2099-01-01T00:00:00Z"}, source="facts", headers={}))
    await writer.append_letter(delivery({"not": "a fact"}, source="cloudevents", headers=event))
    assert await replayed() == {
        SENT: 2,
        Outcome(sent=False, why="at_in_future"): 1,
        Outcome(sent=False, why="not_understood"): 1,
    }
    assert [fact.id for fact in await in_the_log(redis)] == ["f-1", "f-2"]


async def test_an_adapter_that_breaks_on_one_delivery_does_not_hold_up_the_others(redis, writer, replayed):
    def broken(*_):
        raise KeyError("a fault of ours")

    await writer.append_letter(delivery(issue(), source="broken"))
    await writer.append_letter(delivery(issue()))
    sources = {**ADAPTERS, "broken": Source("broken", broken, SCHEMES["github"], "")}
    assert await replayed(sources=sources) == {Outcome(sent=False, why="not_understood"): 1, SENT: 1}


async def test_only_the_wanted_letters_are_sent(redis, writer, replayed):
    await writer.append_letter(delivery(issue()))
    await keep_facts(redis, encode_fact(an_item(identifier="f-1")), source="acme")
    await keep_facts(redis, encode_fact(an_item(identifier="f-2")), source="other", reason=Reason.TIMELINE_FULL)
    assert await replayed(Wanted(reason="timeline_full")) == {SENT: 1}
    assert await replayed(Wanted(source="github", reason="no_stream")) == {}
    assert await replayed(Wanted(source="github")) == {SENT: 1}
    assert len(await left(redis)) == 1


async def test_more_letters_than_are_read_at_once_are_all_replayed(redis, replayed):
    facts = [an_item(identifier=f"f-{number}") for number in range(257)]
    await keep_facts(redis, *map(encode_fact, facts))
    assert await replayed() == {SENT: 257}
    assert {fact.id for fact in await in_the_log(redis)} == {fact.id for fact in facts}
    assert await left(redis) == []


async def test_a_log_that_cannot_take_the_facts_loses_no_letter(redis, replayed):
    class Unwilling:
        async def append(self, facts):
            raise Unavailable(Reason.LOG_UNAVAILABLE, "not now")

        async def append_letter(self, letter):
            raise AssertionError

    await keep_facts(redis, encode_fact(an_item()))
    with pytest.raises(Unavailable):
        await replayed(to=Unwilling())
    assert len(await left(redis)) == 1
    assert await replayed() == {SENT: 1}


async def test_letters_that_come_in_during_a_replay_wait_for_the_next(redis, writer, replayed):
    class Refusing:
        """A log whose reader refuses every fact at once, and writes its letter anew."""

        async def append(self, facts):
            await keep_facts(redis, *map(encode_fact, facts))

        async def append_letter(self, letter):
            raise AssertionError

    await keep_facts(redis, encode_fact(an_item()))
    assert await replayed(to=Refusing()) == {SENT: 1}
    assert len(await left(redis)) == 1


async def test_a_redis_without_a_log_and_a_folder_without_a_server_are_said(redis, tmp_path):
    with pytest.raises(SettingsError, match="no log in this Redis"):
        await partitions_of_log(redis)
    with pytest.raises(SettingsError, match="no embedded server runs there"):
        embedded_url(tmp_path)


def test_what_became_of_the_letters_is_told():
    outcomes = Counter({SENT: 3, SAYS_NOTHING: 1, Outcome(sent=False, why="no_stream"): 2})
    assert told(outcomes) == [
        "3 sent to the log again",
        "1 removed: understood now, and of no meaning here",
        "2 kept: no_stream",
    ]


async def test_the_letters_of_a_running_installation_are_listed_and_replayed_with_new_definitions():
    secret = "pretend-secret"
    with running_gauge(STREAMS, {"STREAMGAUGE_SOURCES__GITHUB__SECRET": secret}) as gauge, gauge.client() as client:
        body = b"{"
        signature = f"sha256={hmac.digest(secret.encode(), body, 'sha256').hex()}"
        client.post_webhook("github", body, HEADERS | {"x-hub-signature-256": signature})
        fact = {"subject": "item", "id": "n-1", "source": "acme", "item": "N-1", "status": "open"}
        lines = [
            json.dumps(fact | {"id": f"n-{n}", "project": "acme/new", "at": "2026-11-20T08:00:00Z"}) for n in (1, 2)
        ]
        client.post_facts("\n".join(lines).encode())
        gauge.settled()
        letters, counts = read_letters(client, 100, None, None)
        assert sorted(letter["reason"] for letter in letters) == ["malformed_json", "no_stream", "no_stream"]
        assert {"source": "acme", "reason": "no_stream", "count": 2} in counts
        assert len(read_letters(client, 2, None, None)[0]) == 2
        assert len(read_letters(client, 100, "no_stream", "acme")[0]) == 2

        url = embedded_url(gauge.data)
        wider = read_definitions(STREAMS.replace("acme/shop", "[acme/shop, acme/new]"))
        outcomes = await replay(url, Settings.load({}), wider, Wanted(reason="no_stream"))
        assert outcomes == {SENT: 2}
        left_over, _ = read_letters(client, 100, "malformed_json", None)
        assert len(left_over) == 1
