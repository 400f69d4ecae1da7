"""What Typer says by itself, in the reader's language: the headings of a help, and what is wrong with a command line.

It makes its messages in English, so they are known by their templates. What it prints with is imported only when it prints.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from pipeline.texts import N_, Texts
from pipeline.texts.catalogue import matched

_HEADINGS: Final = {
    "DEFAULT_STRING": N_("[default: {}]"),
    "ENVVAR_STRING": N_("[env var: {}]"),
    "REQUIRED_LONG_STRING": N_("[required]"),
    "ARGUMENTS_PANEL_TITLE": N_("Arguments"),
    "OPTIONS_PANEL_TITLE": N_("Options"),
    "COMMANDS_PANEL_TITLE": N_("Commands"),
    "ERRORS_PANEL_TITLE": N_("Error"),
    "ABORTED_TEXT": N_("Aborted."),
    "RICH_HELP": N_("Try [blue]'{command_path} {help_option}'[/] for help."),
}
"""Typer's constants with what they say in English."""
_USAGE_ERRORS: Final = (
    N_("No such option: {name} (Possible options: {others})"),
    N_("No such option: {name} Did you mean {other}?"),
    N_("No such option: {name}"),
    N_("No such command {name}. Did you mean {other}?"),
    N_("No such command {name}."),
    N_("Missing argument {name}."),
    N_("Missing option {name}."),
    N_("Missing parameter: {name}"),
    N_("Missing command."),
    N_("Got unexpected extra argument(s) ({values})"),
    N_("Option {name} requires an argument."),
)
"""What Typer says about a wrong command line."""
_INVALID: Final = (N_("Invalid value for {name}: {why}"), N_("Invalid value: {why}"))
_WHYS: Final = (
    ("Input should be a valid integer, unable to parse string as an integer", N_("write a whole number")),
    ("Input should be greater than or equal to {least}", N_("write {least} or more")),
    ("Value error, {value} is not one of {choices}.", N_("{value} is not one of {choices}")),
    ("Input should be {choices}", N_("write {choices}")),
)
"""Why a value is none, as Typer's library says it, and in our words."""


_USAGE: Final = N_("Usage:")
_OPTIONS: Final = N_("[OPTIONS]")
_COMMAND: Final = N_("COMMAND [ARGS]...")


def translate_usage(command: Any, words: Texts) -> None:
    """Put the line that says how a command is called into the language."""

    def translated(get_usage: Callable[[Any], str]) -> Callable[[Any], str]:
        return lambda ctx: _plain_usage(get_usage(ctx)).replace("Usage:", words.gettext_plain(_USAGE), 1)

    if getattr(command, "options_metavar", None) == _OPTIONS:
        command.options_metavar = words.gettext_plain(_OPTIONS)
    if getattr(command, "subcommand_metavar", None) == _COMMAND:
        command.subcommand_metavar = words.gettext_plain(_COMMAND)
    command.get_usage = translated(command.get_usage)


def _plain_usage(usage: str) -> str:
    """`MONTH [REF]` for Typer's `{MONTH} [[REF]]`: marks that say nothing more."""
    return re.sub(r"\{([^{}\s]+)\}", r"\1", usage.replace("[[", "[").replace("]]", "]"))


def usage_error(text: str, words: Texts) -> str:
    """What Typer says about a wrong command line, in the language; why a value is none in our own words."""
    for template in _INVALID:
        if parts := matched(text, template):
            why = next(
                (words.gettext(ours, **found) for theirs, ours in _WHYS if (found := matched(parts["why"], theirs)) is not None), None
            )
            return words.gettext(template, **parts | {"why": why or parts["why"]})
    return words.recognised(text, _USAGE_ERRORS)


def usage_lines(error: Any, words: Texts) -> str:
    """What is printed of a wrong command line: how the command is called, where its help is, what is wrong."""
    ctx = getattr(error, "ctx", None)
    told = [f"{words.gettext_plain('Error')}: {usage_error(error.format_message(), words)}"]
    if ctx is None:
        return told[0]
    hint = words.gettext_plain(_HEADINGS["RICH_HELP"]).replace("[blue]", "").replace("[/]", "")
    return "\n".join([ctx.get_usage(), hint.format(command_path=ctx.command_path, help_option=ctx.help_option_names[0]), "", *told])


def translate_headings(words: Texts) -> None:
    """Put the headings that Typer prints in a help or an error into the language."""
    from typer import rich_utils

    for name, text in _HEADINGS.items():
        setattr(rich_utils, name, words.gettext_plain(text))
