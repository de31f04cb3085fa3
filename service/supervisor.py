"""The parent of `streamgauge up`: starts its child processes, restarts those that die, stops them in order.

Children are in sessions of their own, so that Ctrl-C in a terminal reaches only us and the order of stopping is ours:
the receiver first, so that nothing new comes in while the aggregator finishes what it has.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from flow.deadline import Deadline
from flow.errors import Reason, SettingsError, StreamgaugeError, Unavailable
from flow.instants import SECOND
from service.child_process import end_now, kill_group, monotonic_clock, stop_process, tied_to_us


@dataclass(frozen=True, slots=True)
class Child:
    """A process to keep alive. `env` is its whole environment; None: ours."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """When to restart a child that died: times in milliseconds.

    The pause doubles from `first_pause` to `longest_pause`. A child that lived `settled_after` starts anew; after
    `quick_deaths` shorter lives in a row there is no use in another.
    """

    first_pause: int = SECOND // 5
    longest_pause: int = 10 * SECOND
    settled_after: int = 30 * SECOND
    quick_deaths: int = 10

    def deaths_in_a_row(self, before: int, lived: int) -> int:
        """Quick deaths in a row, after `before` of them and another life of `lived` milliseconds."""
        return 0 if lived >= self.settled_after else before + 1

    def pause(self, deaths: int) -> int | None:
        """Milliseconds until the next start after that many quick deaths in a row; None: give up.

        >>> [RestartPolicy().pause(deaths) for deaths in (0, 1, 2, 3, 9, 10)]
        [200, 200, 400, 800, 10000, None]
        """
        if deaths >= self.quick_deaths:
            return None
        return min(self.longest_pause, self.first_pause << max(0, deaths - 1))


class Supervisor:
    """Keeps children alive until it is told to stop. Use each instance for one `run`."""

    def __init__(
        self,
        children: Sequence[Child],
        *,
        log: logging.Logger,
        stop_within: float = 25.0,
        restarts: RestartPolicy = RestartPolicy(),
        clock: Callable[[], int] = monotonic_clock,
        on_start: Callable[[str, int], None] = lambda name, pid: None,
    ) -> None:
        """`children` are stopped in this order, all within `stop_within` seconds.

        `on_start` is told the name and process id at each start of a child, the first and every later one. `clock`
        gives monotonic milliseconds.
        """
        self._children = {child.name: child for child in children}
        self._log = log
        self._stop_within = stop_within
        self._restarts = restarts
        self._clock = clock
        self._on_start = on_start
        self._running: dict[str, Process] = {}
        self._stopping = asyncio.Event()
        self._turn = {name: asyncio.Event() for name in self._children}
        self._deadline = Deadline(0, stop_within)
        self._forced = False
        self._failure: StreamgaugeError | None = None

    async def run(self) -> None:
        """Return once all children have ended because of a signal or `stop`; enter it in the main thread.

        Raises SettingsError when a child ended with EX_CONFIG, Unavailable when one can't be started or keeps dying,
        and what `fail` was given; the other children are stopped in order first. When it is cancelled, the children
        are killed at once.
        """
        with self._signals():
            async with asyncio.TaskGroup() as group:
                keepers = {name: group.create_task(self._keep(child)) for name, child in self._children.items()}
                await self._stopping.wait()
                self._deadline = Deadline(self._clock(), self._stop_within)
                for name, keeper in keepers.items():
                    self._turn[name].set()
                    await keeper
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Stop the children in order. Asked a second time: kill them all now."""
        if not self._stopping.is_set():
            self._log.info("stop_requested within_seconds=%g", self._stop_within)
            self._stopping.set()
            return
        self._log.warning("stop_forced")
        self._forced = True
        for process in self._running.values():
            kill_group(process)

    def fail(self, error: StreamgaugeError) -> None:
        """Stop the children in order, then let `run` raise this error; the first one counts."""
        if self._failure is None:
            self._failure = error
        if not self._stopping.is_set():
            self.stop()

    async def _keep(self, child: Child) -> None:
        deaths = 0
        while not self._stopping.is_set():
            started_at = self._clock()
            try:
                code = await self._one_life(child)
            except OSError as error:
                return self.fail(_cannot_start(child, error))
            if self._stopping.is_set():
                return None
            if code == os.EX_CONFIG:
                return self.fail(_settings_refused(child))
            deaths = self._restarts.deaths_in_a_row(deaths, self._clock() - started_at)
            pause = self._restarts.pause(deaths)
            if pause is None:
                return self.fail(_keeps_dying(child, code, deaths))
            self._log.warning("child_restarting name=%s after_seconds=%g deaths=%d", child.name, pause / SECOND, deaths)
            await _wait(self._stopping, pause / SECOND)
        return None

    async def _one_life(self, child: Child) -> int:
        """Start it, and return its exit code when it has ended: by itself, or because its turn to stop has come."""
        process = await _start(child)
        self._running[child.name] = process
        try:
            self._log.info("child_started name=%s pid=%d", child.name, process.pid)
            self._on_start(child.name, process.pid)
            if self._forced:
                kill_group(process)
            await _first_of(process, self._turn[child.name])
            if process.returncode is None:
                await stop_process(process, self._deadline.remaining(self._clock()))
            code = await process.wait()
            self._log.info("child_ended name=%s pid=%d code=%d", child.name, process.pid, code)
            return code
        finally:
            await end_now(process)
            del self._running[child.name]

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        heard = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # under nohup the terminal may go, and we stay
            heard.append(signal.SIGHUP)
        for number in heard:
            loop.add_signal_handler(number, self.stop)
        try:
            yield
        finally:
            for number in heard:
                loop.remove_signal_handler(number)


async def _start(child: Child) -> Process:
    return await asyncio.create_subprocess_exec(
        *child.argv,
        env=child.env,
        stdin=DEVNULL,
        preexec_fn=tied_to_us(signal.SIGTERM),
        start_new_session=True,
    )


async def _first_of(process: Process, turn: asyncio.Event) -> None:
    waits = [asyncio.ensure_future(process.wait()), asyncio.ensure_future(turn.wait())]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


def _cannot_start(child: Child, error: OSError) -> StreamgaugeError:
    return Unavailable(
        Reason.PROCESS_ENDED,
        f"{child.name}: can't be started: {error.strerror}: {child.argv[0]} must be a program that this user can run",
    )


def _settings_refused(child: Child) -> StreamgaugeError:
    return SettingsError([f"{child.name}: can't use its settings (exit code {os.EX_CONFIG}): mend what it says above"])


def _keeps_dying(child: Child, code: int, deaths: int) -> StreamgaugeError:
    return Unavailable(
        Reason.PROCESS_ENDED,
        f"{child.name}: ended {deaths} times in a row soon after its start, the last time with code {code}: "
        "see what it says above",
    )
