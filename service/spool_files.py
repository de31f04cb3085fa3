"""The files of one process's spool, oldest first. Everything here waits for the disk: it is used in one thread."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from flow.errors import SettingsError
from service.spool_folder import SpoolFile, SpoolFolder
from service.spool_rows import Portion, first_portion
from service.spool_store import Damaged, Fill, Row, Store

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Level:
    """How full the spool is: deliveries, when the oldest was spooled (ms), and how much of the bound is in use."""

    deliveries: int = 0
    oldest: int | None = None
    filled: float = 0.0


@dataclass(frozen=True, slots=True)
class Found:
    """The oldest deliveries, and where they are."""

    file: SpoolFile
    store: Store
    portion: Portion


class SpoolFiles:
    """Our own file, which is written, and those of processes that are gone, which are only drained, and before it."""

    def __init__(self, folder: SpoolFolder) -> None:
        self._folder = folder
        self._own: SpoolFile | None = None
        self._left_over: list[SpoolFile] = []
        self._fills: dict[SpoolFile, Fill] = {}

    def open(self) -> Level:
        """Find what is there. Raises SettingsError when the folder can't be used at all.

        What may pass, such as a full disk, is only logged: it is tried again when there is something to keep.
        """
        try:
            self._open_own()
        except SettingsError:
            raise
        except (OSError, sqlite3.Error, Damaged) as error:
            _log.error("spool_unusable folder=%s error=%s: tried again when it is needed", self._folder.folder, error)
        return self.look_for_left_over()

    def add(self, rows: Sequence[Row]) -> tuple[list[bool], Level]:
        """Store the rows. Says of each whether it is durable. Raises OSError, sqlite3.Error, Damaged, SettingsError."""
        own = self._own if self._own is not None and self._own.store is not None else self._open_own()
        try:
            stored = own.open().add(rows)
        except Damaged as error:
            own.set_aside(error)
            stored = own.open().add(rows)
        self._fills[own] = own.open().fill()
        return stored, self.level()

    def first(self) -> Found | None:
        """The oldest deliveries. A file that turns out damaged is set aside. Raises OSError, sqlite3.Error."""
        for file in (*self._left_over, self._own):
            if file is None or not self._holds(file):
                continue
            try:
                store = file.open()
                return Found(file, store, first_portion(store.first()))
            except Damaged as error:
                self._replace(file, error)
        return None

    def remove(self, found: Found) -> Level:
        """Remove them: the log has them. Raises OSError, sqlite3.Error."""
        file, store = found.file, found.store
        if file.store is not store:  # it was set aside meanwhile: the new file has other rows under these ids
            return self.level()
        try:
            store.remove(found.portion.last.id)
            self._fills[file] = store.fill()
            if file is not self._own and not self._holds(file):
                self._forget(file)
        except Damaged as error:
            self._replace(file, error)
        return self.level()

    def move_back(self, found: Found) -> Level:
        """Put a letter behind all else: letters have no order. Raises as `add`."""
        [stored], level = self.add([found.portion.last])
        return self.remove(found) if stored else level

    def look_for_left_over(self) -> Level:
        """Take over the files of processes that are gone."""
        try:
            for file in self._folder.claim_left_over():
                self._take_over(file)
            self._left_over.sort(key=lambda file: self._fills[file].oldest or 0)
        except OSError as error:
            _log.error("spool_unreadable folder=%s error=%s", self._folder.folder, error)
        return self.level()

    def level(self) -> Level:
        """How full it is."""
        fills = self._fills.values()
        oldest = min((fill.oldest for fill in fills if fill.oldest is not None), default=None)
        used = self._fills[self._own].used if self._own in self._fills else 0
        return Level(sum(fill.deliveries for fill in fills), oldest, min(1.0, used / self._folder.most))

    def close(self) -> None:
        """Let go of every file; what is in them stays."""
        for file in [*self._left_over, *([self._own] if self._own else [])]:
            file.let_go()

    def _open_own(self) -> SpoolFile:
        if self._own is None:
            self._own = self._folder.claim()
        self._fills[self._own] = self._own.open().fill()
        return self._own

    def _take_over(self, file: SpoolFile) -> None:
        try:
            fill = file.open().fill()
        except (OSError, sqlite3.Error, Damaged) as error:
            file.let_go()
            _log.error("spool_unreadable file=%s error=%s", file.path, error)
            return
        if fill.deliveries:
            _log.warning("spool_taken_over file=%s deliveries=%d", file.path, fill.deliveries)
            self._left_over.append(file)
            self._fills[file] = fill
        else:
            file.remove()

    def _holds(self, file: SpoolFile) -> bool:
        fill = self._fills.get(file)
        return fill is not None and fill.deliveries > 0

    def _replace(self, file: SpoolFile, error: Damaged) -> None:
        file.set_aside(error)
        if file is self._own:
            self._fills[file] = file.open().fill()
        else:
            self._forget(file)

    def _forget(self, file: SpoolFile) -> None:
        file.remove()
        self._left_over.remove(file)
        del self._fills[file]
