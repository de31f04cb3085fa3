"""The bottleneck detector beside real state in a real server: one of many processes, restarts, late facts, the API."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from redis.asyncio import Redis

from consumers.detector import CHANGED_EVERY, QUIET_EVERY, DetectorRunner
from consumers.lease import LENGTH, Lease, write_fenced
from consumers.log import Batch
from consumers.measurements import Measurements
from consumers.partition import Partition, Work
from consumers.stream_state import Bounds
from flow import keys
from flow.bottlenecks.follow import unpack_memory
from flow.bottlenecks.verdict import Said, unpack_said
from flow.cells import Retention
from flow.definitions import Condition, Definitions, Match, Stage, Stream
from flow.facts import Fact, ItemFact, encode_facts
from flow.instants import DAY, HOUR, MINUTE
from service.api import build_api
from service.authorisation import TokenCheck
from service.reader import StateReader
from service.reader_bottlenecks import STALE_AFTER, BottleneckReader
from tests.integration.installation import Installation

pytestmark = pytest.mark.needs_server("valkey")

MONDAY = 4_102_704_000_000
"""2100-01-04. Cells expire by the server's own clock, so the past would be gone at once."""

STREAM = Stream(
    "web",
    (
        Stage("develop", "active", (Condition(status="Doing"),)),
        Stage("review", "active", (Condition(status="Review"),)),
        Stage("done", "done", (Condition(status="Done"),)),
    ),
    Match(source=("jira",)),
    baseline=14 * DAY,
)
DEFINITIONS = Definitions({"web": STREAM})


class Scene:
    """A worker that takes facts in, and detectors beside it, all on one clock that stands still until it is moved."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self.now = MONDAY
        self._offset = 0

    def clock(self) -> int:
        return self.now

    def runner(self, stream: Stream = STREAM) -> DetectorRunner:
        return DetectorRunner(self.redis, Definitions({"web": stream}), Retention(), self.clock)

    async def write(self, facts: list[Fact]) -> None:
        work = Work(self.redis, DEFINITIONS, Bounds(), 100, self.clock, Measurements(self.now))
        partition = Partition(0, work)
        await partition.load()
        offsets = range(self._offset + 1, self._offset + len(facts) + 1)
        self._offset = offsets[-1]
        batch = Batch(0, encode_facts(facts).rstrip(b"\n"), offsets, self.now)
        await partition.commit_batch(await partition.fold(await partition.prepare(batch)), batch)

    async def memory(self) -> bytes:
        row = await self.redis.hget(keys.detector("web"), "memory")
        assert isinstance(row, bytes)
        return row

    async def said(self) -> Said:
        row = await self.redis.hget(keys.detector("web"), "verdicts")
        assert isinstance(row, bytes)
        said = unpack_said(row)
        assert said is not None
        return said


@pytest.fixture
def scene(redis: Redis) -> Scene:
    return Scene(redis)


def moved(item: int, at: int, status: str) -> ItemFact:
    return ItemFact(f"{item}-{status}", "jira", f"W-{item}", at, status=status)


def life(item: int, day: float, *, review_ends: float | None = None) -> list[Fact]:
    """An item that is developed for six hours and reviewed for nine; or whose review ends on another day, or never."""
    begun = MONDAY + round(day * DAY)
    facts: list[Fact] = [moved(item, begun, "Doing"), moved(item, begun + 6 * HOUR, "Review")]
    left = begun + 15 * HOUR if review_ends is None else MONDAY + round(review_ends * DAY)
    return [*facts, moved(item, left, "Done")]


def until(facts: list[Fact], now: int) -> list[Fact]:
    return sorted((fact for fact in facts if fact.at <= now), key=lambda fact: fact.at)


def history(days: int, *, stuck_from: float = 1e9) -> list[Fact]:
    """Eight items a day; from a day on none leaves the review."""
    return [
        fact
        for number in range(days * 8)
        for fact in life(number, number / 8, review_ends=1e6 if number / 8 + 0.625 > stuck_from else None)
    ]


async def test_a_stage_that_nothing_leaves_any_more_is_named_with_its_reason(scene: Scene) -> None:
    scene.now = MONDAY + 25 * DAY
    await scene.write(until(history(25, stuck_from=23), scene.now))
    await scene.runner().turn()
    review = (await scene.said()).stages[1]
    assert (review.stage, review.state, review.cause, review.raised, review.constrains) == (
        "review", "stuck", "slowdown", True, True,
    )  # fmt: skip
    assert review.evidence is not None
    assert review.evidence >= 1
    assert review.since is not None
    assert 22 <= (review.since - MONDAY) / DAY <= 23.5
    assert "0 left in " in review.why
    assert " expected at this WIP" in review.why
    assert not (await scene.said()).stages[0].raised


async def test_before_there_is_enough_history_it_says_so(scene: Scene) -> None:
    scene.now = MONDAY + 10 * DAY
    await scene.write(until(history(10), scene.now))
    await scene.runner().turn()
    said = await scene.said()
    assert {verdict.state for verdict in said.stages} == {"insufficient_data"}
    assert "2100-01-18T00:00:00Z" in said.stages[0].why


async def judged_late(scene: Scene, days: int, first: float, last: float) -> tuple[Said, Said]:
    """What is said before the facts between two days of a history come, and after; the latter as if made anew."""
    facts = history(days, stuck_from=23)
    late = [fact for fact in facts if MONDAY + first * DAY < fact.at < MONDAY + last * DAY]
    scene.now = MONDAY + days * DAY
    await scene.write([fact for fact in until(facts, scene.now) if fact not in late])
    runner = scene.runner()
    await runner.turn()
    without = await scene.said()
    await scene.write(late)
    scene.now += CHANGED_EVERY
    await runner.turn()
    corrected = await scene.said()
    assert corrected == await said_anew(scene, runner)
    return without, corrected


async def test_facts_that_come_late_are_judged_as_if_they_had_been_in_time(scene: Scene) -> None:
    without, corrected = await judged_late(scene, 25, 24, 24.5)
    assert corrected != without


async def test_facts_that_are_days_late_count_at_the_next_look(scene: Scene) -> None:
    without, corrected = await judged_late(scene, 24, 19, 21)
    assert corrected.stages[1].evidence != pytest.approx(without.stages[1].evidence, rel=0.02)


async def test_a_restart_changes_nothing(scene: Scene) -> None:
    facts = history(26, stuck_from=25)
    scene.now = MONDAY + 20 * DAY
    await scene.write(until(facts, scene.now))
    one = scene.runner()
    await one.turn()
    for day in (21, 22, 23, 25):
        before, scene.now = scene.now, MONDAY + day * DAY + 5 * HOUR
        await scene.write([fact for fact in until(facts, scene.now) if fact.at > before])
        await one.turn()
    without = await scene.said()
    await one.lease.release()
    await scene.runner().turn()
    assert await scene.said() == without


async def test_a_changed_definition_is_learned_anew(scene: Scene) -> None:
    scene.now = MONDAY + 20 * DAY
    await scene.write(until(history(20), scene.now))
    runner = scene.runner()
    await runner.turn()
    await runner.lease.release()
    row = await scene.memory()
    await scene.runner(replace(STREAM, baseline=15 * DAY)).turn()
    changed = await scene.memory()
    assert unpack_memory(changed).days[-1].fingerprint != unpack_memory(row).days[-1].fingerprint


async def test_time_alone_raises_the_alarm(scene: Scene) -> None:
    scene.now = MONDAY + 20 * DAY
    await scene.write(until(history(20), scene.now))
    runner = scene.runner()
    await runner.turn()
    assert not any(verdict.raised for verdict in (await scene.said()).stages)
    scene.now += 5 * DAY
    await runner.turn()
    assert any(verdict.raised for verdict in (await scene.said()).stages)


async def test_what_is_kept_has_a_bound(scene: Scene) -> None:
    facts = history(34)
    scene.now = MONDAY + 16 * DAY
    await scene.write(until(facts, scene.now))
    runner, sizes = scene.runner(), []
    for day in range(17, 34):
        before, scene.now = scene.now, MONDAY + day * DAY
        await scene.write([fact for fact in until(facts, scene.now) if fact.at > before])
        await runner.turn()
        row = await scene.memory()
        sizes.append((len(unpack_memory(row).days), len(row)))
    assert max(days for days, _ in sizes) == 8
    assert max(size for _, size in sizes) < 30_000


async def test_a_turn_on_the_edge_of_a_day_counts_nothing_twice(scene: Scene) -> None:
    facts = history(30)
    runner = scene.runner()
    before = MONDAY
    for now in (MONDAY + 20 * DAY, MONDAY + 21 * DAY, MONDAY + 21 * DAY + 1, MONDAY + 22 * DAY, MONDAY + 24 * DAY):
        scene.now = now
        await scene.write([fact for fact in until(facts, now) if fact.at > before] or [moved(10_000, now, "Elsewhere")])
        before = now
        await runner.turn()
    corrected = await scene.said()
    memory = unpack_memory(await scene.memory())
    assert len({day.through for day in memory.days}) == len(memory.days)
    await runner.lease.release()
    await scene.redis.delete(keys.detector("web"))
    await scene.runner().turn()
    assert await scene.said() == corrected
    assert unpack_memory(await scene.memory()) == memory


# --- history that is imported ----------------------------------------------------------------------------------------

COMING_IN = "history is coming in"


async def test_history_that_is_imported_while_it_learns_is_judged_within_seconds(scene: Scene) -> None:
    scene.now = MONDAY + 25 * DAY + 1
    runner = scene.runner()
    await runner.turn()
    await scene.write([moved(10_000, scene.now, "Doing")])
    await runner.turn()
    assert "there will be enough at 2100-02-12T00:00:00Z" in (await scene.said()).stages[0].why
    await scene.write(until(history(25, stuck_from=23), scene.now))
    scene.now += CHANGED_EVERY
    await runner.turn()
    assert COMING_IN in (await scene.said()).stages[0].why
    scene.now += CHANGED_EVERY
    await runner.turn()
    review = (await scene.said()).stages[1]
    assert (review.state, review.cause, review.constrains) == ("stuck", "slowdown", True)


async def test_too_little_imported_history_moves_the_date_on_which_there_is_enough(scene: Scene) -> None:
    scene.now = MONDAY + 10 * DAY
    runner = scene.runner()
    await runner.turn()
    await scene.write([moved(10_000, scene.now, "Doing")])
    await runner.turn()
    await scene.write(until(history(10), scene.now))
    for _ in range(2):
        scene.now += CHANGED_EVERY
        await runner.turn()
    said = await scene.said()
    assert said.at == scene.now
    assert "there will be enough at 2100-01-18T00:00:00Z" in said.stages[0].why


async def test_history_of_some_hours_moves_the_date_too(scene: Scene) -> None:
    scene.now = MONDAY + 10 * DAY + 9 * HOUR
    runner = scene.runner()
    await runner.turn()
    await scene.write([moved(10_000, scene.now - 1, "Doing")])
    await runner.turn()
    assert "enough at 2100-01-28T08:00:00Z" in (await scene.said()).stages[0].why
    await scene.write([moved(10_001, scene.now - 3 * HOUR, "Doing")])
    scene.now += CHANGED_EVERY
    await runner.turn()
    assert "enough at 2100-01-28T06:00:00Z" in (await scene.said()).stages[0].why


async def test_while_it_learns_every_look_is_told(scene: Scene) -> None:
    scene.now = MONDAY + 10 * DAY
    await scene.write(until(history(10), scene.now))
    runner = scene.runner()
    await runner.turn()
    why = (await scene.said()).stages[0].why
    scene.now += QUIET_EVERY
    await runner.turn()
    assert (await scene.said()).at == scene.now
    await scene.write([moved(10_000, scene.now, "Doing")])
    scene.now += CHANGED_EVERY
    await runner.turn()
    assert ((await scene.said()).at, (await scene.said()).stages[0].why) == (scene.now, why)


async def test_half_an_import_raises_no_alarm_and_is_not_what_is_learned_from(scene: Scene) -> None:
    scene.now = MONDAY + 30 * DAY
    facts = until(history(30), scene.now)
    half = len(facts) // 2
    runner = scene.runner()
    await runner.turn()
    raised = False
    for part in (facts[:half], facts[half : half + half // 2], facts[half + half // 2 :], []):
        if part:
            await scene.write(part)
        scene.now += CHANGED_EVERY
        await runner.turn()
        raised |= any(verdict.raised for verdict in (await scene.said()).stages)
    assert not raised
    assert await scene.said() == await said_anew(scene, runner)


async def test_an_import_that_stops_half_way_is_learned_from_anew_when_the_rest_comes(scene: Scene) -> None:
    scene.now = MONDAY + 30 * DAY
    facts = until(history(30, stuck_from=27), scene.now)
    runner = scene.runner()
    await runner.turn()
    await scene.write(facts[::2])
    for _ in range(2):
        scene.now += CHANGED_EVERY
        await runner.turn()
    assert COMING_IN not in (await scene.said()).stages[0].why
    await scene.write(facts[1::2])
    for _ in range(2):
        scene.now += CHANGED_EVERY
        await runner.turn()
    review = (await scene.said()).stages[1]
    assert (review.raised, review.cause, review.constrains) == (True, "slowdown", True)
    assert await scene.said() == await said_anew(scene, runner)


async def test_a_restart_during_an_import_learns_from_the_whole_of_it(scene: Scene) -> None:
    scene.now = MONDAY + 30 * DAY
    facts = until(history(30), scene.now)
    await scene.write(facts[: len(facts) // 2])
    first = scene.runner()
    await first.turn()
    await first.lease.release()
    await scene.write(facts[len(facts) // 2 :])
    runner = scene.runner()
    await runner.turn()
    assert COMING_IN in (await scene.said()).stages[0].why
    scene.now += CHANGED_EVERY
    await runner.turn()
    assert await scene.said() == await said_anew(scene, runner)


async def said_anew(scene: Scene, runner: DetectorRunner) -> Said:
    """What a detector says that remembers nothing."""
    await runner.lease.release()
    await scene.redis.delete(keys.detector("web"))
    await scene.runner().turn()
    return await scene.said()


async def test_hours_that_are_kept_too_short_to_learn_from_are_no_fault(scene: Scene) -> None:
    scene.now = MONDAY + 20 * DAY
    await scene.write(until(history(20), scene.now))
    await DetectorRunner(scene.redis, DEFINITIONS, Retention(hours=DAY), scene.clock).turn()
    assert {verdict.state for verdict in (await scene.said()).stages} == {"insufficient_data"}


# --- one of many processes -------------------------------------------------------------------------------------------


async def test_of_many_processes_one_has_the_lease(redis: Redis) -> None:
    leases = [Lease(redis, keys.DETECTOR_LEASE, keys.DETECTOR_NUMBERS) for _ in range(20)]
    for _ in range(5):
        held = await asyncio.gather(*(lease.hold() for lease in leases))
        assert sum(held) == 1
        [winner] = [lease for lease, has in zip(leases, held, strict=True) if has]
        await winner.release()


async def test_a_lease_that_is_not_renewed_goes_to_the_next_process(redis: Redis) -> None:
    one, other = (Lease(redis, keys.DETECTOR_LEASE, keys.DETECTOR_NUMBERS, length=60_000) for _ in range(2))
    assert await one.hold()
    assert not await other.hold()
    assert await redis.pexpire(keys.DETECTOR_LEASE, 1)
    async with asyncio.timeout(60):
        while not await other.hold():
            await asyncio.sleep(0.02)
    assert other.number > 1
    assert not await one.hold()


async def test_who_lost_the_lease_can_neither_release_it_nor_write(redis: Redis) -> None:
    paused, successor = (Lease(redis, keys.DETECTOR_LEASE, keys.DETECTOR_NUMBERS) for _ in range(2))
    assert await paused.hold()
    old = paused.number
    await redis.delete(keys.DETECTOR_LEASE)
    assert await successor.hold()
    await paused.release()
    assert await successor.hold()
    assert await write_fenced(redis, keys.detector("web"), successor.number, {"verdicts": b"new"}) == 0
    assert await write_fenced(redis, keys.detector("web"), old, {"verdicts": b"old"}) == successor.number
    assert await redis.hget(keys.detector("web"), "verdicts") == b"new"


async def test_when_redis_lost_the_count_of_leases_the_next_one_goes_on_behind_it(scene: Scene) -> None:
    scene.now = MONDAY + 20 * DAY
    await scene.write(until(history(20), scene.now))
    await write_fenced(scene.redis, keys.detector("web"), 57, {"verdicts": b""})
    runner = scene.runner()
    for _ in range(2):
        await runner.turn()
        scene.now += MINUTE
    assert runner.lease.number == 58
    assert (await scene.said()).stages


async def test_a_runner_without_the_lease_writes_nothing(scene: Scene) -> None:
    scene.now = MONDAY + 20 * DAY
    await scene.write(until(history(20), scene.now))
    first, second = scene.runner(), scene.runner()
    await first.turn()
    written = (await scene.said()).at
    scene.now += QUIET_EVERY
    await second.turn()
    assert (await scene.said()).at == written
    await first.lease.release()
    await second.turn()
    assert (await scene.said()).at == scene.now


async def test_a_runner_that_is_stopped_lets_go_at_once(scene: Scene) -> None:
    runner = scene.runner()
    running = asyncio.create_task(runner.run())
    async with asyncio.timeout(60):
        while not runner.lease.number:
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert await scene.redis.get(keys.DETECTOR_LEASE) is None


# --- readers ---------------------------------------------------------------------------------------------------------


async def test_the_api_and_the_metrics_say_what_the_detector_says_and_nothing_when_it_is_silent(scene: Scene) -> None:
    scene.now = MONDAY + 25 * DAY
    await scene.write(until(history(25, stuck_from=23), scene.now))
    await scene.runner().turn()
    reader = StateReader(scene.redis, DEFINITIONS, Retention(), 1, scene.clock)
    alarms = (await BottleneckReader(reader).alarms())["web"]
    assert [(alarm.stage, alarm.cause) for alarm in alarms if alarm.raised] == [("review", "slowdown")]
    assert {alarm.cause for alarm in alarms} == {"slowdown", "overload"}
    answer = await asked(reader, "/v1/bottlenecks")
    [found] = answer["bottlenecks"]
    assert (found["stream"], found["stage"], found["state"]) == ("web", "review", "stuck")
    status = await asked(reader, "/v1/streams/web")
    assert status["stages"][1]["bottleneck"] == {k: v for k, v in found.items() if k not in {"stream", "stage"}}
    assert status["stages"][0]["bottleneck"] is None
    past = await asked(reader, "/v1/streams/web?at=2100-01-20T00:00:00Z&window=1d")
    assert [stage["bottleneck"] for stage in past["stages"]] == [None] * 3
    scene.now += STALE_AFTER + 1
    assert await BottleneckReader(reader).alarms() == {}
    silent = await asked(reader, "/v1/bottlenecks")
    assert (silent["bottlenecks"], silent["looked_at"]) == ([], {"web": None})


async def asked(reader: StateReader, path: str) -> dict:

    app = build_api(reader, TokenCheck({}, True), "1.0.0")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


# --- real processes --------------------------------------------------------------------------------------------------

DEFINITION = """\
streams:
  web:
    match: {source: jira}
    stages:
      - {name: develop, kind: active, when: [{status: Doing}]}
      - {name: done, kind: done, when: [{status: Done}]}
"""


async def test_a_killed_detector_is_replaced_within_seconds_and_a_stopped_one_lets_go(tmp_path: Path) -> None:
    installation = Installation(tmp_path, DEFINITION, STREAMGAUGE_HTTP__OPEN_ACCESS="true")
    try:
        await installation.start()
        fact = {"subject": "item", "id": "1", "source": "jira", "item": "W-1", "at": "2026-11-02T09:00:00Z"}
        answer = await installation.client.post("/v1/facts", json=fact | {"status": "Doing"})
        assert answer.status_code < 300, answer.text
        async with installation.redis() as redis:
            first = await number_of_the_detector(redis)
            await installation.kill("aggregate")
            async with asyncio.timeout(60):
                while await number_of_the_detector(redis) == first:
                    await asyncio.sleep(0.05)
            looked_at = (await installation.client.get("/v1/bottlenecks")).json()["looked_at"]
            assert looked_at["web"] is not None
            assert await redis.pttl(keys.DETECTOR_LEASE) <= LENGTH
            os.kill(installation.processes()["aggregate"], signal.SIGTERM)
            async with asyncio.timeout(60):
                while await redis.get(keys.DETECTOR_LEASE) == str(first + 1).encode():
                    await redis.pexpire(keys.DETECTOR_LEASE, 60_000)  # it does not end of itself
                    await asyncio.sleep(0.02)
    finally:
        await installation.close()


async def number_of_the_detector(redis: Redis) -> int:
    """Which holder of the lease wrote last; waits for the first."""
    async with asyncio.timeout(60):
        while True:
            number = await redis.hget(keys.detector("web"), "number")
            if number is not None:
                return int(number)
            await asyncio.sleep(0.05)
