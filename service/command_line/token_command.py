"""`streamgauge token`: a new token for the API."""

from __future__ import annotations

import re
import secrets
from hashlib import sha256
from typing import Annotated, Final

import typer

from flow.errors import Reason, Rejected

TOKEN_BYTES: Final = 32

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


def token(name: Annotated[str, typer.Argument(help="Who will use it, such as grafana: to tell tokens apart.")]) -> None:
    """Make a token. It is shown once: only its SHA-256 goes into the settings, and nobody can read it back."""
    checked_name(name)
    made = secrets.token_urlsafe(TOKEN_BYTES)
    typer.echo(f"The token of {name}, shown only now:\n\n  {made}\n")
    typer.echo(f"The setting for the service; several are separated by commas:\n\n  {setting_of(name, made)}\n")
    typer.echo("Senders use it so:\n\n  Authorization: Bearer <the token>")


def setting_of(name: str, made: str) -> str:
    """The environment variable that lets this token in."""
    return f"STREAMGAUGE_API__TOKENS={name}:{sha256(made.encode()).hexdigest()}"


def checked_name(name: str) -> str:
    """The name. Raises Rejected(invalid_request)."""
    if not _NAME.fullmatch(name):
        message = f"{name!r} is not a name for a token: write letters, digits, -, _ and ., at most 63"
        raise Rejected(Reason.INVALID_REQUEST, message)
    return name
