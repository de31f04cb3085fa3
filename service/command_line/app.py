"""The commands and how they end: 0 well, 1 not, 2 wrong usage, 78 wrong settings, 130 Ctrl-C."""

from __future__ import annotations

import logging
import sys
from typing import Final

import typer

from flow.errors import DefinitionError, SettingsError, StreamgaugeError
from service.command_line.lazy_commands import LazyCommand, lazy_group
from service.version import version

_FAILED: Final = 1
_WRONG_SETTINGS: Final = 78

_HERE: Final = "service.command_line"
COMMANDS: Final = {
    "up": LazyCommand(
        f"{_HERE}.up:up",
        "Run everything on this machine: Valkey, receivers and API, aggregator. No token is needed on loopback.",
    ),
    "serve": LazyCommand(
        f"{_HERE}.serve:serve", "Take facts in and answer questions over HTTP. Runs until it is told to stop."
    ),
    "aggregate": LazyCommand(
        f"{_HERE}.aggregate:aggregate",
        "Follow the log and keep the live state in Redis. Runs until it is told to stop.",
    ),
    "bridge": LazyCommand(
        f"{_HERE}.bridge_command:bridge", "Read your own Kafka topics into the log. Runs until it is told to stop."
    ),
    "rebuild": LazyCommand(
        f"{_HERE}.rebuild_command:rebuild",
        "Rebuild the state of a stream, beside live traffic, and switch readers over when it is whole.",
    ),
    "import": LazyCommand(
        f"{_HERE}.import_command:import_",
        "Import a log of what happened. Safe to interrupt and to repeat: each row is one fact, and counts once.",
    ),
    "backfill": LazyCommand(
        f"{_HERE}.backfill_command:backfill",
        "Read the history of a provider through its API. Safe to interrupt, to repeat, and beside its webhooks.",
    ),
    "status": LazyCommand(
        f"{_HERE}.status_command:status", "Show what is where now, and what happened in the window, until Ctrl-C."
    ),
    "check": LazyCommand(
        f"{_HERE}.check_command:check",
        "Check the stream definitions and the settings. Says all that is wrong and exits 1, or what is set up.",
    ),
    "dead-letters": LazyCommand(
        f"{_HERE}.dead_letters_command:dead_letters",
        "What could not be applied: look at it, and send it again.",
    ),
    "token": LazyCommand(
        f"{_HERE}.token_command:token",
        "Make a token. It is shown once: only its SHA-256 goes into the settings, and nobody can read it back.",
    ),
    "demo": LazyCommand(
        f"{_HERE}.demo_command:demo",
        "Show everything at work, with an invented organisation, until Ctrl-C. Nothing of it stays behind.",
    ),
}
"""Each command's line of help is the first of its docstring."""


def build() -> typer.Typer:
    """All commands, by name."""
    app = typer.Typer(
        name="streamgauge",
        cls=lazy_group(COMMANDS),
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.callback()(_every_command)
    app.command("version")(_print_version)
    return app


def _every_command() -> None:
    """A real-time flow monitor for value streams."""


def run() -> None:
    """Run the command that the arguments name; every error that is ours ends in one clear message."""
    log_to_stderr()
    try:
        build()(standalone_mode=True)
    except StreamgaugeError as error:
        _end(error)
    except BaseExceptionGroup as group:
        ours = group.subgroup(StreamgaugeError)
        if ours is None:
            raise
        _end(_first(ours))


def log_to_stderr() -> None:
    """One line an event: when, how bad, which part, what."""
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
        datefmt="%Y-%m-%dT%H:%M:%S",
    )
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)  # `serve` itself says when it listens
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it writes ten lines a second while a broker is away
    logging.getLogger("httpx").setLevel(logging.WARNING)  # one line a request would tear the live table


def _first(error: BaseException) -> BaseException:
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


def _end(error: BaseException) -> None:
    for line in str(error).splitlines():
        typer.echo(f"streamgauge: {line}", err=True)
    sys.exit(_WRONG_SETTINGS if isinstance(error, (SettingsError, DefinitionError)) else _FAILED)


def _print_version() -> None:
    """Print the version."""
    typer.echo(version())
