"""The bridge's own rules, with a log and topics that do what the test says: commit after the log, wait, let go."""

from __future__ import annotations

import asyncio

from aiokafka.errors import KafkaError

from consumers.bridge import FACTS_AT_ONCE, Bridge
from flow.errors import Reason, Unavailable
from flow.records import Record, RecordReader

NOW = 1_795_340_000_000


def fact(number):
    return b'{"subject":"item","id":"%d","source":"acme","item":"CHK-1","at":"2026-11-20T09:30:00Z"}' % number


def records(*values, topic="theirs"):
    return [Record(topic, 0, offset, NOW, (), value) for offset, value in enumerate(values)]


class Topics:
    """Gives batch after batch, then nothing; notes what was done with each."""

    def __init__(self, *batches):
        self.batches = list(batches)
        self.turn = 0
        self.done = []
        self.entered = 0
        self._free = asyncio.Event()
        self._free.set()

    async def __aenter__(self):
        self.entered += 1
        return self

    async def __aexit__(self, *_):
        pass

    async def take(self):
        await asyncio.sleep(0)
        if not self.batches:
            await asyncio.sleep(0.001)
            return []
        batch = self.batches.pop(0)
        if isinstance(batch, Exception):
            raise batch
        self._free.clear()
        return batch

    async def finish(self, batch):
        self.done.append(("finished", len(batch)))
        self._free.set()

    def drop(self):
        self.done.append("dropped")
        self._free.set()

    async def free(self):
        await self._free.wait()


class Log:
    """Takes facts and letters; `failures` times it can't."""

    def __init__(self, failures=0):
        self.failures = failures
        self.appended = []
        self.kept = []
        self.asked = 0

    async def append(self, facts):
        self._ask()
        self.appended.append([each.id for each in facts])

    async def keep(self, delivery, error):
        self._ask()
        self.kept.append((delivery.source, error.reason, delivery.body))

    def _ask(self):
        self.asked += 1
        if self.failures:
            self.failures -= 1
            raise Unavailable(Reason.LOG_UNAVAILABLE, "away")


def bridge_of(topics, log, kind="facts", **parts):
    return Bridge(topics, {"theirs": kind}, RecordReader(lambda texts: (), 0), log, clock=lambda: NOW, **parts)


async def run_until(bridge, holds):
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        running = group.create_task(bridge.run())
        while not holds():
            await asyncio.sleep(0.001)
        bridge.stop()
        await running


async def test_offsets_are_committed_once_facts_and_letters_are_durable():
    topics, log = Topics(records(fact(1), b"{", fact(2), None)), Log()
    bridge = bridge_of(topics, log)
    await run_until(bridge, lambda: topics.done)
    assert topics.done == [("finished", 4)]
    assert log.appended == [["1", "2"]]
    assert log.kept == [("facts", Reason.MALFORMED_JSON, b"{")]
    passed = bridge.metrics.topics["theirs"]
    assert (passed.records, passed.facts, passed.ignored, passed.kept) == (4, 2, 1, 1)


async def test_while_the_log_is_away_nothing_more_is_read_and_nothing_is_committed():
    topics, log = Topics(records(fact(1)), records(fact(2))), Log(failures=1_000_000)
    bridge = bridge_of(topics, log)

    def twice_asked():
        assert len(topics.batches) >= 1
        assert not topics.done
        return log.asked >= 2

    await run_until(bridge, twice_asked)
    assert topics.done == ["dropped"]
    assert len(topics.batches) == 1


async def test_it_goes_on_where_it_was_when_the_log_is_back():
    topics, log = Topics(records(fact(1), b"{"), records(fact(2))), Log(failures=2)
    await run_until(bridge_of(topics, log), lambda: len(topics.done) == 2)
    assert topics.done == [("finished", 2), ("finished", 1)]
    assert log.appended == [["1"], ["2"]]


async def test_what_was_given_to_another_bridge_is_let_go_of():
    topics, log = Topics(records(fact(1)), records(fact(2))), Log(failures=1)

    class GivenAway(Log):
        def _ask(self):
            topics.turn += self.failures
            super()._ask()

    log = GivenAway(failures=1)
    await run_until(bridge_of(topics, log), lambda: len(topics.done) == 2)
    assert topics.done == ["dropped", ("finished", 1)]
    assert log.appended == [["2"]]


async def test_many_facts_go_in_several_appends_in_their_order():
    lines = b"\n".join(fact(number) for number in range(FACTS_AT_ONCE + 5))
    topics, log = Topics(records(lines, fact(-1))), Log()
    await run_until(bridge_of(topics, log), lambda: topics.done)
    assert [len(each) for each in log.appended] == [FACTS_AT_ONCE, 6]
    assert [name for each in log.appended for name in each] == [*map(str, range(FACTS_AT_ONCE + 5)), "-1"]


async def test_kafka_that_is_away_is_joined_again():
    topics, log = Topics(records(fact(1)), KafkaError("away"), OSError("away"), records(fact(2))), Log()
    await run_until(bridge_of(topics, log), lambda: len(topics.done) == 2)
    assert topics.entered == 3
    assert log.appended == [["1"], ["2"]]


async def test_a_stop_while_nothing_is_in_hand_ends_at_once():
    await run_until(bridge_of(Topics(), Log()), lambda: True)


async def test_what_changed_without_a_record_saying_to_what_is_told_once_it_is_durable():
    wanted = []
    change = b'{"events":[{"action":"changed","resource":{"gid":"77","resource_type":"task"},"parent":null,' \
        b'"created_at":"2026-11-20T09:30:00Z","change":{"field":"name","action":"changed"},"user":null}]}'  # fmt: skip
    topics, log = Topics(records(change)), Log()
    bridge = bridge_of(topics, log, "asana", unread=lambda source, names: wanted.append((source, list(names))))
    await run_until(bridge, lambda: topics.done)
    assert wanted == [("asana", ["77"])]
