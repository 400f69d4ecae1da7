"""Commands that are imported when they are run, completed or explained, not when the command line starts.

Enters: a command's name, its place among the modules of this room, and the first paragraph of its help. Leaves: a group that lists such commands in its help
and imports the one that is called. Left out: which commands there are (`commands`).
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup


def unwrapped(text: str) -> str:
    """A docstring's paragraphs, each on one line: the terminal wraps them to its own width. Words in brackets (`[closing]`) are shown as they
    are: `[dim]`, for examples, is the only markup of a help text."""
    joined = "\n\n".join(" ".join(paragraph.split()) for paragraph in inspect.cleandoc(text).split("\n\n"))
    return re.sub(r"(?<!\\)\[(?=[a-z#/@])(?!/?dim\])", r"\\[", joined)


class DeferredCommand(TyperCommand):
    """A command that only its name, its summary and its panel are known of until it is loaded."""

    def __init__(self, name: str, place: str, summary: str, panel: str | None, settings: dict[str, Any] | None = None) -> None:
        """`place`: `module.function` within this room. `summary`: the first paragraph of the function's docstring. `settings`: Typer's own, of the command."""
        super().__init__(name, help=unwrapped(summary), rich_help_panel=panel, rich_markup_mode="rich")
        self.place = place
        self._settings = settings

    def load(self) -> TyperCommand:
        """The command itself: its module is imported."""
        module, function = self.place.split(".")
        callback = getattr(import_module(f"pipeline.cli.{module}"), function)
        one = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)
        one.command(
            self.name, help=unwrapped(callback.__doc__ or ""), rich_help_panel=self.rich_help_panel, context_settings=self._settings
        )(callback)
        loaded = typer.main.get_command(one)
        assert isinstance(loaded, TyperCommand)
        return loaded


class CommandGroup(TyperGroup):
    """A group that loads the command that is called, and only that."""

    prepare: Callable[[Any], None] | None = None
    """Called with each command that is loaded, before it is used: to translate its help."""

    otherwise = ""
    """The command that is meant where none is named; "" shows the help."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As of every group; options alone are those of the command that is meant otherwise."""
        if self.otherwise and (not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names)):
            args = [self.otherwise, *args]
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """As of every group; the command found is loaded."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command if command is None or name is None else self._loaded(name, command), rest

    def load_all(self) -> None:
        """Load all commands, those of the groups below too."""
        for name, command in list(self.commands.items()):
            if isinstance(below := self._loaded(name, command), CommandGroup):
                below.load_all()

    def _loaded(self, name: str, command: Any) -> Any:
        if not isinstance(command, DeferredCommand):
            return command
        loaded = self.commands[name] = command.load()
        if self.prepare is not None:
            self.prepare(loaded)
        return loaded
