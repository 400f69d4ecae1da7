"""The help of the command line in the reader's language.

Enters: the assembled commands, whose help stands in English where they are written, and the words of a language. Leaves: the same commands with their help
translated, paragraph by paragraph, and Typer's own headings and messages, too. What is collected for the catalogue (`make texts`) is found by the same walk, so
no help text can be missed. Examples (`[dim]…[/dim]`) are commands, and have no language.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

from pipeline.texts import N_, Texts

from .deferred import CommandGroup
from .frame import EXIT_CODES
from .usage_errors import translate_headings, translate_usage

PLACE: Final = "pipeline/cli/commands.py"
"""Where a translator finds the help in the sources."""

_HELP_OPTION: Final = N_("Show this message and exit.")
_KINDS: Final = {
    "<str>": N_("<text>"),
    "<int>": N_("<number>"),
    "<int range>": N_("<number>"),
    "<float>": N_("<number>"),
    "<path>": N_("<path>"),
}
"""What Typer calls the kinds of a value, and what a person does. A flag takes no value, so its kind is not shown."""


def help_messages(command: Any) -> dict[str, str]:
    """Every text of the help of a command and of those below it, with its place."""
    found: dict[str, str] = {}
    command.load_all()
    _walk(command, lambda text: found.setdefault(text, PLACE) and text)
    return found


def translate_help(command: Any, words: Texts) -> None:
    """Put the help of a command, and of those below it, into the language; words in brackets are shown as they are, not taken for markup.

    Commands that are loaded later are translated then.
    """
    _translate(command, words)
    command.epilog = epilog(words)


def _translate(command: Any, words: Texts) -> None:
    _walk(command, words.gettext_plain)
    _walk_params(command, _escaped)
    for one in _commands(command):
        one.get_help_option = _translated_help_option(one.get_help_option, words)
        one.format_help = _with_headings(one.format_help, words)
        translate_usage(one, words)
        for parameter in one.params:
            parameter.display_type_rich = _with_kind(parameter.display_type_rich, words)
        if isinstance(one, CommandGroup):
            one.prepare = partial(_translate, words=words)


def _translated_help_option(get_help_option: Callable[[Any], Any], words: Texts) -> Callable[[Any], Any]:
    """`--help` itself, which Typer adds to a command only when it is run."""

    def translated(context: Any) -> Any:
        option = get_help_option(context)
        if option is not None:
            option.help = words.gettext_plain(_HELP_OPTION)
            option.display_type_rich = _with_kind(option.display_type_rich, words)
        return option

    return translated


def _with_kind(display_type: Callable[[Any], str | None], words: Texts) -> Callable[[Any], str | None]:
    """The kind of a parameter's value, as the help's table shows it."""

    def translated(ctx: Any) -> str | None:
        kind = display_type(ctx)
        if kind is not None:
            kind = re.sub(r"^<list\[(.+)\]>$", r"<\1>", kind)  # of an option that may be said several times, as of the others
        if kind == "<bool>":
            return None
        return words.gettext_plain(_KINDS[kind]) if kind in _KINDS else kind

    return translated


def _with_headings(format_help: Callable[[Any, Any], None], words: Texts) -> Callable[[Any, Any], None]:
    """A command's help with Typer's headings in the language."""

    def formatted(context: Any, formatter: Any) -> None:
        translate_headings(words)
        format_help(context, formatter)

    return formatted


def epilog(words: Texts) -> str:
    """The exit codes, at the end of the help."""
    return words.gettext(
        "Exit codes: {codes}.", codes="; ".join(f"{code} {words.gettext(what)}" for code, what in sorted(EXIT_CODES.items()))
    )


def _walk(command: Any, change: Callable[[str], str]) -> None:
    """Change every help text that a person reads: paragraphs of commands, options, names of panels."""
    for one in _commands(command):
        paragraphs = (one.help or "").split("\n\n")
        one.help = "\n\n".join(text if not text or text.startswith("[dim]") else change(text) for text in paragraphs)
        _change_panel(one, change)
        for parameter in one.params:
            if getattr(parameter, "help", None):
                parameter.help = change(parameter.help)
            _change_panel(parameter, change)


def _change_panel(one: Any, change: Callable[[str], str]) -> None:
    if isinstance(getattr(one, "rich_help_panel", None), str):
        one.rich_help_panel = change(one.rich_help_panel)


def _walk_params(command: Any, change: Callable[[str], str]) -> None:
    for one in _commands(command):
        for parameter in one.params:
            if getattr(parameter, "help", None):
                parameter.help = change(parameter.help)


def _commands(command: Any) -> Iterator[Any]:
    yield command
    for below in getattr(command, "commands", {}).values():
        yield from _commands(below)


def _escaped(text: str) -> str:
    """`[closing]` names a table of the settings; Typer would take it for markup and lose it."""
    return re.sub(r"(?<!\\)\[(?=[a-z#/@])", r"\\[", text)
