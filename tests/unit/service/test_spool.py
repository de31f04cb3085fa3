"""The spool between the receivers and a log that comes and goes."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager

import pytest

from flow.errors import Reason, SettingsError, Unavailable
from service.covered_log import CoveredLog, TimelyLog
from service.late_log import LateLog
from service.spool import Spool
from service.spool_folder import SpoolFolder
from service.spool_metrics import SpoolMetrics
from service.spool_store import Store
from tests.unit.service.spooling import AT, SIZE, FakeLog, fact, letter

PATIENCE = 40


@pytest.fixture
def log():
    return FakeLog()


def spool_of(path, log, size=SIZE, **more):
    return Spool(SpoolFolder(path, size, lambda: AT), log, lambda: AT, **more)


@pytest.fixture
async def spool(tmp_path, log):
    """One that drains."""
    async with spool_of(tmp_path, log) as found:
        yield found


@asynccontextmanager
async def by_hand(path, log, **more):
    """One that does only what the test tells it."""
    found = spool_of(path, log, **more)
    await found.open()
    try:
        yield found
    finally:
        await found.close()


async def kept(spool, *deliveries):
    """What became of deliveries that were spooled in one transaction."""
    keeping = [asyncio.create_task(delivery) for delivery in deliveries]
    await asyncio.sleep(0)
    await spool.write_waiting()
    return await asyncio.gather(*keeping, return_exceptions=True)


async def until(condition):
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)


async def refusal(awaitable):
    with pytest.raises(Unavailable) as caught:
        await awaitable
    return caught.value


# --- the spool -------------------------------------------------------------------------------------------------------


async def test_what_is_kept_reaches_the_log_in_order(spool, log):
    log.mood = "down"
    for number in range(5):
        await spool.keep([fact(f"{number}a"), fact(f"{number}b")])
    await spool.keep_letter(letter(b"\xff\0"))
    await spool.keep([fact("5")])
    assert spool.level.deliveries == 7
    assert spool.level.oldest == AT
    assert not spool.is_empty
    log.mood = "up"
    await until(lambda: spool.is_empty)
    assert log.ids() == [f"{number}{half}" for number in range(5) for half in "ab"] + ["5"]
    assert [each.body for each in log.letters] == [b"\xff\0"]
    assert spool.level.oldest is None


async def test_what_proves_the_sender_does_not_go_to_disk(tmp_path, log):
    async with by_hand(tmp_path, log) as spool:
        await kept(spool, spool.keep_letter(letter()))
        on_disk = b"".join(path.read_bytes() for path in tmp_path.iterdir())
        assert b"x-github-event" in on_disk
        assert b"hush" not in on_disk
        await spool.drain_some()
    assert log.letters[0].headers == {"x-github-event": "issues"}


async def test_many_deliveries_share_one_transaction(tmp_path, log, monkeypatch):
    async with by_hand(tmp_path, log) as spool:
        groups = []
        add = Store.add

        def counted(store, rows):
            groups.append(len(rows))
            return add(store, rows)

        monkeypatch.setattr(Store, "add", counted)
        answers = await kept(spool, *[spool.keep([fact(str(number))]) for number in range(50)])
    assert answers == [None] * 50
    assert groups == [50]


async def test_it_is_removed_only_after_the_log_has_it(tmp_path, log):
    async with by_hand(tmp_path, log) as spool:
        await kept(spool, spool.keep([fact("1")]))
        log.mood = "down"
        assert (await refusal(spool.drain_some())).reason == Reason.LOG_UNAVAILABLE
        log.mood = "deaf"
        await refusal(spool.drain_some())
        assert spool.level.deliveries == 1
        log.mood = "up"
        await spool.drain_some()
        assert spool.is_empty
    assert log.ids() == ["1"]


async def test_a_letter_that_the_log_never_takes_holds_up_no_fact_and_is_kept(tmp_path, log, monkeypatch):
    async with by_hand(tmp_path, log) as spool:
        await kept(spool, spool.keep_letter(letter(b"too large")), spool.keep([fact("1")]), spool.keep([fact("2")]))

        async def refuse(_log, _letter):
            raise Unavailable(Reason.LOG_UNAVAILABLE, "not this one")

        with monkeypatch.context() as patched:
            patched.setattr(FakeLog, "append_letter", refuse)
            for _ in range(5):
                await refusal(spool.drain_some())
            await spool.drain_some()
            assert log.ids() == ["1", "2"]
            await refusal(spool.drain_some())
        assert spool.level.deliveries == 1
        await spool.drain_some()
        assert spool.is_empty
    assert [each.body for each in log.letters] == [b"too large"]


async def test_a_disk_that_fails_once_the_log_has_it_makes_no_second_copy(tmp_path, log, monkeypatch):
    async with by_hand(tmp_path, log) as spool:
        await kept(spool, spool.keep([fact("1")]))
        with monkeypatch.context() as patched:
            patched.setattr(Store, "remove", lambda *_: (_ for _ in ()).throw(OSError("disk")))
            with pytest.raises(OSError, match="disk"):
                await spool.drain_some()
        await spool.drain_some()
        assert spool.is_empty
    assert len(log.facts) == 1


async def test_what_is_left_at_the_end_is_there_at_the_next_start(tmp_path, log):
    log.mood = "down"
    async with spool_of(tmp_path, log) as spool:
        await spool.keep([fact("1")])
    log.mood = "up"
    async with spool_of(tmp_path, log) as spool:
        await until(lambda: spool.is_empty)
    assert log.ids() == ["1"]


async def test_a_full_spool_refuses_says_so_once_and_takes_again_when_there_is_room(tmp_path, log, caplog):
    async with by_hand(tmp_path, log, size=100_000) as spool:
        answers = await kept(spool, spool.keep([fact("1")]))
        while answers == [None]:
            answers = await kept(spool, spool.keep([fact("x" * 9000)]))
        await kept(spool, spool.keep([fact("x" * 9000)]))
        assert isinstance(answers[0], Unavailable)
        assert answers[0].reason == Reason.OVERLOADED
        assert spool.level.filled > 0.8
        before = spool.takes
        assert caplog.text.count("spool_unwritable") == 1
        await spool.drain_some()
        assert (before, spool.takes) == (False, True)
        assert await kept(spool, spool.keep([fact("y")])) == [None]


async def test_a_disk_that_is_full_is_answered_and_tried_again(tmp_path, log, monkeypatch, caplog):
    async with by_hand(tmp_path, log) as spool:
        with monkeypatch.context() as patched:
            patched.setattr(Store, "add", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
            [answer] = await kept(spool, spool.keep([fact("1")]))
        assert isinstance(answer, Unavailable)
        assert "No space left" in caplog.text
        assert "No space left" not in answer.message
        assert await kept(spool, spool.keep([fact("2")])) == [None]
        assert spool.takes


async def test_a_disk_that_is_full_at_the_start_does_not_end_the_process(tmp_path, log, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(SpoolFolder, "claim", lambda _: (_ for _ in ()).throw(OSError(28, "No space left")))
        spool = spool_of(tmp_path, log)
        await spool.open()
    assert await kept(spool, spool.keep([fact("1")])) == [None]
    await spool.drain_some()
    assert log.ids() == ["1"]
    await spool.close()


async def test_a_folder_that_cannot_be_used_ends_the_start(tmp_path, log):
    (tmp_path / "spool").write_text("a file")
    with pytest.raises(SettingsError, match="STREAMGAUGE_SPOOL__FOLDER"):
        async with spool_of(tmp_path / "spool", log):
            raise AssertionError("it was taken")


async def test_a_disk_that_hangs_is_answered_in_time_and_only_so_much_waits(tmp_path, log):
    async with by_hand(tmp_path, log, within=20) as spool:  # nobody writes what waits
        large = [asyncio.create_task(spool.keep([fact("x" * 30_000_000)])) for _ in range(3)]
        answers = await asyncio.gather(*large, return_exceptions=True)
        assert [each.reason for each in answers] == [Reason.OVERLOADED] * 3
        await spool.write_waiting()
        assert spool.is_empty  # whom nobody waits for any more is not kept
    await refusal(spool.keep([fact("1")]))


async def test_a_mistake_while_draining_forgets_nothing(spool, log, monkeypatch, caplog):
    log.mood = "down"
    await spool.keep([fact("1")])
    with monkeypatch.context() as patched:
        patched.setattr(FakeLog, "append", lambda *_: (_ for _ in ()).throw(ValueError("a fault of ours")))
        await until(lambda: "spool_not_drained" in caplog.text)
    log.mood = "up"
    await until(lambda: spool.is_empty)
    assert log.ids() == ["1"]


# --- the log as webhooks write to it ---------------------------------------------------------------------------------


async def test_while_the_log_is_up_nothing_is_spooled(tmp_path, log):
    async with by_hand(tmp_path, log) as spool:
        covered = CoveredLog(log, spool)
        await covered.append([fact("1")])
        await covered.append_letter(letter())
        await covered.append([])
        assert spool.is_empty
    assert (log.ids(), len(log.letters)) == (["1"], 1)


@pytest.mark.parametrize("mood", ["down", "hanging", "deaf"])
async def test_what_the_log_does_not_take_in_time_is_spooled(spool, log, mood):
    log.mood = mood
    covered = CoveredLog(TimelyLog(log, 20), spool)
    await covered.append([fact("1")])
    await covered.append_letter(letter())
    assert not spool.is_empty


async def test_nothing_overtakes_what_is_spooled(tmp_path, log):
    async with by_hand(tmp_path, log) as spool:
        covered = CoveredLog(log, spool)
        log.mood = "down"
        await kept(spool, covered.append([fact("1")]))
        log.mood = "up"
        asked = log.asked
        await kept(spool, covered.append([fact("2")]), covered.append_letter(letter()))
        assert log.asked == asked
        while not spool.is_empty:
            await spool.drain_some()
        await covered.append([fact("3")])
    assert log.ids() == ["1", "2", "3"]
    assert len(log.letters) == 1


async def test_nothing_overtakes_what_is_on_its_way_to_the_disk(tmp_path, log):
    async with by_hand(tmp_path, log) as spool:
        covered = CoveredLog(log, spool)
        log.mood = "down"
        first = asyncio.create_task(covered.append([fact("1")]))
        await asyncio.sleep(0)
        log.mood = "up"
        second = asyncio.create_task(covered.append([fact("2")]))
        await asyncio.sleep(0)
        await spool.write_waiting()
        await asyncio.gather(first, second)
        await spool.drain_some()
    assert log.ids() == ["1", "2"]


async def test_without_log_and_spool_the_sender_is_refused(tmp_path, log):
    log.mood = "down"
    async with by_hand(tmp_path, log) as spool:
        covered = CoveredLog(log, spool)
        answers = await kept(spool, covered.append([fact("x" * 2 * SIZE)]))
    assert isinstance(answers[0], Unavailable)


async def test_a_log_that_hangs_is_given_up_in_time():
    log = FakeLog()
    log.mood = "hanging"
    timely = TimelyLog(log, 20)
    for waiting in (timely.append([fact("1")]), timely.append_letter(letter())):
        assert (await refusal(waiting)).reason == Reason.LOG_UNAVAILABLE


async def test_a_log_in_time_is_the_log():
    log = FakeLog()
    await TimelyLog(log, 20).append([fact("1")])
    await TimelyLog(log, 20).append_letter(letter())
    assert (len(log.facts), len(log.letters)) == (1, 1)


# --- a log that comes later ------------------------------------------------------------------------------------------


class Opening:
    """Opens a log when it is there; counts how often it was asked."""

    def __init__(self, *, there=True, error=None):
        self.there = there
        self.error = error
        self.log = FakeLog()
        self.asked = 0
        self.closed = False

    @asynccontextmanager
    async def __call__(self):
        self.asked += 1
        if self.error:
            raise self.error
        if not self.there:
            raise Unavailable(Reason.LOG_UNAVAILABLE, "the log is away")
        yield self.log
        self.closed = True


async def test_a_log_that_is_there_is_taken_at_once():
    opening = Opening()
    async with LateLog(opening) as log:
        await log.append([fact("1")])
        await log.append_letter(letter())
    assert (len(opening.log.facts), len(opening.log.letters)) == (1, 1)
    assert (opening.asked, opening.closed) == (1, True)


async def test_a_log_that_comes_later_is_taken_then(caplog):
    opening = Opening(there=False)
    async with LateLog(opening) as log:
        assert (await refusal(log.append([fact("1")]))).reason == Reason.LOG_UNAVAILABLE
        await refusal(log.append_letter(letter()))
        assert "log_not_reached" in caplog.text
        opening.there = True
        await until(lambda: opening.asked > 1)
        await asyncio.sleep(0)
        await log.append([fact("2")])
    assert opening.log.ids() == ["2"]


async def test_a_log_that_never_comes_does_not_hold_up_the_end():
    async with asyncio.timeout(PATIENCE), LateLog(Opening(there=False)):
        pass


async def test_a_log_that_hangs_does_not_hold_up_the_start_nor_the_end():
    @asynccontextmanager
    async def opening():
        await asyncio.get_running_loop().create_future()
        yield FakeLog()

    async with asyncio.timeout(PATIENCE), LateLog(opening, wait=0.01) as log:
        await refusal(log.append([fact("1")]))


@pytest.mark.parametrize("later", [False, True])
async def test_a_log_that_is_not_ours_ends_the_process_whenever_it_comes(later):
    opening = Opening(there=False, error=None if later else SettingsError(["the log has 3 partitions"]))

    async def run():
        async with asyncio.timeout(PATIENCE), LateLog(opening):
            assert later
            opening.error = SettingsError(["the log has 3 partitions"])
            await asyncio.get_running_loop().create_future()

    with pytest.raises(BaseExceptionGroup) as caught:
        await run()
    assert caught.value.subgroup(SettingsError)


# --- metrics ---------------------------------------------------------------------------------------------------------


def samples(metrics):
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in metrics.collect()
        for sample in family.samples
    }


async def test_depth_age_and_sources_are_shown(tmp_path, log):
    metrics = SpoolMetrics()
    before = samples(metrics)
    assert before["streamgauge_spool_deliveries",] == 0
    assert ("streamgauge_spool_oldest_timestamp_seconds",) not in before
    assert before["streamgauge_spooled_deliveries_total", "github"] == 0
    assert ("streamgauge_spooled_deliveries_total", "linear") not in before
    async with by_hand(tmp_path, log, count=metrics.count) as spool:
        metrics.level = lambda: spool.level
        await kept(spool, spool.keep([fact("1")]), spool.keep([fact("2", source="nobody")]))
        after = samples(metrics)
    assert after["streamgauge_spool_deliveries",] == 2
    assert after["streamgauge_spool_oldest_timestamp_seconds",] == AT / 1000
    assert 0 < after["streamgauge_spool_filled_ratio",] < 1
    assert after["streamgauge_spooled_deliveries_total", "github"] == 1
    assert after["streamgauge_spooled_deliveries_total", "other"] == 1


async def test_what_waits_is_told_at_the_start(tmp_path, log, caplog):
    log.mood = "down"
    async with spool_of(tmp_path, log) as spool:
        await spool.keep([fact("1")])
    with caplog.at_level(logging.WARNING):
        async with spool_of(tmp_path, log):
            assert "spool_found deliveries=1" in caplog.text
