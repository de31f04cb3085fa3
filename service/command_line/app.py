"""The commands and how they end: 0 well, 1 not, 2 wrong usage, 78 wrong settings, 130 Ctrl-C."""

from __future__ import annotations

import sys
from typing import Final

import typer

from flow.errors import DefinitionError, SettingsError, StreamgaugeError
from service.command_line.aggregate import aggregate
from service.command_line.check_command import check
from service.command_line.composition import log_to_stderr
from service.command_line.dead_letters_command import dead_letters
from service.command_line.demo_command import demo
from service.command_line.import_command import import_
from service.command_line.rebuild_command import rebuild
from service.command_line.serve import serve
from service.command_line.status_command import status
from service.command_line.token_command import token
from service.command_line.up import up
from service.version import version

_FAILED: Final = 1
_WRONG_SETTINGS: Final = 78
_INTERRUPTED: Final = 130


def build() -> typer.Typer:
    """All commands, by name."""
    app = typer.Typer(
        name="streamgauge",
        help="A real-time flow monitor for value streams.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.command()(up)
    app.command()(serve)
    app.command()(aggregate)
    app.command()(rebuild)
    app.command("import")(import_)
    app.command()(status)
    app.command()(check)
    app.add_typer(dead_letters, name="dead-letters")
    app.command()(token)
    app.command()(demo)
    app.command("version")(_print_version)
    return app


def run() -> None:
    """Run the command that the arguments name; every error that is ours ends in one clear message."""
    log_to_stderr()
    try:
        build()(standalone_mode=True)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    except StreamgaugeError as error:
        _end(error)
    except BaseExceptionGroup as group:
        ours = group.subgroup(StreamgaugeError)
        if ours is None:
            raise
        _end(_first(ours))


def _first(error: BaseException) -> BaseException:
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


def _end(error: BaseException) -> None:
    for line in str(error).splitlines():
        typer.echo(f"streamgauge: {line}", err=True)
    sys.exit(_WRONG_SETTINGS if isinstance(error, (SettingsError, DefinitionError)) else _FAILED)


def _print_version() -> None:
    """Print the version."""
    typer.echo(version())
