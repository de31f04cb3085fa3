"""How far an import has come: lets an interrupted one go on, and a repeated one move times by the same shift."""

from __future__ import annotations

import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from flow.errors import SettingsError
from service.import_rows import ImportFile


class Position(msgspec.Struct):
    """`rows` are acknowledged, of a file with this fingerprint; `shift` is in milliseconds. `whole`: all rows are."""

    fingerprint: str
    rows: int = 0
    shift: int | None = None
    whole: bool = False


class PositionFile:
    """The position of one import: of one file, with these options, into one Streamgauge."""

    def __init__(self, file: ImportFile, options: Mapping[str, Any], environ: Mapping[str, str]) -> None:
        name = sha256(msgspec.json.encode([file.identity, sorted(options.items())])).hexdigest()[:32]
        self._fingerprint = file.fingerprint
        self.path = cache_folder(environ) / "imports" / f"{name}.json"

    def load(self) -> Position:
        """Where to go on. A file that changed, or that was sent whole before, is sent from its start again."""
        try:
            position = msgspec.json.decode(self.path.read_bytes(), type=Position)
        except (FileNotFoundError, msgspec.DecodeError):
            return Position(self._fingerprint)
        except OSError as error:
            raise _unusable(self.path, error) from None
        if position.whole or position.fingerprint != self._fingerprint:
            return Position(self._fingerprint, shift=position.shift)
        return position

    def save(self, position: Position) -> None:
        """Replace the file in one step, so that it is never half written."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            beside = self.path.with_suffix(f".{os.getpid()}")
            beside.write_bytes(msgspec.json.encode(position))
            beside.replace(self.path)
        except OSError as error:
            raise _unusable(self.path, error) from None

    def forget(self) -> None:
        """Begin anew."""
        self.path.unlink(missing_ok=True)


def cache_folder(environ: Mapping[str, str]) -> Path:
    """Where this user's caches are (XDG Base Directory Specification)."""
    named = environ.get("XDG_CACHE_HOME", "")
    return (Path(named) if Path(named).is_absolute() else Path.home() / ".cache") / "streamgauge"


def _unusable(path: Path, error: OSError) -> SettingsError:
    fix = "name another folder with XDG_CACHE_HOME"
    return SettingsError([f"{path}: how far the import has come can't be kept there: {error.strerror}: {fix}"])
