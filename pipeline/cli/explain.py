"""`esep explain`: how one row of the form came about, step by step."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from pipeline.app.app import App
from pipeline.app.explain import explain_row
from pipeline.app.story import Fact, Step, Story, explanation_words
from pipeline.model.message import joined, message

from .decisions import parse_month
from .frame import (
    DEFAULT_CONFIG,
    ConfigOption,
    JsonOption,
    MonthArgument,
    field_width,
    now,
    print_json,
    progress,
    say,
    say_field,
    settings_of,
)
from .words import amount_words, day_words

NAME_WIDTH, MOST_NAME = 28, 40


def explain(
    month: MonthArgument,
    row: Annotated[int, typer.Argument(min=1, help="The row's number: the form's first column.", metavar="ROW")],
    version: Annotated[int | None, typer.Option("--version", help="Which frozen version; the newest when not given.", min=1)] = None,
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Tell how a row of the form came about: allocation, holder, licence, settlement, payment, transaction, block, proof.

    Each step names its rule (esep rule NUMBER) and the settings that were in force. The proof is checked as it is told. Of a frozen month the version's
    own file is read; of an open month its report by the log as it is now. With `explorer` in a chain's settings the transaction's page there is named;
    nothing is fetched.

    [dim]esep explain 2026-10 807[/dim]
    """
    settings = settings_of(config)
    named = parse_month(month)
    with (
        App(settings, now) as app,
        progress(message("reading the month")) as on_progress,
        app.books.open(named, version, on_progress) as book,
    ):
        story = explain_row(book.rows, app.books.facts_of(book), row)
    if as_json:
        print_json(asdict(story) | {"month": str(named)})
        return
    print_story(story)


def print_story(story: Story) -> None:
    """The story, a paragraph a step."""
    row, version = story.row, message("version {number}", number=story.version) if story.version else message("draft")
    say(
        message(
            "{month}, {version}, row {n}: {miner}, {amount} {asset}",
            month=story.month, version=version, n=story.n, miner=row["miner_name"] or row["miner_id"] or "",
            amount=amount_words(story.printed["amount"]), asset=row["asset"],
        )
    )  # fmt: skip
    names = [fact.name for step in story.steps for part in step.parts for fact in part.facts]
    width = field_width([*names, message("in force"), message("explorer")], least=NAME_WIDTH, most=MOST_NAME)
    for number, step in enumerate(story.steps, start=1):
        say()
        _print_step(number, step, width)


def _print_step(number: int, step: Step, width: int) -> None:
    rules = message(" (esep rule {number})", number=", ".join(step.rules))
    say(joined("", [f"{number}. ", step.title, rules]))
    say(joined("", ["   ", step.says]), hang=3)
    for part in step.parts:
        say(joined("", ["   ", part.title]), hang=3)
        for fact in part.facts:
            say_field(fact.name, _value(fact), indent=5, width=width)
    for setting in step.settings:
        say_field(message("in force"), f"{setting.key} = {setting.value}", indent=5, width=width)
    if step.link:
        say_field(message("explorer"), step.link, indent=5, width=width)


def _value(fact: Fact) -> str:
    if fact.kind == "amount":
        return f"{amount_words(fact.value)} {fact.asset}"
    if fact.kind == "day":
        return day_words(fact.value)
    if fact.kind == "explanation":
        return explanation_words(fact.value)
    return fact.value
