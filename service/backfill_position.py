"""How far a backfill has come: lets an interrupted one go on where it was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from service.kept_position import KeptPosition


class BackfillPosition(msgspec.Struct):
    """`done` names the steps that are whole; of `step` all pages before `page` are in the log. `since` is in ms."""

    since: int | None = None
    done: list[str] = []
    step: str | None = None
    page: str | None = None
    read: int = 0
    facts: int = 0
    left_out: int = 0
    whole: bool = False


class BackfillFile(KeptPosition[BackfillPosition]):
    """The position of one backfill: the same names with the same options, into one Streamgauge."""

    def __init__(self, options: Mapping[str, Any], environ: Mapping[str, str]) -> None:
        super().__init__(BackfillPosition, "backfill", sorted(options.items()), environ)

    def load(self) -> BackfillPosition | None:
        """Where to go on; None: from the start, also when it was whole before. Raises SettingsError."""
        position = self.saved()
        return None if position is None or position.whole else position
