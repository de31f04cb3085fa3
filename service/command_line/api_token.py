"""The token that the commands prove themselves with: an option, a variable, or a file that a variable names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Final

import typer

from flow.errors import SettingsError
from service.api_client import TOKEN_VARIABLE

FILE_VARIABLE: Final = f"{TOKEN_VARIABLE}_FILE"


def or_from_file(given: str | None) -> str | None:
    """The token that was given, or else the one in the file. Raises SettingsError when that can't be read."""
    path = os.environ.get(FILE_VARIABLE)
    if given is not None or not path:
        return given
    try:
        token = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise SettingsError([f"{FILE_VARIABLE}: {path} can't be read: mend it, or name another file"]) from None
    if not token:
        raise SettingsError([f"{FILE_VARIABLE}: {path} is empty: write the token into it, and nothing else"])
    return token


ApiToken = Annotated[str | None, typer.Option(envvar=TOKEN_VARIABLE, callback=or_from_file, help="Token of its API.")]
