"""Which cells of an ODS sheet show a number in thousands (their format divides what it shows, `number:display-factor`), and which are struck out.

In: the document as odfpy holds it, and one of its sheets. Out: for a row the columns of such cells. Left out: percentages and units, which the
text that is shown tells (`ods_table`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any

from odf.namespaces import NUMBERNS, STYLENS, TABLENS

from .sheets import MAX_COLUMNS

_COLUMN_GROUPS = {(TABLENS, kind) for kind in ("table-column-group", "table-header-columns", "table-columns")}
_CELLS = {(TABLENS, kind) for kind in ("table-cell", "covered-table-cell")}


class CellStyles:
    """Some of a document's styles, and the cells of a sheet that have one; false where no style is such."""

    def __init__(self, sheet: Any, styles: Collection[str]) -> None:
        self._styles = styles
        self._of_columns = list(_column_styles(sheet))[:MAX_COLUMNS] if self._styles else []

    def __bool__(self) -> bool:
        return bool(self._styles)

    def columns_of(self, row: Any) -> list[int]:
        """The row's columns, from 0, whose cells have such a style: their own, the row's or the column's."""
        found, number, of_row = [], 0, _text(row, TABLENS, "default-cell-style-name")
        for node in row.childNodes:
            if getattr(node, "qname", None) not in _CELLS:
                continue
            repeated = _repeated(node)
            for place in range(number, min(number + repeated, MAX_COLUMNS)):
                of_column = self._of_columns[place] if place < len(self._of_columns) else ""
                if (_text(node, TABLENS, "style-name") or of_row or of_column) in self._styles:
                    found.append(place)
            number += repeated
        return found


def scaled_cells(document: Any, sheet: Any) -> CellStyles:
    """The cells whose numbers are shown divided."""
    divided = {_text(node, STYLENS, "name") for node in _styles(document) if node.qname[0] == NUMBERNS and _divides(node)}
    of = _cell_styles(document)
    return CellStyles(sheet, {name for name in of if _inherited(of, name, _data_style) in divided})


def struck_cells(document: Any, sheet: Any) -> CellStyles:
    """The cells whose whole text is struck out."""
    of = _cell_styles(document)
    return CellStyles(sheet, {name for name in of if _inherited(of, name, _line_through) not in ("", "none")})


def _styles(document: Any) -> list[Any]:
    return [node for part in (document.automaticstyles, document.styles) for node in part.childNodes if hasattr(node, "attributes")]


def _cell_styles(document: Any) -> dict[str, Any]:
    return {_text(node, STYLENS, "name"): node for node in _styles(document) if node.qname == (STYLENS, "style")}


def _text(node: Any, namespace: str, name: str) -> str:
    return str(node.attributes.get((namespace, name)) or "")


def _repeated(node: Any) -> int:
    text = _text(node, TABLENS, "number-columns-repeated")
    return min(int(text), MAX_COLUMNS) if text.isdecimal() and len(text) < 10 else 1


def _divides(style: Any) -> bool:
    numbers = (node for node in style.childNodes if getattr(node, "qname", None) == (NUMBERNS, "number"))
    return any(_text(node, NUMBERNS, "display-factor") not in ("", "1") for node in numbers)


def _data_style(style: Any) -> str:
    return _text(style, STYLENS, "data-style-name")


def _line_through(style: Any) -> str:
    """How the style's text is struck out; "" where the style does not say."""
    properties = (node for node in style.childNodes if getattr(node, "qname", None) == (STYLENS, "text-properties"))
    return next((found for node in properties if (found := _text(node, STYLENS, "text-line-through-style"))), "")


def _inherited(styles: dict[str, Any], name: str, told: Callable[[Any], str]) -> str:
    """What a style tells, or the style that it is made from."""
    seen: set[str] = set()
    while name in styles and name not in seen:
        seen.add(name)
        if found := told(styles[name]):
            return found
        name = _text(styles[name], STYLENS, "parent-style-name")
    return ""


def _column_styles(parent: Any) -> Iterator[str]:
    """The default style of each column, in order."""
    for node in parent.childNodes:
        kind = getattr(node, "qname", None)
        if kind == (TABLENS, "table-column"):
            yield from [_text(node, TABLENS, "default-cell-style-name")] * _repeated(node)
        elif kind in _COLUMN_GROUPS:
            yield from _column_styles(node)
