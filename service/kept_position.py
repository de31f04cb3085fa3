"""A file in this user's cache that says how far a command has come, so that it can go on where it was interrupted."""

from __future__ import annotations

import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from flow.errors import SettingsError

Kept = TypeVar("Kept", bound=msgspec.Struct)


class KeptPosition(Generic[Kept]):
    """A position of this kind, in a file that is named by what the command was asked for. `command` is for people.

    Every method but `forget` raises SettingsError when the file can't be used.
    """

    def __init__(self, kind: type[Kept], command: str, asked: object, environ: Mapping[str, str]) -> None:
        self._kind = kind
        self._command = command
        name = sha256(msgspec.json.encode(asked)).hexdigest()[:32]
        self.path = cache_folder(environ) / f"{command}s" / f"{name}.json"

    def saved(self) -> Kept | None:
        """What was saved last; None when nothing was, or nothing that can be read."""
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=self._kind)
        except (FileNotFoundError, msgspec.DecodeError):
            return None
        except OSError as error:
            raise self._unusable(error) from None

    def save(self, position: Kept) -> None:
        """Replace the file in one step, so that it is never half written."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            beside = self.path.with_suffix(f".{os.getpid()}")
            beside.write_bytes(msgspec.json.encode(position))
            beside.replace(self.path)
        except OSError as error:
            raise self._unusable(error) from None

    def forget(self) -> None:
        """Begin anew."""
        self.path.unlink(missing_ok=True)

    def _unusable(self, error: OSError) -> SettingsError:
        problem = f"{self.path}: how far the {self._command} has come can't be kept there: {error.strerror}"
        return SettingsError([f"{problem}: name another folder with XDG_CACHE_HOME"])


def cache_folder(environ: Mapping[str, str]) -> Path:
    """Where this user's caches are (XDG Base Directory Specification)."""
    named = environ.get("XDG_CACHE_HOME", "")
    return (Path(named) if Path(named).is_absolute() else Path.home() / ".cache") / "streamgauge"
