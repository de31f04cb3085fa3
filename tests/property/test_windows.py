"""Cells and windows: each instant of a window in exactly one cell, sums equal to the oracle's, edges where promised."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from flow import vector
from flow.cells import Grain, Retention, Window, cell_at, cells_of, containing, grain_of, start_of, window_ending
from flow.fold import Fold
from flow.instants import DAY, HOUR, MINUTE
from tests import oracle
from tests.briefs import fold_in
from tests.property.readable import figures_of_cell, place_of
from tests.property.strategies import BASE, INSTANTS, STREAMS, arrivals, timelines

FOREVER = Retention(minutes=900 * DAY, hours=900 * DAY, days=900 * DAY)
GRAINS = st.sampled_from(list(Grain))
MOMENTS = st.integers(BASE, BASE + 800 * DAY) | st.integers(0, 200 * 24 * 60).map(
    lambda minutes: BASE + minutes * MINUTE
)
LENGTHS = st.sampled_from([MINUTE, HOUR, 90 * MINUTE, DAY, 7 * DAY, 30 * DAY, 31 * DAY, 90 * DAY, 731 * DAY])


@st.composite
def windows(draw: st.DrawFn) -> Window:
    grain = draw(GRAINS)
    first = draw(st.integers(0, 60 * 24 * 90)) * MINUTE // grain.length
    return Window(first * grain.length, (first + draw(st.integers(0, 4000))) * grain.length, grain)


def spans(window: Window) -> list[tuple[int, int]]:
    return sorted((start_of(cell), start_of(cell) + grain_of(cell).length) for cell in cells_of(window))


@given(windows())
def test_the_cells_of_a_window_cover_it_without_gap_or_overlap(window) -> None:
    edges = [window.start, *(end for _, end in spans(window))]
    assert [(start, end) for start, end in spans(window)] == list(pairwise(edges))
    assert edges[-1] == window.end
    assert all(grain_of(cell) >= window.grain for cell in cells_of(window))


@given(windows(), st.data())
def test_each_instant_of_a_window_is_in_one_of_its_cells_and_no_other_instant_is(window, data) -> None:
    near = st.integers(max(0, window.start - DAY), window.end + DAY)
    at = data.draw(near | st.sampled_from([window.start, max(0, window.start - 1), max(0, window.end - 1), window.end]))
    holding = [cell for cell in cells_of(window) if cell == cell_at(grain_of(cell), at)]
    assert len(holding) == (1 if window.start <= at < window.end else 0)


@given(windows())
def test_no_fewer_cells_would_do(window) -> None:
    """Where all parts of a coarser cell could stand, the coarser cell does."""
    found = set(cells_of(window))
    for grain in list(Grain)[window.grain :][:-1]:
        parents = Counter(list(containing(cell))[1] for cell in found if grain_of(cell) == grain)
        whole = (Grain(grain + 1)).length // grain.length
        assert not [parent for parent, count in parents.items() if count == whole]


@given(GRAINS, st.integers(0, BASE + DAY))
def test_a_cell_holds_its_instants_and_lies_in_the_coarser_ones(grain, at) -> None:
    cell = cell_at(grain, at)
    assert start_of(cell) <= at < start_of(cell) + grain.length
    assert list(containing(cell)) == [cell_at(Grain(coarser), at) for coarser in range(grain, 3)]


@given(MOMENTS, LENGTHS, st.integers(0, 3 * DAY))
def test_a_window_ends_where_the_cell_that_holds_at_ends_and_starts_its_length_before(at, length, ago) -> None:
    window = window_ending(at, length, at + ago, Retention())
    size = window.grain.length
    assert window.start % size == window.end % size == 0
    assert window.end - size < at <= window.end
    assert window.end - window.start == -(-length // size) * size


@given(MOMENTS, LENGTHS, st.integers(0, 700 * DAY))
def test_a_window_is_as_fine_as_its_length_asks_for_and_as_is_still_kept(at, length, ago) -> None:
    retention, now = Retention(), at + ago
    window = window_ending(at, length, now, retention)
    asked = Grain.MINUTE if length <= DAY else Grain.HOUR if length <= 31 * DAY else Grain.DAY
    assert window.grain >= asked
    assert window.grain == Grain.DAY or window.start >= now - retention.of(window.grain)
    for finer in range(asked, window.grain):
        size = Grain(finer).length
        assert -(-at // size) * size - -(-length // size) * size < now - retention.of(Grain(finer))


def test_a_window_is_fine_down_to_the_last_instant_that_is_kept_and_coarser_from_a_cell_before_it() -> None:
    now, retention = BASE // DAY * DAY, Retention()
    last = now - retention.minutes + DAY
    assert window_ending(last, DAY, now, retention) == Window(last - DAY, last, Grain.MINUTE)
    assert window_ending(last - MINUTE, DAY, now, retention) == Window(last - DAY, last, Grain.HOUR)


@given(STREAMS, st.data())
def test_any_window_sums_up_to_what_the_oracle_counts_in_it(stream, data) -> None:
    facts = data.draw(timelines())
    fold, items, rows = Fold(stream, FOREVER), {}, {}
    fold.begin(INSTANTS[-1])
    fold_in(fold, items, data.draw(arrivals(facts)))
    for finest, delta in fold.take().cells.items():
        for cell in containing(finest):
            vector.add(rows.setdefault(cell, {}), delta)
    at = data.draw(st.sampled_from(INSTANTS)) + data.draw(st.sampled_from([0, 1, MINUTE, HOUR, DAY]))
    window = window_ending(at, data.draw(LENGTHS), INSTANTS[-1], FOREVER)
    found = vector.total_of(rows.get(cell, {}) for cell in cells_of(window))
    marks = [mark for story in oracle.stories_of(stream, facts).values() for mark in story.marks()]
    assert figures_of_cell(stream, found) == oracle.summed_between(marks, window.start, window.end)


@given(st.data())
def test_late_facts_correct_the_coarser_cells_when_the_finer_ones_are_gone(data) -> None:
    """Facts arrive while the clock moves on; every row that a reader may still ask for is exact."""
    stream, facts = data.draw(STREAMS), data.draw(timelines())
    retention = Retention(minutes=2 * HOUR, hours=3 * DAY, days=30 * DAY)
    fold, items, rows, now = Fold(stream, retention), {}, {}, INSTANTS[0]
    for fact in data.draw(arrivals(facts)):
        now = max(now + data.draw(st.sampled_from([0, MINUTE, 5 * HOUR, 4 * DAY])), fact.at)
        fold.begin(now)
        fold_in(fold, items, [fact])
        for finest, delta in fold.take().cells.items():
            for cell in containing(finest):
                if start_of(cell) >= retention.floor(grain_of(cell), now):
                    vector.add(rows.setdefault(cell, {}), delta)
    lengths = {grain.name.lower(): retention.of(grain) for grain in Grain}
    expected = oracle.cells_with(mark for story in oracle.stories_of(stream, facts).values() for mark in story.marks())
    readable = {place: figures for place, figures in expected.items() if place[1] >= now - lengths[place[0]]}
    found = {place_of(cell): figures_of_cell(stream, row) for cell, row in rows.items() if row}
    assert {place: figures for place, figures in found.items() if place[1] >= now - lengths[place[0]]} == readable
