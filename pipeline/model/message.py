"""A text for people that can be said in another language later: English, with the template and the named values that it was made of.

Enters: an English template with `{name}` placeholders, and the values. Leaves: a string, the English text, for logs, events, JSON and files, which have no
language; what shows it to a person looks its template up in the catalogue (`pipeline.texts`, ADR 13). Here is no catalogue and no language.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class Message(str):
    """The English text; `template` (and `many`, where the words go by `count`) with `values` is what it is translated by. `parts` are joined by `template`."""

    template: str
    many: str | None
    values: dict[str, object]
    parts: tuple[str, ...] | None

    __slots__ = ("many", "parts", "template", "values")

    def __add__(self, other: str) -> str:
        return joined("", (self, other))

    def __radd__(self, other: str) -> str:
        return joined("", (other, self))

    def __reduce__(self) -> tuple[Any, ...]:
        return str, (str(self),)


class Amount(str):
    """A printed amount (rule 2.2) within a message: the reader's language puts its own marks into it. In English, files and JSON it is as printed."""

    __slots__ = ()


class Grouped(str):
    """A whole number with its thousands apart (`1,437`) within a message: the reader's language parts them its own way."""

    __slots__ = ()


def grouped(number: int) -> str:
    """The number as `Grouped`."""
    return Grouped(format(number, ","))


class Instant(str):
    """An instant as data has it, UTC (`2026-10-04 07:00:30 UTC`, with or without seconds and their fractions), within a message or alone: people read it by Almaty's clocks."""

    __slots__ = ()


def message(template: str, /, **values: object) -> str:
    """The template, filled in. Values may be messages, or exceptions that were raised with one: they are translated, too. Days stand as the reader's language writes them."""
    values = {name: text_of(value) if isinstance(value, BaseException) else value for name, value in values.items()}
    return _made(template.format(**values), template, None, values)


def counted(one: str, many: str, count: int, /, **values: object) -> str:
    """The template that fits the number, which `{count}` in it is; other languages have forms of their own."""
    values = {"count": count, **{name: text_of(value) if isinstance(value, BaseException) else value for name, value in values.items()}}
    return _made((one if count == 1 else many).format(**values), one, many, values)


def joined(separator: str, parts: Iterable[str]) -> str:
    """Texts in a row, each translated for itself."""
    held = tuple(parts)
    return _made(separator.join(held), separator, None, {}, held)


def _made(text: str, template: str, many: str | None, values: dict[str, object], parts: tuple[str, ...] | None = None) -> Message:
    made = Message(text)
    made.template, made.many, made.values, made.parts = template, many, values, parts
    return made


def text_of(error: BaseException) -> str:
    """What an exception says: the message that it was raised with, so that it can be translated, else its text."""
    first = error.args[0] if len(error.args) == 1 else None
    return first if isinstance(first, Message) else str(error)


def as_plain(value: object) -> str:
    """For encoders that know no subclass of `str`: the English text of a message. Raises TypeError for anything else."""
    if isinstance(value, (Message, Instant, Grouped)):
        return str(value)
    raise TypeError(f"no text: {type(value).__name__}")
