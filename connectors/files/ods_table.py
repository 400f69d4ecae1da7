"""ODS: from bytes to a table of texts and cell types, by odfpy; the row's number in the sheet is the line.

As in `xlsx_table`: texts are unchanged, a number is accepted only when it is exact, error values and formulas without a value are marked, merged
cells are recorded with their column. Limits: unpacked size, document types, repeated rows and columns.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any
from xml.sax import SAXException

import polars as pl
from odf import opendocument, teletype
from odf.namespaces import OFFICENS, TABLENS
from odf.table import Table

from pipeline.model.message import message, text_of
from pipeline.validate.layout import OWN, Layout
from pipeline.validate.table import EXACT_DIGITS, CellType, Fault, Merged, RawColumn, RawTable, masked, unread

from .heading import SEARCHED_ROWS, column_letters, title_above
from .ods_styles import CellStyles, scaled_cells, struck_cells
from .sheets import MAX_COLUMNS, MAX_STRAY_FAULTS, SMALL_UNITS, choose_sheet, said_hidden, said_hidden_sheet, said_struck

MAX_UNPACKED_BYTES = 256 << 20
MAX_RATIO = 200
RATIO_FROM_BYTES = 16 << 20
MAX_ROWS = 1_048_576
_CALCEXT = "urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0"
_TRUTHS = re.compile("TRUE|FALSE|ИСТИНА|ЛОЖЬ|АҚИҚАТ|ЖАЛҒАН")
_ERRORS = re.compile(r"#.*[!?]|#N/A|#Н/Д|#+|(?:Err|Ошибка|Қате): ?[0-9]+")


Cell = tuple[str, CellType]


@dataclass
class _Column:
    heading: str
    values: list[str | None] = field(default_factory=list)
    types: list[int] = field(default_factory=list)
    merged: list[Merged] = field(default_factory=list)
    uncertain: list[Fault] = field(default_factory=list)


def read_ods(
    data: bytes, source: str, expected: Collection[str], sheet: str | None = None, layout: Layout = OWN, *, asked: str | None = None
) -> RawTable:
    """The table of a spreadsheet's sheet: the one named, else the only one. Faults come with the table, none is raised."""
    try:
        document = _load(data)
        sheet_read, odd = _choose_sheet(document, sheet, asked, layout)
        table = _table(sheet_read, source, expected, layout, scaled_cells(document, sheet_read), struck_cells(document, sheet_read))
        return replace(table, odd=(*odd, *table.odd))
    except RecursionError:
        return unread(source, Fault(None, "", message("nests its elements too deep: no spreadsheet does; save it anew")))
    except _UnreadableSpreadsheet as error:
        return unread(source, Fault(None, "", text_of(error)))


class _UnreadableSpreadsheet(Exception):
    """The spreadsheet can't be read; the message says why."""


def _load(data: bytes) -> Any:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = archive.infolist()
            unpacked = sum(part.file_size for part in parts)
            if unpacked > MAX_UNPACKED_BYTES or unpacked > max(RATIO_FROM_BYTES, MAX_RATIO * len(data)):
                raise _UnreadableSpreadsheet(
                    message("unpacks to {unpacked} MiB: more than is read of an ODS file; save the table as CSV", unpacked=unpacked >> 20)
                )
            if any(part.filename == "META-INF/manifest.xml" and b"encryption-data" in archive.read(part) for part in parts):
                raise _UnreadableSpreadsheet(message("has a password: save it without one"))
            for part in parts:
                if part.filename.endswith(".xml") and b"<!DOCTYPE" in archive.read(part):
                    raise _UnreadableSpreadsheet(
                        message("{filename} has a document type: save the spreadsheet anew", filename=part.filename[:100])
                    )
        return opendocument.load(io.BytesIO(data))
    except (zipfile.BadZipFile, zlib.error, SAXException, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        raise _UnreadableSpreadsheet(message("is not a sound ODS spreadsheet: {error}", error=text_of(error)[:200])) from error
    except (ValueError, LookupError, AttributeError, TypeError, AssertionError) as error:  # what odfpy raises for XML of another shape
        raise _UnreadableSpreadsheet(message("is not a sound ODS spreadsheet: {error}", error=text_of(error)[:200])) from error


def _choose_sheet(document: Any, name: str | None, asked: str | None, layout: Layout) -> tuple[Any, tuple[str, ...]]:
    """The sheet to read, and what is asked about it."""
    tables = document.spreadsheet.getElementsByType(Table)
    hidden = {
        style.getAttribute("name")
        for style in document.automaticstyles.childNodes
        if any(
            part.attributes.get((TABLENS, "display")) == "false" for part in getattr(style, "childNodes", ()) if hasattr(part, "attributes")
        )
    }
    sheets = [(table.getAttribute("name") or "", table.getAttribute("stylename") in hidden) for table in tables]
    place, wrong = choose_sheet(sheets, name, asked, layout)
    if wrong:
        raise _UnreadableSpreadsheet(wrong)
    return tables[place], said_hidden_sheet(sheets, place, asked, layout)


def _rows(parent: Any) -> Iterator[Any]:
    """The rows in order, also those within groups and header rows."""
    for node in parent.childNodes:
        if getattr(node, "qname", None) == (TABLENS, "table-row"):
            yield node
        elif getattr(node, "qname", None) in _GROUPS:
            yield from _rows(node)


_GROUPS = {(TABLENS, kind) for kind in ("table-row-group", "table-header-rows", "table-rows")}


def _count(node: Any, name: str, limit: int) -> int:
    text = node.attributes.get((TABLENS, name), "1")
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) < 1:
        raise _UnreadableSpreadsheet(message("is not a sound ODS spreadsheet: {name} is {text}", name=name, text=repr(text[:20])))
    return min(int(text), limit)


def _table(table: Any, source: str, expected: Collection[str], layout: Layout, scaled: CellStyles, struck: CellStyles) -> RawTable:
    columns: dict[int, _Column] = {}
    lines: list[int] = []
    faults: list[Fault] = []
    merges: list[tuple[int, int, int, int]] = []
    heading_line, line = 0, 0
    hidden: list[int] = []
    struck_lines: list[int] = []
    for row in _rows(table):
        cells = _cells(row, line + 1, merges, layout)
        repeated = _count(row, "number-rows-repeated", MAX_ROWS)
        if not cells or line + repeated <= layout.rows_above:
            line += repeated
            continue
        if repeated > MAX_ROWS - line or repeated * len(cells) > 5_000_000:
            raise _UnreadableSpreadsheet(message("repeats rows beyond the size of a sheet: save it anew"))
        first, line = line + 1, line + repeated
        is_hidden = _is_hidden(row)
        is_struck = bool(struck) and not cells.keys().isdisjoint(struck.columns_of(row))
        for at in range(first, line + 1):
            if at <= layout.rows_above:
                continue
            if not heading_line:
                heading_line, columns = at, {number: _Column(text) for number, (text, _) in cells.items()}
                continue
            if len(lines) < SEARCHED_ROWS:
                title_fault = title_above(
                    [c.heading for c in columns.values()], [(at, [text for text, _ in cells.values()])], expected, layout
                )
                if title_fault:
                    raise _UnreadableSpreadsheet(title_fault)
            lines.append(at)
            if is_hidden:
                hidden.append(at)
            if is_struck:
                struck_lines.append(at)
            for number in scaled.columns_of(row) if scaled else ():
                _tell_scaled(columns.get(number), cells.get(number), f"{column_letters(number)}{at}", at)
            for number, column in columns.items():
                value, kind = cells.get(number, (None, CellType.TEXT))
                column.values.append(value)
                column.types.append(kind)
            faults += [
                Fault(
                    at, "", message("has a value in column {column_letters}, which has no heading", column_letters=column_letters(number))
                )
                for number in sorted(cells.keys() - columns.keys())
                if len(faults) < MAX_STRAY_FAULTS
            ]
    if not heading_line:
        raise _UnreadableSpreadsheet(message("is empty: a row of headings is expected"))
    _add_merges(columns, merges)
    found = [
        RawColumn(
            column.heading,
            pl.Series(column.heading, column.values, dtype=pl.String),
            pl.Series("type", column.types, dtype=pl.UInt8) if any(column.types) else CellType.TEXT,
            merged=tuple(column.merged),
            uncertain=tuple(column.uncertain),
        )
        for column in columns.values()
    ]
    return RawTable(
        source,
        heading_line,
        pl.Series("line", lines, dtype=pl.UInt32),
        found,
        faults,
        odd=(*said_hidden(hidden), *said_struck(struck_lines)),
    )


def _tell_scaled(column: _Column | None, cell: Cell | None, place: str, line: int) -> None:
    """A number shown in thousands, as `xlsx_table` has it."""
    if column is None or cell is None or cell[1] not in (CellType.NUMBER, CellType.INEXACT) or len(column.uncertain) >= MAX_STRAY_FAULTS:
        return
    doubt = message(
        "holds {text} and shows it as {shape}: give it a plain number format, and look at its value",
        text=masked(cell[0]),
        shape=message("thousands of it"),
    )
    what = message("the cell {column_letters}{row} {doubt}", column_letters=place.rstrip("0123456789"), row=line, doubt=doubt)
    column.uncertain.append(Fault(line, column.heading, what))


def _is_hidden(row: Any) -> bool:
    return row.attributes.get((TABLENS, "visibility")) in ("collapse", "filter")


def _add_merges(columns: dict[int, _Column], merges: list[tuple[int, int, int, int]]) -> None:
    """Each range of merged cells with every column that it reaches into."""
    for first, last, left, right in merges:
        for number in range(left, right + 1):
            if number in columns:
                columns[number].merged.append(Merged(first, last, f"{column_letters(left)}{first}:{column_letters(right)}{last}"))


def _cells(row: Any, line: int, merges: list[tuple[int, int, int, int]], layout: Layout) -> dict[int, Cell]:
    """The cells of a row that hold anything, by column from 0."""
    cells: dict[int, Cell] = {}
    number = 0
    for node in row.childNodes:
        kind = getattr(node, "qname", None)
        if kind not in ((TABLENS, "table-cell"), (TABLENS, "covered-table-cell")):
            continue
        repeated = _count(node, "number-columns-repeated", MAX_COLUMNS)
        down, across = _count(node, "number-rows-spanned", MAX_ROWS), _count(node, "number-columns-spanned", MAX_COLUMNS)
        if down > 1 or across > 1:
            merges.append((line, line + down - 1, number, number + across - 1))
        cell = _cell(node, f"{column_letters(number)}{line}", layout)
        if cell is not None:
            for place in range(number, min(number + repeated, MAX_COLUMNS)):
                cells[place] = cell
        number += repeated
        if number > MAX_COLUMNS:
            break
    return cells


def _cell(node: Any, place: str, layout: Layout) -> Cell | None:
    """A cell's text and type; None when it is empty."""
    kind: str = node.attributes.get((OFFICENS, "value-type"), "")
    text = "\n".join(teletype.extractText(part) for part in node.childNodes if getattr(part, "qname", ("", ""))[1] == "p").strip()
    if node.attributes.get((_CALCEXT, "value-type")) == "error" or ((TABLENS, "formula") in node.attributes and _ERRORS.fullmatch(text)):
        return text or "#N/A", CellType.ERROR
    if not kind:
        if (TABLENS, "formula") in node.attributes:
            return message("formula in {place}", place=place), CellType.ERROR
        return (text, CellType.TEXT) if text else None
    if kind == "string":
        text = (node.attributes.get((OFFICENS, "string-value")) or text).strip()
        return (text, CellType.TEXT) if text else None
    if kind == "percentage" or (kind == "float" and re.search(SMALL_UNITS, text) and not (layout.is_in_base_units or layout.factor)):
        return text or "%", CellType.TEXT  # refused as an amount by what it is
    if kind == "float" and _TRUTHS.fullmatch(text):  # LibreOffice holds =TRUE() as the number 1
        return text, CellType.BOOLEAN
    if kind in ("float", "currency"):
        return _number(node.attributes.get((OFFICENS, "value"), ""))
    others: dict[str, Cell] = {
        "date": (node.attributes.get((OFFICENS, "date-value"), text), CellType.MOMENT),
        "boolean": (node.attributes.get((OFFICENS, "boolean-value"), text).upper(), CellType.BOOLEAN),
    }
    return others.get(kind, (text or kind, CellType.OTHER))


def _number(value: str) -> Cell:
    if not re.fullmatch(r"[-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]{1,3})?", value):
        return value, CellType.ERROR
    exact = Decimal(value).normalize()
    text = format(exact, "f") if exact else "0"
    return text, CellType.NUMBER if len(exact.as_tuple().digits) <= EXACT_DIGITS else CellType.INEXACT
