"""Whatever happens to the log and to the process: what was acknowledged reaches the log, in order for each subject."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from flow.errors import Unavailable
from service.covered_log import CoveredLog
from service.spool import Spool
from service.spool_folder import SpoolFolder
from tests.unit.service.spooling import Crash, FakeLog, fact, letter

SUBJECTS = st.sampled_from(["CHK-1", "CHK-2", "CHK-3"])


class Receivers(RuleBasedStateMachine):
    """One log, and the processes in front of it one after the other, each with the spool that the last one left."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.root = Path(tempfile.mkdtemp(prefix="sg-"))
        self.lives = 0
        self.now = 1_795_348_800_000
        self.steps = 0
        self.log = FakeLog()
        self.acknowledged: dict[str, list[tuple[int, str]]] = {}
        self.letters: list[bytes] = []
        self.spools: list[Spool] = []

    @initialize(size=st.sampled_from([65_536, 1_000_000]))
    def start(self, size: int) -> None:
        self.size = size
        self.folder.mkdir()
        self.begin()

    @property
    def folder(self) -> Path:
        return self.root / str(self.lives)

    def begin(self) -> None:
        spool = Spool(SpoolFolder(self.folder, self.size, lambda: self.now), self.log, lambda: self.now)
        self.do(spool.open())
        self.spools.append(spool)
        self.spool = spool

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    @rule(mood=st.sampled_from(["up", "up", "down", "deaf"]))
    def the_log_changes(self, mood: str) -> None:
        self.log.mood = mood

    @rule(subjects=st.lists(SUBJECTS, min_size=1, max_size=4), large=st.booleans())
    def deliveries_come_together(self, subjects: list[str], large: bool) -> None:
        """Each of one fact or two; those of one step are under way at once, so there is no order among them."""
        self.steps += 1
        self.now += 1000
        names = [f"{self.steps}-{number}" for number in range(len(subjects))]
        covered = CoveredLog(self.log, self.spool)
        facts = [[fact(name, item), fact(f"{name}b", item)] for name, item in zip(names, subjects, strict=True)]
        if large:
            facts[0].append(fact(f"{names[0]}-" + "x" * 20_000, subjects[0]))
        answers = self.do(self.together([covered.append(each) for each in facts]))
        for each, answer in zip(facts, answers, strict=True):
            assert answer is None or isinstance(answer, Unavailable)
            if answer is None:
                told = self.acknowledged.setdefault(each[0].item, [])
                told += [(self.steps, one.id) for one in each]

    @rule()
    def a_delivery_is_not_understood(self) -> None:
        self.steps += 1
        body = str(self.steps).encode()
        [answer] = self.do(self.together([CoveredLog(self.log, self.spool).append_letter(letter(body))]))
        if answer is None:
            self.letters.append(body)

    async def together(self, deliveries: list[Coroutine[Any, Any, None]]) -> list[Any]:
        tasks = [asyncio.create_task(delivery) for delivery in deliveries]
        while not all(task.done() for task in tasks):
            await asyncio.sleep(0)
            await self.spool.write_waiting()
        return await asyncio.gather(*tasks, return_exceptions=True)

    @rule()
    def it_drains_a_little(self) -> None:
        try:
            self.do(self.spool.drain_some())
        except Unavailable:
            assert self.log.mood != "up"

    @rule()
    def it_stops_and_starts(self) -> None:
        self.do(self.spools.pop().close())
        self.begin()

    @rule()
    def it_is_killed(self) -> None:
        """The next process sees the files as they are at this instant."""
        before = self.folder
        self.lives += 1
        shutil.copytree(before, self.folder)
        self.begin()

    @precondition(lambda self: self.spool.level.deliveries and self.log.mood == "up")
    @rule()
    def it_is_killed_when_the_log_has_it_and_the_disk_does_not_know(self) -> None:
        self.log.mood = "deadly"
        try:
            self.do(self.spool.drain_some())
        except Crash:
            pass
        else:
            raise AssertionError("nothing was drained")
        self.log.mood = "up"
        self.it_is_killed()

    @rule()
    def another_process_begins_beside_it(self) -> None:
        """It takes a file of its own; the first one ends, and it takes over what that one left."""
        first = self.spools.pop()
        self.begin()
        self.do(first.close())
        self.spool.level = self.spool._files.look_for_left_over()

    @invariant()
    def no_delivery_is_nowhere(self) -> None:
        if self.spools and self.spool.is_empty:
            self.all_is_in_the_log()

    def all_is_in_the_log(self) -> None:
        places = {name: place for place, name in enumerate(self.log.ids())}
        for told in self.acknowledged.values():
            found = [(places[name], step) for step, name in told]  # KeyError: it was lost
            steps = [step for _, step in sorted(found)]
            assert steps == sorted(steps), "a delivery overtook an older one of its subject"
        assert set(self.letters) <= {each.body for each in self.log.letters}

    def teardown(self) -> None:
        try:
            if self.spools:
                self.log.mood = "up"
                while not self.spool.is_empty:
                    self.do(self.spool.drain_some())
                self.all_is_in_the_log()
        finally:
            for spool in self.spools:
                self.do(spool.close())
            self.runner.close()
            shutil.rmtree(self.root)


@pytest.mark.timeout(600)
class TestReceivers(Receivers.TestCase):  # type: ignore[valid-type]  # Hypothesis makes it of the machine
    settings = settings(max_examples=max(settings.default.max_examples // 4, 10), stateful_step_count=20, deadline=None)
