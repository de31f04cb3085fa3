"""What a batch adds to cells, and to the coarser cells that contain them."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from consumers.cell_rows import CellRows
from flow.cells import Grain, Retention, cell_at, containing, parent_of, start_of
from flow.instants import DAY, HOUR, MINUTE
from flow.keys import StateKeys
from flow.vector import Vector

NOW = 20_000 * DAY + 5 * HOUR
CELLS = st.builds(
    cell_at, st.sampled_from(list(Grain)), st.sampled_from([NOW - back for back in (0, MINUTE, HOUR, DAY, 2 * DAY)])
)
DELTAS = st.dictionaries(CELLS, st.dictionaries(st.integers(0, 3), st.integers(-2, 2)))


def kept(deltas: Mapping[int, Vector]) -> dict[int, Vector]:
    rows = CellRows(StateKeys("checkout", "1"), 0, Retention(minutes=HOUR))
    copied = {cell: dict(delta) for cell, delta in deltas.items()}  # what is given may be changed
    return {cell: without_zeros(delta) for cell, delta in rows.kept(copied, NOW).deltas.items() if without_zeros(delta)}


def without_zeros(delta: Vector) -> Vector:
    return {key: count for key, count in delta.items() if count}


@given(DELTAS)
def test_each_cell_gains_what_is_added_to_it_and_to_all_cells_in_it(deltas: Mapping[int, Vector]) -> None:
    expected: dict[int, Vector] = {}
    for finest, delta in deltas.items():
        for cell in containing(finest):
            together = expected.setdefault(cell, {})
            for key, count in delta.items():
                together[key] = together.get(key, 0) + count
    floor = Retention(minutes=HOUR).floor(Grain.MINUTE, NOW)
    expected = {
        cell: without_zeros(delta)
        for cell, delta in expected.items()
        if without_zeros(delta) and (cell >> 40 or start_of(cell) >= floor)
    }
    assert kept(deltas) == expected


@given(CELLS)
def test_what_adds_nothing_touches_no_row(cell: int) -> None:
    rows = CellRows(StateKeys("checkout", "1"), 0, Retention())
    assert rows.kept({cell: {1: 0, 2: 0}}, NOW).deltas == {}


@given(CELLS)
def test_the_parent_is_the_next_cell_that_contains_it(cell: int) -> None:
    assert [parent_of(cell)] == [*containing(cell), None][1:2]
