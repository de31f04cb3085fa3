"""The page about bottlenecks says what the code does: its figures are the code's, and its example can be read."""

from __future__ import annotations

import re
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from consumers.detector import CHANGED_EVERY
from consumers.lease import LENGTH
from flow.bottlenecks.ageing import LEAST_VISITS
from flow.bottlenecks.baseline import HALF_LIFE
from flow.bottlenecks.follow import KEPT, LEAST_LEARNED_FROM
from flow.bottlenecks.past import OUTDATED, STILL
from flow.bottlenecks.stage_watch import CLEARED_AT, LEAST_A_DAY, LEAST_LEARNED, MORE, SLOWER
from flow.bottlenecks.verdict import CAUSES, State
from flow.cells import Retention
from flow.definition_file import read_definitions
from flow.definition_watch import LONGEST_BASELINE, SHORTEST_BASELINE
from flow.definitions import Stream
from flow.instants import DAY, MINUTE, SECOND
from service.reader_bottlenecks import STALE_AFTER

PAGE = " ".join((Path(__file__).parents[2] / "docs/bottlenecks.md").read_text(encoding="utf-8").split())

_IN_WORDS = {8: "eight", 0.1: "a tenth"}


@pytest.mark.parametrize(
    "words",
    [
        f"less than {Stream.baseline // DAY} days of history",
        f"first three quarters (at least {LEAST_LEARNED_FROM // DAY} days)",
        f"the last {(Retention().hours - DAY) // DAY} days, from hours",
        f"by more than {STILL:.0%} in {CHANGED_EVERY // SECOND} seconds",
        f"every {CHANGED_EVERY // SECOND} seconds while facts of it come, and every minute",
        f"days before the last {_IN_WORDS[KEPT]} change by more than {_IN_WORDS[OUTDATED]}",
        f"{SHORTEST_BASELINE // DAY}d to {LONGEST_BASELINE // DAY}d",
        f"Below {LEAST_LEARNED} departures in the baseline, or {LEAST_A_DAY} a day",
        f"fewer than {LEAST_VISITS} finished visits",
        f"counts half after {HALF_LIFE:.0f} days",
        f"it ends at {CLEARED_AT}",
        f"not looked for {STALE_AFTER // MINUTE} minutes",
        f"lease of {LENGTH // 1000} seconds",
        f"departures given WIP at {SLOWER[0]} and {SLOWER[1]} of their rate",
        f"arrivals at {MORE[0]} times theirs",
        f"false_alarms_per_year: {Stream.false_alarms_per_year:g} ",
        f"relearn_after: {Stream.relearn_after // DAY}d ",
    ],
)
def test_the_page_has_the_figures_of_the_code(words: str) -> None:
    assert words in PAGE


def test_the_page_explains_every_state_and_cause() -> None:
    for word in (*State.__args__, *CAUSES):  # type: ignore[attr-defined]
        assert word == "none" or f"| `{word}` |" in PAGE


def test_the_example_is_a_definition() -> None:
    text = (Path(__file__).parents[2] / "docs/bottlenecks.md").read_text(encoding="utf-8")
    found = re.search(r"```yaml\n(streams:\n.*?)```", text, re.DOTALL)
    assert found is not None
    stages = [f"      - {{name: {kind}, kind: {kind}, when: [{{status: {kind}}}]}}" for kind in ("queue", "done")]
    text = "\n".join((f"{found[1]}    match: {{project: CHK}}", "    stages:", *stages, ""))
    stream = read_definitions(text, zones=ZoneInfo).streams["checkout"]
    assert stream.calendar is not None
    assert stream.calendar.zone == ZoneInfo("Europe/Berlin")
