"""A table as read from a file, before validation, and the faults found in it.

In: the cells read from CSV, XLSX, ODS or Parquet. Out: `RawTable`, the input of every check. Left out: the meaning of the columns
(`columns`, `cells`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import NamedTuple

import polars as pl

from pipeline.model.errors import InputRefused
from pipeline.model.message import message

SHOWN_CHARACTERS = 40
EXACT_DIGITS = 15
"""Significant digits of a number that a workbook keeps."""
_NUMBER_OF_A_PERSON = re.compile(r"(?<![0-9])[0-9]{11,12}(?![0-9])")


class CellType(IntEnum):
    """The type of a cell in the file. CSV has text only."""

    TEXT = 0
    NUMBER = 1
    """An exact number, written out in plain decimals."""
    MOMENT = 2
    """A day, or a day and time, as ISO 8601."""
    INEXACT = 3
    """A number that a workbook holds in binary and not exactly: more than 15 significant digits."""
    BOOLEAN = 4
    ERROR = 5
    """A workbook's error value, or a formula that was never calculated."""
    FLOAT = 6
    """A Parquet column of binary floating point numbers."""
    OTHER = 7
    """A Parquet column of lists, bytes, …"""


class Fault(NamedTuple):
    """A fault in a file. `line` is None when it concerns the whole file, or a whole column."""

    line: int | None
    column: str
    what: str

    def at(self, source: str) -> str:
        """`file:line: column: what`."""
        place = source if self.line is None else f"{source}:{self.line}"
        column = masked(self.column)  # of a file without headings it is a cell
        if "\n" in column:
            column = column.replace("\n", " ")
        return (
            message("{place}: {column}: {what}", place=place, column=column, what=self.what)
            if self.column
            else message("{place}: {what}", place=place, what=self.what)
        )


class Merged(NamedTuple):
    """Cells merged into one, from the first line to the last, as the file names them: `F2:F3`."""

    first: int
    last: int
    range: str


@dataclass(frozen=True)
class RawColumn:
    """A column: its heading, and its cells trimmed of white space; an empty cell is null."""

    heading: str
    values: pl.Series
    types: pl.Series | CellType = CellType.TEXT
    """One type for all cells, or a UInt8 series with a `CellType` each."""
    declared: str = ""
    """The file's own name of the column's type, for messages; "" in formats whose cells have types each."""
    merged: tuple[Merged, ...] = ()
    """Ranges of merged cells that reach into the column: all but the first of each are empty in the file."""
    uncertain: tuple[Fault, ...] = ()
    """Faults of cells that count only when the column is read: formulas whose values may be stale."""


@dataclass(frozen=True)
class RawTable:
    """A table: every column has as many cells as there are `lines`."""

    source: str
    """File name, without its folder."""
    heading_line: int | None
    lines: pl.Series
    """UInt32: the line of each row in a CSV file (of its first line), the row's number in a workbook or Parquet file, from 1."""
    columns: list[RawColumn]
    """Empty when the file can't be read: then the faults say why."""
    faults: list[Fault] = field(default_factory=list)
    odd: tuple[str, ...] = ()
    """What a person should look at before the table counts, in words: rows that the sheet hides."""


def column_of(table: RawTable, heading: str) -> RawColumn:
    """The table's column of that heading, which it has."""
    return next(column for column in table.columns if column.heading == heading)


def unread(source: str, *faults: Fault) -> RawTable:
    """What is left of a file that can't be read: no rows, and why."""
    return RawTable(source, None, pl.Series("line", [], dtype=pl.UInt32), [], list(faults))


def filter_rows(table: RawTable, is_kept: pl.Series) -> RawTable:
    """The table's rows where `is_kept`."""
    if is_kept.all():
        return table
    columns = [
        replace(
            column,
            values=column.values.filter(is_kept),
            types=column.types.filter(is_kept) if isinstance(column.types, pl.Series) else column.types,
        )
        for column in table.columns
    ]
    return replace(table, lines=table.lines.filter(is_kept), columns=columns)


def shown(value: str) -> str:
    """A cell's value for a message: quoted, cut short, control characters escaped, anything like an IIN/BIN masked."""
    cut = value if len(value) <= SHOWN_CHARACTERS else value[:SHOWN_CHARACTERS] + "…"
    return repr(masked(cut))


def masked(text: str) -> str:
    """The text with anything like an IIN/BIN masked; the same object where there is none."""
    return _NUMBER_OF_A_PERSON.sub("[12 digits]", text) if _NUMBER_OF_A_PERSON.search(text) else text


def shown_amount(value: str) -> str:
    """An amount for a message. It is never masked: where it could be taken for an IIN/BIN, its digits stand in groups."""
    if re.fullmatch(r"[0-9]{11,12}", value):
        return repr(f"{int(value):,}".replace(",", " "))
    is_number = re.fullmatch(r"[-+0-9.,eE]+|[0-9]{1,3}(?:[ \u00a0\u2009\u202f'_][0-9]{3})+(?:[.,][0-9]+)?", value)
    if not is_number:
        return shown(value)
    plain = re.sub("[\u00a0\u2009\u202f]", " ", value)
    return repr(plain if len(plain) <= SHOWN_CHARACTERS else plain[:SHOWN_CHARACTERS] + "…")


def raise_if_faults(source: str, faults: Iterable[Fault]) -> None:
    """Raise `InputRefused` with all faults, in the order of the file's lines, if there are any."""
    ordered = sorted(dict.fromkeys(faults), key=lambda fault: (fault.line is not None, fault.line or 0))
    if ordered:
        raise InputRefused(source, [fault.at(source) for fault in ordered])
