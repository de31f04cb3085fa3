"""The stream definitions that an option or the settings name."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

from flow.definition_file import read_definitions
from flow.definitions import Definitions
from flow.errors import SettingsError


def read_streams(path: Path | None) -> Definitions:
    """The definitions in this file. Raises SettingsError when it can't be read, DefinitionError."""
    if path is None:
        raise SettingsError(["STREAMGAUGE_STREAMS: name the file with the stream definitions, or use --streams FILE"])
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise SettingsError([f"{path}: not UTF-8: save it so"]) from None
    except OSError as error:
        raise SettingsError([f"{path}: {error.strerror}: name a file that can be read"]) from None
    return read_definitions(text, str(path), ZoneInfo)
