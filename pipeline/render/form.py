"""The texts of the form ЦМПМ1, read from `form.toml`.

What enters: nothing but the packaged data file. What leaves: the form's index, fifteen columns with their headings
and kinds, and all fixed texts, by language (kk is the order's own; ru and en are marked where they are unofficial).
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from typing import Any

import msgspec

from pipeline.model.message import message
from pipeline.model.months import Month
from pipeline.model.typed import convert
from pipeline.texts import LANGUAGES as LANGUAGES
from pipeline.texts import Language as Language

from .columns import Kind, PrintedColumn


class Column(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A column of the form: its name in data files, what its values are, its headings."""

    name: str
    kind: Kind
    official: list[Language]
    kk: str
    ru: str
    en: str

    def heading(self, language: Language) -> str:
        """The heading as printed: a star marks an unofficial translation where other headings are official."""
        label: str = getattr(self, language)
        return label if language in self.official or language == "en" else f"{label}*"


class Total(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A total of the month (rule 7.4): its name in data files and its labels."""

    name: str
    kk: str
    ru: str
    en: str

    def label(self, language: Language) -> str:
        label: str = getattr(self, language)
        return label


class Text(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The fixed texts in one language; pairs are a label and what the form itself says after it."""

    language_tag: str
    approved: list[str]
    kind: str
    title: str
    translation_note: str
    recipient: tuple[str, str]
    index: str
    frequency: tuple[str, str]
    period: tuple[str, str]
    months: list[str]
    respondents: tuple[str, str]
    due: tuple[str, str]
    method: tuple[str, str]
    note: str
    bin: str
    name: str
    address: str
    telephone: str
    email: str
    executor: str
    head: str
    full_name: str
    signature: str
    signature_telephone: str
    no_rows: str
    rows_elsewhere: str
    page: str
    version: str
    digest: str
    totals: str
    sheet_totals: str
    rows: str

    def reporting_period(self, month: Month) -> str:
        """The month in words: «2026 жылдың қазан айы»."""
        return self.period[1].format(year=month.year, month=self.months[month.number - 1])


class Form(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of `form.toml`."""

    index: str
    text: dict[Language, Text]
    total: list[Total]
    hyphenation: dict[Language, list[str]]
    column: list[Column]

    def printed_columns(self, language: Language) -> list[PrintedColumn]:
        """The fifteen columns as they are printed in a language."""
        return [PrintedColumn(column.name, column.kind, column.heading(language)) for column in self.column]

    def statements(self, language: Language, month: Month) -> list[tuple[str, str]]:
        """The form's own lines above the table, label and value, in the order's sequence."""
        text = self.text[language]
        return [
            text.recipient,
            (text.index, self.index),
            text.frequency,
            (text.period[0], text.reporting_period(month)),
            text.respondents,
            text.due,
            text.method,
        ]

    def in_order(self, totals: dict[str, Any]) -> dict[str, Any]:
        """The month's totals in the form's order, sorted by name within each; totals without a label in the form come last."""
        known = [total.name for total in self.total if total.name in totals]
        names = [*known, *sorted(set(totals) - set(known))]
        return {name: dict(sorted(value.items())) if isinstance(value := totals[name], dict) else value for name in names}

    def printed_totals(self, totals: dict[str, Any], language: Language) -> list[tuple[str, str, str]]:
        """The month's totals as lines: label, asset or currency, amount as printed; a dash where there is none.

        A total without a label in the form is listed under its own name.
        """
        labels = {total.name: total.label(language) for total in self.total}
        lines = []
        for name, value in self.in_order(totals).items():
            label = labels.get(name, name)
            if isinstance(value, dict):
                lines += [(label, str(unit), str(amount)) for unit, amount in value.items()] or [(label, "", "–")]
            else:
                lines.append((label, "", str(value)))
        return lines


@cache
def form() -> Form:
    """The form as packaged. Raises ValueError when the file does not fit the classes above."""
    content = tomllib.loads(resources.files(__package__).joinpath("form.toml").read_text(encoding="utf-8"))
    read = convert(content, Form)
    if set(read.text) != set(LANGUAGES) or len(read.column) != 15 or any(len(t.months) != 12 for t in read.text.values()):
        raise ValueError(message("form.toml: needs the languages kk, ru and en, twelve months in each, and fifteen columns"))
    return read


COLUMNS: tuple[str, ...] = tuple(column.name for column in form().column)
"""The fifteen columns' names in data files, in the form's order."""
