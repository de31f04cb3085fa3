"""How far an import has come: lets an interrupted one go on, and a repeated one move times by the same shift."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from service.import_rows import ImportFile
from service.kept_position import KeptPosition


class Position(msgspec.Struct):
    """`rows` are acknowledged, of a file with this fingerprint; `shift` is in milliseconds. `whole`: all rows are."""

    fingerprint: str
    rows: int = 0
    shift: int | None = None
    whole: bool = False


class PositionFile(KeptPosition[Position]):
    """The position of one import: of one file, with these options, into one Streamgauge."""

    def __init__(self, file: ImportFile, options: Mapping[str, Any], environ: Mapping[str, str]) -> None:
        super().__init__(Position, "import", [file.identity, sorted(options.items())], environ)
        self._fingerprint = file.fingerprint

    def load(self) -> Position:
        """Where to go on. A file that changed, or that was sent whole before, is sent from its start again."""
        position = self.saved()
        if position is None:
            return Position(self._fingerprint)
        if position.whole or position.fingerprint != self._fingerprint:
            return Position(self._fingerprint, shift=position.shift)
        return position
