"""Every word of every help text reaches the terminal: what stands in brackets is not taken for markup."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from rich.text import Text

from pipeline.cli.commands import COMMANDS, Entry, build
from pipeline.cli.deferred import DeferredCommand, unwrapped
from pipeline.cli.help_texts import _with_kind
from pipeline.texts import texts


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


def commands() -> Iterator[Any]:
    """Every command that does something, of all groups."""
    root = build()
    root.load_all()
    waiting = [root]
    while waiting:
        command = waiting.pop()
        below = getattr(command, "commands", {})
        waiting += below.values()
        if not below:
            yield command


def test_usage_and_kinds_are_written_for_people() -> None:
    found = list(commands())
    assert len(found) > 50
    for command in found:
        with command.make_context(command.name, ["--help"], resilient_parsing=True) as context:
            usage = command.get_usage(context)
            assert "]…]" not in usage and not re.search(r"\b([A-Z]+) \1\b", usage), usage
            for parameter in command.params:
                kind = _with_kind(parameter.display_type_rich, texts("en"))(context)
                assert "list[" not in (kind or ""), f"{command.name} {parameter.name}: {kind}"


def test_an_example_names_who_decides_where_a_reason_is_asked_for() -> None:
    deciding = [each for each in commands() if {"by", "reason"} <= {parameter.name for parameter in each.params}]
    assert len(deciding) > 8
    for command in deciding:
        examples = re.findall(r"\[dim\](.*?)\[/dim\]", command.help or "")
        assert examples and all("--by" in example or "--reason" not in example for example in examples), f"esep {command.name}: {examples}"


def test_examples_stand_one_below_the_other() -> None:
    for command in commands():
        for paragraph in (command.help or "").split("\n\n"):
            assert paragraph.count("[dim]") < 2, f"esep {command.name}: an empty line is missing between two examples"
