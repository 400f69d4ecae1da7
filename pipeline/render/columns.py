"""A column of a printed table, whatever the document: its name in data files, what its values are, its heading."""

from __future__ import annotations

from typing import Literal, NamedTuple

Kind = Literal["integer", "text", "date", "amount"]


class PrintedColumn(NamedTuple):
    """One column as it is printed in one language."""

    name: str
    kind: Kind
    heading: str
