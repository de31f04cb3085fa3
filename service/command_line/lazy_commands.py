"""Commands that are imported when they are run: help and the small commands need not wait for all that others use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer
import typer.main
from typer.core import TyperCommand, TyperGroup


@dataclass(frozen=True, slots=True)
class LazyCommand:
    """A function, or a Typer with commands below it, at `module:name`. `about` is its line in the help."""

    place: str
    about: str

    def load(self, name: str) -> Any:
        """The command under this name, ready to be run."""
        module, _, attribute = self.place.partition(":")
        found = getattr(import_module(module), attribute)
        if isinstance(found, typer.Typer):
            app = found
        else:
            app = typer.Typer(add_completion=False)
            app.command(name)(found)
        command = typer.main.get_command(app)
        command.name = name
        return command


def lazy_group(commands: Mapping[str, LazyCommand]) -> type[TyperGroup]:
    """A group of these commands, in their order; what is registered with the Typer itself follows them."""

    class LazyGroup(TyperGroup):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.commands = {name: TyperCommand(name, help=lazy.about) for name, lazy in commands.items()} | {
                **self.commands
            }

        def resolve_command(self, ctx: Any, args: list[str]) -> Any:
            name, command, rest = super().resolve_command(ctx, args)
            if name is not None and name in commands:
                command = commands[name].load(name)
            return name, command, rest

    return LazyGroup
