"""What Typer says about a wrong command line, in the reader's language: it makes its messages in English, so they are known by their templates."""

from __future__ import annotations

from typing import Final

from pipeline.texts import N_, Texts

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
    N_("Invalid value for {name}: {why}"),
    N_("Invalid value: {why}"),
)
"""What Typer says about a wrong command line."""


def usage_error(text: str, words: Texts) -> str:
    """What Typer says about a wrong command line, in the language."""
    return words.recognised(text, _USAGE_ERRORS)
