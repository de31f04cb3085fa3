"""What a worker keeps in memory stays within one bound, however many stores share it."""

from __future__ import annotations

import gc

from hypothesis import given
from hypothesis import strategies as st

from consumers.recent import Recent, Room


class Holder:
    """Anything that holds entries."""


def a_store(names: str) -> Recent[str, int]:
    store: Recent[str, int] = Recent()
    for number, name in enumerate(names):
        store.put(name, number)
    return store


def test_the_least_recently_used_goes_first():
    store = a_store("abcd")
    assert store.get("a") == 0
    assert store.held("cx") == [2, None]
    store.shrink(2, keep=0)
    assert [name for name in "abcd" if name in store] == ["a", "c"]


def test_what_the_batches_in_hand_need_stays():
    store = a_store("abcd")
    store.shrink(1, keep=3)
    assert [name for name in "abcd" if name in store] == ["b", "c", "d"]


def test_all_is_kept_while_there_is_room():
    room, one, other = Room(10), Holder(), Holder()
    assert room.share_of(one, 6) == 6
    assert room.share_of(other, 4) == 4


def test_beyond_the_bound_each_gives_up_in_proportion():
    room, one, other = Room(10), Holder(), Holder()
    room.share_of(one, 15)
    assert room.share_of(other, 5) == 2
    assert room.share_of(one, 15) == 7


def test_a_holder_that_is_gone_holds_nothing():
    room, one, other = Room(10), Holder(), Holder()
    room.share_of(one, 10)
    del one
    gc.collect()
    assert room.share_of(other, 10) == 10


@given(st.lists(st.integers(min_value=0, max_value=1000), min_size=1, max_size=8), st.integers(1, 500))
def test_once_each_has_given_up_its_share_the_bound_holds(held: list[int], most: int):
    room, holders = Room(most), [Holder() for _ in held]
    for _ in range(2):
        held = [room.share_of(holder, count) for holder, count in zip(holders, held, strict=True)]
    assert sum(held) <= max(most, 0)
