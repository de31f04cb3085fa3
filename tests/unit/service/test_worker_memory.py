"""How a worker sets up its memory, with and without the GNU C library."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterator

import pytest

from service.command_line.composition import _KEEP_FREED_MEMORY, YOUNG_OBJECTS_OF_WORKERS, prepare_worker


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    threshold = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*threshold)


class Library:
    """A C library, as far as it is asked for."""

    def __init__(self) -> None:
        self.set: list[tuple[int, int]] = []

    def mallopt(self, option: int, size: int) -> int:
        self.set.append((option, size))
        return 1


def test_freed_memory_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    library = Library()
    monkeypatch.setattr(ctypes, "CDLL", lambda _: library)
    prepare_worker()
    assert [option for option, _ in library.set] == [-1, -2, -3]
    assert gc.get_threshold()[0] == YOUNG_OBJECTS_OF_WORKERS


def test_another_c_library_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    prepare_worker()
    assert gc.get_threshold()[0] == YOUNG_OBJECTS_OF_WORKERS


def test_the_library_here_takes_every_size() -> None:
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallopt"):
        pytest.skip("this C library has no mallopt")
    assert [library.mallopt(option, size) for option, size in _KEEP_FREED_MEMORY] == [1, 1, 1]
