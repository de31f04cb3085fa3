from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from flow.errors import Reason, SettingsError, Unavailable
from service.supervisor import Child, RestartPolicy, Supervisor
from tests.integration.processes import PATIENCE, next_line, none_left, python_parent, runs, until

LOG = logging.getLogger("test")
QUICKLY = RestartPolicy(first_pause=1, longest_pause=4, quick_deaths=3)

SLEEP = "import time; time.sleep(600)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); open({ready!r}, 'w'); time.sleep(600)"

PARENT = """
import asyncio, logging, sys
from service.supervisor import Child, Supervisor

CHILD = '''
import signal, sys, time
def tell(what):
    with open(sys.argv[2], "a") as diary:
        diary.write(sys.argv[1] + " " + what + chr(10))
heard = {signal.SIGTERM, signal.SIGINT}
signal.pthread_sigmask(signal.SIG_BLOCK, heard)  # a handler could run just before a sleep, and not end it
tell("ready")
while signal.sigwait(heard) != signal.SIGTERM:
    tell("interrupted")
tell("told to end")
time.sleep(0.1)
tell("ended")
'''
children = [Child(name, [sys.executable, "-S", "-c", CHILD, name, sys.argv[1]]) for name in ("receiver", "aggregator")]
supervisor = Supervisor(children, log=logging.getLogger(), on_start=lambda name, pid: print(pid, flush=True))

async def main():
    await supervisor.run()

asyncio.run(main())
print("over", flush=True)
"""


def python(name: str, script: str, *arguments: str) -> Child:
    return Child(name, [sys.executable, "-S", "-c", script, *arguments])


def stubborn(name: str, folder: Path) -> Child:
    return python(name, STUBBORN.format(ready=str(folder / f"{name} is ready")))


class Starts:
    """What the supervisor told of starts."""

    def __init__(self) -> None:
        self.all: list[tuple[str, int]] = []

    def __call__(self, name: str, pid: int) -> None:
        self.all.append((name, pid))

    def of(self, name: str) -> list[int]:
        return [pid for started, pid in self.all if started == name]

    async def count(self, number: int) -> None:
        await until(lambda: len(self.all) >= number)


@contextlib.asynccontextmanager
async def supervising(supervisor: Supervisor) -> AsyncIterator[asyncio.Task[None]]:
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        task = group.create_task(supervisor.run())
        try:
            yield task
        finally:
            if not task.done():
                supervisor.stop()


async def test_a_child_that_died_is_started_again():
    starts = Starts()
    async with supervising(Supervisor([python("a", SLEEP)], log=LOG, restarts=QUICKLY, on_start=starts)):
        await starts.count(1)
        os.kill(starts.of("a")[0], signal.SIGKILL)
        await starts.count(2)
        first, second = starts.of("a")
        assert not runs(first)
        assert runs(second)
    assert not runs(second)


async def test_a_child_that_left_without_being_asked_is_started_again_though_it_said_all_was_well():
    starts = Starts()
    restarts = RestartPolicy(first_pause=1, longest_pause=1, quick_deaths=1_000)
    async with supervising(Supervisor([python("a", "")], log=LOG, restarts=restarts, on_start=starts)):
        await starts.count(3)


async def test_a_child_that_dies_soon_after_every_start_is_given_up_and_the_others_are_stopped():
    starts = Starts()
    children = [python("well", SLEEP), python("ill", "raise SystemExit(3)")]
    with pytest.raises(Unavailable, match=r"ill: ended 3 times in a row soon after its start, .* code 3") as failure:
        await Supervisor(children, log=LOG, restarts=QUICKLY, on_start=starts).run()
    assert failure.value.reason is Reason.PROCESS_ENDED
    assert len(starts.of("ill")) == 3
    assert len(starts.of("well")) == 1
    assert not runs(starts.of("well")[0])


async def test_a_child_whose_lives_are_long_is_never_given_up():
    starts = Starts()
    a_minute_passes = itertools.count(step=60_000).__next__
    supervisor = Supervisor([python("a", "")], log=LOG, restarts=QUICKLY, clock=a_minute_passes, on_start=starts)
    async with supervising(supervisor):
        await starts.count(QUICKLY.quick_deaths + 2)


async def test_a_child_that_refuses_its_settings_takes_everything_down_at_once():
    starts = Starts()
    children = [python("well", SLEEP), python("ill", f"raise SystemExit({os.EX_CONFIG})")]
    with pytest.raises(SettingsError, match="ill: can't use its settings"):
        await Supervisor(children, log=LOG, restarts=QUICKLY, on_start=starts).run()
    assert len(starts.of("ill")) == 1
    assert not runs(starts.of("well")[0])


async def test_a_program_that_does_not_exist_is_named_and_not_tried_again(tmp_path):
    starts = Starts()
    missing = str(tmp_path / "no-such-program")
    with pytest.raises(Unavailable, match=r"a: can't be started: .*no-such-program"):
        await Supervisor([Child("a", [missing])], log=LOG, on_start=starts).run()
    assert starts.all == []


async def test_a_child_gets_the_environment_that_is_given_and_nothing_else(tmp_path):
    out = tmp_path / "environment"
    script = f"import os; open({str(out)!r}, 'w').write(','.join(sorted(os.environ)) + ';'); {SLEEP}"
    child = Child("a", [sys.executable, "-S", "-c", script], {"LC_CTYPE": "C.UTF-8", "ONLY": "this"})
    async with supervising(Supervisor([child], log=LOG)):
        await until(lambda: out.exists() and out.read_text().endswith(";"))
    assert out.read_text() == "LC_CTYPE,ONLY;"


async def test_a_failure_of_something_else_stops_the_children_and_is_raised():
    starts = Starts()
    supervisor = Supervisor([python("a", SLEEP)], log=LOG, on_start=starts)
    task = asyncio.create_task(supervisor.run())
    await starts.count(1)
    supervisor.fail(Unavailable(Reason.STATE_UNAVAILABLE, "the server ended"))
    with pytest.raises(Unavailable, match="the server ended"):
        await task
    assert not runs(starts.of("a")[0])


async def test_stubborn_children_are_killed_when_the_one_deadline_of_all_has_passed(tmp_path):
    starts = Starts()
    children = [stubborn("a", tmp_path), stubborn("b", tmp_path)]
    supervisor = Supervisor(children, log=LOG, stop_within=3.0, on_start=starts)
    async with supervising(supervisor) as task:
        await until(lambda: len(list(tmp_path.iterdir())) == 2)
        asked_at = time.monotonic()
        supervisor.stop()
        await task
    assert 3.0 <= time.monotonic() - asked_at < 5.9
    assert not any(runs(pid) for _, pid in starts.all)


async def test_a_second_signal_kills_the_children_at_once(tmp_path):
    starts = Starts()
    children = [stubborn("a", tmp_path), stubborn("b", tmp_path)]
    supervisor = Supervisor(children, log=LOG, stop_within=3_600, on_start=starts)
    async with supervising(supervisor) as task:
        await until(lambda: len(list(tmp_path.iterdir())) == 2)
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0)
        os.kill(os.getpid(), signal.SIGINT)
        await task
    assert not any(runs(pid) for _, pid in starts.all)


async def test_a_child_waiting_for_its_restart_does_not_hold_up_the_stop():
    starts = Starts()
    an_hour = RestartPolicy(first_pause=3_600_000, longest_pause=3_600_000)
    supervisor = Supervisor([python("a", "")], log=LOG, restarts=an_hour, on_start=starts)
    async with supervising(supervisor):
        await starts.count(1)
        await until(lambda: not runs(starts.of("a")[0]))


async def test_children_are_killed_when_the_supervisor_is_cancelled(tmp_path):
    starts = Starts()
    task = asyncio.create_task(Supervisor([stubborn("a", tmp_path)], log=LOG, on_start=starts).run())
    await until(lambda: len(list(tmp_path.iterdir())) == 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not runs(starts.of("a")[0])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_ctrl_c_stops_the_receiver_before_the_aggregator_and_reaches_neither_directly(tmp_path, number):
    diary = tmp_path / "diary"
    async with python_parent(PARENT, diary) as parent:
        await until(lambda: diary.exists() and diary.read_text().count("ready") == 2)
        os.killpg(parent.pid, number)  # as the terminal does: to every process of the foreground group
        lines = [await next_line(parent) for _ in range(3)]
        assert lines[2] == "over"
        assert await parent.wait() == 0
    assert diary.read_text().splitlines()[2:] == [
        "receiver told to end",
        "receiver ended",
        "aggregator told to end",
        "aggregator ended",
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can tie a child to its parent")
async def test_no_child_is_left_behind_when_the_supervisor_is_killed(tmp_path):
    diary = tmp_path / "diary"
    async with python_parent(PARENT, diary) as parent:
        await until(lambda: diary.exists() and diary.read_text().count("ready") == 2)
        children = [int(await next_line(parent)) for _ in range(2)]
        with none_left(children):
            parent.kill()
            await parent.wait()
            await until(lambda: not any(runs(pid) for pid in children))
    told = {line for line in diary.read_text().splitlines() if "told" in line}
    assert told == {"receiver told to end", "aggregator told to end"}


def test_the_pause_doubles_up_to_the_longest_and_then_there_is_none():
    policy = RestartPolicy()
    pauses = [policy.pause(deaths) for deaths in range(1, 11)]
    assert pauses == [200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000, 10_000, None]


def test_a_life_of_thirty_seconds_forgets_the_deaths_before_it():
    policy = RestartPolicy()
    assert policy.deaths_in_a_row(4, 29_999) == 5
    assert policy.deaths_in_a_row(4, 30_000) == 0
