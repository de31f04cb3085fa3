"""Bounded stores of what was used most recently, and the bound that many of them share."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final, Generic, TypeVar
from weakref import WeakKeyDictionary

_FREE: Final = 20
"""This part of the room is free once there was too much."""

Key = TypeVar("Key")
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    """Least recently used entries go first, and only when `shrink` is called: never under a batch that needs them."""

    def __init__(self) -> None:
        self._entries: OrderedDict[Key, Value] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Key) -> Value | None:
        """The entry, which is now the most recently used; None when it is not held."""
        found = self._entries.get(key)
        if found is not None:
            self._entries.move_to_end(key)
        return found

    def held(self, keys: Iterable[Key]) -> list[Value | None]:
        """The entries of these keys, None where there is none; they are now the most recently used."""
        get, move_to_end = self._entries.get, self._entries.move_to_end
        found: list[Value | None] = []
        for key in keys:
            entry = get(key)
            if entry is not None:
                move_to_end(key)
            found.append(entry)
        return found

    def __contains__(self, key: Key) -> bool:
        return key in self._entries

    def put(self, key: Key, value: Value) -> None:
        """Hold an entry as the most recently used."""
        self._entries[key] = value
        self._entries.move_to_end(key)

    def add(self, keys: Iterable[Key], entries: Iterable[Value]) -> None:
        """Hold entries of keys that are not held, as the most recently used."""
        self._entries.update(zip(keys, entries, strict=True))

    def drop(self, key: Key) -> None:
        """Hold this entry no longer."""
        self._entries.pop(key, None)

    def shrink(self, most: int, keep: int) -> None:
        """Let go of the least recently used entries beyond `most`, but never of the `keep` latest."""
        most = max(most, keep)
        while len(self._entries) > most:
            self._entries.popitem(last=False)


class Room:
    """How many entries all holders of a worker may hold together. One that is gone holds nothing."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: WeakKeyDictionary[object, int] = WeakKeyDictionary()

    def share_of(self, holder: object, held: int) -> int:
        """How many of the `held` entries this holder may keep: all while there is room, else in proportion.

        Some of the room is then left free, so that a holder with very many stores lets go seldom.
        """
        self._held[holder] = held
        total = sum(self._held.values())
        return held if total <= self._most else (self._most - self._most // _FREE) * held // total
