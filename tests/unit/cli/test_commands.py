"""Every word of every help text reaches the terminal: what stands in brackets is not taken for markup."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from rich.text import Text

from pipeline.cli.commands import COMMANDS, Entry, build
from pipeline.cli.deferred import DeferredCommand, unwrapped


def help_texts() -> Iterator[tuple[str, str]]:
    """Each command and option with its help, of all commands below `esep`."""
    root = build()
    root.load_all()
    waiting: list[tuple[str, Any]] = [("esep", root)]
    while waiting:
        name, command = waiting.pop()
        yield name, command.help or ""
        for parameter in command.params:
            yield f"{name} {parameter.name}", getattr(parameter, "help", None) or ""
        waiting += [(f"{name} {sub}", each) for sub, each in getattr(command, "commands", {}).items()]


def test_no_bracketed_word_of_a_help_text_is_lost() -> None:
    texts = dict(help_texts())
    assert len(texts) > 50
    lost = {}
    for name, text in texts.items():
        without_examples = re.sub(r"\[/?dim\]", "", text)
        shown = Text.from_markup(without_examples).plain
        if shown.count("[") != without_examples.count("["):
            lost[name] = text
    assert not lost


def test_a_section_of_the_settings_stands_in_a_help_text_as_it_is_written() -> None:
    text = unwrapped("""Needed where [closing] asks.

    [dim]esep approve 2026-10[/dim]""")
    assert Text.from_markup(text).plain == "Needed where [closing] asks.\n\nesep approve 2026-10"
    assert "[closing]" in Text.from_markup(dict(help_texts())["esep approve"]).plain


def test_what_the_list_of_commands_says_is_what_the_commands_say_themselves() -> None:
    entries = [each for of_panel in COMMANDS.values() for one in of_panel for each in ([one] if isinstance(one, Entry) else one.entries)]
    assert len(entries) > 50
    for entry in entries:
        command = DeferredCommand(entry.name, entry.place, entry.summary, None).load()
        assert command.name == entry.name
        assert (command.help or "").split("\n\n")[0] == unwrapped(entry.summary), f"esep {entry.name}: COMMANDS in pipeline/cli/commands.py"
