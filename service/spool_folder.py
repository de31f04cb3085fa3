"""The folder of spool files: each is used by one process at a time, which holds its lock.

A process begins a new file, under the first number that is free. Files of processes that are gone, its own of before
among them, are drained by whoever gets their lock. A lock goes with its process, however that ends.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from flow.errors import SettingsError
from service.spool_store import Damaged, Store, is_used

_MOST_FILES: Final = 1000
_NAME: Final = re.compile(r"deliveries-(\d{1,4})\.sqlite")
_PASSING: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""What may be otherwise in a minute, such as a full disk."""

_log: Final = logging.getLogger(__name__)


class SpoolFile:
    """One number of the folder, locked for this process until it is let go."""

    def __init__(self, path: Path, lock: int, most: int, clock: Callable[[], int]) -> None:
        self.path = path
        self._lock = lock
        self._most = most
        self._clock = clock
        self.store: Store | None = None

    def open(self) -> Store:
        """The store, opened if need be. A damaged file is set aside. Raises sqlite3.Error, OSError, Damaged."""
        if self.store is None:
            try:
                self.store = self._opened()
            except Damaged as error:
                self.set_aside(error)
                self.store = self._opened()
        return self.store

    def _opened(self) -> Store:
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # for nobody else, as is its log
        store = Store(self.path, self._most)
        _make_entries_durable(self.path.parent)
        return store

    def set_aside(self, error: Damaged) -> None:
        """Keep a damaged file under another name, for people, and go on without it."""
        self._close_store()
        aside = f"damaged-{self._clock()}"
        for name in (self.path.name, f"{self.path.name}-wal"):
            place = self.path.with_name(name)
            if place.exists():
                place.rename(place.with_name(f"{aside}-{name}"))
        kept = self.path.with_name(f"{aside}-{self.path.name}")
        _log.error(
            "spool_damaged file=%s error=%s kept_as=%s: deliveries in it that had not reached the log are missing: "
            "send them again at the sender, such as from the list of recent deliveries of a GitHub webhook",
            self.path,
            error,
            kept,
        )

    def remove(self) -> None:
        """Remove the empty file of a process that is gone, and let go."""
        self._close_store()
        for name in (self.path.name, f"{self.path.name}-wal"):
            self.path.with_name(name).unlink(missing_ok=True)
        self.let_go()

    def let_go(self) -> None:
        """Close it. Its lock's file stays: to remove one while another process waits for it would lock nothing."""
        self._close_store()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _close_store(self) -> None:
        if self.store is not None:
            self.store.close()
            self.store = None


class SpoolFolder:
    """Hands out spool files. `most` bounds each in bytes; `clock` gives milliseconds."""

    def __init__(self, folder: Path, most: int, clock: Callable[[], int]) -> None:
        self.folder = folder.expanduser().resolve()
        self.most = most
        self._clock = clock

    def claim(self) -> SpoolFile:
        """A new file. What is older than it is in other files: so it is the last to be drained.

        Raises SettingsError when we can't keep files there, OSError when we can't just now.
        """
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not os.access(self.folder, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, "no right to write in it")
            for number in range(_MOST_FILES):
                found = None if is_used(self._path(number)) else self._locked(number)
                if found is not None:
                    return found
        except OSError as error:
            if error.errno in _PASSING:
                raise
            raise _unusable(self.folder, error.strerror or str(error)) from None
        raise _unusable(self.folder, f"{_MOST_FILES} processes use it")

    def holds_files(self) -> bool:
        """Whether there is a spool file, of whatever process. Raises OSError."""
        return self.folder.is_dir() and any(_NAME.fullmatch(path.name) for path in self.folder.iterdir())

    def claim_left_over(self) -> Iterator[SpoolFile]:
        """The files that hold something and that no process uses, for draining. Raises OSError."""
        if not self.folder.exists():
            return
        names = [_NAME.fullmatch(path.name) for path in self.folder.iterdir()]
        for number in sorted(int(name[1]) for name in names if name):
            if is_used(self._path(number)):
                found = self._locked(number)
                if found is not None:
                    yield found

    def _path(self, number: int) -> Path:
        return self.folder / f"deliveries-{number}.sqlite"

    def _locked(self, number: int) -> SpoolFile | None:
        path = self._path(number)
        lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return None
        except BaseException:
            os.close(lock)
            raise
        return SpoolFile(path, lock, self.most, self._clock)


def _make_entries_durable(folder: Path) -> None:
    """The names of new files must outlast a power cut as their contents do."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):  # some file systems can't, and need not
            os.fsync(handle)
    finally:
        os.close(handle)


def _unusable(folder: Path, why: str) -> SettingsError:
    fix = "name a folder that this user can write in, or set STREAMGAUGE_SPOOL__MAX_SIZE=0 to go without a spool"
    return SettingsError([f"STREAMGAUGE_SPOOL__FOLDER: {folder}: can't keep deliveries there: {why}: {fix}"])
