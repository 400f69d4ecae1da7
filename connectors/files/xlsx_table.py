"""XLSX: from bytes to a table of texts and cell types; the row's number in the sheet is the line.

Texts are unchanged. A number is accepted only when it is exact: the workbook stores 64-bit binary numbers, so the shortest decimal with the
same binary value is read, and one of more than 15 significant digits is marked `INEXACT`. Numbers formatted as dates become ISO 8601, to
the millisecond. Formulas give their last value, unless the workbook asks to be recalculated when it is opened. Merged cells and such
formulas are recorded with their column, and become faults if the column is used.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache

import polars as pl

from pipeline.model.message import message, text_of
from pipeline.validate.layout import OWN, Layout
from pipeline.validate.table import EXACT_DIGITS, CellType, Fault, Merged, RawColumn, RawTable, masked, unread

from .heading import SEARCHED_ROWS, column_letters, title_above
from .sheets import MAX_COLUMNS, MAX_STRAY_FAULTS, SMALL_UNITS, choose_sheet, said_hidden, said_hidden_sheet, said_struck
from .xlsx_parts import MAX_TEXT, Runs, UnreadableWorkbook, Workbook, unescaped

MAX_ROWS = 1_048_576
_EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001 - a workbook's dates have no zone
_EPOCH_1904 = datetime(1904, 1, 1)  # noqa: DTZ001 - the same

Cell = tuple[str, CellType]


def read_xlsx(
    data: bytes, source: str, expected: Collection[str], sheet: str | None = None, layout: Layout = OWN, *, asked: str | None = None
) -> RawTable:
    """The table of a workbook's sheet: the one named, else the only one that can be seen. Faults come with the table."""
    try:
        workbook = Workbook(data)
        reader = _SheetReader(workbook, source, expected, layout)
        sheets = [(each.name, each.is_hidden) for each in workbook.sheets]
        place, wrong = choose_sheet(sheets, sheet, asked, layout)
        if wrong:
            raise UnreadableWorkbook(wrong)
        workbook.parse(workbook.sheets[place].part, start=reader.start, end=reader.end, text=reader.text)
        table = reader.table()
        return replace(table, odd=(*said_hidden_sheet(sheets, place, asked, layout), *table.odd))
    except UnreadableWorkbook as error:
        return unread(source, Fault(None, "", text_of(error)))


@dataclass
class _Column:
    heading: str
    values: list[str | None] = field(default_factory=list)
    types: list[int] = field(default_factory=list)
    merged: list[Merged] = field(default_factory=list)
    uncertain: list[Fault] = field(default_factory=list)


class _SheetReader:
    """Takes a sheet's XML, element by element, and keeps the cells under headings."""

    def __init__(self, workbook: Workbook, source: str, expected: Collection[str], layout: Layout) -> None:
        self._asks_calculation = workbook.asks_calculation
        self._tells_calculation = workbook.tells_calculation
        self._expected = expected
        self._layout = layout
        self._doubts: dict[int, str] = {}
        self._is_hidden = False
        self._hidden: list[int] = []
        self._struck_styles = {str(style) for style in workbook.struck}
        self._is_struck = False
        self._struck: list[int] = []
        self._texts = workbook.texts
        self._shapes = workbook.shapes
        self._epoch = _EPOCH_1904 if workbook.is_1904 else _EPOCH
        self._source = source
        self._row = 0
        self._column = -1
        self._cells: dict[int, Cell] = {}
        self._type = ""
        self._style = ""
        self._has_formula = False
        self._is_value = False
        self._value = ""
        self._inline = Runs()
        self._heading_line = 0
        self._columns: dict[int, _Column] = {}
        self._lines: list[int] = []
        self._faults: list[Fault] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "c":
            self._start_cell(attributes)
        elif name == "v":
            self._is_value = True
            self._value = ""
        elif name == "row":
            row = attributes.get("r", "")
            following = int(row) if re.fullmatch(r"[0-9]{1,7}", row) else self._row + 1
            if not self._row < following <= MAX_ROWS:
                raise UnreadableWorkbook(
                    message("is not a sound XLSX workbook: row {following} after row {row}", following=following, row=self._row)
                )
            self._row, self._column = following, -1
            self._is_hidden = attributes.get("hidden") in ("1", "true")
        elif name == "f":
            self._has_formula = True
        elif name == "mergeCell":
            self._merge(attributes.get("ref", ""))
        else:
            self._inline.start(name)

    def _start_cell(self, attributes: dict[str, str]) -> None:
        reference = attributes.get("r")
        following = self._column + 1 if reference is None else _column_number(reference.rstrip("0123456789"))
        if not self._column < following < MAX_COLUMNS:
            raise UnreadableWorkbook(message("is not a sound XLSX workbook: a cell out of order in row {row}", row=self._row))
        self._column = following
        self._type = attributes.get("t", "n")
        self._style = attributes.get("s", "")
        self._has_formula = False
        self._value = ""
        if self._type == "inlineStr":
            self._inline.clear()

    def text(self, text: str) -> None:
        if self._is_value:
            self._value += text
            if len(self._value) > MAX_TEXT:
                raise UnreadableWorkbook(
                    message("has a value of more than {max_text} characters in row {row}", max_text=MAX_TEXT, row=self._row)
                )
        else:
            self._inline.add(text)

    def end(self, name: str) -> None:
        if name == "v":
            self._is_value = False
        elif name == "c":
            cell = self._cell()
            if cell is not None:
                self._cells[self._column] = cell
                self._is_struck |= self._style in self._struck_styles
                if doubt := self._doubt(*cell):
                    self._doubts[self._column] = doubt
        elif name == "row":
            if self._cells and self._row > self._layout.rows_above:
                self._end_row()
            self._cells = {}
            self._doubts = {}
            self._is_struck = False
        else:
            self._inline.end(name)

    def _cell(self) -> Cell | None:
        """The cell just read; None when it is empty."""
        value = self._value
        match self._type:
            case "s" if value == "":  # as some programs write an empty cell
                return None
            case "s":
                if not value.isdecimal() or int(value) >= len(self._texts):
                    raise UnreadableWorkbook(
                        message("is not a sound XLSX workbook: row {row} refers to a text that it lacks", row=self._row)
                    )
                text, kind = self._texts[int(value)], CellType.TEXT
            case "inlineStr":
                text, kind = self._inline.text(), CellType.TEXT
            case "str":
                text, kind = unescaped(value), CellType.TEXT
            case "b":
                text, kind = {"1": "TRUE", "0": "FALSE"}.get(value, value), CellType.BOOLEAN
            case "e":
                text, kind = value or "#N/A", CellType.ERROR
            case "d":
                text, kind = value, CellType.MOMENT
            case _:
                if value == "":
                    return (
                        (
                            message("formula in {column_letters}{row}", column_letters=column_letters(self._column), row=self._row),
                            CellType.ERROR,
                        )
                        if self._has_formula
                        else None
                    )
                text, kind = self._number(value)
        text = text.strip()
        return (text, kind) if text else None

    def _shape(self) -> str:
        """How the cell shows a number."""
        return self._shapes[int(self._style)] if self._style.isdecimal() and int(self._style) < len(self._shapes) else ""

    def _doubt(self, text: str, kind: CellType) -> str:
        """Why the value held may not be the one that is meant; "" for no reason."""
        if self._has_formula and self._asks_calculation and kind is not CellType.ERROR:
            return message(
                "is a formula, and the workbook asks to be calculated when it is opened: open and save it in a spreadsheet, or paste values"
            )
        if self._has_formula and not self._tells_calculation and kind is CellType.NUMBER and text == "0":
            return message(
                "is a formula of value 0 in a workbook that was perhaps never calculated: open and save it in a spreadsheet, or paste values"
            )
        shape = self._shape() if kind in (CellType.NUMBER, CellType.INEXACT) else ""
        if re.search(SMALL_UNITS, shape) and (self._layout.is_in_base_units or self._layout.factor):
            return ""  # the settings know
        return (
            message(
                "holds {text} and shows it as {shape}: give it a plain number format, and look at its value", text=masked(text), shape=shape
            )
            if shape
            else ""
        )

    def _number(self, value: str) -> Cell:
        try:
            number = float(value)
        except ValueError:
            return value, CellType.ERROR
        if not math.isfinite(number) or "_" in value or not value.isascii():  # which Python reads, and no spreadsheet
            return value, CellType.ERROR
        if self._shape() in ("date", "day"):
            return self._moment(number)
        exact = Decimal(repr(number)).normalize()
        text = format(exact, "f") if exact else "0"
        return text, CellType.NUMBER if len(exact.as_tuple().digits) <= EXACT_DIGITS else CellType.INEXACT

    def _moment(self, days: float) -> Cell:
        try:
            moment = self._epoch + timedelta(milliseconds=round(days * 86_400_000))
        except OverflowError:
            return str(days), CellType.ERROR
        if self._shape() == "day" and days.is_integer():
            return moment.date().isoformat(), CellType.MOMENT
        return moment.isoformat(timespec="milliseconds" if moment.microsecond else "seconds"), CellType.MOMENT

    def _end_row(self) -> None:
        """The first row with anything in it holds the headings; the others are rows of the table."""
        if not self._heading_line:
            self._heading_line = self._row
            self._columns = {column: _Column(text) for column, (text, _) in self._cells.items()}
            return
        if len(self._lines) < SEARCHED_ROWS:
            row = [(self._row, [text for text, _ in self._cells.values()])]
            if title_fault := title_above([column.heading for column in self._columns.values()], row, self._expected, self._layout):
                raise UnreadableWorkbook(title_fault)
        self._lines.append(self._row)
        if self._is_hidden:
            self._hidden.append(self._row)
        if self._is_struck:
            self._struck.append(self._row)
        for number, doubt in self._doubts.items():
            if number in self._columns and len(self._columns[number].uncertain) < MAX_STRAY_FAULTS:
                what = message("the cell {column_letters}{row} {doubt}", column_letters=column_letters(number), row=self._row, doubt=doubt)
                self._columns[number].uncertain.append(Fault(self._row, self._columns[number].heading, what))
        for number, column in self._columns.items():
            value, kind = self._cells.get(number, (None, CellType.TEXT))
            column.values.append(value)
            column.types.append(kind)
        for number in self._cells.keys() - self._columns.keys():
            if len(self._faults) < MAX_STRAY_FAULTS:
                self._faults.append(
                    Fault(
                        self._row,
                        "",
                        message("has a value in column {column_letters}, which has no heading", column_letters=column_letters(number)),
                    )
                )

    def _merge(self, reference: str) -> None:
        found = re.fullmatch(r"([A-Z]{1,3})([0-9]{1,7}):([A-Z]{1,3})([0-9]{1,7})", reference)
        if not found:
            raise UnreadableWorkbook(
                message("is not a sound XLSX workbook: {reference} is no range of cells", reference=repr(reference[:20]))
            )
        merged = Merged(int(found[2]), int(found[4]), reference)
        for number in range(_column_number(found[1]), min(_column_number(found[3]), MAX_COLUMNS) + 1):
            if number in self._columns and len(self._columns[number].merged) < MAX_STRAY_FAULTS:
                self._columns[number].merged.append(merged)

    def table(self) -> RawTable:
        if not self._heading_line:
            raise UnreadableWorkbook(message("is empty: a row of headings is expected"))
        columns = [
            RawColumn(
                column.heading,
                pl.Series(column.heading, column.values, dtype=pl.String),
                _types(column.types),
                merged=tuple(column.merged),
                uncertain=tuple(column.uncertain),
            )
            for column in self._columns.values()
        ]
        lines = pl.Series("line", self._lines, dtype=pl.UInt32)
        return RawTable(
            self._source, self._heading_line, lines, columns, self._faults, odd=(*said_hidden(self._hidden), *said_struck(self._struck))
        )


def _types(types: list[int]) -> pl.Series | CellType:
    return pl.Series("type", types, dtype=pl.UInt8) if any(types) else CellType.TEXT


@cache
def _column_number(letters: str) -> int:
    """`C` is column 2."""
    if not re.fullmatch(r"[A-Z]{1,3}", letters):
        raise UnreadableWorkbook(message("is not a sound XLSX workbook: {letters} is no column", letters=repr(letters[:20])))
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number - 1
