"""`esep rule`: a rule that a message cites: title and a sentence in the reader's language, then the text that docs/rules.md has."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.app.rule_words import RULES_IN_SHORT
from pipeline.app.rules_text import rules
from pipeline.model.errors import SettingsError
from pipeline.model.message import message

from .frame import say, terminal_words


def rule(
    number: Annotated[str | None, typer.Argument(help="The rule's number, as 5.3; all of them when not given.", metavar="[NUMBER]")] = None,
) -> None:
    """Explain a rule that a message cites, with an example.

    [dim]esep rule 5.3[/dim]
    """
    known = rules()
    if number is None:
        if terminal_words().language != "en":
            say(message("The full texts (esep rule NUMBER) are in English; each begins with a sentence in your language."))
            say()
        for one in known:
            say(message("{number} {title}", number=f"{one:<5}", title=_in_short(one)[0]), hang=6)
        return
    if number not in known:
        raise SettingsError([message("NUMBER: there is no rule {number}: esep rule lists them", number=repr(number))], source="esep rule")
    title, short = _in_short(number)
    say(message("{number} {title}", number=number, title=title))
    say()
    if terminal_words().language != "en":
        say(message("In short: {short}", short=short))
        say()
        say(message("The full text, in English (docs/rules.md):"))
        say()
    say(known[number][1])


def _in_short(number: str) -> tuple[str, str]:
    """A rule's title and its sentence, for any language."""
    title, short = RULES_IN_SHORT[number]
    return message(title), message(short)
