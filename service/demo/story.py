"""The simulated organisation as the sender of a Streamgauge that runs elsewhere, for days and over restarts.

The organisation is a function of its seed and its start. A small file keeps both, so that a restart tells the same
story on: what happened meanwhile is posted as history, and no item is left behind for ever.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from flow.adapters import ItemNames
from flow.errors import SettingsError
from flow.instants import MINUTE, SECOND
from service.demo.organisation import HISTORY, Organisation
from service.demo.poster import Poster, history_lines

SLOW_AFTER: Final = MINUTE
"""Milliseconds from the beginning of the live part until reviews are slow for the first time."""

_KEEP_EVERY: Final = 10 * SECOND
_AT_ONCE: Final = 10 * MINUTE


class Beginning(msgspec.Struct):
    """Which story it is, and how far it is told. Instants and the length of an `hour` of work in milliseconds."""

    seed: int
    start: int
    hour: float
    told_until: int = 0


class Story:
    """Posts what happens in one organisation. `file` keeps the beginning; without one each run is a story of its own.

    `clock` gives milliseconds.
    """

    def __init__(
        self, poster: Poster, item_names: ItemNames, clock: Callable[[], int], hour: float, file: Path | None = None
    ) -> None:
        self._poster = poster
        self._item_names = item_names
        self._clock = clock
        self._file = file
        known = None if file is None else read_beginning(file)
        self._beginning = known or Beginning(random.SystemRandom().getrandbits(32), clock() - HISTORY, hour)
        beginning = self._beginning
        self._organisation = Organisation(
            beginning.seed,
            beginning.start,
            slow_from=beginning.start + HISTORY + SLOW_AFTER,
            hour=beginning.hour,
        )
        self._kept_at = 0

    def catch_up(self) -> int:
        """Post all that has happened and was not told yet, in bulk. Returns how many facts. Raises Unavailable."""
        posted, at, end = 0, self._beginning.start, self._clock()
        self._keep(self._beginning.told_until)
        while at < end:
            at = min(at + _AT_ONCE, end)
            happened = [entry for entry in self._organisation.until(at) if entry.at > self._beginning.told_until]
            if happened:
                posted += self._poster.post_history(history_lines(happened, self._item_names))
                self._keep(at)
        return posted

    def go_on(self) -> None:
        """Post what has happened since the last call."""
        now = self._clock()
        self._poster.post(self._organisation.until(now))
        if now - self._kept_at >= _KEEP_EVERY and not self._poster.waiting:
            self._keep(now)

    def _keep(self, told_until: int) -> None:
        """What was posted after this is posted again by the next run: it counts once."""
        self._beginning.told_until = told_until
        self._kept_at = self._clock()
        if self._file is None:
            return
        new = self._file.with_suffix(".new")
        new.write_bytes(msgspec.json.encode(self._beginning))
        new.replace(self._file)


def read_beginning(file: Path) -> Beginning | None:
    """What the file keeps; None when there is none yet. Raises SettingsError."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Beginning)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError):
        raise SettingsError([f"--story: {file} can't be read: remove it to begin a new story"]) from None
