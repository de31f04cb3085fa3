"""The simulated organisation as the sender of a Streamgauge, for minutes or for days and over restarts.

The organisation is a function of its seed and its start. A small file keeps both, so that a restart tells the same
story on: what happened meanwhile is posted as history, and no item is left behind for ever.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import msgspec

from flow.adapters import ItemNames
from flow.errors import SettingsError
from flow.instants import DAY, HOUR, MINUTE, SECOND
from service.demo.happenings import Happening
from service.demo.organisation import Organisation
from service.demo.poster import Poster, history_lines
from service.demo.rhythm import Rhythm

SEED: Final = 6
HOUR_OF_WORK: Final = 8 * MINUTE
"""How long it takes, where people are as busy as they get."""

HISTORY: Final = 56 * DAY
"""Of real time, before somebody begins to look: what is usual is learned from weeks, and windows hold something."""

SLOW_SINCE: Final = 2 * DAY
"""How long before the live part reviews began to be slow."""

TEAMS: Final = 16
SMALL_TEAM: Final = ("acme/platform",)
"""What one more team works on, apart from all others."""

_KEEP_EVERY: Final = 10 * SECOND
_AT_ONCE: Final = 6 * HOUR


class Beginning(msgspec.Struct):
    """Which story it is, and how far it is told. Instants and the length of an `hour` of work in milliseconds."""

    seed: int
    start: int
    hour: float
    told_until: int = 0


class Story:
    """Posts what happens in one organisation. `file` keeps the beginning; without one each run begins anew.

    `clock` gives milliseconds; `hour` is how long an hour of work takes, and `history` how much there is of it, in ms.
    """

    def __init__(
        self,
        poster: Poster,
        item_names: ItemNames,
        clock: Callable[[], int],
        *,
        hour: float = HOUR_OF_WORK,
        history: int = HISTORY,
        file: Path | None = None,
    ) -> None:
        self._poster = poster
        self._item_names = item_names
        self._clock = clock
        self._file = file
        known = None if file is None else read_beginning(file)
        self._beginning = known or Beginning(SEED, clock() - history, hour)
        self._organisations = organisations(self._beginning, self._beginning.start + history - SLOW_SINCE)
        self._kept_at = 0

    def catch_up(self) -> Iterator[int]:
        """Post all that has happened and was not told yet, in bulk. Yields how many facts are posted, now and then.

        While one piece is posted the next is made. Raises Unavailable.
        """
        posted, told_until, end = 0, self._beginning.told_until, self._clock()
        self._keep(told_until)
        with ThreadPoolExecutor(1) as poster:
            pending = poster.submit(int)
            for at in [*range(self._beginning.start + _AT_ONCE, end, _AT_ONCE), end]:
                happened = [entry for entry in self._until(at) if entry.at > told_until]
                lines = list(history_lines(happened, self._item_names))
                posted += pending.result()
                yield posted
                pending = poster.submit(self._post, lines, at)
            posted += pending.result()
        yield posted

    def go_on(self) -> None:
        """Post what has happened since the last call."""
        now = self._clock()
        self._poster.post(self._until(now))
        if now - self._kept_at >= _KEEP_EVERY and not self._poster.waiting:
            self._keep(now)

    def _until(self, at: int) -> list[Happening]:
        """What has happened since the last call, in order."""
        return list(heapq.merge(*(each.until(at) for each in self._organisations), key=lambda entry: entry.at))

    def _post(self, lines: list[bytes], told_until: int) -> int:
        posted = self._poster.post_history(lines)
        if posted:
            self._keep(told_until)
        return posted

    def _keep(self, told_until: int) -> None:
        """What was posted after this is posted again by the next run: it counts once."""
        self._beginning.told_until = told_until
        self._kept_at = self._clock()
        if self._file is None:
            return
        new = self._file.with_suffix(".new")
        new.write_bytes(msgspec.json.encode(self._beginning))
        new.replace(self._file)


def organisations(beginning: Beginning, slow_from: int) -> list[Organisation]:
    """Two that share nothing: a large one, whose reviews are slow from then on, and a small team that is well."""
    rhythm, start, hour = Rhythm(beginning.start), beginning.start, beginning.hour
    return [
        Organisation(beginning.seed, start, slow_from=slow_from, hour=hour, teams=TEAMS, rhythm=rhythm),
        Organisation(beginning.seed + 1, start, hour=hour, repositories=SMALL_TEAM, rhythm=rhythm),
    ]


def read_beginning(file: Path) -> Beginning | None:
    """What the file keeps; None when there is none yet. Raises SettingsError."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Beginning)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError):
        raise SettingsError([f"--story: {file} can't be read: remove it to begin a new story"]) from None
