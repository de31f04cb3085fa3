from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flow import vector
from flow.cells import Grain, Retention, Window, start_of, window_ending
from flow.cumulative_flow import MOST_POINTS, cumulative_flow, steps_of
from flow.definitions import Stage, Stream
from flow.instants import DAY, HOUR, MINUTE
from flow.status import StageLive
from flow.vector import Vector, stage_key

NOW = 20_000 * DAY + 10 * HOUR + 30 * MINUTE + 1


@given(length=st.integers(MINUTE, 731 * DAY), ago=st.integers(0, 40 * DAY), points=st.integers(2, MOST_POINTS))
def test_steps_cut_a_window_without_gap_or_overlap(length, ago, points):
    window = window_ending(NOW - ago, length, NOW, Retention())
    steps = steps_of(window, points)
    assert (steps.edges[0], steps.edges[-1]) == (window.start, window.end)
    assert len(steps.edges) <= points
    assert all(before < after for before, after in zip(steps.edges, steps.edges[1:], strict=False))
    assert all(edge % steps.length == 0 for edge in steps.edges[1:-1])
    covered = sorted((start_of(cell), Grain(cell >> 40).length) for span in steps.spans() for cell in span)
    assert covered[0][0] == window.start
    assert all(start + size == after for (start, size), (after, _) in itertools.pairwise(covered))
    assert sum(covered[-1]) == window.end


@pytest.mark.parametrize(
    ("length", "points", "step"),
    [
        (DAY, 60, 30 * MINUTE),
        (7 * DAY, 60, 3 * HOUR),
        (30 * DAY, 60, DAY),
        (30 * DAY, 100, 8 * HOUR),
        (60 * DAY, 62, DAY),
    ],
)
def test_steps_are_round(length, points, step):
    assert steps_of(window_ending(NOW, length, NOW, Retention()), points).length == step


def test_lines_add_up_and_wip_is_reckoned_back_from_now():
    stream = Stream("s", (Stage("a", "queue"), Stage("b", "active"), Stage("done", "done")))
    steps = steps_of(Window(0, 2 * DAY, Grain.DAY), 10)

    def moved(out_of: int, into: int, **more: int) -> Vector:
        return {stage_key(out_of, vector.DEPARTURES): 1, stage_key(into, vector.ARRIVALS): 1} | {
            stage_key(out_of, vector.REWORK): count for count in more.values()
        }

    counted = [moved(0, 1), moved(1, 0, rework=1)]
    live = {"a": StageLive(3, 0, 0), "b": StageLive(0, None, 0)}
    points = cumulative_flow(stream, steps, counted, live, after=moved(1, 2))
    lines = {name: [tuple(point["stages"][name].values()) for point in points] for name in ("a", "b", "done")}
    assert lines == {
        "a": [(0, 0, 0, 3), (0, 1, 0, 2), (1, 1, 0, 3)],
        "b": [(0, 0, 0, 1), (1, 0, 0, 2), (1, 1, 1, 1)],
        "done": [(0, 0, 0, None), (0, 0, 0, None), (0, 0, 0, None)],
    }
    assert [point["at"] for point in points] == ["1970-01-01T00:00:00Z", "1970-01-02T00:00:00Z", "1970-01-03T00:00:00Z"]
